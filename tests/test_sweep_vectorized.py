"""The vectorised executor: members trained as one array program are the runs that they are by themselves."""

from __future__ import annotations

import itertools
import json
import pathlib
import shutil
import signal
import types
from typing import Any

import jax
import numpy as np
import pytest

from seq2seq_jax.config import Config
from seq2seq_jax.data.examples import PairSplit
from seq2seq_jax.errors import Interrupted, UserError
from seq2seq_jax.inference.evaluate import evaluate
from seq2seq_jax.sweep import executors, padding, stacked, vectorized
from seq2seq_jax.sweep.design import Design
from seq2seq_jax.sweep.members import make_members
from seq2seq_jax.sweep.plan import make_plan
from seq2seq_jax.sweep.sweep import SweepOptions, run_sweep
from seq2seq_jax.sweep.vectorized import group
from seq2seq_jax.sweep.view import SweepView
from seq2seq_jax.train import run_directory
from seq2seq_jax.train.devices import choose_member_device_count
from seq2seq_jax.train.engine import OneRun
from seq2seq_jax.train.evaluation import Evaluation, LanguageModelEvaluator, Measured, unwatched
from seq2seq_jax.train.run_directory import RunDirectory
from tests.training_fixture import (
    checkpoint_arrays,
    metrics_of,
    pair_config,
    result_of,
    signal_at_call,
    text_config,
    vector_config,
    write_pairs,
    write_text,
)

SIZES = {"model.embedding_dim": (2, 5)}
SEEDS = {"train.seed": (0, 1)}


def sweep(config: Config, folder: pathlib.Path, axes, executor: str, jobs: int | None = None) -> dict[str, str]:
    """Trains a sweep and returns how its members ended."""
    outcomes = run_sweep(make_plan(config, axes, str(folder), Design()), SweepOptions(executor, jobs), "launch.py sweep")
    return {outcome.member: outcome.status for outcome in outcomes}


def assert_close(actual, expected) -> None:
    """Numbers agree to rounding, everything else and every key to the letter."""
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for key in expected:
            assert_close(actual[key], expected[key])
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, rel=1e-3, abs=1e-6)
    else:
        assert actual == expected


def assert_same_run(actual: pathlib.Path, expected: pathlib.Path, exactly: bool = False) -> None:
    """The newest checkpoints, the logs and the results agree, to rounding or to the bit."""
    config = RunDirectory(expected).begun().config
    arrays, of_expected = checkpoint_arrays(config, actual), checkpoint_arrays(config, expected)
    assert arrays.keys() == of_expected.keys()
    for place, array in of_expected.items():
        assert (arrays[place].shape, arrays[place].dtype) == (array.shape, array.dtype)
        np.testing.assert_allclose(arrays[place], array, *((0, 0) if exactly else (1e-3, 1e-6)), err_msg=place)
    for one, other in zip(metrics_of(actual), metrics_of(expected), strict=True):
        assert_close(one, other)
    assert_close(without_share(actual), without_share(expected))
    kept, of_serial = ({path.name for path in (run / "checkpoints").iterdir()} for run in (actual, expected))
    assert kept == of_serial


def without_share(run: pathlib.Path) -> dict[str, Any]:
    """Returns a result but for the number of members that have shared the time."""
    return {key: value for key, value in result_of(run).items() if key != "trained_together"}


FEW = {"train__steps": 8, "train__eval_every": 4, "train__log_every": 3, "model__hidden_dim": 8, "model__embedding_dim": 2}


@pytest.fixture
def text(tmp_path):
    return write_text(tmp_path / "a.txt", 3000)


def small(text: pathlib.Path, **values) -> Config:
    """Returns a language model's configuration, which compiles in less than half the time of a translator."""
    return text_config(text, **{**FEW, **values})


@pytest.fixture
def padded_zeros(monkeypatch):
    """Counts the padded numbers that go by when states are cut to their own size, and checks that they are zero."""
    seen = []

    def counted(member, shapes):
        own = unpad(member, shapes)
        for leaf, small in zip(jax.tree.leaves(member), jax.tree.leaves(own), strict=True):
            seen.append(leaf.size - small.size)
            assert np.abs(leaf).sum() == pytest.approx(np.abs(small).sum(), rel=1e-6)
        return own

    unpad = padding.unpad
    monkeypatch.setattr(stacked, "unpad", counted)
    return seen


def test_translators_together_are_translators_one_by_one(tmp_path, padded_zeros):
    """Red if a member's draws, batches, dropout or tied scale depend on the others, or padding is trained."""
    changes = {"model__dropout": 0.2, "model__tie_output": True, "train__label_smoothing": 0.1, "train__average_decay": 0.9}
    config = pair_config(write_pairs(tmp_path / "a.tsv", 100), **FEW, **changes)
    for executor in ("serial", "vectorized"):
        assert set(sweep(config, tmp_path / executor, SIZES | SEEDS, executor).values()) == {"finished"}
    assert sum(padded_zeros) > 0
    for member in make_plan(config, SIZES | SEEDS, str(tmp_path / "serial"), Design()).members:
        assert_same_run(tmp_path / "vectorized" / member.name, tmp_path / "serial" / member.name)
        assert [result_of(tmp_path / kind / member.name)["trained_together"] for kind in ("vectorized", "serial")] == [4, 1]
    assert sweep(config, tmp_path / "vectorized", SIZES | SEEDS, "vectorized") == {}
    run = str(tmp_path / "vectorized/embedding_dim=2,seed=1")
    kept, evaluated = result_of(pathlib.Path(run))["dev"], evaluate([run], "dev")
    assert_close({name: evaluated[name] for name in kept}, kept)
    assert np.load(f"{run}/embedding.npz")["source_table"].shape == (10, 2)


def test_members_share_the_time_of_their_updates(text, tmp_path, monkeypatch):
    """Red if each of four is said to have taken all of it."""
    now, advance = [0.0], stacked.StackedRuns.advance

    def slow(self, batches):
        now[0] += 2.0
        advance(self, batches)

    monkeypatch.setattr(stacked.StackedRuns, "advance", slow)
    monkeypatch.setattr("seq2seq_jax.train.loop.time", types.SimpleNamespace(monotonic=lambda: now[0]))
    sweep(small(text), tmp_path / "sweep", SIZES | SEEDS, "vectorized")
    seconds = [json.loads(path.read_text())["train_seconds"] for path in tmp_path.glob("sweep/*/result.json")]
    assert seconds == [7 * 2.0 / 4] * 4  # of eight updates the first compiles


def test_members_begin_on_the_host(text, tmp_path, monkeypatch):
    """Red if the first device keeps every member's own state all the while, beside the stacked one."""
    given = []

    class Kept(stacked.StackedRuns):
        def __init__(self, *arguments):
            given.extend(jax.tree.leaves(arguments[-1]))
            super().__init__(*arguments)

    monkeypatch.setattr(vectorized, "StackedRuns", Kept)
    sweep(small(text), tmp_path / "sweep", SIZES | SEEDS, "vectorized")
    assert given
    assert not [leaf for leaf in given if isinstance(leaf, jax.Array)]


def test_language_models_over_devices_are_language_models_one_by_one(text, tmp_path, padded_zeros):
    """Four members on three devices, so that two places are filled up. Red if a device mixes them up, or a carried state is lost."""
    axes = SIZES | {"train.learning_rate": (1e-3, 4e-3)}
    sweep(small(text, model__dropout=0.2), tmp_path / "serial", axes, "serial")
    members = make_plan(small(text, model__dropout=0.2), axes, str(tmp_path / "serial"), Design()).members
    sweep(small(text, model__dropout=0.2, train__devices=3), tmp_path / "vectorized", axes, "vectorized")
    assert sum(padded_zeros) > 0
    for member in members:
        assert_same_run(tmp_path / "vectorized" / member.name, tmp_path / "serial" / member.name)
    assert [choose_member_device_count(*asked) for asked in ((None, 20), (None, 3), (8, 3), (2, 3))] == [8, 3, 3, 2]
    with pytest.raises(UserError, match="expected at most 8"):
        choose_member_device_count(9, 20)


def test_word_vectors_together_are_word_vectors_one_by_one(text, tmp_path, padded_zeros):
    """Red if the initial scale is that of the widest table, or rows are moved by a slope with the padding's share in it."""
    config = vector_config(text, train__steps=8, train__eval_every=4, train__log_every=3)
    for executor in ("serial", "vectorized"):
        sweep(config, tmp_path / executor, SIZES | SEEDS, executor)
    assert sum(padded_zeros) > 0
    for member in make_plan(config, SIZES | SEEDS, str(tmp_path / "serial"), Design()).members:
        assert_same_run(tmp_path / "vectorized" / member.name, tmp_path / "serial" / member.name)


def test_a_member_that_becomes_nan_fails_alone(text, tmp_path):
    """Red if a failure ends the group, spoils another member, or is reported as something else than in a serial sweep."""
    config = small(text, train__clip_norm=None)
    axes = SIZES | {"train.learning_rate": (3e38, 1e-3)}
    ended = {executor: sweep(config, tmp_path / executor, axes, executor) for executor in ("serial", "vectorized")}
    assert ended["serial"] == ended["vectorized"]
    for name, status in ended["serial"].items():
        run, twin = tmp_path / "vectorized" / name, tmp_path / "serial" / name
        if status == "finished":
            assert_same_run(run, twin)
        else:
            assert "not finite at step" in result_of(run)["error"]
            assert_close(result_of(run), result_of(twin))
    assert sorted(ended["serial"].values()) == ["failed", "failed", "finished", "finished"]


def test_a_member_that_has_lost_patience_is_frozen_while_others_go_on(text, tmp_path):
    """A learning rate of nothing improves once, then never. Red if it is trained on, or holds the others up."""
    config = small(text, train__patience=2, train__steps=16, train__metric="loss_nats_per_token")
    axes = {"train.learning_rate": (1e-12, 1e-2)}
    sweep(config, tmp_path / "sweep", axes, "vectorized")
    frozen, other = (
        result_of(tmp_path / "sweep" / member.name) for member in make_plan(config, axes, str(tmp_path / "sweep"), Design()).members
    )
    assert (frozen["status"], frozen["best_step"], frozen["steps"]) == ("finished", 4, 12)
    assert (other["status"], other["best_step"], other["steps"]) == ("finished", 16, 16)


def test_a_stopped_sweep_goes_on_to_the_same_end(text, tmp_path, monkeypatch):
    """Stopped by a signal; then one member loses its last checkpoint, as if killed before saving it, so that members begin apart.

    Red if a window, a carried count or the frozen state of those ahead is lost; serially, if a checkpoint is not a run's own.
    """
    config = small(text, model__dropout=0.2, train__steps=12)
    whole, broken, serial = (tmp_path / name for name in ("whole", "broken", "serial"))
    sweep(config, whole, SIZES | SEEDS, "vectorized")
    advance, made = stacked.StackedRuns.advance, []

    def advance_then_stop(self, batches):
        advance(self, batches)
        made.append(batches)
        if len(made) == 7:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(stacked.StackedRuns, "advance", advance_then_stop)
    with pytest.raises(Interrupted, match="the same command completes the sweep"):
        sweep(config, broken, SIZES | SEEDS, "vectorized")
    monkeypatch.undo()
    members = [member.name for member in make_plan(config, SIZES | SEEDS, str(broken), Design()).members]
    assert all((broken / name / "checkpoints/7").is_dir() and result_of(broken / name)["status"] == "interrupted" for name in members)
    shutil.rmtree(broken / members[0] / "checkpoints/7")
    shutil.copytree(broken, serial)
    assert set(sweep(config, broken, SIZES | SEEDS, "vectorized").values()) == {"finished"}
    assert set(sweep(config, serial, SIZES | SEEDS, "serial").values()) == {"finished"}
    for name in members:
        assert_same_run(broken / name, whole / name, exactly=True)
        assert_same_run(serial / name, whole / name)


def test_a_stop_amid_scoring_goes_on_to_the_same_end(text, tmp_path, monkeypatch):
    """At each scoring, also that of a member which has lost patience and finishes where the other goes on.

    Red if what that other has learned since its last checkpoint is lost, or if one of them is scored twice or not at all.
    """
    config = small(text, train__patience=1, train__steps=12, data__test_fraction=0.1)
    axes = {"train.learning_rate": (1e-12, 1e-2)}
    whole, stopping_at = tmp_path / "whole", signal_at_call(monkeypatch, LanguageModelEvaluator, "measure")
    members = [member.name for member in make_plan(config, axes, str(whole), Design()).members]
    stopping_at(None)
    sweep(config, whole, axes, "vectorized")
    reached = set()
    for number in itertools.count(1):
        stopping_at(number)
        run = tmp_path / str(number)
        with pytest.raises(Interrupted, match="the same command completes the sweep"):
            sweep(config, run, axes, "vectorized")
        if all(result_of(run / name)["status"] == "finished" for name in members):
            break  # what is scored now are tables cut to a few directions
        reached.add(tuple(max(int(step.name) for step in (run / name / "checkpoints").iterdir()) for name in members))
        stopping_at(None)
        assert "finished" in sweep(config, run, axes, "vectorized").values()
        for name in members:
            assert_same_run(run / name, whole / name, exactly=True)
    assert reached == {(4, 4), (8, 8), (8, 12)}


def test_what_has_one_program_is_grouped(tmp_path):
    config = small(tmp_path / "a.txt")
    members = make_members(config, SIZES | SEEDS | {"train.learning_rate": (1e-3, 2e-3), "model.hidden_dim": (4, 8)})
    assert [{member.config.model.hidden_dim for member in together} for together in group(members)] == [{4}, {8}]
    assert [len(together) for together in group(members)] == [8, 8]


def test_a_member_that_cannot_begin_leaves_the_others_alone(text, tmp_path, monkeypatch):
    """Red if a directory in use stops the group, or is written to."""
    monkeypatch.setattr(run_directory, "LOCK_SECONDS", 0.0)
    config = small(text, train__steps=4)
    with RunDirectory(tmp_path / "sweep/embedding_dim=5,seed=0").locked():
        ended = sweep(config, tmp_path / "sweep", SIZES, "vectorized")
    assert ended == {"embedding_dim=5,seed=0": "failed", "embedding_dim=2,seed=0": "finished"}
    assert not (tmp_path / "sweep/embedding_dim=5,seed=0/result.json").exists()


def test_what_members_share_fails_for_all_of_them(text, tmp_path, monkeypatch):
    """Red if an error of the one program leaves a member without a result."""

    def fail(self, batches):
        raise RuntimeError("no such instruction")

    monkeypatch.setattr(stacked.StackedRuns, "advance", fail)
    assert set(sweep(small(text), tmp_path / "sweep", SIZES, "vectorized").values()) == {"failed"}
    assert all("no such instruction" in result_of(path)["error"] for path in (tmp_path / "sweep").glob("embedding_dim=*"))


@pytest.mark.parametrize(("room_for", "programs"), [(2, [3, 2, 1]), (0, [3, 2, 1, 1, 1])])
def test_a_group_without_enough_memory_is_halved(text, tmp_path, monkeypatch, capfd, room_for, programs):
    """Red if a group that is too large fails whole, is tried again as it is, or leaves out or repeats a member."""
    advances = {kind: kind.advance for kind in (stacked.StackedRuns, OneRun)}
    seen = []

    def advance(self, batches):
        if not hasattr(self, "seen"):
            self.seen = seen.append(len(batches))
        if len(batches) > room_for:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 7 bytes")
        advances[type(self)](self, batches)

    for kind in advances:
        monkeypatch.setattr(kind, "advance", advance)
    axes = {"model.embedding_dim": (2, 3, 5)}
    ended = sweep(small(text, train__steps=4), tmp_path / "sweep", axes, "vectorized")
    assert seen == programs
    assert ended == dict.fromkeys(ended, "finished" if room_for else "failed")
    assert len(ended) == 3
    assert "out of memory with 3 members together" in capfd.readouterr().err


def test_padding_that_is_no_longer_zero_is_refused():
    member = {"kernel": np.ones((2, 3))}
    wide = padding.padded(member, {"kernel": (2, 5)})
    np.testing.assert_array_equal(padding.unpad(wide, padding.shapes_of(member))["kernel"], member["kernel"])
    wide["kernel"][1, 4] = 1e-30
    with pytest.raises(ValueError, match=r"kernel.*no longer zero"):
        padding.unpad(wide, padding.shapes_of(member))


@pytest.mark.parametrize(("platform", "jobs", "expected"), [("gpu", 2, "vectorized"), ("cpu", 1, "serial"), ("cpu", 2, "processes")])
def test_auto_chooses_by_device(platform, jobs, expected):
    assert executors.automatic(platform, jobs) == expected


def test_members_are_grouped_on_an_accelerator(tmp_path, monkeypatch):
    """Red if they are handed on one by one there; on CPU they are."""
    seen = []
    monkeypatch.setattr(executors, "_execute_in_turn", lambda groups, *_: seen.append(len(groups)) or [])
    members = make_plan(pair_config(write_pairs(tmp_path / "a.tsv", 40)), {"train.seed": (0, 1)}, str(tmp_path / "s"), Design()).members
    for platform in ("gpu", "cpu"):
        monkeypatch.setattr(executors, "platform", lambda platform=platform: platform)
        executors.execute(members, tmp_path / "s", "auto", 1, None, SweepView(0, [], lambda _: None))
    assert seen == [1, 2]
    with pytest.raises(UserError, match="executor=slurm: expected auto, serial, processes or vectorized"):
        executors.execute(members, tmp_path / "s", "slurm", 1, None, SweepView(0, [], lambda _: None))


@pytest.mark.parametrize(("speed", "expected"), [(2.0, 6.0), (None, None)])
def test_the_speed_of_decoding_is_that_of_all_members(speed, expected):
    """Red if it counts the outputs of one member alone of those that are decoded together."""
    devices = types.SimpleNamespace(stack=list, place=list, unstack=list)
    evaluator = types.SimpleNamespace(
        measure=lambda params, split, watch: Measured(params, (), speed),
        score=lambda split, measured: Evaluation(measured.values, [], None, measured.decoded_per_second),
    )
    runs: Any = types.SimpleNamespace(_own="abc", _readable=lambda params: params, _devices=devices, _evaluator=evaluator)
    found = stacked.StackedRuns.evaluate(runs, [{"a": 1}, {"a": 2}], PairSplit(["x"], [["y"]]), unwatched)
    assert [(evaluation.metrics, evaluation.decoded_per_second) for evaluation in found] == [({"a": 1}, expected), ({"a": 2}, expected)]
