"""The command line: exit codes, one line for every mistake, answers on stdout and nothing else there."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import threading
import time
import types
from typing import Any

import pytest

import launch as launch_module
from seq2seq_jax.command import DONE, Verb, program
from seq2seq_jax.command import run as run_command
from seq2seq_jax.compare.results import Cause, Failure
from seq2seq_jax.inference.translate import Translation
from seq2seq_jax.records import RunRecord
from seq2seq_jax.sweep.design import Design
from seq2seq_jax.sweep.outcomes import Outcome
from seq2seq_jax.sweep.sweep import SweepOptions
from tests.sweep_fixture import write_sweep
from tests.training_fixture import (
    ROOT,
    command,
    environment,
    flags_of,
    launch,
    pair_config,
    text_config,
    vector_config,
    write_pairs,
    write_text,
)

EXPERIMENT = str(ROOT / "experiments/pronunciation.py")


def run(capsys, *arguments: str) -> tuple[object, str, str]:
    """Runs main() in this process."""
    try:
        code = launch_module.main(["launch.py", *arguments])
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("verb", launch_module.VERBS)
def test_every_verb_has_help_with_an_example(capsys, verb):
    code, out, err = run(capsys, verb, "--help")
    assert (code, err) == (0, "")
    assert f"For example: {program()} {verb} " in out
    assert "--workdir" in out
    assert "repeat this option" not in out  # absl's words, after ours that say the same


def test_help_lists_the_verbs(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(f"\n  {verb} " in out for verb in launch_module.VERBS)
    assert run(capsys)[:2] == (code, out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "trian: expected one of train, sweep"),
        (["train", "--config", EXPERIMENT], "--workdir: launch.py train needs it"),
        (["train", "--workdir=W"], "--config: expected an experiment file"),
        (["sample", "--workdir=V", "--workdir=W"], "--workdir=W: given 2 times; launch.py sample takes one"),
        (["train", "--workdir=W", "--config=nowhere.py"], "--config=nowhere.py: no such file"),
        (["train", "--workdir=W", f"--config={EXPERIMENT}", "--config.model.embeding_dim=3"], "config.model.embeding_dim"),
        (["train", "--workdir=W", f"--config={EXPERIMENT}", "--config.model.embedding_dim=x"], "embedding_dim=x: expected a whole number"),
        (
            ["train", "--workdir=W", f"--config={EXPERIMENT}", "--config.model.embedding_dim=0"],
            "embedding_dim=0: expected a value at least 1",
        ),
        (["train", "--workdir=W", f"--config={EXPERIMENT}", "--config.model.embedding_dim=1000000000000"], "at most 1048576"),
        (["train", "--workdir=W", f"--config={EXPERIMENT}", "--config.data.lines"], "data.lines=True"),  # a flag alone is true
        (["train", "--workdir=W", f"--config={EXPERIMENT}", "--config.data.lines=maybe"], "data.lines=maybe: expected true or false"),
        (["train", f"--workdir={EXPERIMENT}/W", f"--config={EXPERIMENT}"], "W: Not a directory; expected a directory that can be"),
        (["train", f"--workdir={EXPERIMENT}", f"--config={EXPERIMENT}"], "pronunciation.py: File exists; expected a directory that can be"),
        (["train", "--workdir=W", f"--config={EXPERIMENT}", "--config.train.learning_rate=nan"], "learning_rate=nan: expected a finite"),
        (["train", "--workdir=W", f"--config={EXPERIMENT}", "--config.model.attention=dott"], "attention=dott: expected one of none, dot"),
        (
            ["train", "--workdir=W", f"--config={EXPERIMENT}", "--config.train.steps=2", "--config.train.epochs=2"],
            "give one of them, not both",
        ),
        (["train", "--workdir=W", f"--config={EXPERIMENT}", "extra"], "extra: launch.py train takes flags only"),
        (["train", "--workdir=W", f"--config={EXPERIMENT}", "--config.train.metric=f1"], "train.metric=f1: expected one of"),
        (["train", "--workdir=W", f"--config={EXPERIMENT}", "--config.data.train=MISSING.tsv"], "MISSING.tsv"),
        (["train", "--workdir=W", f"--config={EXPERIMENT}", "--config.data.train=."], "directory"),
        (["train", "--workdir=W", f"--config={EXPERIMENT}", "--config.data.name=nothing"], "cmudict"),
        (["sweep", "--workdir=W", f"--config={EXPERIMENT}", "--seeds=0,0"], "--seeds=0,0: 0 is listed twice"),
        (["sweep", "--workdir=W", f"--config={EXPERIMENT}", "--axis=model.embedding_dim=2,3", "--embedding_dims=2"], "given twice"),
        (["sweep", "--workdir=W", f"--config={EXPERIMENT}", "--config.train.seed=3"], "--config.train.seed: this field is swept"),
        (["sweep", "--workdir=W", f"--config={EXPERIMENT}", "--tune=data.dev_fraction=0.1,0.2"], "it changes what is scored"),
        (["sweep", "--workdir=W", f"--config={EXPERIMENT}", "--tune=train.metric=bleu,chrf"], "it changes what is scored"),
        (
            ["sweep", "--workdir=W", f"--config={ROOT}/experiments/word2vec.py", "--tune=model.negatives=1,5"],
            "it changes what is scored, so that values of it do not compare by loss_nats_per_token",
        ),
        (
            ["sweep", "--workdir=W", f"--config={EXPERIMENT}", "--config.train.learning_rate=1", "--tune=train.learning_rate=1e-3,2e-3"],
            "--config.train.learning_rate: this field is tuned; give its values with --tune=",
        ),
        (["compare", "--workdir=W"], "--workdir=W: holds no results"),
        (["compare", "--workdir=W", "--format=xml"], "xml"),
        (["evaluate", "--workdir=W"], "there is no run here"),
        (["evaluate", "--workdir=W", "--data=a.tsv"], "there is no run here"),  # no flag but one of the two was typed
        (["evaluate", "--workdir=W", "--data=a.tsv", "--split=test"], "--split=test: --data=a.tsv is scored instead of a split"),
        (["evaluate", "--workdir=W", "--split=dev", "--data=a.tsv"], "--split=dev: --data=a.tsv is scored instead of a split"),
        (["translate", "--workdir=W"], "there is no run here"),
        (["embeddings", "spectrum", "--workdir=W"], "there is no run here"),
        (["embeddings", "analogy", "-x", "a", "b", "--workdir=W"], "-x: no such flag; words that begin with a dash stand last, after --"),
        (["sample", "--workdir=W", "-lenght=3"], "-lenght: no such flag; did you mean --length?"),
        (["evaluate", "--workdir=W", "--beam_size=100000"], "--beam_size=100000: "),
        (["sample", "--workdir=W", "--length=abc"], "--length=abc: expected a whole number"),
        (["sample", "--workdir=W", "--temperature=abc"], "--temperature=abc: expected a number"),
        (["translate", "--workdir=W", "--attention=w.svg"], "--attention=w.svg: that is the name of the picture"),
        (
            ["translate", "--workdir=W", "--attention=no/w.json"],
            "--attention=no/w.json: cannot be written; expected a place for a file, in a folder that exists",
        ),
        (["translate", "--workdir=W", "--attention=."], "--attention=.: cannot be written; expected a place for a file"),
        (["sample", "--workdir=W", "--seed=99999999999"], "seed"),
        (["sample", "--workdir=W", "--temperature=-1"], "temperature"),
        (["sample", "--workdir=W", "--temperature=nan"], "--temperature=nan: expected a finite number"),
    ],
)
def test_a_mistake_ends_with_2_and_one_line(capsys, monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, ""), err
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("swept", ["", "SWEEP = {}"])
@pytest.mark.parametrize("dry_run", [[], ["--dry_run"]], ids=["", "dry_run"])
def test_a_sweep_of_nothing_is_refused(capsys, tmp_path, swept, dry_run):
    """Red if a member without a name is made of an experiment that sweeps nothing: its directory would be the sweep's own."""
    experiment = tmp_path / "experiment.py"
    experiment.write_text(f"from seq2seq_jax.config import Config\nget_config = Config\n{swept}\n")
    code, out, err = run(capsys, "sweep", f"--workdir={tmp_path / 'sweep'}", f"--config={experiment}", *dry_run)
    assert (code, out) == (2, "")
    assert err == "error: sweep: nothing is swept; expected --embedding_dims, --axis, or SWEEP in the experiment file\n"
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    "verb", [["translate"], ["evaluate"], ["sample"], ["embeddings", "trace"], ["embeddings", "map", "--figure=map.svg"]], ids=" ".join
)
def test_of_a_sweep_where_a_run_is_needed_a_member_is_named(capsys, monkeypatch, tmp_path, verb):
    """Red if it is said to be nothing, or a folder is named that holds no run."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "seed=0", "seed=1"):
        (tmp_path / "r" / name).mkdir(parents=True)
    members = [{"name": name} for name in ("seed=0", "seed=1", "seed=2")]
    (tmp_path / "r/sweep.json").write_text(json.dumps({"members": members}))
    expected = "error: --workdir=r: this is the directory of a sweep; expected one of its members"
    assert run(capsys, *verb, "--workdir=r") == (2, "", f"{expected}\n")
    for name in ("seed=1", "seed=0"):
        for file in ("config.json", "embedding.npz"):
            (tmp_path / "r" / name / file).touch()
    assert run(capsys, *verb, "--workdir=r") == (2, "", f"{expected}, such as r/seed=0\n")
    code, out, err = run(capsys, *verb, "--workdir=r/sed=1")
    assert (code, out, err.endswith("; did you mean r/seed=1?\n")) == (2, "", True)
    assert not any("did you mean" in run(capsys, *verb, f"--workdir=r/{name}")[2] for name in ("other", "seed=2"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"a\tb\nc\n", ":2"),
        (b"a\tb\nc\td\te\n", ":2"),
        (b"a\tb\n\xff\td\n", ":2"),
    ],
)
def test_malformed_data_ends_with_2_and_names_the_line(capsys, tmp_path, content, message):
    path = tmp_path / "bad.tsv"
    path.write_bytes(content)
    code, out, err = run(capsys, "train", f"--config={EXPERIMENT}", f"--workdir={tmp_path / 'run'}", f"--config.data.train={path}")
    assert (code, out) == (2, "")
    assert f"{path}{message}" in err or (message in err and str(path) in err)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("verb", "name", "executor"), [("train", "nonsense", ""), ("sweep", "cuda", "serial"), ("sweep", "cuda", "processes")]
)
def test_a_device_that_is_not_there_ends_with_2_and_one_line(tmp_path, verb, name, executor):
    """Red if JAX's own traceback is shown, or if it counts as a failure of the run or of a member. (A machine with CUDA has it.)"""
    if name == "cuda" and importlib.util.find_spec("jax_plugins") is not None:
        pytest.skip("this machine may have it")
    arguments = flags_of(pair_config(write_pairs(tmp_path / "a.tsv", 40)))
    if verb == "sweep":
        arguments = [
            *(flag for flag in arguments if "embedding_dim" not in flag),
            "--embedding_dims=2",
            "--seeds=0",
            f"--executor={executor}",
        ]
    done = subprocess.run(
        command(verb, f"--workdir={tmp_path / 'run'}", *arguments),
        capture_output=True,
        text=True,
        env=environment() | {"JAX_PLATFORMS": name},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith("sweep: ")]
    assert len(said) == 1
    assert said[0].startswith(f"error: JAX_PLATFORMS={name}: no such device starts here")
    assert not list(tmp_path.glob("run/**/result.json"))


@pytest.mark.parametrize("verb", ["train", "sweep", "status", "compare", "evaluate"])
def test_a_path_that_no_file_can_have_ends_with_2_and_one_line(capsys, monkeypatch, tmp_path, verb):
    """Red if the system's refusal is shown as a traceback: as here of a name too long, so of a directory of somebody else."""
    monkeypatch.chdir(tmp_path)
    config = [f"--config={EXPERIMENT}"] if verb in ("train", "sweep") else []
    code, _, err = run(capsys, verb, f"--workdir={'x' * 300}", *config)
    assert (code, err.count("\n")) == (2, 1)
    assert "File name too long; expected a" in err or "there is no run here" in err


def test_a_current_directory_that_is_gone_ends_with_2_and_one_line(capsys, monkeypatch, tmp_path):
    """Red if a sweep makes its plan, and then a traceback where a process wants to know where it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, out, err = run(capsys, "compare", f"--workdir={tmp_path}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "the current directory was removed" in err


def test_a_sweep_that_could_not_do_what_was_asked_ends_with_1(capsys, monkeypatch, tmp_path):
    """Red if more steps than are asked for now are refused by each member and not once; or if a broken result ends the sweep.

    Red too if failures are counted against fewer than all members, or a new one that could not begin is said to have a result.
    """
    config = text_config(write_text(tmp_path / "a.txt", 2000), train__steps=8, train__eval_every=8)
    fields = [flag for flag in flags_of(config) if "embedding_dim" not in flag and "train.steps" not in flag]
    shared = [f"--config={EXPERIMENT}", f"--workdir={tmp_path / 'sweep'}", "--embedding_dims=2", "--seeds=0", "--executor=serial", *fields]
    assert run(capsys, "sweep", *shared, "--config.train.steps=8")[0] == 0
    code, _, err = run(capsys, "sweep", *shared, "--config.train.steps=4")
    assert (code, err.count("\n")) == (2, 1)
    assert "embedding_dim=2,seed=0 has made 8 updates already" in err
    (tmp_path / "sweep/embedding_dim=2,seed=0/result.json").write_text("{bad")
    code, _, err = run(capsys, "sweep", *shared, "--config.train.steps=8")
    assert code == 0
    assert "going on from step 8" in err
    assert json.loads((tmp_path / "sweep/embedding_dim=2,seed=0/result.json").read_text())["status"] == "finished"
    monkeypatch.setattr("seq2seq_jax.sweep.sweep.run_sweep", lambda *rest: [Outcome("embedding_dim=4,seed=0", "failed", "why")])
    code, _, err = run(capsys, "sweep", *shared, "--config.train.steps=8", "--embedding_dims=2,4")
    assert code == 1
    assert err.endswith("failed: 1 of 2 members\n")
    monkeypatch.setattr("seq2seq_jax.sweep.sweep.run_sweep", lambda *rest: [Outcome("embedding_dim=2,seed=0", "failed", "why")])
    code, _, err = run(capsys, "sweep", *shared, "--config.train.steps=8")
    assert code == 1
    assert err.endswith("failed: 1 of 1 members; the table shows the earlier result of embedding_dim=2,seed=0\n")
    earlier = [Failure(name, cause, "why", None) for name, cause in (("a", Cause.DIVERGED), ("b", Cause.NOT_RUN), ("c", Cause.FAILED))]
    for failures, said in (
        (earlier[:2], "failed before and not tried again: 1 of 1 members"),
        (earlier, "failed before and not tried again: 2 of 1 members; --retry_failed does that"),
    ):
        shown = types.SimpleNamespace(failures=failures, runs=[])
        monkeypatch.setattr("seq2seq_jax.compare.main.print_answer", lambda *rest, shown=shown: shown)
        for outcomes, now in (([], ""), ([Outcome("d", "failed", "why")], "failed: 1 of 1 members\n")):
            monkeypatch.setattr("seq2seq_jax.sweep.sweep.run_sweep", lambda *rest, outcomes=outcomes: outcomes)
            code, _, err = run(capsys, "sweep", *shared, "--config.train.steps=8")
            assert code == 1
            assert err.endswith(f"{now}{said}\n")


@pytest.mark.parametrize(("folder", "interpreter"), [("home/a b", ".venv/bin/python"), ("home", "a b/.venv/bin/python"), ("other", None)])
def test_a_command_that_is_shown_or_recorded_can_be_pasted_where_it_was_typed(monkeypatch, tmp_path, folder, interpreter):
    """Red if it begins with a script that no shell finds, or with the interpreter that a virtual environment's leads to."""
    for name in ("home/a b/.venv/bin", "other"):
        (tmp_path / name).mkdir(parents=True)
    executable = tmp_path / "home/a b/.venv/bin/python"
    executable.symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path / folder)
    monkeypatch.setattr(sys, "executable", str(executable))
    monkeypatch.setattr(sys, "argv", ["scripts/launch.py", "sweep", "--workdir=a b"])
    assert shlex.split(program()) == [interpreter or str(executable), "scripts/launch.py"]


@pytest.fixture(scope="module")
def translator(tmp_path_factory) -> pathlib.Path:
    """A translator trained by the command itself, which prints what result.json has."""
    folder, out = tmp_path_factory.mktemp("translator"), io.StringIO()
    flags = flags_of(pair_config(write_pairs(folder / "a.tsv", 100), train__steps=5))
    with contextlib.redirect_stdout(out):
        assert launch_module.main(["launch.py", "train", f"--config={EXPERIMENT}", f"--workdir={folder / 'run'}", *flags]) == 0
    assert json.loads(out.getvalue()) == json.loads((folder / "run/result.json").read_text())
    return folder / "run"


def test_translate_answers_every_line(translator, capsys, monkeypatch):
    """Also empty lines, unknown symbols, which are told, and Windows line ends; a missing last newline adds no line."""
    ended = launch("translate", f"--workdir={translator}", stdin="abc\n\n日本\r\nfed")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("\n") == 4
    assert ended.stdout.split("\n")[1] == ""
    said = [line for line in ended.stderr.splitlines() if not line.startswith("decoding")]  # which is said where it takes two seconds
    assert said == ["translate: standard input: 1 of 4 sources have a unit that the vocabulary has not."]
    with open(os.devnull) as empty:
        monkeypatch.setattr(sys, "stdin", empty)
        assert run(capsys, "translate", f"--workdir={translator}") == (0, "", "")
    monkeypatch.setattr(sys, "stdin", None)
    assert run(capsys, "translate", f"--workdir={translator}") == (2, "", "error: standard input: closed; expected sources, one a line\n")


def test_output_is_utf_8_whatever_the_environment_says(monkeypatch):
    """Red if text in another script ends in a traceback, or as what nothing reads back."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", out)
    verb = Verb("", "", (launch_module.RUN,), lambda values: print(values.workdir) or DONE)
    assert run_command(["say", "--workdir=日本"], "", {"say": verb}, {}) == DONE
    assert out.buffer.getvalue() == "日本\n".encode()


def test_evaluate_prints_one_object_and_changes_no_file(translator, capsys, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in translator.rglob("*") if path.name != ".lock"}
    code, out, _ = run(capsys, "evaluate", f"--workdir={translator}", "--split=test")
    result = json.loads((translator / "result.json").read_text())
    assert (code, {key: json.loads(out)[key] for key in result["test"]}) == (0, result["test"])
    assert {path: path.stat().st_mtime_ns for path in translator.rglob("*") if path.name != ".lock"} == before
    other = tmp_path / "other.tsv"
    other.write_text("ab\tb a\nab\ta b\n")
    code, out, _ = run(capsys, "evaluate", f"--workdir={translator}", f"--data={other}")
    assert (code, json.loads(out)["examples"]) == (0, 1)


def test_trace_prints_tables_json_and_a_picture(capsys, translator, tmp_path):
    """A line of dev, a text with its target, and one without, whose target is the model's own; in 80 columns."""
    picture = tmp_path / "trace.svg"
    code, out, _ = run(capsys, "embeddings", "trace", f"--workdir={translator}", f"--figure={picture}")
    assert code == 0
    assert "carry exactly none" in out
    assert ") carry no gradient" in out
    assert max(map(len, out.splitlines())) <= 80
    assert ">source symbols that are read<" in picture.read_text()
    code, out, err = run(capsys, "embeddings", "trace", f"--workdir={translator}", "--text=ab?\tb a", "--position=2", "--format=json")
    assert "trace: the source has what is not in the vocabulary, and reads as <unk>: '?'\n" in err
    found = json.loads(out)
    assert (code, found["position"], found["ids_have_gradient"]) == (0, 2, False)
    assert [row["symbol"] for row in found["outputs"]] == ["b", "a", "<eos>"]
    assert found["sequences"]["source"]["symbols"] == ["a", "b", "<unk>", "<eos>"]
    assert {row["symbol"] for row in found["tables"][0]["gradient_norms"]} == {"a", "b", "<unk>", "<eos>"}
    assert {row["symbol"] for row in found["tables"][1]["gradient_norms"]} == {"<bos>", "b"}
    assert found["tables"][0]["rows_without_gradient"] == {"lookup": found["tables"][0]["rows"] - 4}
    lines = [run(capsys, "embeddings", "trace", f"--workdir={translator}", "--format=json", f"--line={line}")[1] for line in (1, 2)]
    assert json.loads(lines[0])["sequences"] != json.loads(lines[1])["sequences"]
    for wrong, said in ((["--line=999"], "--line=999: dev has"), (["--line=2", "--text=ab"], "--line=2: --text is followed")):
        code, out, err = run(capsys, "embeddings", "trace", f"--workdir={translator}", *wrong)
        assert (code, out) == (2, "")
        assert err.startswith(f"error: {said}")
    code, out, err = run(capsys, "embeddings", "trace", f"--workdir={translator}", "--text=", "--position=99")
    assert (code, out) == (2, "")
    assert "--position=99: there are" in err
    code, out, err = run(capsys, "embeddings", "trace", f"--workdir={translator}", "--text=ab\tb a", "--position=99")
    assert (code, out) == (2, "")
    assert err.startswith("error: --position=99: there are 3 output symbols")


@pytest.mark.parametrize(("closed", "verb", "code"), [(1, "--help", 0), (2, "status", 2)])
def test_a_command_without_its_streams_ends_as_with_them(closed, verb, code):
    """Red if a process that was started without stdout or stderr, as by a daemon, ends in an error of its own."""
    words = [sys.executable, str(ROOT / "launch.py"), verb, *(["--workdir=nowhere"] if code else [])]
    assert subprocess.run(f"{shlex.join(words)} {closed}>&-", shell=True, env=environment(), check=False).returncode == code


def test_output_without_room_is_said_in_one_line(tmp_path):
    """Red if a full disk ends in a traceback, or in success."""
    write_sweep(tmp_path, {4: (0.5, 0.6)})
    with open("/dev/full", "w") as full:
        typed = command("compare", f"--workdir={tmp_path}", "--format=json")
        ended = subprocess.run(typed, stdout=full, stderr=-1, text=True, env=environment(), check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "No space left on device" in ended.stderr


def test_nobody_has_to_read_what_a_sweep_says(tmp_path):
    """Red if a reader that is gone, as ``head`` is after its lines, fails a member, or ends the sweep before its report."""
    few = {"train__steps": 4, "train__eval_every": 2, "train__log_every": 1}
    flags = [flag for flag in flags_of(pair_config(write_pairs(tmp_path / "a.tsv", 60), **few)) if "embedding_dim" not in flag]
    arguments = [f"--workdir={tmp_path / 's'}", *flags, "--embedding_dims=6", "--seeds=0,1", "--executor=serial"]
    piped = subprocess.PIPE
    with subprocess.Popen(command("sweep", *arguments), stdout=piped, stderr=piped, text=True, env=environment()) as sweep:
        assert sweep.stdout is not None
        assert sweep.stderr is not None
        assert sweep.stderr.readline() == "sweep: 2 of 2 members to train\n"
        sweep.stderr.close()
        sweep.stdout.close()
        assert sweep.wait(120) == 0
    assert [json.loads(path.read_text())["status"] for path in tmp_path.glob("s/*/result.json")] == ["finished"] * 2
    assert (tmp_path / "s/report.html").exists()
    with subprocess.Popen(command("compare", f"--workdir={tmp_path / 's'}"), stdout=piped, stderr=piped, env=environment()) as compare:
        assert compare.stdout is not None
        assert compare.stderr is not None
        compare.stdout.close()
        assert (compare.wait(120), compare.stderr.read()) == (0, b"")


def test_a_study_of_word_vectors_that_needs_a_decoder_says_so_alone(capsys, tmp_path):
    """Red if the gradient is said to be compiled before that is known, or the run is opened for it."""
    record = RunRecord(vector_config(tmp_path / "a.txt"), 9, {}, 0, ())
    (tmp_path / "config.json").write_text(json.dumps(record.to_json()))
    code, out, err = run(capsys, "embeddings", "trace", f"--workdir={tmp_path}")
    expected = f"error: --workdir={tmp_path}: expected a translator or a language model, this run is a skip_gram\n"
    assert (code, out, err) == (2, "", expected)


@pytest.mark.parametrize("verb", ["train", "sweep", "status", "compare", "translate"])
def test_a_signal_before_training_has_begun_is_a_stop_like_any_other(monkeypatch, capsys, verb):
    """Red if SIGTERM, which training handles itself, kills the process while it still loads its libraries or data.

    Red too if a verb that begins anew promises to go on, by its words or by the exit code that stands for it.
    """
    stopped = launch_module.VERBS[verb]._replace(run=lambda values: os.kill(os.getpid(), signal.SIGTERM) or time.sleep(9) or 0)
    monkeypatch.setitem(launch_module.VERBS, verb, stopped)
    before = signal.getsignal(signal.SIGTERM)
    goes_on = (75, "", "stopped: the same command goes on from here\n")
    assert run(capsys, verb, "--workdir=W") == (goes_on if verb in ("train", "sweep") else (1, "", "stopped\n"))
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def heard():
    """Lets SIGINT be heard, which a process that a script has put in the background ignores, as these tests may be."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_amid_an_import_waits_for_its_end(tmp_path, monkeypatch, capsys, number):
    """Red if the exception comes inside a module that is half made: JAX's libraries then fail with another error, or pass over it."""
    half = f"import os\ntry:\n    os.kill({os.getpid()}, {int(number)})\nexcept KeyboardInterrupt:\n    raise ImportError\nwhole = True\n"
    (tmp_path / "half_made.py").write_text(half)
    monkeypatch.syspath_prepend(tmp_path)
    imported = []

    def load_and_wait(values):
        imported.append(importlib.import_module("half_made").whole)
        time.sleep(9)
        return 0

    monkeypatch.setitem(launch_module.VERBS, "train", launch_module.VERBS["train"]._replace(run=load_and_wait))
    assert run(capsys, "train", "--workdir=W") == (75, "", "stopped: the same command goes on from here\n")
    assert imported == [True]
    assert sys.modules.pop("half_made")


@pytest.mark.parametrize(("times", "seconds", "expected"), [(2, 9.0, (1, "", "stopped\n")), (1, 0.0, (0, "", ""))])
def test_a_signal_amid_an_import_comes_once_and_not_after_the_command(tmp_path, monkeypatch, capsys, times, seconds, expected):
    """Red if two of them end the process on its way out, or one that came amid the last import ends whoever has called the command."""
    kills = f"os.kill({os.getpid()}, {int(signal.SIGTERM)})\n" * times
    (tmp_path / "last_import.py").write_text(f"import os\n{kills}")
    monkeypatch.syspath_prepend(tmp_path)
    late: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: late.append(number))

    def load(values):
        importlib.import_module("last_import")
        time.sleep(seconds)
        return 0

    monkeypatch.setitem(launch_module.VERBS, "compare", launch_module.VERBS["compare"]._replace(run=load))
    try:
        assert run(capsys, "compare", "--workdir=W") == expected
        time.sleep(0.2)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert late == []
    assert sys.modules.pop("last_import")


def test_what_the_process_ignores_it_goes_on_ignoring(monkeypatch, capsys):
    """Red if Ctrl-C reaches a command that a script has put in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    undisturbed = launch_module.VERBS["evaluate"]._replace(run=lambda values: os.kill(os.getpid(), signal.SIGINT) or 0)
    monkeypatch.setitem(launch_module.VERBS, "evaluate", undisturbed)
    try:
        assert run(capsys, "evaluate", "--workdir=W") == (0, "", "")
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_an_import_that_hangs_can_be_stopped(tmp_path, monkeypatch, capsys):
    """Red if Ctrl-C does nothing while an experiment file is imported that never ends, be it that threads end late on a busy machine."""
    kill = os.kill

    def kill_and_linger(process, number):
        kill(process, number)
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.3)

    monkeypatch.setattr(os, "kill", kill_and_linger)
    (tmp_path / "endless.py").write_text(f"import os, time\nos.kill({os.getpid()}, {int(signal.SIGINT)})\ntime.sleep(9)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("seq2seq_jax.command._MOST_PUT_OFF", 2)
    hanging = launch_module.VERBS["compare"]._replace(run=lambda values: len(str(importlib.import_module("endless"))))
    monkeypatch.setitem(launch_module.VERBS, "compare", hanging)
    assert run(capsys, "compare", "--workdir=W") == (1, "", "stopped\n")


@pytest.mark.parametrize(
    "said",
    [
        "RESOURCE_EXHAUSTED: Out of memory allocating\n 99 bytes",
        "INTERNAL: failed call to cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        "INTERNAL: Failed to create cublas handle: CUBLAS_STATUS_ALLOC_FAILED",
        "INTERNAL: YNNPACK operation failed: error",
    ],
)
def test_what_no_memory_holds_ends_with_one_line(monkeypatch, capsys, said):
    def fail(values):
        raise RuntimeError(said)

    monkeypatch.setitem(launch_module.VERBS, "status", launch_module.VERBS["status"]._replace(run=fail))
    code, _, err = run(capsys, "status", "--workdir=W")
    assert (code, err.count("\n")) == (1, 1)
    assert "out of memory" in err


def test_sample_writes_text_from_the_prompt(capsys, tmp_path):
    config = text_config(write_text(tmp_path / "a.txt", 2000), train__steps=5)
    assert run(capsys, "train", f"--config={EXPERIMENT}", f"--workdir={tmp_path / 'run'}", *flags_of(config))[0] == 0
    code, out, err = run(capsys, "sample", f"--workdir={tmp_path / 'run'}", "--prompt=to be", "--length=40", "--num_samples=2")
    assert code == 0, err
    first, other = out.removeprefix("=== 1 of 2 ===\n").split("=== 2 of 2 ===\n")
    assert first != other
    for text in (first, other):
        assert text.startswith("to be")
        assert len(text) == len("to be") + 40 + 1
    code, out, err = run(capsys, "sample", f"--workdir={tmp_path / 'run'}", "--prompt=\udcffto")
    assert (code, out, err) == (2, "", "error: --prompt=\\xffto: not UTF-8, or typed where the locale is not; expected text in UTF-8\n")
    code, out, err = run(capsys, "translate", f"--workdir={tmp_path / 'run'}")
    assert (code, out) == (2, "")
    assert "expected a translator" in err


def test_what_is_typed_reaches_what_does_the_work(capsys, monkeypatch, tmp_path):
    """Red if a flag is understood and its value lost, or handed over in the place of another's.

    Red too if a sweep whose table lacks a member ends as if all were well, since this command has not trained it.
    """
    called: dict[str, Any] = {}

    def stand_in(place, answer=None):
        monkeypatch.setattr(f"seq2seq_jax.{place}", lambda *given, **named: called.update({place: (*given, *named.items())}) or answer)

    stand_in("compare.main.run")
    assert run(capsys, "compare", "--workdir=W", "--workdir=V", "--format=csv", "--tolerance=0.3", "--noise_floor", "--figures=F")[0] == 0
    assert called["compare.main.run"] == (["W", "V"], "csv", 0.3, True, "F")
    stand_in("inference.evaluate.evaluate", {})
    run(capsys, "evaluate", "--workdir=W", "--split=test", "--beam_size=5", "--length_penalty=0.4")
    assert called["inference.evaluate.evaluate"] == (["W"], "test", None, 5, 0.4)
    stand_in("inference.sample.sample_texts", [["a", "b"]])
    typed = ["--prompt=p", "--length=7", "--temperature=0.5", "--top_k=4", "--top_p=0.9", "--seed=3", "--num_samples=1"]
    assert run(capsys, "sample", "--workdir=W", *typed)[1] == "ab\n"
    drawn = {"temperature": 0.5, "seed": 3, "top_k": 4, "top_p": 0.9, "number": 1}
    assert called["inference.sample.sample_texts"] == ("W", "p", 7, *drawn.items())
    stand_in("inference.translate.open_translators", ["run"])
    stand_in("inference.translate.unknown_sources", [])
    stand_in("inference.translate.translations", [[Translation("x", -0.5), Translation("y", -1.25)]])
    (tmp_path / "stdin").write_text("s\n")
    with open(tmp_path / "stdin") as stdin, monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", stdin)
        out = run(capsys, "translate", "--workdir=W", "--beam_size=5", "--n_best=2", "--length_penalty=0.4")[1]
    assert out == "0\t-0.5000\tx\n0\t-1.2500\ty\n"
    searched = {"beam_size": 5, "n_best": 2, "length_penalty": 0.4, "attention": False}
    assert called["inference.translate.translations"] == (["run"], ["s"], *searched.items())
    stand_in("sweep.plan.make_plan", types.SimpleNamespace(members=[]))
    stand_in("sweep.sweep.run_sweep", [])
    asked = ["--embedding_dims=2,4", "--seeds=0..1", "--axis=model.dropout=0.1", "--baselines=frozen", "--budget=parameters"]
    asked += [
        "--tune=train.learning_rate=0.1,0.2",
        "--tune=train.epochs=1,2",
        "--executor=processes",
        "--jobs=3",
        "--retry_failed",
        "--max_failures=2",
    ]
    asked += ["--keep=last", "--tolerance=0.3", "--config.train.batch_size=9"]
    for failures, code in (([], 0), ([Failure("a", Cause.NOT_RUN, "not run", None)], 1)):
        stand_in("compare.main.print_answer", types.SimpleNamespace(failures=failures, runs=[]))
        assert run(capsys, "sweep", f"--config={EXPERIMENT}", "--workdir=W", *asked)[0] == code
    config, *planned = called["sweep.plan.make_plan"]
    assert (config.train.batch_size, config.train.steps) == (9, None)  # since epochs are tuned
    axes = {"model.embedding_dim": (2, 4), "train.seed": (0, 1), "model.dropout": (0.1,)}
    assert planned == [axes, "W", Design(("frozen",), "parameters", {"train.learning_rate": (0.1, 0.2), "train.epochs": (1, 2)})]
    assert called["sweep.sweep.run_sweep"][1] == SweepOptions("processes", 3, True, 2, "last")
    assert called["compare.main.print_answer"] == ("W", 0.3)
    stand_in("sweep.dry_run.print_dry_run")
    assert run(capsys, "sweep", f"--config={EXPERIMENT}", "--workdir=W", *asked, "--dry_run")[0] == 0
    assert called["sweep.dry_run.print_dry_run"][1] is True
