"""``launch.py status``: what the files and locks of a sweep say, without JAX."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from seq2seq_jax.compare.reading import read_sweep
from seq2seq_jax.errors import UserError
from seq2seq_jax.records import RunRecord
from seq2seq_jax.sweep import status
from seq2seq_jax.train.run_directory import RunDirectory
from tests import sweep_fixture
from tests.training_fixture import ROOT, pair_config

MEMBERS = ["done", "broken", "stopped", "working", "later"]


@pytest.fixture
def swept(tmp_path):
    """A sweep with a member in every state."""
    entries = [{"name": name, "varied": {}} for name in MEMBERS]
    (tmp_path / "sweep.json").write_text(json.dumps({"format": 1, "members": entries}))
    record = RunRecord(pair_config(tmp_path / "a.tsv"), steps=100, data_sha256={}, output_limit=9, batch_shapes=[])
    for name in MEMBERS[:4]:
        (tmp_path / name).mkdir()
        (tmp_path / name / ".lock").touch()
        (tmp_path / name / "config.json").write_text(json.dumps(record.to_json()))
        records = [
            {"step": 10, "split": "dev", "word_error_rate": 0.5, "elapsed_seconds": 2.0},
            {"step": 20, "split": "dev", "word_error_rate": 0.7, "elapsed_seconds": 4.0},
            {"step": 25, "split": "train", "loss_nats_per_token": 1.0, "elapsed_seconds": 5.0},
        ]
        written = [json.dumps(record) for record in records]
        unscored = '{"step": 24, "split": "dev", "word_error_rate": "x", "elapsed_seconds": 5}'
        damaged = ["5", "{}", '{"step": "x", "elapsed_seconds": 5}', unscored]
        (tmp_path / name / "metrics.jsonl").write_text("\n".join([*damaged, *written, '{"step": 3']))
    length = {"steps": 30, "epochs": None, "updates": 30}  # as its config.json has it
    result = sweep_fixture.result(4, 0, 0.25, steps=100, best_step=90, train_seconds=30.0, length=length)
    (tmp_path / "done/result.json").write_text(json.dumps(result))
    failed = {"status": "failed", "dev": None, "error": "loss is not finite at step 3", "steps": None, "train_seconds": None}
    (tmp_path / "broken/result.json").write_text(json.dumps(result | failed))
    stopped = {"status": "interrupted", "dev": None, "steps": None, "train_seconds": None}
    (tmp_path / "stopped/result.json").write_text(json.dumps(result | stopped))
    (tmp_path / "working/result.json").write_text('{"status": "fini')  # as good as none
    with open(tmp_path / "working/.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield tmp_path


def test_every_state_is_told(swept, capsys):
    """Red if a held lock is not seen, if the last metric is taken for the best, or if a damaged line ends it."""
    found = {member.name: member for member in status.read_status(str(swept))}
    states = ["finished", "failed", "interrupted", "running", "waiting"]
    assert [found[name].state for name in MEMBERS] == states
    for begun in (found["working"], found["stopped"]):
        assert (begun.step, begun.steps, begun.metric) == (25, 100, "word_error_rate 0.5000")
        assert begun.seconds_left == pytest.approx(15.0)  # three times what a quarter took
    status.run(str(swept))
    printed = capsys.readouterr().out
    assert "1 running, 1 waiting, 1 interrupted, 1 failed, 1 finished; about 50 s left" in printed  # 15, 15, and as long as the others take
    assert "broken: loss is not finite at step 3" in printed
    assert "no process is working" in printed


def test_a_member_that_a_longer_sweep_has_not_reached_is_interrupted(swept):
    """Red if it counts as finished with the updates of the earlier call: nothing would say that the sweep is not done."""
    asked = dataclasses.asdict(pair_config(swept / "a.tsv", train__steps=150))

    def status_of(folder, **entry):
        grid = {"format": 1, "members": [{"name": "done", "varied": {}, **entry}], "config": asked}
        (folder / "sweep.json").write_text(json.dumps(grid))
        return status.read_status(str(swept))[0]

    assert status_of(swept).state == "finished"  # its checkpoints were not kept, so that it cannot go on
    (swept / "done/checkpoints/90").mkdir(parents=True)
    done = status_of(swept)
    assert (done.name, done.state, done.step, done.steps) == ("done", "interrupted", 100, 150)
    assert done.seconds_left == pytest.approx(15.0)
    assert status_of(swept, adapted={"train.steps": 30}).state == "finished"  # as its config.json has it, and tuning has chosen
    by_epochs = status_of(swept, adapted={"train.steps": None, "train.epochs": 9})
    assert (by_epochs.state, by_epochs.steps, by_epochs.seconds_left) == ("interrupted", None, None)
    shutil.copytree(swept / "done", swept / "tuning/done")
    assert status_of(swept / "tuning").state == "finished"  # it has chosen, and is not made again


def test_members_trained_together_end_together(swept, capsys):
    """Red if the time left is divided by members that one process trains, each of which has noted its share of the time alone."""
    for name in ("stopped", "later"):
        shutil.rmtree(swept / name, ignore_errors=True)
    shutil.copytree(swept / "working", swept / "later")
    with RunDirectory(swept / "later").locked(), contextlib.ExitStack() as held:
        (swept / "working/.lock").unlink()  # of the fixture
        held.enter_context(RunDirectory(swept / "working").locked())
        status.run(str(swept))
    printed = capsys.readouterr().out
    assert "2 running, 1 waiting, 1 failed, 1 finished; about 50 s left" in printed  # 15, 15, and as long as the one before has taken
    assert [line.split()[-2:] for line in printed.splitlines() if line.split()[1] == "running"] == [["30", "s"]] * 2


def test_looking_changes_nothing_and_stops_nobody(swept):
    before = sorted((path, path.stat().st_mtime_ns) for path in swept.rglob("*"))
    status.run(str(swept))
    assert sorted((path, path.stat().st_mtime_ns) for path in swept.rglob("*")) == before
    with RunDirectory(swept / "done").locked():
        assert RunDirectory(swept / "done").holder() is not None
    assert RunDirectory(swept / "done").holder() is None
    with pytest.raises(UserError, match="there is no sweep here"):
        status.read_status(str(swept / "done"))


def test_it_needs_no_jax(swept):
    program = (
        f"import sys, launch; code = launch.main(['launch.py', 'status', '--workdir={swept}']); sys.exit(code or 'jax' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "working" in ended.stdout


def test_a_damaged_grid_or_configuration_is_named(swept):
    """Red if what is no grid, or no configuration, ends in a traceback, hides the other members, or is not named."""
    sound = (swept / "working/config.json").read_text()
    for before, after, said in (
        (sound, "[1]", "expected a JSON object"),
        (sound, '{"format": 1}', "'config'"),
        ('"data_sha256": {}', '"data_sha256": []', "items"),
        ('"format": 1', '"format": 99', 'expected "format": 1, got 99'),
        ('"embedding_dim": 6', '"embedding_dim": "x"', "model.embedding_dim='x': expected a whole number"),
        ('"embedding_dim": 6', '"embedding_dim": -3', "model.embedding_dim=-3"),
        ('"kind": "translator"', '"kind": "foo"', "model.kind='foo': expected one of translator"),
        ('"dropout": 0.0', '"dropout": NaN', "model.dropout=None: expected a number"),
        ('"steps": 100, "data_sha256"', '"steps": "x", "data_sha256"', "steps: 'x'"),
        ('"output_limit": 9', '"output_limit": 2.5', "output_limit: 2.5"),
        ('"batch_shapes": []', '"batch_shapes": ["ab"]', "invalid literal"),
    ):
        assert before in sound
        (swept / "working/config.json").write_text(sound.replace(before, after))
        members = {member.name: member for member in status.read_status(str(swept))}
        assert members["working"].state == "damaged"
        assert re.search(rf"working/config\.json: .*{said}", members["working"].error or "")
        assert {member.state for member in members.values()} > {"damaged"}
    unread = '{"format": 1, "members": [], "config": {"train": {"steps": "x"}}}'
    for text in ("{}", "[]", '{"format": 1}', '{"format": 1, "members": [[]]}', unread):
        (swept / "sweep.json").write_text(text)
        with pytest.raises(
            UserError, match=r"sweep\.json: expected .*; where it is damaged, remove it: the sweep's whole command writes it"
        ):
            status.read_status(str(swept))


def test_a_place_that_is_no_directory_or_cannot_be_read_is_damaged(swept, monkeypatch):
    """Red if it counts as waiting, which the command would complete, or ends in a traceback."""
    shutil.rmtree(swept / "working")
    (swept / "working").write_text("")
    members = {member.name: member for member in status.read_status(str(swept))}
    assert (members["working"].state, status.NO_DIRECTORY in (members["working"].error or "")) == ("damaged", True)
    (swept / "working").unlink()
    exists = pathlib.Path.exists

    def denied(path, **options):
        if path.parent.name == "working":
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path, **options)

    monkeypatch.setattr(pathlib.Path, "exists", denied)
    members = {member.name: member for member in status.read_status(str(swept))}
    assert (members["working"].state, "Permission denied" in (members["working"].error or "")) == ("damaged", True)


def test_a_result_that_says_no_more_than_its_status_is_as_good_as_none(swept):
    """Red if that of another program, without a metric, ends in a traceback."""
    (swept / "done/result.json").write_text('{"format": 1, "status": "failed"}')
    assert status.read_status(str(swept))[0].state == "interrupted"


@pytest.mark.parametrize(
    "change",
    [
        {"error": 5},
        {"metric": {}},
        {"metric": None},
        {"dev": {"word_error_rate": "x"}},
        {"train_seconds": "x"},
        {"steps": None},
        {"steps": 0},
        {"status": None},
        {"parameters": None},
        {"dev": {"word_error_rate": None}},
        {"format": 2},
    ],
)
def test_a_damaged_result_is_as_good_as_none(swept, change):
    """Red if a figure of another kind, or none where a finished run has one, ends in a traceback, or if ``compare`` judges otherwise.

    What compare takes for no result has to be one that the sweep makes again, or the command that it suggests changes nothing.
    """
    path = swept / "done/result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    status.run(str(swept))
    assert "done" in {failure.name for failure in read_sweep(str(swept)).failures}
    assert {member.name: member.state for member in status.read_status(str(swept))}["done"] == "interrupted"
