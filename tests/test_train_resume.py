"""Resuming: real processes, really killed, end where the uninterrupted one does, to the bit."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import platform
import shutil
import signal
import struct
import subprocess
import threading
import time
import types
from collections.abc import Callable

import jax
import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from seq2seq_jax.config import Config, replace
from seq2seq_jax.data.corpus import load_corpus
from seq2seq_jax.errors import Interrupted, UserError
from seq2seq_jax.inference.trained_run import TrainedRun
from seq2seq_jax.length import newest_checkpoint
from seq2seq_jax.model.build import initial_params, structure
from seq2seq_jax.sweep.outcomes import thin
from seq2seq_jax.train.checkpoints import Checkpoints, DamagedCheckpoint
from seq2seq_jax.train.engine import OneRun
from seq2seq_jax.train.loop import train
from seq2seq_jax.train.metrics_log import MetricsLog
from seq2seq_jax.train.programs import initial_state
from seq2seq_jax.train.run import Run
from seq2seq_jax.train.run_directory import RunDirectory
from seq2seq_jax.train.state import TrainState, root_key
from tests.training_fixture import (
    after_saving,
    checkpoint_arrays,
    command,
    environment,
    flags_of,
    launch,
    metrics_of,
    pair_config,
    result_of,
    text_config,
    vector_config,
    write_pairs,
    write_text,
)

STARTED: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def nothing_is_left_running():
    """Ends what a failing test has started: an endless training would slow down all tests after it."""
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.kill()
            process.wait()


def first_state(config: Config) -> TrainState:
    """Returns the state that a run starts from."""
    sizes = load_corpus(config).vocabulary_sizes
    return initial_state(config, structure(config.model, sizes), initial_params(config.model, sizes, root_key(0)))


def start(config: Config, workdir: pathlib.Path) -> subprocess.Popen:
    """Starts training in a process of its own; what it says goes to errors_of(workdir)."""
    arguments = command("train", f"--workdir={workdir}", *flags_of(config))
    with open(f"{workdir}.errors", "w") as file:
        STARTED.append(subprocess.Popen(arguments, env=environment(), stdout=subprocess.DEVNULL, stderr=file))
    return STARTED[-1]


def errors_of(workdir: pathlib.Path) -> str:
    """Returns what the last process started for the run has said."""
    return pathlib.Path(f"{workdir}.errors").read_text()


def kill_when(process: subprocess.Popen, condition: Callable[[], bool], number: int) -> None:
    """Sends a signal as soon as the condition holds; the process must still be running then."""
    deadline = time.monotonic() + 100
    while not condition():
        assert process.poll() is None, process.args
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.kill(process.pid, number)


def finish(config: Config, workdir: pathlib.Path) -> None:
    """Runs the same command to its end."""
    ended = launch("train", f"--workdir={workdir}", *flags_of(config))
    assert ended.returncode == 0, ended.stderr


def names(workdir: pathlib.Path) -> list[str]:
    """Returns what lies among the checkpoints."""
    with contextlib.suppress(FileNotFoundError):
        return os.listdir(workdir / "checkpoints")
    return []


def assert_same_run(config: Config, one: pathlib.Path, other: pathlib.Path) -> None:
    """Parameters, optimizer state, carried state, log and result are equal to the bit."""
    expected, actual = checkpoint_arrays(config, one), checkpoint_arrays(config, other)
    assert expected.keys() == actual.keys()
    for place, array in expected.items():
        np.testing.assert_array_equal(actual[place], array, err_msg=place)
    assert metrics_of(one) == metrics_of(other)
    assert result_of(one) == result_of(other)


SHORT = {"train__steps": 36, "train__eval_every": 12, "train__checkpoint_every": 3, "train__log_every": 7, "model__dropout": 0.2}


def kill_during_a_save(config: Config, workdir: pathlib.Path) -> None:
    """Starts the run and kills it while a checkpoint is being written."""
    process = start(config, workdir)
    kill_when(process, lambda: any(not name.isdigit() for name in names(workdir)), signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_a_killed_translator_ends_like_the_uninterrupted_one(tmp_path):
    """Killed during a save. Red if the average, the optimizer's counter or the dropout of a step is not what it was."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 200), **SHORT, train__average_decay=0.9)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(config, whole)
    kill_during_a_save(config, broken)
    finish(config, broken)
    assert_same_run(config, whole, broken)


def test_a_killed_language_model_ends_like_the_uninterrupted_one(tmp_path):
    """Killed after a checkpoint, killed during a save, then stopped by SIGTERM between checkpoints.

    Red if the carried state, the window of the log, the best value so far or the optimizer's counter is not restored, if the
    data starts again, or if a record stands twice.
    """
    shared = {"train__devices": None, "train__batch_size": 32}  # by threads, where there are two cores
    config = text_config(write_text(tmp_path / "a.txt", 4000), **SHORT, **shared)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(config, whole)
    process = start(config, broken)
    kill_when(process, lambda: any(name.isdigit() and int(name) >= 6 for name in names(broken)), signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    reached = max(int(name) for name in names(broken) if name.isdigit())
    kill_during_a_save(config, broken)
    process = start(config, broken)
    kill_when(process, lambda: any(name.isdigit() and int(name) >= reached + 3 for name in names(broken)), signal.SIGTERM)
    assert process.wait() in (75, 0)
    finish(config, broken)
    assert_same_run(config, whole, broken)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_signal_saves_first_and_exits_75(tmp_path, number):
    config = pair_config(write_pairs(tmp_path / "a.tsv", 200), train__steps=100_000, train__eval_every=100_000, train__log_every=5)
    process = start(config, tmp_path / "run")
    kill_when(process, lambda: (tmp_path / "run/metrics.jsonl").exists() and len(metrics_of(tmp_path / "run")) > 2, number)
    assert process.wait() == 75
    assert "the same command goes on from there" in errors_of(tmp_path / "run")
    assert min(int(name) for name in names(tmp_path / "run")) > 10
    assert result_of(tmp_path / "run")["status"] == "interrupted"


def damage_by_truncation(folder: pathlib.Path) -> None:
    largest = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])


def damage_by_removal(folder: pathlib.Path) -> None:
    max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size).unlink()


def damage_by_one_bit(folder: pathlib.Path) -> None:
    largest = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Config, pathlib.Path, pathlib.Path]:
    """A longer configuration, a run that has made 20 of its 30 updates, and one that has made them all."""
    folder = tmp_path_factory.mktemp("finished")
    # So slow that every output stays wrong and every loss the same, and the first of equally good checkpoints is the best.
    config = pair_config(write_pairs(folder / "a.tsv", 200), train__steps=20, train__learning_rate=1e-12)
    longer = replace(config, {"train.steps": 30})
    train(config, str(folder / "part"))
    (folder / "part/result.json").unlink()
    shutil.copytree(folder / "part", folder / "whole")
    train(longer, str(folder / "whole"))
    return longer, folder / "part", folder / "whole"


def test_a_checkpoint_is_in_its_place_once_it_is_whole(tmp_path, monkeypatch):
    """Red if a process that is killed before the last file leaves what then passes for a damaged checkpoint, or stands in the way."""

    def killed(*arguments):
        raise KeyboardInterrupt

    state, checkpoints = jax.device_get(first_state(pair_config(write_pairs(tmp_path / "a.tsv", 40)))), Checkpoints(tmp_path / "c")
    with monkeypatch.context() as patched:
        patched.setattr("seq2seq_jax.train.checkpoints.write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.save(state, {})
    assert checkpoints.steps() == []
    for _ in range(2):
        checkpoints.save(state, {})
    checkpoints.keep([0])
    assert os.listdir(tmp_path / "c") == ["0"]
    checkpoints.check(0)


def test_what_a_killed_save_has_left_is_removed_by_the_next(tmp_path, caplog):
    """Red if it stays, or if a library tells of it."""
    for name in ("0.unfinished", "0.unfinished.orbax-checkpoint-tmp", "7.unfinished"):
        (tmp_path / "c" / name).mkdir(parents=True)
    Checkpoints(tmp_path / "c").save(jax.device_get(first_state(pair_config(write_pairs(tmp_path / "a.tsv", 40)))), {})
    assert os.listdir(tmp_path / "c") == ["0"]
    assert not caplog.records


def test_a_save_that_the_disk_has_no_room_for_is_not_begun(tmp_path, monkeypatch, capfd, caplog):
    """Red if a library begins it, and tells of what it meets in hundreds of lines."""
    state, checkpoints = jax.device_get(first_state(pair_config(write_pairs(tmp_path / "a.tsv", 40)))), Checkpoints(tmp_path / "c")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=1000))
    with pytest.raises(OSError, match="No space left on device") as caught:
        checkpoints.save(state, {})
    assert caught.value.filename == str(tmp_path / "c")
    assert os.listdir(tmp_path / "c") == caplog.records == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", [None, "", "[]", "{}"])
def test_a_checkpoint_without_a_sound_list_of_its_files_is_damaged(tmp_path, content):
    """Red if it ends every start in an error, and the one before is of no use."""
    (tmp_path / "3").mkdir()
    (tmp_path / "3/data").write_text("x")
    if content is not None:
        (tmp_path / "3/files.json").write_text(content)
    with pytest.raises(DamagedCheckpoint, match="3"):
        Checkpoints(tmp_path).check(3)


@pytest.mark.parametrize("damage", [damage_by_truncation, damage_by_removal, damage_by_one_bit])
def test_a_damaged_checkpoint_is_named_and_skipped_for_the_one_before(finished, tmp_path, damage, capsys):
    longer, part, whole = finished
    shutil.copytree(part, tmp_path / "broken")
    broken = tmp_path / "broken/checkpoints"
    assert "10" in names(tmp_path / "broken"), "the best or the one before must be there to fall back on"
    damage(broken / "20")
    capsys.readouterr()
    TrainedRun(str(tmp_path / "broken"))
    assert f"damaged checkpoint skipped: {broken / '20'}" in capsys.readouterr().err
    train(longer, str(tmp_path / "broken"))
    error = capsys.readouterr().err
    assert f"damaged checkpoint skipped: {broken / '20'}" in error
    assert "going on from step 10" in error
    assert_same_run(longer, whole, tmp_path / "broken")
    for name in names(tmp_path / "broken"):
        damage(broken / name)
    with pytest.raises(UserError, match=r"the best checkpoint is damaged .*; the command that trained it makes it again"):
        TrainedRun(str(tmp_path / "broken"))


def test_a_finished_run_that_is_killed_as_more_is_asked_for_goes_on(finished, tmp_path, monkeypatch):
    """Red if the result of the shorter training, which stays, then counts for the longer one that config.json asks for."""
    longer, _, whole = finished
    shutil.copytree(whole, tmp_path / "run")
    result = json.loads((whole / "result.json").read_text())

    def killed(directory, *arguments):
        begin(directory, *arguments)
        raise KeyboardInterrupt

    begin = RunDirectory.begin
    monkeypatch.setattr(RunDirectory, "begin", killed)
    with pytest.raises(KeyboardInterrupt):
        train(replace(longer, {"train.steps": 40}), str(tmp_path / "run"))
    record = RunDirectory(tmp_path / "run").record()
    assert record is not None
    assert record.steps == 40
    monkeypatch.undo()
    assert result_of(tmp_path / "run")["steps"] == result["steps"] < 40
    assert train(replace(longer, {"train.steps": 40}), str(tmp_path / "run"))["steps"] == 40


@pytest.mark.parametrize("line", ["nonsense", "5", "{}", '{"step": "x"}', "\udcff"])
def test_a_damaged_line_of_the_log_is_named(tmp_path, line):
    """Red if it ends in a traceback, or is taken for the end of the log, which would lose what follows."""
    log = tmp_path / "metrics.jsonl"
    log.write_bytes(line.encode(errors="surrogateescape") + b'\n{"step": 5, "split": "train"}\n')
    before = log.read_bytes()
    with pytest.raises(UserError, match=r"metrics\.jsonl: line 1: expected a JSON object with its step"):
        MetricsLog(tmp_path, 20)
    assert log.read_bytes() == before


def test_a_record_is_on_its_way_to_disk_at_once(tmp_path):
    """Red if it waits for more, while the checkpoint after it is there already when the process is killed."""
    with contextlib.closing(MetricsLog(tmp_path, 0)) as log:
        log.write(5, "train", {"loss_nats_per_token": 1.0})
        assert [record["step"] for record in metrics_of(tmp_path)] == [5]


def test_tensorboard_has_the_numbers_of_the_log(tmp_path):
    """Red if it has none, or keeps beside those of a run that goes on what was logged after its checkpoint."""
    with contextlib.closing(MetricsLog(tmp_path, 4)) as log:
        log.write(5, "dev", {"word_error_rate": 0.25, "bleu_signature": "version:2"})
    (file,) = (tmp_path / "tensorboard").iterdir()
    content, place, events, parse = file.read_bytes(), 0, [], vars(event_pb2)["Event"].FromString
    while place < len(content):  # of every event its length, a checksum, the event, a checksum
        (length,) = struct.unpack_from("<Q", content, place)
        events.append(parse(content[place + 12 : place + 12 + length]))
        place += length + 16
    scalars = [(value.tag, value.simple_value, event.step) for event in events for value in event.summary.value]
    assert scalars == [("dev/word_error_rate", 0.25, 5)]
    assert [event.step for event in events if event.HasField("session_log")] == [5]  # all from here on is forgotten


def test_a_checkpoint_newer_than_the_one_gone_on_from_is_removed(finished, tmp_path):
    """Red if a damaged one stays, and passes for updates that are made."""
    longer, part, _ = finished
    shutil.copytree(part, tmp_path / "run")
    damage_by_removal(tmp_path / "run/checkpoints/20")
    checkpoint_arrays(longer, tmp_path / "run")  # which resumes it
    assert names(tmp_path / "run") == ["10"]


def test_a_run_whose_best_checkpoint_is_damaged_is_made_again(finished, tmp_path, capsys):
    """Red if it goes on to an end that it cannot reach, or is thought to be finished."""
    longer, part, whole = finished
    shutil.copytree(whole, tmp_path / "broken")
    damage_by_truncation(tmp_path / "broken/checkpoints/10")
    with pytest.raises(UserError, match="the command that trained it makes it again"):
        TrainedRun(str(tmp_path / "broken"))
    train(longer, str(tmp_path / "broken"))
    assert f"damaged checkpoint skipped: {tmp_path / 'broken/checkpoints/10'}" in capsys.readouterr().err
    TrainedRun(str(tmp_path / "broken"))
    del part
    assert_same_run(longer, whole, tmp_path / "broken")


def test_what_cannot_be_read_for_another_reason_than_damage_is_left_as_it_is(finished, tmp_path, monkeypatch):
    """Red if a lack of memory while a checkpoint is read costs all of them."""
    longer, part, whole = finished
    shutil.copytree(part, tmp_path / "run")
    before = sorted(names(tmp_path / "run"))

    def no_memory(*arguments):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr("seq2seq_jax.train.checkpoints.ocp.load", no_memory)
        with pytest.raises(MemoryError):
            train(longer, str(tmp_path / "run"))
    assert sorted(names(tmp_path / "run")) == before
    train(longer, str(tmp_path / "run"))
    assert_same_run(longer, whole, tmp_path / "run")


@pytest.mark.parametrize("steps", [30, 40])
def test_a_run_that_has_lost_its_best_checkpoint_and_its_result_ends_with_another(finished, tmp_path, capsys, steps):
    """As with --keep=last, where the result is damaged later. Red if it fails for good, at once or after it was lengthened."""
    longer, _, whole = finished
    best = result_of(whole)["best_step"]
    assert best < result_of(whole)["steps"] == 30, "another checkpoint than the last must be the best"
    shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(tmp_path / f"run/checkpoints/{best}")
    (tmp_path / "run/result.json").unlink()
    result = train(replace(longer, {"train.steps": steps}), str(tmp_path / "run"))
    assert f"the best checkpoint, of step {best}, is gone" in capsys.readouterr().err
    assert best < result["best_step"] <= steps
    dev = [(record["step"], record["split"]) for record in metrics_of(tmp_path / "run")]
    assert len(dev) == len(set(dev)), "a record stands twice"


def test_the_one_before_does_not_need_a_best_that_was_outdone(tmp_path, capsys, monkeypatch):
    """Evaluated every 10 updates, saved every 5, killed at 20, the best: where that is damaged 15 is left, whose own best, 10, is gone.

    Red if the run then begins anew.
    """
    config = text_config(write_text(tmp_path / "a.txt", 2000), train__steps=20, train__checkpoint_every=5, train__learning_rate=1e-2)
    train(config, str(tmp_path / "whole"))

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Run, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config, str(tmp_path / "broken"))
    assert sorted(names(tmp_path / "broken")) == ["15", "20"]
    damage_by_truncation(tmp_path / "broken/checkpoints/20")
    train(config, str(tmp_path / "broken"))
    assert "going on from step 15" in capsys.readouterr().err
    assert result_of(tmp_path / "broken") == result_of(tmp_path / "whole")
    assert metrics_of(tmp_path / "broken") == metrics_of(tmp_path / "whole")


def test_a_checkpoint_of_other_shapes_is_refused(tmp_path):
    """Left where config.json was removed, say. Orbax alone would cut its arrays, or fill them up with zeros."""
    path = write_pairs(tmp_path / "a.tsv", 200)
    small, large = (jax.device_get(first_state(pair_config(path, model__hidden_dim=units))) for units in (8, 12))
    for saved, other in ((small, large), (large, small)):
        checkpoints = Checkpoints(tmp_path / "checkpoints")
        checkpoints.save(saved, {})
        assert int(checkpoints.load(0, saved)[0].step) == 0
        with pytest.raises(UserError, match="has shape"):
            checkpoints.load(0, other)


def test_only_the_checkpoints_asked_for_are_kept(tmp_path):
    """Red if what a killed save has left stays for ever."""
    for name in ("3", "7", "9.orbax-checkpoint-tmp"):
        (tmp_path / name).mkdir()
    Checkpoints(tmp_path).keep([3])
    assert os.listdir(tmp_path) == ["3"]


def test_what_is_no_checkpoint_is_taken_for_none(tmp_path):
    """Red if a stray file, or a digit that is no number, ends every start in a traceback."""
    for name in ("3", "²"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    (tmp_path / "checkpoints" / "9999").touch()
    assert Checkpoints(tmp_path / "checkpoints").steps() == [newest_checkpoint(tmp_path)] == [3]


def test_checkpoints_of_another_configuration_are_refused_where_config_json_is_lost(finished, tmp_path):
    """Red if a run goes on with the state of one seed and the batches of another, or with other data, or may not change what may change."""
    longer, part, whole = finished
    other = write_pairs(tmp_path / "b.tsv", 200, "copy")
    for name, folder in (("part", part), ("whole", whole)):
        run = shutil.copytree(folder, tmp_path / name)
        (run / "config.json").unlink()
        for changes in ({"train.seed": 9}, {"data.train": str(other)}):
            with pytest.raises(
                UserError, match=r"config\.json is missing, and what was trained here has another configuration or other data"
            ):
                train(replace(longer, changes), str(run))
            assert not (run / "config.json").exists()
        train(replace(longer, {"train.devices": 1, "train.checkpoint_every": 10}), str(run))
        assert result_of(run) | {"config_sha256": None} == result_of(whole) | {"config_sha256": None}
        assert (run / "config.json").exists()


def test_a_result_of_another_configuration_is_refused_where_all_else_is_lost(finished, tmp_path):
    """Red if a result that was copied without the rest passes for that of any configuration, and is recorded as such."""
    config, _, whole = finished
    other = write_pairs(tmp_path / "b.tsv", 200, "copy")
    for name in ("now", "older"):
        run = tmp_path / name
        run.mkdir()
        result = json.loads((whole / "result.json").read_text())
        (run / "result.json").write_text(json.dumps(result if name == "now" else {**result, "run_sha256": None}))
        for changes in ({"train.learning_rate": 0.5}, {"data.train": str(other)}):
            if name == "older" and "data.train" in changes:
                continue  # it does not say of which data it is
            with pytest.raises(UserError, match=r"config\.json is missing, and what was trained here has another configuration"):
                train(replace(config, changes), str(run))
            assert not (run / "config.json").exists()
        assert train(config, str(run))["best_step"] == result["best_step"]


def test_what_a_kill_has_left_behind_the_result_is_removed_by_the_next_call(finished, tmp_path):
    """Red if checkpoints that the kill has kept from being removed, or halves of files, stay for ever."""
    longer, _, whole = finished
    run = shutil.copytree(whole, tmp_path / "run")
    kept = {path.name for path in (run / "checkpoints").iterdir()}
    result = json.loads((run / "result.json").read_text())
    for call in (lambda: train(longer, str(run)), lambda: thin(run, None)):
        shutil.copytree(run / "checkpoints" / str(result["steps"]), run / "checkpoints" / "25")
        call()
        assert {path.name for path in (run / "checkpoints").iterdir()} == kept
    left = [run / ".embedding.npz.77.partial", run / "vocabulary" / ".source.json.77.partial"]
    for file in left:
        file.touch()
    train(longer, str(run))
    assert not any(file.exists() for file in left)


def test_a_run_that_lost_patience_and_was_killed_before_its_result_ends_as_undisturbed(finished, tmp_path, monkeypatch):
    """Red if its last step, which need not fall on a line of the log, gets one only where the process was killed."""

    def killed(*arguments):
        raise KeyboardInterrupt

    config = replace(finished[0], {"train.steps": 100, "train.patience": 1, "train.eval_every": 10, "train.log_every": 7})
    train(config, str(tmp_path / "whole"))
    with monkeypatch.context() as patched:
        patched.setattr(Run, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config, str(tmp_path / "killed"))
    train(config, str(tmp_path / "killed"))
    assert result_of(tmp_path / "killed")["steps"] == 20
    assert metrics_of(tmp_path / "killed") == metrics_of(tmp_path / "whole")
    assert result_of(tmp_path / "killed") == result_of(tmp_path / "whole")


@pytest.mark.parametrize("saved", [9, 13, 14, 19])
def test_a_run_that_is_to_end_where_it_was_stopped_has_the_last_line_of_its_log(finished, tmp_path, saved, capsys):
    """Red if what it was stopped on the way to leaves a gap there, at a step that is evaluated (10, 20), logged (15, 20) or neither."""
    longer, _, _ = finished

    def stop(own):
        if own.step == saved:
            os.kill(os.getpid(), signal.SIGTERM)

    ends = {"train.steps": saved + 1, "train.eval_every": 10, "train.log_every": 5 if saved > 9 else 4}
    straight = replace(longer, ends)
    train(straight, str(tmp_path / "straight"))
    with after_saving(stop), pytest.raises(Interrupted):
        train(replace(straight, {"train.steps": 30, "train.checkpoint_every": saved}), str(tmp_path / "stopped"))
    capsys.readouterr()
    train(straight, str(tmp_path / "stopped"))
    stopped, whole = (
        sorted(metrics_of(tmp_path / name), key=lambda line: (line["step"], line["split"])) for name in ("stopped", "straight")
    )
    assert stopped == whole
    assert result_of(tmp_path / "stopped") == result_of(tmp_path / "straight")
    assert "loss 0.000" not in capsys.readouterr().err


def test_word_vectors_that_go_on_end_like_the_uninterrupted_ones(tmp_path):
    """Red if the negatives or windows of a step depend on where the process began, or a row's state is not restored."""
    path = write_text(tmp_path / "a.txt", 4000)
    for run, stops in (("whole", [40]), ("broken", [20, 40])):
        for steps in stops:  # the last update has a line of its own: of these numbers one that is there anyway
            train(vector_config(path, train__steps=steps, train__log_every=5), str(tmp_path / run))
    assert_same_run(vector_config(path, train__steps=40), tmp_path / "whole", tmp_path / "broken")


def test_a_lock_that_is_held_for_an_instant_is_waited_for(tmp_path):
    """Red if a run that is looked at as it begins is refused."""
    directory, held, released = RunDirectory(tmp_path / "run"), threading.Event(), []

    def hold() -> None:
        with directory.locked():
            held.set()
            time.sleep(0.2)
            released.append(True)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    with directory.locked():
        assert released
    holder.join()


def test_a_lock_names_who_holds_it_now(tmp_path):
    """Red if it names those before as well."""
    directory = RunDirectory(tmp_path / "run")
    for _ in range(2):
        with directory.locked():
            assert directory.holder() == f"{platform.node()} {os.getpid()}"
    assert directory.holder() is None


@pytest.mark.parametrize("ends", [False, True])
def test_a_run_whose_directory_is_removed_stops(tmp_path, monkeypatch, ends):
    """Red if it writes on, and leaves its result under the configuration of the run that was begun there meanwhile."""
    config = text_config(write_text(tmp_path / "a.txt", 2000), train__steps=8, train__log_every=1)
    path, advance = tmp_path / "run", OneRun.advance

    def advance_and_lose(engine, batches):
        advance(engine, batches)
        if not (path / "another").exists():
            shutil.rmtree(path)
            path.mkdir()
            (path / "another").touch()
            (path / ".lock").write_text("" if ends else "elsewhere 1")

    monkeypatch.setattr(OneRun, "advance", advance_and_lose)
    with pytest.raises(UserError, match="run: was removed or moved"):
        train(config, str(path))
    assert sorted(file.name for file in path.iterdir()) == [".lock", "another"]


def test_a_move_amid_a_save_is_no_failure_of_the_run(tmp_path, monkeypatch):
    """Red if what orbax says of it is the error, with which a failure is written where another run may be by now."""
    config, path = text_config(write_text(tmp_path / "a.txt", 2000)), tmp_path / "run"

    def move(checkpoints, state, progress):
        path.rename(tmp_path / "moved")
        (path / "checkpoints").mkdir(parents=True)  # as orbax does
        raise ValueError("Metadata path does not exist")

    monkeypatch.setattr(Checkpoints, "save", move)
    with pytest.raises(UserError, match="run: was removed or moved"):
        train(config, str(path))
    assert [file.name for file in path.iterdir()] == ["checkpoints"]


def test_two_processes_on_one_run_are_one_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr("seq2seq_jax.train.run_directory.LOCK_SECONDS", 0.0)
    config = text_config(write_text(tmp_path / "a.txt", 2000))
    with RunDirectory(tmp_path / "run").locked(), pytest.raises(UserError, match="another process is working on it"):
        train(config, str(tmp_path / "run"))
    assert train(config, str(tmp_path / "run"))["status"] == "finished"
