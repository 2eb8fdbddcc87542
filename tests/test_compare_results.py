"""Reading a sweep back: what counts, and the one line that names a file which is broken or foreign."""

import errno
import json
import os
import pathlib
import shutil

import pytest

from seq2seq_jax.compare.reading import read_sweep
from seq2seq_jax.compare.results import Cause
from seq2seq_jax.errors import UserError
from seq2seq_jax.json_files import readable_lines
from seq2seq_jax.records import NO_DIRECTORY
from tests.sweep_fixture import METRIC, compare, member_name, result, write_sweep

VALUES = {4: [0.5, 0.4], 16: [0.3, 0.35]}


def test_members_are_sorted_by_size_then_seed(tmp_path):
    sweep = read_sweep(write_sweep(tmp_path / "s", {100: [0.1, 0.2], 9: [0.3, 0.4]}, grid=False))
    assert [(run.member.size, run.member.seed, run.value) for run in sweep.runs] == [(9, 0, 0.3), (9, 1, 0.4), (100, 0, 0.1), (100, 1, 0.2)]


def test_a_line_that_is_no_utf_8_costs_no_other(tmp_path):
    """Red if one damaged line of a log hides all that a run has logged."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": "\xff"}\n[2]\n{"st\n{"step": 3}\n')
    assert readable_lines(path) == [{"step": 1}, {"step": 3}]
    assert readable_lines(path, containing="3") == [{"step": 3}]


def test_with_sweep_json_only_its_members_count(tmp_path):
    workdir = write_sweep(tmp_path / "s", VALUES)
    stray = tmp_path / "s" / "tuning"
    stray.mkdir()
    (stray / "result.json").write_text(json.dumps(result(4, 9, 0.01)))
    assert len(read_sweep(workdir).runs) == 4
    (tmp_path / "s" / "sweep.json").unlink()
    assert len(read_sweep(workdir).runs) == 5


def test_an_interrupted_member_and_a_nan_are_failures(tmp_path):
    workdir = write_sweep(tmp_path / "s", VALUES)
    interrupted = tmp_path / "s" / member_name(4, 0) / "result.json"
    interrupted.write_text(json.dumps({"format": 1, "status": "interrupted", "error": None}))
    (tmp_path / "s" / member_name(16, 1) / "result.json").write_text(json.dumps(result(16, 1, float("nan"))))
    sweep = read_sweep(workdir)
    assert {failure.name: failure.error for failure in sweep.failures} == {
        member_name(4, 0): "interrupted",
        member_name(16, 1): 'result.json: expected a finite number for word_error_rate in "dev"',
    }
    assert all(failure.member is not None for failure in sweep.failures)


def test_a_file_in_the_place_of_a_member_is_a_failure(tmp_path):
    """Red if that member counts as not run, which the sweep's command would make up for."""
    workdir = write_sweep(tmp_path / "s", VALUES)
    shutil.rmtree(tmp_path / "s" / member_name(4, 0))
    (tmp_path / "s" / member_name(4, 0)).write_text("")
    (failure,) = read_sweep(workdir).failures
    assert (failure.cause, failure.error) == (Cause.FAILED, NO_DIRECTORY)


def test_size_and_seed_may_stand_in_the_configuration_alone(tmp_path):
    directory = tmp_path / "s" / "a"
    directory.mkdir(parents=True)
    (directory / "result.json").write_text(json.dumps(result(0, 0, 0.3, varied={"model.hidden_dim": 64})))
    (directory / "config.json").write_text(json.dumps({"format": 1, "config": {"model": {"embedding_dim": 32}, "train": {"seed": 7}}}))
    member = read_sweep(str(tmp_path / "s")).runs[0].member
    assert (member.size, member.seed, member.setting) == (32, 7, {"model.hidden_dim": 64})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not JSON"),
        ("[1]", "expected a JSON object"),
        ("{}", "format"),
        (json.dumps({"format": 2, "status": "finished"}), "format"),
        (json.dumps({"format": 1, "status": "running"}), "status"),
        (json.dumps(result(4, 0, 0.5, dev={"bleu": 3})), "word_error_rate"),
        (json.dumps(result(4, 0, 0.5, metric={"name": "x"} | {"lower_is_better": 1})), "metric"),
        (json.dumps(result(4, 0, 0.5, parameters=None)), "parameters"),
        (json.dumps(result(4, 0, 0.5, metric=METRIC | {"tolerance": -1})), "metric"),
        (json.dumps(result(4, 0, 0.5, metric=METRIC | {"tolerance": "0.01"})), "metric"),
        (json.dumps(result(4, 0, 0.5, dev=None)), "there is no dev split to compare by"),
        (json.dumps({key: value for key, value in result(4, 0, 0.5).items() if key != "dev"}), "there is no dev split to compare by"),
        (json.dumps(result(4, 0, 0.5, varied={"model.embedding_dim": 16, "train.seed": 1})), "is of size 16 and seed 1; expected size 4"),
        (json.dumps(result(4, 0, 0.5, varied={"model.embedding_dim": 4, "train.seed": 0})), "is of size 4 and seed 0; expected size 4"),
        ("[" * 100_000, "not JSON: nested too deeply"),
        *[(json.dumps(result(4, 0, 0.5) | {key: 5}), f'"{key}" as train writes it, got 5') for key in ("varied", "test", "versions")],
        (json.dumps(result(4, 0, 0.5, dev={"word_error_rate": 10**400})), "word_error_rate"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_a_broken_result_is_a_failure_of_its_member_alone(tmp_path, text, complaint):
    """Red if it ends the comparison of all others, or does not count against its size."""
    workdir = write_sweep(tmp_path / "s", VALUES)
    path = tmp_path / "s" / member_name(4, 1) / "result.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    sweep = read_sweep(workdir)
    (failure,) = sweep.failures
    assert len(sweep.runs) == 3
    assert failure.member is not None
    assert (failure.member.size, failure.member.seed) == (4, 1)
    assert failure.error.startswith("result.json: ")
    assert complaint in failure.error
    assert "\n" not in failure.error


@pytest.mark.parametrize("grid", [False, True])
def test_what_cannot_be_looked_at_is_a_failure_of_its_member_alone(tmp_path, monkeypatch, grid):
    """Red if another user's directory ends the comparison, or its size counts as one whose runs are all there."""
    workdir = write_sweep(tmp_path / "s", VALUES, grid=grid)
    stat, hidden = pathlib.Path.stat, member_name(4, 1)

    def refused(path: pathlib.Path, **options: bool) -> os.stat_result:
        if path.parent.name == hidden:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(pathlib.Path, "stat", refused)
    monkeypatch.setattr(
        pathlib.Path, "read_text", lambda path, read=pathlib.Path.read_text, **options: path.stat() and read(path, **options)
    )
    assert [(row["embedding_dim"], row["runs"], row["failed"]) for row in compare([workdir])["sizes"]] == [(4, 1, 1), (16, 2, 0)]
    hidden = "s"
    with pytest.raises(UserError, match=r"--workdir=.*s: Permission denied; expected a directory that can be read"):
        read_sweep(workdir)


def test_without_sweep_json_what_is_no_result_of_a_run_is_passed_over(tmp_path, capsys):
    """Red if a foreign file ends the comparison, if a broken one is passed over, or if one of unknown size is."""
    workdir = write_sweep(tmp_path / "s", VALUES, grid=False)
    sizeless = json.dumps(result(4, 0, 0.5, varied={"model.embedding_dim": "big"}))
    texts = {"foreign": "{}", "list": "[1]", "broken": "{", "sizeless": sizeless}
    for name, text in texts.items():
        (tmp_path / "s" / name).mkdir()
        (tmp_path / "s" / name / "result.json").write_text(text)
    sweep = read_sweep(workdir)
    assert len(sweep.runs) == 4
    assert [failure.name for failure in sweep.failures] == ["broken", "sizeless"]
    assert "model.embedding_dim" in sweep.failures[1].error
    passed_over = [line.split(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert passed_over == [f"{workdir}/{name}/result.json" for name in ("foreign", "list")]


def test_a_damaged_result_counts_against_the_size_that_its_directory_names(tmp_path):
    """Red if a size without the result of one seed is decided upon, since nothing but the name says whose result that was."""
    workdir = write_sweep(tmp_path / "s", {4: [0.5, 0.5, 0.5], 16: [0.3, 0.31, 0.32]}, grid=False)
    (tmp_path / "s" / member_name(16, 1) / "result.json").write_text('{"format": 1, "sta')
    found = compare([workdir])
    assert [(row["embedding_dim"], row["runs"], row["failed"]) for row in found["sizes"]] == [(4, 3, 0), (16, 2, 1)]
    assert found["recommendation"]["embedding_dim"] == 4
    assert "Size 16 would have been recommended" in found["recommendation"]["reason"]


def test_runs_of_two_metrics_or_in_one_place_are_refused(tmp_path):
    workdir = write_sweep(tmp_path / "s", VALUES)
    (tmp_path / "s" / member_name(4, 1) / "result.json").write_text(json.dumps(result(4, 1, 0.5, METRIC | {"name": "phone_error_rate"})))
    with pytest.raises(UserError, match="metric phone_error_rate, but"):
        read_sweep(workdir)
    other_way = json.dumps(result(4, 1, 0.5, METRIC | {"lower_is_better": False}))
    (tmp_path / "s" / member_name(4, 1) / "result.json").write_text(other_way)
    with pytest.raises(UserError, match=r"metric word_error_rate \(higher is better\), but"):
        read_sweep(workdir)
    workdir = write_sweep(tmp_path / "twice", VALUES, grid=False)
    shutil.copytree(tmp_path / "twice" / member_name(4, 1), tmp_path / "twice" / "again")
    with pytest.raises(UserError, match=rf"{member_name(4, 1)}: .*size 4 and seed 1, as .*again has"):
        compare([workdir])


MEMBERLESS = '{"format": 1, "members": [], "command": '


NO_MEMBERS = [
    json.dumps({"format": 1, "members": found}) for found in ({}, [{}], [{"name": "a", "varied": [1]}], [{"name": "a"}, {"name": "a"}])
]


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1}', *NO_MEMBERS, MEMBERLESS + "5}", MEMBERLESS + """"'"}"""])
def test_a_broken_grid_is_named(tmp_path, text):
    workdir = write_sweep(tmp_path / "s", VALUES)
    (tmp_path / "s" / "sweep.json").write_text(text)
    with pytest.raises(UserError, match=r"sweep\.json"):
        read_sweep(workdir)


def test_a_directory_without_results_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no results"):
        read_sweep(str(tmp_path / "nowhere"))
    write_sweep(tmp_path / "s", {4: []}, not_run=2)
    (tmp_path / "s" / "sweep.json").unlink()
    with pytest.raises(UserError, match="holds no results"):
        read_sweep(str(tmp_path / "s"))


@pytest.mark.parametrize("file", ["config.json", "result.json"])
def test_the_directory_of_one_run_is_told_from_one_without_results(tmp_path, file):
    """Red if whoever names a run is told that it holds no results, or if another program's result.json passes for that of a run."""
    (tmp_path / file).write_text(json.dumps(result(4, 0, 0.3)))
    with pytest.raises(UserError, match=r"this is the directory of one run; expected its parent, with several runs to compare$"):
        read_sweep(str(tmp_path))
    (tmp_path / file).write_text('{"status": "finished"}')
    with pytest.raises(UserError, match="holds no results"):
        read_sweep(str(tmp_path))


@pytest.fixture
def lengths(tmp_path):
    """Returns what sets the length that a sweep asks for, or one of its runs, whose best checkpoints are kept."""
    write_sweep(tmp_path / "s", {4: [0.2, 0.2], 16: [0.1, 0.1]})
    grid = json.loads((tmp_path / "s/sweep.json").read_text())

    def ask(size, seed, **train):
        folder = tmp_path / "s" / member_name(size, seed)
        found = json.loads((folder / "result.json").read_text())
        length = {"steps": train.get("steps"), "epochs": train.get("epochs"), "updates": None}
        (folder / "result.json").write_text(json.dumps(found | {"length": length}))
        (folder / "checkpoints/1800").mkdir(parents=True, exist_ok=True)

    def ask_all(adapted=(), **train):
        for member in grid["members"]:
            member["adapted"] = dict(adapted) if member["varied"]["model.embedding_dim"] == 4 else {}
        (tmp_path / "s/sweep.json").write_text(json.dumps(grid | {"config": {"train": train}}))

    for size, seed in ((4, 0), (4, 1), (16, 0), (16, 1)):
        ask(size, seed, steps=300)
    return ask, ask_all


@pytest.mark.parametrize(
    ("before", "now"), [({"steps": 300}, {"steps": 1500}), ({"epochs": 3}, {"epochs": 5}), ({"steps": 300}, {"epochs": 9})]
)
def test_runs_that_a_longer_sweep_has_not_reached_are_not_compared(lengths, tmp_path, before, now):
    """Red if they stand beside the longer ones as if nothing were; or if all are left out before one is longer."""
    ask, ask_all = lengths
    for size, seed in ((4, 0), (4, 1), (16, 0), (16, 1)):
        ask(size, seed, **before)
    for asked in (before, now):
        ask_all(**asked)
        answer = compare([str(tmp_path / "s")])["recommendation"]
        assert answer["embedding_dim"] == 16
        assert ("which no run has reached yet" in " ".join(answer["warnings"])) == (asked == now)
    for seed in (0, 1):
        ask(4, seed, **now)
    found = compare([str(tmp_path / "s")])
    assert [(failed["member"], failed["error"]) for failed in found["failed"]] == [
        (member_name(16, seed), Cause.SHORTER.value) for seed in (0, 1)
    ]
    answer = found["recommendation"]
    assert (answer["embedding_dim"], answer["verdict"]) == (4, "undecided")
    assert "no run of it finished" not in answer["reason"]
    assert "--retry_failed" not in answer["command"]  # the sweep's command goes on with them
    (tmp_path / "s" / member_name(16, 1) / "checkpoints/1800").rmdir()
    found = compare([str(tmp_path / "s")])
    assert [failed["error"] for failed in found["failed"]] == [Cause.SHORTER.value, Cause.STUCK.value]
    assert found["recommendation"]["command"] is None  # it would be refused


def test_lengths_that_are_meant_to_differ_are_compared(lengths, tmp_path):
    """Red if what tuning has chosen for a size, or an axis, counts as another length than the sweep asks for."""
    ask, ask_all = lengths
    ask_all({"train.steps": 100}, steps=300)
    for seed in (0, 1):
        ask(4, seed, steps=100)
    assert read_sweep(str(tmp_path / "s")).failures == []
    ask(4, 1, steps=900)  # lengthened by hand
    (other,) = read_sweep(str(tmp_path / "s")).failures
    assert (other.name, other.error) == (member_name(4, 1), Cause.STUCK.value)
    (tmp_path / "s/sweep.json").unlink()
    assert read_sweep(str(tmp_path / "s")).failures == []  # nobody has asked for one length


def write_run(directory, found, model=(), train=(), sha256="d1"):
    """Writes what is read of a run that no sweep.json names: its result, a text as it is, and its configuration."""
    directory.mkdir(parents=True)
    (directory / "result.json").write_text(found if isinstance(found, str) else json.dumps(found))
    config = {"model": {"table": "learned", "hidden_dim": 16} | dict(model), "train": {"log_every": 10} | dict(train)}
    (directory / "config.json").write_text(json.dumps({"format": 1, "config": config, "data_sha256": {"dev": sha256}}))


@pytest.mark.parametrize(
    ("field", "others", "own", "damaged"),
    [
        ("model.table", "learned", "frozen", '{"format": 1, "sta'),
        ("model.hidden_dim", 16, 32, '{"format": 1, "sta'),
        ("model.hidden_dim", 16, 32, json.dumps(result(4, 2, None, status="finished", varied=None))),
    ],
)
def test_a_damaged_result_stands_where_its_configuration_has_it(tmp_path, field, others, own, damaged):
    """Red if it is counted with the learned tables, or in another setting, and makes a size there incomplete."""
    for value in (others, own):
        for size in (2, 4):
            for seed in range(3):
                whole = (value, size, seed) != (own, 4, 2)
                varied = {"model.embedding_dim": size, "train.seed": seed, field: value}
                found = result(size, seed, 0.3 / size + 0.001 * seed, varied=varied) if whole else damaged
                model = {"embedding_dim": size, field.removeprefix("model."): value}
                write_run(tmp_path / f"{value},{size},{seed}", found, model, {"seed": seed})
    (failure,) = read_sweep(str(tmp_path)).failures
    assert failure.member is not None
    assert (failure.member.size, failure.member.seed, failure.metric) == (4, 2, METRIC)
    assert own in (failure.member.table, failure.member.setting.get(field))
    found = compare([str(tmp_path)])
    answers = [part["recommendation"] for part in found.get("comparisons", [found])]
    assert (answers[0]["embedding_dim"], answers[0]["verdict"]) == (4, "decided")


def test_dev_sets_of_other_sizes_are_told_by_result_files_alone(tmp_path):
    """Red if it takes config.json, with the hashes of the data, to see it."""
    for name, examples in (("same", 450), ("other", 900), ("unknown", None), ("foreign", [900])):
        path = write_sweep(tmp_path / name, {2: [0.5, 0.52], 8: [0.3, 0.31]}, grid=False)
        for file in (tmp_path / name).glob("embedding_dim=8,*/result.json"):
            found = json.loads(file.read_text())
            file.write_text(json.dumps(found | {"dev": found["dev"] | {"examples": examples}}))
        said = compare([path])["recommendation"]["answer"][0]
        assert said.startswith("The runs are scored on different dev data") == (name == "other")


def test_runs_that_differ_in_more_than_the_comparison_knows_are_warned_of(tmp_path):
    """Red if steps or dev sets that differ go unsaid; or if seeds, sizes and what changes no result are named."""
    for size in (2, 4):
        for seed in range(2):
            train = {"seed": seed, "steps": 30 * size, "log_every": size}
            write_run(tmp_path / f"{size},{seed}", result(size, seed, 0.3 / size), {"embedding_dim": size}, train, sha256=f"d{size}")
    assert compare([str(tmp_path)])["recommendation"]["answer"][0].startswith("The runs are scored on different dev data")
    (warning,) = [text for text in compare([str(tmp_path)])["recommendation"]["warnings"] if "differ" in text]
    assert warning.startswith("The runs also differ in train.steps (60, 120), the data of dev, which is not compared here")
    for path in tmp_path.glob("2,*/config.json"):  # a dev set of their own beside one that is cut from train
        path.write_text(path.read_text().replace('"dev": "d2"', '"train": "d4"').replace('"steps": 60', '"steps": 120'))
    (warning,) = [text for text in compare([str(tmp_path)])["recommendation"]["warnings"] if "differ" in text]
    assert warning.startswith("The runs also differ in the data of train, the data of dev, which is not compared here")
    members = [{"name": f"{size},{seed}"} for size in (2, 4) for seed in range(2)]
    (tmp_path / "sweep.json").write_text(json.dumps({"format": 1, "members": members}))
    assert not [text for text in compare([str(tmp_path)])["recommendation"]["warnings"] if "differ" in text]


def test_runs_trained_alone_are_told_apart_by_their_configuration(tmp_path):
    """Red if a table that was not learned is recommended, or if a field that others vary is not read where a run does not say it."""
    for table, size, hidden in (("learned", 4, 16), ("frozen", 2, 16), ("learned", 4, 32)):
        varied = {"model.embedding_dim": size, "train.seed": 0} | ({"model.hidden_dim": 32} if hidden == 32 else {})
        model = {"table": table, "embedding_dim": size, "hidden_dim": hidden}
        write_run(tmp_path / f"{table}{hidden}", result(size, 0, 0.3, varied=varied), model, {"seed": 0})
    places = {(run.member.table, run.member.size, run.member.setting["model.hidden_dim"]) for run in read_sweep(str(tmp_path)).runs}
    assert places == {("learned", 4, 16), ("frozen", 2, 16), ("learned", 4, 32)}


def test_a_run_is_as_long_as_its_result_whatever_it_is_asked_for_now(tmp_path):
    """Red if a run that was not yet lengthened passes for one as long as the others, or one that was begun anew for a shorter one."""
    for seed, made in enumerate((100, 300)):
        found = result(4, seed, 0.3, length={"steps": made, "epochs": None, "updates": made})
        write_run(tmp_path / f"{seed}", found, {"embedding_dim": 4}, {"seed": seed, "steps": 300})
    (warning,) = [text for text in compare([str(tmp_path)])["recommendation"]["warnings"] if "differ" in text]
    assert warning.startswith("The runs also differ in train.steps (100, 300), which is not compared here")
