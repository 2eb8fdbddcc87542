"""The sweep: its grid, what it trains and what it does not train again."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import multiprocessing
import multiprocessing.connection
import multiprocessing.spawn
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import types
from typing import Any

import psutil
import pytest

import launch as launch_module
from seq2seq_jax.compare.reading import read_sweep
from seq2seq_jax.config import Config, DataConfig, ModelConfig, TrainConfig, replace
from seq2seq_jax.data.raw_splits import data_sha256
from seq2seq_jax.errors import Interrupted, UserError
from seq2seq_jax.experiment import load_experiment
from seq2seq_jax.length import newest_checkpoint
from seq2seq_jax.records import RunRecord
from seq2seq_jax.sweep import axes as axes_lib
from seq2seq_jax.sweep import executors, processes, shared_corpus
from seq2seq_jax.sweep import largest as largest_lib
from seq2seq_jax.sweep import members as members_lib
from seq2seq_jax.sweep import shares as sweep_shares
from seq2seq_jax.sweep import sweep as sweep_module
from seq2seq_jax.sweep.design import Design
from seq2seq_jax.sweep.dry_run import print_dry_run
from seq2seq_jax.sweep.found import Found
from seq2seq_jax.sweep.outcomes import Outcome, failure, thin, train_member
from seq2seq_jax.sweep.plan import make_plan
from seq2seq_jax.sweep.status import read_status
from seq2seq_jax.sweep.sweep import SweepOptions, run_sweep, warn_of_schedules
from seq2seq_jax.sweep.view import SweepView
from seq2seq_jax.train import runtime
from seq2seq_jax.train.checkpoints import Checkpoints
from seq2seq_jax.train.loop import train
from seq2seq_jax.train.run import Run
from seq2seq_jax.train.run_directory import RunDirectory
from seq2seq_jax.train.view import Reporter
from tests import sweep_fixture
from tests.training_fixture import (
    ROOT,
    after_saving,
    command,
    environment,
    flags_of,
    pair_config,
    result_of,
    text_config,
    write_pairs,
    write_text,
)

AXES = {"model.embedding_dim": (2, 4), "train.seed": (0, 1)}
PAIRS = Config(DataConfig(train="a.tsv"), train=TrainConfig(steps=1))
TEXT = Config(DataConfig(train="a.txt"), ModelConfig(kind="language_model"), TrainConfig(steps=1))


def test_values_are_read_as_lists_and_spans():
    assert axes_lib.parse_values("--seeds=0..4", "train.seed", "0..4") == (0, 1, 2, 3, 4)
    assert axes_lib.parse_values("--seeds=7,0..1", "train.seed", "7,0..1") == (7, 0, 1)
    assert axes_lib.parse_field("axis", "train.learning_rate=1e-3,2e-3") == ("train.learning_rate", (1e-3, 2e-3))


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: axes_lib.parse_values("--seeds=0,x", "train.seed", "0,x"), "--seeds=0,x: expected a whole number"),
        (lambda: axes_lib.parse_values("--seeds=1,1", "train.seed", "1,1"), "--seeds=1,1: 1 is listed twice"),
        (lambda: axes_lib.parse_values("--seeds=4..0", "train.seed", "4..0"), "--seeds=4..0: expected values"),
        (lambda: axes_lib.parse_values("--seeds=0..-1", "train.seed", "0..-1"), "the first not above the last"),
        (lambda: axes_lib.parse_values("--seeds=0..99999999999", "train.seed", "0..99999999999"), "expected a range of at most"),
        (lambda: members_lib.make_members(PAIRS, {"train.metric": ("bleu", "chrf")}), "scored by bleu and by chrf; expected one metric"),
        (lambda: axes_lib.parse_values("--seeds=-1", "train.seed", "-1"), "^--seeds=-1: expected a value at least 0"),
        (lambda: axes_lib.parse_values("--seeds=0,5..3", "train.seed", "0,5..3"), "--seeds=0,5..3: expected values"),
        (lambda: axes_lib.parse_field("axis", "model.hiden_dim=1,2"), "model.hiden_dim.*did you mean model.hidden_dim"),
        (lambda: axes_lib.parse_field("axis", "model.hidden_dim"), "expected field=value,value"),
        (lambda: axes_lib.make_axes({}, [("train.seed", (0,)), ("train.seed", (1,))]), "train.seed: this axis is given twice"),
        (lambda: members_lib.make_members(PAIRS, {"data.train": ("a/b.tsv", "a_b.tsv")}), "two members are both called train=a_b.tsv"),
        (
            lambda: members_lib.make_members(PAIRS, {"data.train": ("a" * 250, "b")}),
            r"called train=a+\.\.\. \(256 characters\)",
        ),
        (lambda: members_lib.make_members(Config(), {"model.embedding_dim": (0,)}), "model.embedding_dim=0: expected a value at least 1"),
        (lambda: members_lib.make_members(TEXT, {"model.attention": ("dot",)}), "^model.attention=dot: only a translator reads it"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(read, message):
    with pytest.raises(UserError, match=message):
        read()


OVERRIDDEN = {"model.source_embedding_dim": 16, "model.target_embedding_dim": 16}


@pytest.mark.parametrize(
    ("base", "values", "axes", "message"),
    [
        (
            Config(),
            OVERRIDDEN,
            AXES,
            "^model.embedding_dim: .*source_embedding_dim=16 and model.target_embedding_dim=16 set every.*one of these alone",
        ),
        (Config(), OVERRIDDEN, {"model.embedding_dim": (4,)}, "^model.embedding_dim: "),
        (Config(), {}, {**AXES, **dict.fromkeys(OVERRIDDEN, (8, 16))}, "^model.embedding_dim: "),
        (TEXT, {"model.target_embedding_dim": 16}, AXES, "^model.embedding_dim: .*since model.target_embedding_dim=16 sets"),
        (
            Config(),
            {"model.embedding_dim": 16},
            {"model.source_embedding_dim": (None, 16)},
            "source_embedding_dim=None,seed=0 and source_.*=16,seed=0 are one",
        ),
        (Config(), {}, {**AXES, "data.bpe_size": (500, 900)}, "^data.bpe_size: .*bpe_size=500 and .*bpe_size=900 are one and the same run"),
        (Config(), {}, {**AXES, "model.residual": (False, True)}, "residual=False and .*residual=True are one"),
        (Config(), {}, {**AXES, "model.encoder_hidden_dim": (None, 512)}, "encoder_hidden_dim=None and .*=512 are one"),
        (Config(), {}, {**AXES, "train.metric": (None, "word_error_rate")}, "metric=None and .*=word_error_rate are one"),
        (Config(), {"data.dev": "b.tsv"}, {**AXES, "data.dev_fraction": (0.1, 0.2)}, "dev_fraction=0.1 and .*=0.2 are one"),
        (Config(), {"data.test": "b.tsv"}, {**AXES, "data.test_fraction": (0.1, 0.2)}, "test_fraction=0.1 and .*=0.2 are one"),
        (Config(), {"model.table": "onehot"}, AXES, "^--config.model.table=onehot: a sweep compares learned tables"),
    ],
)
def test_an_axis_that_changes_nothing_is_refused(tmp_path, base, values, axes, message):
    """Red if one run is trained under several names, such as those of several sizes, which are then compared and found equal."""
    config = replace(base, {"data.train": "a.tsv", "train.epochs": None, "train.steps": 1, **values})
    with pytest.raises(UserError, match=message):
        make_plan(config, axes, str(tmp_path), Design())


@pytest.mark.parametrize(
    ("values", "axis"),
    [
        ({"data.target_unit": "bpe"}, {"data.bpe_size": (500, 900)}),
        ({"model.decoder_layers": 2}, {"model.residual": (False, True)}),
        ({}, {"model.decoder_layers": (1, 2), "model.residual": (False, True)}),  # which one layer does not read
        ({}, {"data.source_unit": ("char", "bpe"), "data.bpe_size": (500, 900)}),
        ({}, {"model.encoder_hidden_dim": (None, 256)}),
        ({"data.test": "b.tsv"}, {"data.dev_fraction": (0.1, 0.2)}),
    ],
)
def test_an_axis_that_changes_something_is_not_refused(tmp_path, values, axis):
    """Red if a field is taken for one that nothing reads, where something does."""
    config = replace(pair_config(write_pairs(tmp_path / "a.tsv", 40)), {"model.hidden_dim": 256, **values})
    members = members_lib.make_members(config, {"model.embedding_dim": (2, 4), **axis})
    members_lib.check_distinct(members)


def test_the_size_of_one_table_may_be_fixed_or_swept_by_itself(tmp_path):
    """Red if a size that reaches one table only is taken for one that reaches none."""
    config = pair_config(tmp_path / "a.tsv")
    one_fixed = replace(config, {"model.source_embedding_dim": 4})
    for base, axes in (
        (one_fixed, AXES),
        (config, {**AXES, "model.source_embedding_dim": (None, 8)}),
        (config, dict.fromkeys(OVERRIDDEN, (2, 4))),
    ):
        assert len(make_plan(base, axes, str(tmp_path), Design()).members) == len(members_lib.make_members(base, axes))


def test_a_sweep_without_an_axis_of_seeds_grows_by_seeds(tmp_path):
    """Red if the command that adds seeds, which an undecided answer ends with, is refused as that of another configuration."""
    config, sizes = pair_config(tmp_path / "a.tsv", train__seed=5), {"model.embedding_dim": (2, 4)}
    plan = make_plan(config, sizes, str(tmp_path / "sweep"), Design())
    assert [member.name for member in plan.members] == ["embedding_dim=2,seed=5", "embedding_dim=4,seed=5"]
    (tmp_path / "sweep").mkdir()
    plan.write("launch.py sweep")
    grown = make_plan(config, {**sizes, "train.seed": (0, 5)}, str(tmp_path / "sweep"), Design())
    assert {member.name for member in grown.members} == {f"embedding_dim={size},seed={seed}" for size in (2, 4) for seed in (0, 5)}


def test_a_baseline_is_as_wide_as_the_largest_size_also_where_null_is_one(tmp_path):
    config = pair_config(write_pairs(tmp_path / "a.tsv", 40), model__embedding_dim=6)
    for sizes, largest in (((None, 4), 6), ((None, 8), 8)):
        plan = make_plan(config, {"model.target_embedding_dim": sizes}, str(tmp_path / "sweep"), Design(("frozen",)))
        assert plan.members[-1].config.model.target_embedding_dim == largest


def test_members_differ_in_the_swept_fields_only(tmp_path):
    config = pair_config(tmp_path / "a.tsv")
    members = members_lib.make_members(config, AXES)
    assert [member.name for member in members] == [f"embedding_dim={d},seed={s}" for d in (2, 4) for s in (0, 1)]
    for member in members:
        reset = {"model.embedding_dim": 6, "train.seed": 0}
        assert replace(member.config, reset) == config


def small(folder: pathlib.Path, **values: Any) -> Config:
    """Returns a configuration of which a sweep takes little time: a language model's, a few steps long."""
    return text_config(write_text(folder / "a.txt", 1500), **{"train__steps": 4, "train__eval_every": 4, **values})


def sweep(config: Config, folder: pathlib.Path, axes=None, **options: Any):
    """Plans and runs a sweep in this process unless told otherwise; returns the names of what was trained."""
    axes = axes or AXES
    outcomes = run_sweep(make_plan(config, axes, str(folder), Design()), SweepOptions("serial", **options), "launch.py sweep")
    return {outcome.member: outcome.status for outcome in outcomes}


def test_a_sweep_trains_what_is_missing_and_nothing_twice(tmp_path, capsys):
    """Red if a finished member is trained again, a grown grid forgets its old members, or more steps are not trained.

    Red too if checkpoints that are not to be kept go before the table of the largest size is studied.
    """
    config = small(tmp_path)
    folder = tmp_path / "sweep"
    assert set(sweep(config, folder, keep="none").values()) == {"finished"}
    assert [path.parent.name for path in folder.glob("*/truncated.json")] == ["embedding_dim=4,seed=0"]
    assert not list(folder.glob("*/checkpoints/*"))
    assert "not studied" not in capsys.readouterr().err
    assert sweep(config, folder) == {}
    result = result_of(folder / "embedding_dim=2,seed=1")
    assert result["varied"] == {"model.embedding_dim": 2, "train.seed": 1}
    assert list(sweep(config, folder, {**AXES, "train.seed": (2,)})) == ["embedding_dim=2,seed=2", "embedding_dim=4,seed=2"]
    recorded = json.loads((folder / "sweep.json").read_text())
    assert len(recorded["members"]) == 6
    assert recorded["axes"] == {"model.embedding_dim": [2, 4], "train.seed": [0, 1, 2]}
    others = {"train.seed": (2, 3), "model.embedding_dim": (4, 8)}  # also with its axes in another order
    grown = make_plan(config, others, str(folder), Design())
    assert {member.name for member in grown.members} == {f"embedding_dim={size},seed={seed}" for size in (2, 4, 8) for seed in range(4)}
    for typed in ("launch.py sweep --seeds=2,3", "launch.py sweep --seeds=2,3", "launch.py sweep --seeds=4"):
        grown.write(typed)
    expected = ["launch.py sweep", "launch.py sweep --seeds=2,3", "launch.py sweep --seeds=4"]
    made = read_sweep(str(folder))
    assert [*made.earlier_commands, made.command] == expected  # red if the report can show the last one alone
    with pytest.raises(UserError, match=r"another configuration: model.hidden_dim"):
        sweep(replace(config, {"model.hidden_dim": 5}), folder)
    with pytest.raises(UserError, match=r"another configuration: model.hidden_dim"):
        sweep(config, folder, {**AXES, "model.hidden_dim": (5, 6)})
    with pytest.raises(UserError, match="directory of one run"):
        sweep(config, folder / "embedding_dim=2,seed=1")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda grid: [], "a JSON object"),
        (lambda grid: {}, '"format": 1, got null'),
        (lambda grid: without(grid, "members"), '"members": a list'),
        (lambda grid: without(grid, "axes"), '"axes": lists'),
        (lambda grid: without(grid, "config"), '"config": fields'),
        (lambda grid: grid | {"axes": {"train.seed": 1}}, '"axes": lists'),
        (lambda grid: grid | {"design": 1}, '"design": an object'),
        (lambda grid: grid | {"design": {"tune": {"train.learning_rate": 5}}}, '"design": an object, its tune lists of values'),
        (lambda grid: grid | {"tuning": {"seed": 1, "runs": 0, "train_seconds": 0.0}}, '"tuning": null'),
        (lambda grid: grid | {"tuning": {"seed": 1, "runs": 0, "train_seconds": 0.0, "chosen": [{"varied": {}}]}}, '"tuning": null'),
        (lambda grid: grid | {"config": {"model": {"size": 1}}}, "model.size: there is no field"),
    ],
)
def test_a_damaged_grid_is_named(tmp_path, damage, said):
    """Red if it ends in a traceback, or in a line that does not say which file it is."""
    config = pair_config(tmp_path / "a.tsv")
    grid = {"format": 1, "axes": {path: list(values) for path, values in AXES.items()}, "members": [], "config": dataclasses.asdict(config)}
    (tmp_path / "sweep.json").write_text(json.dumps(grid))
    assert make_plan(config, AXES, str(tmp_path), Design()).members
    (tmp_path / "sweep.json").write_text(json.dumps(damage(grid)))
    with pytest.raises(UserError) as caught:
        make_plan(config, AXES, str(tmp_path), Design())
    assert str(caught.value).startswith(f"{tmp_path}/sweep.json: ")
    assert said in str(caught.value)


def begun(place: pathlib.Path, config: Config) -> None:
    """Writes of a finished run what a sweep asks of it, but for its results."""
    place.mkdir(parents=True)
    assert config.train.steps is not None
    (place / "config.json").write_text(json.dumps(RunRecord(config, config.train.steps, data_sha256(config), 9, ()).to_json()))
    result = sweep_fixture.result(32, 0, None, status="finished", best_step=1, steps=config.train.steps)
    (place / "result.json").write_text(json.dumps(result))


def test_other_data_is_refused_and_the_same_elsewhere_is_not(tmp_path):
    """Red if members of one sweep may be trained on different data, or an old table passes for an answer about new data.

    Red too if data may not move, or if what was reached cannot be shown once the data is gone.
    """
    config = pair_config(write_pairs(tmp_path / "a.tsv", 100))
    for member in make_plan(config, AXES, str(tmp_path / "s"), Design()).members:
        begun(tmp_path / "s" / member.name, member.config)
    moved = replace(config, {"data.train": str((tmp_path / "a.tsv").rename(tmp_path / "moved.tsv"))})
    assert sweep(moved, tmp_path / "s") == {}
    records = [RunDirectory(tmp_path / "s" / name).begun() for name in ("embedding_dim=2,seed=0", "embedding_dim=4,seed=1")]
    assert [record.config.data.train for record in records] == [moved.data.train] * 2  # where evaluating finds it
    assert sweep(config, tmp_path / "s") == {}  # nothing is there to read, and nothing to train
    write_pairs(tmp_path / "a.tsv", 101)
    seeds = {**AXES, "train.seed": (0, 1, 2)}
    changed = r"^--workdir=.*: the data has changed since the sweep began: {} \(.*{}\); expected the same data, or another workdir$"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for asked, axes, name, file in (
        (config, AXES, "train", "a.tsv"),
        (config, seeds, "train", "a.tsv"),
        (replace(moved, {"data.dev": str(tmp_path / "a.tsv")}), AXES, "dev", "a.tsv"),
    ):
        with pytest.raises(UserError, match=changed.format(name, file)):
            sweep(asked, tmp_path / "s", axes)
    (tmp_path / "moved.tsv").write_text((tmp_path / "moved.tsv").read_text() + "ab\tb a\n")
    with pytest.raises(UserError, match=changed.format("train", "moved.tsv")):
        make_plan(moved, AXES, str(tmp_path / "s"), Design())
    (tmp_path / "moved.tsv").unlink()
    assert before.keys() - set(tmp_path.rglob("*")) == {tmp_path / "moved.tsv"}
    assert all(path.stat().st_mtime_ns == before[path] for path in tmp_path.rglob("s/**/*"))


def test_where_data_is_an_axis_each_member_has_its_own(tmp_path):
    """Red if members are held to the data of another, or if that of a tuning run may change under what it has chosen."""
    files = tuple(str(write_pairs(tmp_path / f"{count}.tsv", count)) for count in (100, 120))
    axes, tuned = {**AXES, "data.train": files}, Design(tune={"train.learning_rate": (1e-3, 2e-3)})
    config = pair_config(tmp_path / "100.tsv")
    for member in make_plan(config, axes, str(tmp_path / "s"), Design()).members:
        begun(tmp_path / "s" / member.name, member.config)
    assert len(make_plan(config, axes, str(tmp_path / "s"), Design()).members) == 8
    for run in make_plan(config, AXES, str(tmp_path / "t"), tuned).tuning_runs:
        begun(tmp_path / "t/tuning" / run.name, run.config)
    assert len(make_plan(config, AXES, str(tmp_path / "t"), tuned).members) == 4
    write_pairs(tmp_path / "120.tsv", 121)
    with pytest.raises(UserError, match=r"the data has changed since the sweep began: train \(.*120.tsv\)"):
        make_plan(config, axes, str(tmp_path / "s"), Design())
    write_pairs(tmp_path / "100.tsv", 101)
    with pytest.raises(UserError, match=r"the data has changed since the sweep began: train \(.*100.tsv\)"):
        make_plan(config, AXES, str(tmp_path / "t"), tuned)


def without(grid: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in grid.items() if name != key}


def test_a_member_that_fails_is_reported_and_the_others_go_on(tmp_path, capsys):
    """Red if an exception ends the sweep, if a failure is tried again unasked, or not tried again when asked."""
    config = small(tmp_path, train__clip_norm=None)
    axes = {"train.learning_rate": (3e38, 1e-3), "train.seed": (0, 1)}
    outcomes = sweep(config, tmp_path / "sweep", axes)
    assert sorted(outcomes.values()) == ["failed", "failed", "finished", "finished"]
    failed = [name for name, status in outcomes.items() if status == "failed"]
    assert all("not finite" in result_of(tmp_path / "sweep" / name)["error"] for name in failed)
    assert sweep(config, tmp_path / "sweep", axes) == {}
    print_dry_run(make_plan(config, axes, str(tmp_path / "sweep"), Design()), retry_failed=False)
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if "seed=" in line] == ["failed", "failed", "done", "done"]
    assert sweep(config, tmp_path / "sweep", axes, retry_failed=True, max_failures=1) == {failed[0]: "failed"}
    assert "sweep: stopped after 1 failure (--max_failures); 1 member not begun" in capsys.readouterr().err


def test_a_full_disk_stops_a_sweep_and_the_same_command_goes_on(tmp_path, monkeypatch, capsys):
    """Red if every member fails in turn for want of room, or if those that did are left alone, or said to be, once there is some."""
    config, names = small(tmp_path), [member.name for member in make_plan(small(tmp_path), AXES, str(tmp_path / "sweep"), Design()).members]

    def full(own, state, progress):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(own.folder))

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", full)
        assert sweep(config, tmp_path / "sweep") == {names[0]: "failed"}
    assert "sweep: stopped, since the disk is full: make room and give the command again" in capsys.readouterr().err
    assert not any(failure.has_failed or failure.needs_retry for failure in read_sweep(str(tmp_path / "sweep")).failures)
    assert sweep(config, tmp_path / "sweep") == dict.fromkeys(names, "finished")


def test_a_member_that_never_began_has_failed(tmp_path):
    """Red if it is forgotten and tried again unasked, or if what others cannot be trained on is said of each and not of all."""
    config = text_config(tmp_path / "missing.txt")
    first, *others = make_plan(config, AXES, str(tmp_path), Design()).members
    (tmp_path / others[0].name).touch()  # no place for a directory
    for member in (first, others[0]):
        assert train_member(member, tmp_path, Reporter("test")).status == "failed"
    assert "missing.txt: no such file" in result_of(tmp_path / first.name)["error"]
    assert Found(tmp_path, first).is_done(retry_failed=False)
    assert not Found(tmp_path, first).is_done(retry_failed=True)
    for retry_failed in (False, True):
        with pytest.raises(UserError, match=r"missing.txt: no such file"):
            sweep(config, tmp_path, retry_failed=retry_failed)
    assert not any((tmp_path / member.name).is_dir() for member in others)


def test_a_failure_leaves_what_has_finished(tmp_path):
    """Red if an error after the end, such as that of a full disk, has a member trained again that has its result."""
    (member,) = members_lib.make_members(pair_config(write_pairs(tmp_path / "a.tsv", 60)), {"model.embedding_dim": (2,)})
    begun(tmp_path / member.name, member.config)
    before = result_of(tmp_path / member.name)
    assert failure(tmp_path, member, OSError("no space left")).status == "failed"
    assert result_of(tmp_path / member.name) == before


def test_a_member_is_the_run_that_train_makes(tmp_path):
    """Red if what members share is loaded by less of the configuration than it depends on: one vocabulary for both sides, say."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 100), train__steps=4, train__eval_every=4, data__target_unit="char")
    config = replace(config, {"model.share_embeddings": True, "model.embedding_dim": 2})
    assert set(sweep(config, tmp_path / "sweep", {"model.embedding_dim": (2,), "train.seed": (0,)}).values()) == {"finished"}
    train(config, str(tmp_path / "run"))
    assert result_of(tmp_path / "sweep/embedding_dim=2,seed=0") == result_of(tmp_path / "run")


def test_a_sweep_needs_a_dev_split_and_sound_data(tmp_path):
    """Red if a mistake that all members share comes out only after, or as often as, they are trained."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 100), data__dev_fraction=0.0)
    with pytest.raises(UserError, match=r"data.dev_fraction=0: a sweep compares sizes on dev"):
        sweep(config, tmp_path / "sweep")
    (tmp_path / "a.tsv").write_text("a\tb\nc\n")
    with pytest.raises(UserError, match=r"a.tsv:2"):
        sweep(replace(config, {"data.dev_fraction": 0.1}), tmp_path / "sweep")
    assert not list(tmp_path.glob("sweep/*/"))


def test_a_study_of_the_largest_table_that_fails_costs_no_answer(tmp_path, monkeypatch, capsys):
    """Red if it ends a sweep whose members are trained before its comparison, or if a signal meanwhile does not."""
    plan = make_plan(pair_config(write_pairs(tmp_path / "a.tsv", 60)), {"model.embedding_dim": (4,)}, str(tmp_path / "s"), Design())
    monkeypatch.setattr(sweep_module, "_train", lambda members, folder, options, largest: [])
    for error, ends in ((UserError("a.tsv: the content has changed"), False), (Interrupted("stopped"), True)):
        monkeypatch.setattr(largest_lib, "STUDIES", (lambda members, folder, error=error: (_ for _ in ()).throw(error),))
        with pytest.raises(Interrupted) if ends else contextlib.nullcontext():
            assert run_sweep(plan, SweepOptions("serial"), "launch.py sweep") == []
    warned = capsys.readouterr().err
    assert warned.count("\n") == 1
    assert "warning: the table of the largest size is not studied: a.tsv: the content has changed" in warned


def test_a_process_studies_the_largest_table_that_it_has_trained(tmp_path, monkeypatch):
    """Red if all processes wait for the sweep's own to do it after the last member, or if one does it for a smaller table too."""
    monkeypatch.setattr(sweep_module, "study_largest", lambda members, folder: None)
    folder = tmp_path / "sweep"
    plan = make_plan(small(tmp_path), {"model.embedding_dim": (2, 4), "train.seed": (0, 1)}, str(folder), Design())
    outcomes = run_sweep(plan, SweepOptions("processes", 2), "launch.py sweep")
    assert {outcome.status for outcome in outcomes} == {"finished"}
    assert [path.parent.name for path in folder.glob("*/truncated.json")] == ["embedding_dim=4,seed=0"]


def test_a_signal_during_the_last_step_of_a_member_stops_the_sweep(tmp_path, monkeypatch):
    """Red if a signal ends with the member that it met."""
    finish = Run.finish

    def finish_then_stop(self, *arguments):
        finish(self, *arguments)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Run, "finish", finish_then_stop)
    config = small(tmp_path)
    with pytest.raises(Interrupted):
        sweep(config, tmp_path / "sweep")
    assert len(list(tmp_path.glob("sweep/*/result.json"))) == 1


def test_a_process_that_dies_over_its_study_has_finished_the_member(tmp_path):
    """Red if a member that has a result is called failed, and counted as one, since its table could not be studied."""
    config = small(tmp_path)
    sweep(config, tmp_path / "sweep", {"train.seed": (0,)})
    member = members_lib.make_members(config, {"train.seed": (0,)})[0]
    pool = processes.Pool(tmp_path / "sweep", 1, SweepView(1, [member.name], lambda name: None))
    assert [pool.outcome_of_dead(member, exit_code).status for exit_code in (-11, -9)] == ["finished"] * 2


@pytest.mark.parametrize(
    ("exit_code", "new_checkpoints", "endings"), [(-9, 0, "iif"), (-9, 3, "iii"), (-15, 0, "iif"), (-11, 0, "f"), (-6, 0, "f")]
)
def test_a_member_whose_process_is_killed_goes_on_unless_that_leads_nowhere(tmp_path, exit_code, new_checkpoints, endings):
    """Red if a killed member is given up at once, if one that never fits into memory is tried for ever, or if a crash is tried again.

    Red too if the sweep stumbles over what a save has left that was killed.
    """
    member = members_lib.make_members(pair_config(tmp_path / "a.tsv"), {"model.embedding_dim": (2,)})[0]
    pool = processes.Pool(tmp_path, 1, SweepView(1, [member.name], lambda name: None))
    for kill, ending in enumerate(endings):
        (tmp_path / member.name / "checkpoints" / str(kill if new_checkpoints else 1)).mkdir(parents=True, exist_ok=True)
        (tmp_path / member.name / "checkpoints" / "7.orbax-checkpoint-tmp").mkdir(exist_ok=True)
        outcome = pool.outcome_of_dead(member, exit_code)
        assert outcome.status[0] == ending
        assert (tmp_path / member.name / "result.json").exists() == (ending == "f")
        assert outcome.error is None or f"exit code {exit_code}" in outcome.error
        assert outcome.error is None or ("lack of memory" in outcome.error) == (exit_code != -11)


def test_a_process_that_ends_as_it_was_told_is_no_news(tmp_path, capsys):
    """Red if a sweep that is stopped while its processes start says that they were killed, or one that is not keeps it to itself."""
    member = members_lib.make_members(pair_config(tmp_path / "a.tsv"), {"model.embedding_dim": (2,)})[0]
    pool = processes.Pool(tmp_path, 1, SweepView(1, [member.name], lambda name: None))
    for stopping in (False, True):
        pool._stopping = stopping
        assert pool.outcome_of_dead(member, -signal.SIGTERM).status == "interrupted"
        assert ("exit code -15" in capsys.readouterr().err) != stopping


def children(pid: int) -> list[int]:
    """Returns the processes that a process has started with multiprocessing, but for the one that tracks resources."""
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for task in tasks for child in task.read_text().split()]
    return [child for child in found if b"spawn_main" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes()]


PARENT = """
import multiprocessing, os

def work():
    from seq2seq_jax.sweep.processes import _die_with_parent  # here, since the parent needs none of it
    _die_with_parent()
    print(os.getpid(), flush=True)
    while True:
        pass

if __name__ == "__main__":
    worker = multiprocessing.get_context("spawn").Process(target=work)
    worker.start()
    worker.join(300)
    worker.kill()
"""


def test_a_stop_is_passed_on_to_processes_at_work(tmp_path, monkeypatch):
    """Red if Ctrl-C or SIGTERM waits until the members that are being trained have finished, or a further one is begun after it."""
    waiting = members_lib.make_members(pair_config(tmp_path / "a.tsv"), {"model.embedding_dim": (2, 4, 6)})
    pool = processes.Pool(tmp_path, 2, SweepView(3, [member.name for member in waiting], lambda name: None))
    told, signals = [], []

    def spawn(share):
        """Stands for a worker that is at work until it is told to end, and then says that it has saved a checkpoint."""
        ours, theirs = multiprocessing.Pipe()

        def terminate():
            told.append(theirs.recv().name)
            theirs.send(("ended", Outcome(told[-1], "interrupted")))

        return processes._Worker(types.SimpleNamespace(terminate=terminate, join=lambda: None, is_alive=lambda: True), ours, share)

    def wait(connections, timeout):
        if not told:
            assert not signals, "the workers were not told"
            signals.append(signal.raise_signal(signal.SIGTERM))
        return multiprocessing.connection.wait(connections, 0)

    monkeypatch.setattr(pool, "_spawn", spawn)
    monkeypatch.setattr(processes, "wait", wait)
    with RunDirectory(tmp_path).locked(), pytest.raises(Interrupted, match="the same command completes the sweep"):
        pool.run(waiting, None)
    assert told == [member.name for member in waiting[:2]]


def test_a_stopped_member_is_the_next_and_after_a_failure_too_many_there_is_none(tmp_path, monkeypatch):
    """Red if a member whose process was killed waits for all others, or failures are not counted where members have processes."""
    members = members_lib.make_members(pair_config(tmp_path / "a.tsv"), {"train.seed": (0, 1, 2)})
    pool = processes.Pool(tmp_path, 1, SweepView(3, [member.name for member in members], lambda name: None))
    given, endings, pipes = [], ["interrupted", "finished", "failed"], []

    def spawn(share):
        """Stands for a worker."""
        pipes.append(multiprocessing.Pipe())
        process = types.SimpleNamespace(terminate=lambda: None, join=lambda: None, is_alive=lambda: True)
        return processes._Worker(process, pipes[-1][0], share)

    def wait(connections, timeout):
        theirs = pipes[0][1]
        given.append(theirs.recv().config.train.seed)
        theirs.send(("ended", Outcome(f"seed={given[-1]}", endings.pop(0))))
        return connections

    monkeypatch.setattr(pool, "_spawn", spawn)
    monkeypatch.setattr(processes, "wait", wait)
    with RunDirectory(tmp_path).locked():
        assert [outcome.status for outcome in pool.run(members, 1)] == ["finished", "failed"]
    assert given == [0, 0, 1]


def test_members_of_another_configuration_are_refused_also_where_sweep_json_is_lost(tmp_path):
    """Red if new members are then trained beside them, and neither command is of use any more."""
    config, folder = small(tmp_path), tmp_path / "s"
    sweep(config, folder, {"model.embedding_dim": (2,)})
    (folder / "sweep.json").unlink()
    before = sorted(path for path in folder.rglob("*") if path.name != ".lock")
    with pytest.raises(
        UserError, match=r"embedding_dim=2,seed=0: the run here has another configuration: train.metric \(None -> loss_nats_per_token\)"
    ):
        sweep(replace(config, {"train.metric": "loss_nats_per_token"}), folder, {"model.embedding_dim": (2, 4)})
    assert sorted(path for path in folder.rglob("*") if path.name != ".lock") == before
    assert sweep(config, folder, {"model.embedding_dim": (2,)}) == {}


@pytest.mark.parametrize("executor", ["serial", "vectorized", "processes"])
def test_a_sweep_whose_directory_is_moved_away_stops(tmp_path, executor):
    """Red if it trains on, makes the directory anew and leaves half of each run in either place, or writes into another sweep's."""
    config = small(tmp_path, train__steps=300, train__eval_every=300, train__checkpoint_every=20, train__log_every=5)
    plan = make_plan(config, {"model.embedding_dim": (2, 4)}, str(tmp_path / "s"), Design())

    def move():
        runs = [tmp_path / "s" / f"embedding_dim={size},seed=0" for size in (2, 4)]
        while not any(map(newest_checkpoint, runs)):
            time.sleep(0.01)
        (tmp_path / "s").rename(tmp_path / "moved")

    mover = threading.Thread(target=move, daemon=True)
    mover.start()
    with pytest.raises(UserError, match="s: was removed or moved"):
        run_sweep(plan, SweepOptions(executor, 2), "launch.py sweep")
    mover.join(10)
    assert not list(tmp_path.glob("s/**/result.json"))  # a save that was under way may have made the directory anew
    assert not list(tmp_path.glob("moved/*/result.json"))


def test_two_sweeps_in_one_place_are_one_too_many(tmp_path, monkeypatch):
    """Red if a second one begins beside the first, whose members then fail for want of their locks."""
    monkeypatch.setattr("seq2seq_jax.train.run_directory.LOCK_SECONDS", 0.0)
    plan = make_plan(small(tmp_path), {"model.embedding_dim": (2, 4)}, str(tmp_path / "s"), Design())
    with RunDirectory(tmp_path / "s").locked(), pytest.raises(UserError, match="another process is working on it"):
        run_sweep(plan, SweepOptions("serial"), "launch.py sweep")
    assert [path.name for path in (tmp_path / "s").iterdir()] == [".lock"]


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.py")), ids=lambda path: path.stem)
def test_the_experiments_that_come_with_it_can_be_swept(path):
    """Red if one has a value or an axis that train or sweep refuses, or the README lists other sizes."""
    experiment = load_experiment(str(path))
    data = {} if experiment.config.data.name or experiment.config.data.train else {"data.train": "given.tsv"}
    members = members_lib.make_members(replace(experiment.config, data), experiment.sweep)
    sizes = ", ".join(map(str, dict.fromkeys(member.config.model.embedding_dim for member in members)))
    (row,) = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{path.name}` |")]
    assert row.endswith(f"| {sizes} |")


def test_a_worker_ends_with_the_sweep_that_is_killed(tmp_path):
    """Red if it goes on by itself, however busy it is, and holds the locks that the next start needs."""
    (tmp_path / "parent.py").write_text(PARENT)
    environ = environment() | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, str(tmp_path / "parent.py")], stdout=-1, text=True, env=environ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert lives(worker)
        parent.kill()
        deadline = time.monotonic() + 60
        while lives(worker) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert not lives(worker)


def lives(pid: int) -> bool:
    """Returns whether a process is neither gone nor only waiting for somebody to ask how it ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_where_no_process_can_be_bound_to_cores_a_share_is_so_many_threads(monkeypatch):
    """As on macOS. Red if a process of a sweep then starts a thread for each core, whatever its share, or does not start at all."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.delattr(os, "sched_setaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setenv("NPROC", "")  # put back at the end
    assert runtime.cores() == list(range(8))
    sweep_shares.shares(3)[2].take()
    assert (os.environ["NPROC"], len(runtime.cores())) == ("2", 2)


def test_no_process_goes_on_where_the_sweep_ends_in_an_error(tmp_path, monkeypatch):
    """Red if workers train on for nobody, as in a notebook, whose process does not end."""
    config, spawned = small(tmp_path, train__steps=1000), []
    spawn = processes.Pool._spawn
    monkeypatch.setattr(processes.Pool, "_spawn", lambda pool, share: spawned.append(spawn(pool, share)) or spawned[-1])

    def fail(pool, worker, waiting):
        raise OSError("no luck")

    monkeypatch.setattr(processes.Pool, "_receive", fail)
    plan = make_plan(config, {"model.embedding_dim": (2,), "train.seed": (0, 1)}, str(tmp_path / "sweep"), Design())
    with pytest.raises(OSError, match="no luck"):
        run_sweep(plan, SweepOptions("processes", 2), "launch.py sweep")
    assert len(spawned) == 2
    assert not any(worker.process.is_alive() for worker in spawned)


def test_the_data_of_a_sweep_is_read_once_for_each_value_of_its_axis(tmp_path, monkeypatch):
    """Red if planning reads it again for every member."""
    config, read = small(tmp_path), []
    load = shared_corpus._corpus.__wrapped__
    monkeypatch.setattr(shared_corpus, "_corpus", functools.lru_cache(maxsize=1)(lambda *key: read.append(key) or load(*key)))
    shared_corpus._sizes.cache_clear()
    for _ in range(3):
        for unit in ("char", "byte"):
            shared_corpus.vocabulary_sizes(replace(config, {"data.target_unit": unit}))
    assert len(read) == 2


def test_a_worker_takes_what_it_has_compiled_and_else_what_no_other_compiles(tmp_path):
    """Red if members are handed out in their order: each worker would compile each size."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 60))
    waiting = members_lib.make_members(config, {"model.embedding_dim": (2, 4), "train.seed": (0, 1)})
    pool = processes.Pool(tmp_path, 2, SweepView(4, [member.name for member in waiting], lambda name: None))
    pipes = [multiprocessing.Pipe() for _ in pool.shares]  # both ends stay open
    workers = [processes._Worker(None, own, place) for place, (own, _) in enumerate(pipes)]
    given = []
    for _ in range(2):
        pool._assign(workers, waiting)
        given.append([worker.member and worker.member.config.model.embedding_dim for worker in workers])
        for worker in workers:
            worker.member = None
    assert given == [[2, 4], [2, 4]]


@pytest.mark.parametrize(
    ("plugins", "visible", "platforms", "expected"),
    [
        (True, "3,5", "", [("3", 0.375), ("5", 0.375), ("3", 0.375), ("5", 0.375)]),
        (True, "7", "cuda", [("7", 0.1875)] * 4),
        (True, "0,1,2,3", "", [("0", None), ("1", None), ("2", None), ("3", None)]),
        (True, "", "", [(None, None)] * 4),
        (True, "3,5", "cpu", [(None, None)] * 4),
        (False, "3,5", "", [(None, None)] * 4),
    ],
)
def test_processes_share_cores_and_graphics_processors(tmp_path, monkeypatch, plugins, visible, platforms, expected):
    """Red if two processes get one processor while another is free, if one's memory is given away twice, or if JAX would not use it."""
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(sweep_shares, "_DEVICE_FILES", tmp_path)
    monkeypatch.setattr(sweep_shares.importlib.util, "find_spec", lambda name: plugins)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 6, 8})
    found = sweep_shares.shares(4)
    assert [share.cores for share in found] == [{4}, {6}, {8}, {4}]
    assert [(share.gpu, share.memory) for share in found] == expected
    assert sweep_shares.most_at_a_time() == (len(visible.split(",")) if expected[0][0] else 3)


def test_a_process_keeps_no_more_cores_busy_than_its_part_of_what_is_allowed(monkeypatch):
    """Red if each starts a thread for every core that a container shows."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, cores: None)
    for allowed, jobs, cores, threads in ((4, 2, 4, 2), (6, 6, 1, 1), (6, 3, 2, 2), (3, 8, 1, 1)):
        monkeypatch.setenv("NPROC", str(allowed))
        found = sweep_shares.shares(jobs)
        assert [(len(share.cores), share.threads) for share in found] == [(cores, threads)] * jobs
        assert sweep_shares.most_at_a_time() == allowed
        found[0].take()
        assert os.environ["NPROC"] == str(threads)


@pytest.mark.parametrize(("jobs", "each"), [(1, 8), (3, 2), (4, 2), (5, 1), (9, 1)])
def test_all_processes_have_equally_many_cores(monkeypatch, jobs, each):
    """Red if one has more than another: so many threads round a member's sums differently."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    cores = [share.cores for share in sweep_shares.shares(jobs)]
    assert {len(own) for own in cores} == {each}
    assert len(frozenset.union(*cores)) == min(8, jobs * each)


def test_a_worker_does_not_run_the_script_that_begins_the_sweep():
    """Red if a script without a guard ends in one error for each member: every worker would begin the sweep again."""
    before = (sys.modules["__main__"].__spec__, getattr(sys.modules["__main__"], "__file__", None))
    with processes._without_main():
        assert not {"init_main_from_path", "init_main_from_name"} & multiprocessing.spawn.get_preparation_data("worker").keys()
    assert (sys.modules["__main__"].__spec__, getattr(sys.modules["__main__"], "__file__", None)) == before


def test_a_worker_of_multiprocessing_trains_in_turn(monkeypatch):
    """Red if a sweep that is begun there ends in an assertion of the library, which lets it start no process."""
    monkeypatch.setattr(multiprocessing.current_process(), "_config", {"daemon": True})
    assert executors.automatic("cpu", jobs=2) == "serial"


def test_data_that_has_changed_is_read_again(tmp_path):
    """Red if a second sweep of one process trains on what a file held before, under the hash of that."""
    config = small(tmp_path)
    before = shared_corpus.corpus_of(config)
    assert shared_corpus.corpus_of(config) is before
    path = pathlib.Path(str(config.data.train))
    path.write_text("žÿ" + path.read_text())
    assert shared_corpus.corpus_of(config).sha256 != before.sha256
    assert shared_corpus.vocabulary_sizes(config)["target"] == before.vocabulary_sizes["target"] + 2


def test_the_last_missing_member_gets_no_more_cores_than_beside_the_others(tmp_path, monkeypatch):
    """Red if what is missing, and not the sweep, settles how many processes share the cores."""
    config, seen = small(tmp_path), []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(processes.Pool, "run", lambda pool, members, _: seen.append((len(members), len(pool.shares[0].cores))) or [])
    plan = make_plan(config, {"model.embedding_dim": (2, 4), "train.seed": (0,)}, str(tmp_path / "sweep"), Design())
    for done in ([], plan.members[:1]):
        monkeypatch.setattr(sweep_module, "_missing", lambda members, *_, done=done: [member for member in members if member not in done])
        run_sweep(plan, SweepOptions("auto"), "launch.py sweep")
    assert seen == [(2, 1), (1, 1)]


def test_a_process_takes_its_share(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.1")  # which JAX refuses beside its new name
    monkeypatch.setenv("XLA_CLIENT_MEM_FRACTION", "0.1")
    taken = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, cores: taken.append(cores))
    sweep_shares.Share(frozenset({1}), 1, "1", 0.45).take()
    assert (taken, os.environ["CUDA_VISIBLE_DEVICES"], os.environ["XLA_CLIENT_MEM_FRACTION"]) == ([{1}], "1", "0.450")
    assert "XLA_PYTHON_CLIENT_MEM_FRACTION" not in os.environ


@pytest.mark.parametrize(
    ("files", "visible", "expected"),
    [
        (["nvidia3"], None, ["0"]),
        (["nvidia0", "nvidia1", "nvidiactl"], None, ["0", "1"]),
        (["nvidia0", "nvidia1"], "1", ["1"]),
        (["nvidia0"], "-1", []),
        (["nvidia0", "nvidia1"], "0,-1,1", ["0"]),
        (["dxg"], None, ["0"]),
        (["null"], "0", []),
    ],
)
def test_graphics_processors_are_counted_as_cuda_counts_them(tmp_path, monkeypatch, files, visible, expected):
    """Red if the number of a device's file is taken for its place: one of several in a container would not be found."""
    for name in files:
        (tmp_path / name).touch()
    monkeypatch.setattr(sweep_shares, "_DEVICE_FILES", tmp_path)
    monkeypatch.setattr(sweep_shares, "_CUDA_PLUGINS", ("jax",))
    monkeypatch.delenv("JAX_PLATFORMS")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert sweep_shares.gpus() == expected


def test_the_time_left_counts_what_this_process_has_made(monkeypatch):
    """Red if updates of an earlier process are taken for those of this one, or if what comes before the first ones counts for all.

    Red too if members at work together are counted as if one came after the other.
    """
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    view = SweepView(3, ["a", "b", "c"], lambda name: None)
    for name in "ab":
        view.member(name).start(50, 100, "error")
    now[0] += 500  # compiling
    for name in "ab":
        view.member(name).update(55, 1.0, 1.0, None)
    assert view.seconds_left() is None
    now[0] += 10
    view.member("a").update(75, 1.0, 1.0, None)
    assert view.seconds_left() == pytest.approx((0.25 + 0.45 + 1) * 50 / 2)  # a fifth took 10 s


def test_the_time_left_takes_whole_members_where_they_are_known(monkeypatch, capsys):
    """Red if a member that is waiting is thought to take less than one that has finished, whose compiling and evaluations count."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    view = SweepView(2, ["a", "b"], lambda name: None)
    view.member("a").start(0, 100, "error")
    now[0] += 30
    view.member("a").finish(100, 0.25)
    view.ended("a", "finished", None)
    view.member("b").start(0, 100, "error")
    now[0] += 20
    view.member("b").update(10, 1.0, 1.0, 0.75)
    assert view.seconds_left() == pytest.approx(0.9 * 30)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == ["sweep: 2 of 2 members to train", "sweep: compiling ...", "sweep: [1/2] a finished, best error 0.2500"]
    assert lines[3].endswith("best error 0.7500  27 s left for the sweep")
    assert len(lines) == 4


def test_fewer_epochs_than_were_made_are_refused_before_anything_is_trained(tmp_path):
    """Red if each member is tried and fails by itself; a member that has made no more than is asked for now may go on."""
    config = small(tmp_path, train__steps=None, train__epochs=2)
    axes = {"model.embedding_dim": (2,)}
    sweep(config, tmp_path / "sweep", axes)
    made = result_of(tmp_path / "sweep/embedding_dim=2,seed=0")["steps"]
    with pytest.raises(UserError, match=rf"embedding_dim=2,seed=0 has made {made} updates already, and {made // 2} are asked for"):
        sweep(replace(config, {"train.epochs": 1}), tmp_path / "sweep", axes)
    sweep(replace(config, {"train.epochs": 3}), tmp_path / "sweep", axes)
    assert result_of(tmp_path / "sweep/embedding_dim=2,seed=0")["steps"] == made // 2 * 3
    thin(tmp_path / "sweep/embedding_dim=2,seed=0", "none")
    further = make_plan(replace(config, {"train.epochs": 4}), axes, str(tmp_path / "sweep"), Design())
    for begin in (lambda: print_dry_run(further, False), lambda: run_sweep(further, SweepOptions("serial"), "launch.py sweep")):
        with pytest.raises(UserError, match=r"embedding_dim=2,seed=0 has finished and its best checkpoint was not kept \(--keep\)"):
            begin()
    sweep(replace(config, {"train.epochs": 3}), tmp_path / "sweep", axes)


def test_a_sweep_says_before_it_trains_that_its_members_will_not_compare(tmp_path, capsys):
    """Red if it is lengthened and grown, at once or in turn, without a word, or if it says so where the length does not matter."""

    def warned(config, dims):
        plan = make_plan(config, {"model.embedding_dim": dims, "train.seed": (0,)}, str(folder), Design())
        warn_of_schedules(plan.members, plan.folder)
        return "warning: 1 member lengthened and 1 member not begun" in capsys.readouterr().err

    for schedule, matters in (("constant", False), ("linear", True)):
        config, folder = small(tmp_path, train__steps=4, train__schedule=schedule), tmp_path / schedule
        sweep(config, folder, {"model.embedding_dim": (4,), "train.seed": (0,)})
        longer, path = replace(config, {"train.steps": 6}), folder / "embedding_dim=4,seed=0/result.json"
        assert [warned(config, (4, 6)), warned(longer, (4,)), warned(longer, (4, 6))] == [False, False, matters]
        path.write_text(json.dumps(json.loads(path.read_text()) | {"rescheduled_at": [2]}))
        assert warned(config, (4, 6)) == matters
        thin(path.parent, "none")
        assert not warned(config, (4,))
        assert warned(config, (4, 6)) == matters


def test_a_member_that_cannot_be_lengthened_keeps_its_result_and_is_not_tried_unasked(tmp_path):
    """Red if its shorter result is lost, if nothing tells why it failed, or if each call trains it to the same failure again."""
    config, axes, tried = small(tmp_path, train__steps=4), {"model.embedding_dim": (2, 4), "train.seed": (0,)}, []
    sweep(config, tmp_path / "sweep", axes)
    longer = replace(config, {"train.steps": 8})

    def fail(own):
        if own.step > 4 and own.config.model.embedding_dim == 4:
            tried.append(own.step)
            raise RuntimeError("no luck")

    with after_saving(fail):
        for _ in range(2):
            sweep(longer, tmp_path / "sweep", axes)
            assert len(tried) == 1
    assert result_of(tmp_path / "sweep/embedding_dim=4,seed=0")["steps"] == 4
    failed = {"member": "embedding_dim=4,seed=0", "error": "RuntimeError: no luck (in traceback.txt: where it came from)"}
    found = sweep_fixture.compare([str(tmp_path / "sweep")])
    assert found["failed"] == [failed]
    assert "--retry_failed" in found["recommendation"]["command"]
    assert [(member.state, member.error) for member in read_status(str(tmp_path / "sweep"))][1] == ("failed", failed["error"])
    sweep(longer, tmp_path / "sweep", axes, retry_failed=True)
    assert sweep_fixture.compare([str(tmp_path / "sweep")])["failed"] == []
    assert "failed_longer" not in result_of(tmp_path / "sweep/embedding_dim=4,seed=0")


def test_a_longer_sweep_that_is_stopped_leaves_the_answer(tmp_path):
    """Red if the shorter runs are lost, if those begun count as failed, or if a length that they are beyond is tried on each."""
    config, axes = small(tmp_path, train__steps=4), {"model.embedding_dim": (2, 4), "train.seed": (0, 1)}
    sweep(config, tmp_path / "sweep", axes)
    answer = sweep_fixture.compare([str(tmp_path / "sweep")])
    longer = replace(config, {"train.steps": 12})
    with after_saving(lambda own: signal.raise_signal(signal.SIGTERM)), pytest.raises(Interrupted):
        run_sweep(make_plan(longer, axes, str(tmp_path / "sweep"), Design()), SweepOptions("vectorized"), "launch.py sweep")
    assert sweep_fixture.compare([str(tmp_path / "sweep")])["sizes"] == answer["sizes"]
    assert {member.state for member in read_status(str(tmp_path / "sweep"))} == {"interrupted"}
    with pytest.raises(UserError, match=r"embedding_dim=2,seed=0 has made \d+ updates already, and \d+ are asked for"):
        sweep(replace(config, {"train.steps": 5}), tmp_path / "sweep", axes)
    assert sweep(config, tmp_path / "sweep", axes, keep="none") == {}  # as long as asked for, each of them; what was begun is kept
    assert set(sweep(longer, tmp_path / "sweep", axes).values()) == {"finished"}


def test_processes_make_the_same_runs_also_when_one_is_killed(tmp_path, monkeypatch, capsys):
    """Red if a worker changes the seed, the order of batches or the configuration of a member, or is lost with its member when killed.

    Red too if Ctrl-C, which a terminal sends to workers as well, is for them: the sweep tells them to stop.
    """
    config = small(tmp_path, train__steps=8)
    flags = [f for f in flags_of(config) if not f.startswith("--config.model.embedding_dim")]
    arguments = [*flags, "--embedding_dims=2,4", "--seeds=0", f"--workdir={tmp_path / 'parallel'}", "--executor=processes", "--jobs=2"]
    with subprocess.Popen(command("sweep", *arguments), stdout=-1, stderr=-1, text=True, env=environment()) as started:
        while not list(tmp_path.glob("parallel/*/config.json")) and started.poll() is None:
            time.sleep(0.01)
        workers = children(started.pid)
        blocked = [re.search(r"SigBlk:\s*(\w+)", pathlib.Path(f"/proc/{worker}/status").read_text()) for worker in workers]
        os.kill(workers[0], signal.SIGKILL)
        stdout, stderr = started.communicate(timeout=120)
    assert started.returncode == 0, stderr
    assert all(mask is not None and int(mask[1], 16) & 1 << (signal.SIGINT - 1) for mask in blocked)
    assert "2 of 2 members to train" in stderr
    assert "its process ended with exit code -9; it goes on from" in stderr
    assert re.search("(Take embedding|The rule takes) size", " ".join(stdout.split()))
    axes = {"model.embedding_dim": (2, 4), "train.seed": (0,)}
    sweep(config, tmp_path / "serial", axes)
    for member in make_plan(config, axes, str(tmp_path / "parallel"), Design()).members:
        assert Found(tmp_path / "parallel", member).is_done(retry_failed=False)
        one, other = (result_of(tmp_path / kind / member.name)["dev"]["loss_nats_per_token"] for kind in ("serial", "parallel"))
        assert one == pytest.approx(other, rel=1e-4)
        found = result_of(tmp_path / "parallel" / member.name)
        name = found["metric"]["name"]
        assert f"{member.name} finished, best {name} {found['dev'][name]:.4f}\n" in stderr  # the result's, not an earlier one
    monkeypatch.setattr(sys, "argv", command("sweep", *arguments)[1:])  # which the printed command repeats
    capsys.readouterr()
    assert launch_module.main(sys.argv) == 0
    out, err = capsys.readouterr()
    assert out == stdout
    assert "to train" not in err
