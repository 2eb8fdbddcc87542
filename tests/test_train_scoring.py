"""The scoring of a split amid training: what is shown of it, and what a signal that comes then leaves behind."""

from __future__ import annotations

import io
import json
import signal
import sys

import numpy as np
import pytest

from seq2seq_jax.errors import Interrupted
from seq2seq_jax.sweep.design import Design
from seq2seq_jax.sweep.largest import cut_tables
from seq2seq_jax.sweep.plan import make_plan
from seq2seq_jax.sweep.sweep import SweepOptions, run_sweep
from seq2seq_jax.sweep.view import SweepView
from seq2seq_jax.train import evaluation, loop
from seq2seq_jax.train.loop import train
from seq2seq_jax.train.view import Reporter
from tests.training_fixture import (
    Terminal,
    after_saving,
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

TRAIN = {"train__steps": 6, "train__eval_every": 2, "train__log_every": 4, "data__test_fraction": 0.1}


def configuration(kind, folder):
    if kind == "translator":
        return pair_config(write_pairs(folder / "a.tsv", 120), model__dropout=0.2, **TRAIN)
    make = text_config if kind == "language_model" else vector_config
    return make(write_text(folder / "a.txt", 3000), **TRAIN)


@pytest.fixture
def stopping_at(monkeypatch):
    """Lets a signal come as the batch with this number, counted from 1 over all splits that are scored, is begun; returns the count."""
    return signal_at_call(monkeypatch, evaluation._Course, "begun")


@pytest.mark.parametrize("kind", ["translator", "language_model", "skip_gram"])
def test_a_stop_amid_scoring_loses_nothing(kind, tmp_path, stopping_at):
    """At each scoring of dev and at that of test, wherever in it. Red if the updates since the last checkpoint are lost, if a score is
    left out, or made twice, after the resume, or if the signal is not met before the whole split is scored.
    """
    config, whole = configuration(kind, tmp_path), tmp_path / "whole"
    batches = stopping_at(None)
    train(config, str(whole))
    for number in range(1, batches[0] + 1, max(1, batches[0] // 6)):
        run, count = tmp_path / str(number), stopping_at(number)
        with pytest.raises(Interrupted) as stopped:
            train(config, str(run))
        assert count == [number]
        step = max(int(folder.name) for folder in (run / "checkpoints").iterdir())
        assert str(stopped.value) == f"at step {step}; the same command goes on from there"
        assert json.loads((run / "result.json").read_text())["status"] == "interrupted"
        stopping_at(None)
        train(config, str(run))
        assert (metrics_of(run), result_of(run)) == (metrics_of(whole), result_of(whole))
        arrays, expected = checkpoint_arrays(config, run), checkpoint_arrays(config, whole)
        assert arrays.keys() == expected.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, expected[name], name)


class Recorded(Reporter):
    """Keeps what is shown."""

    def __init__(self):
        super().__init__("train")
        self.shown = []

    def doing(self, what):
        self.shown.append(what)

    def update(self, step, loss, tokens_per_second, best):
        assert np.isfinite(loss)
        self.shown.append(step)


def test_how_far_scoring_has_come_is_shown(tmp_path, monkeypatch, stopping_at):
    """Red if a person sees a run stand still while a large split is scored, of a small one more than there is time to read, or, after a
    resume that scores first, that it still scores, or a loss that is not known.
    """
    config = configuration("language_model", tmp_path)
    train(config, str(tmp_path / "soon"), view=(soon := Recorded()))
    assert not [shown for shown in soon.shown if "scoring" in str(shown)]
    monkeypatch.setattr(loop, "SECONDS_UNSHOWN", 0.0)
    train(config, str(tmp_path / "late"), view=(late := Recorded()))
    assert "scoring dev: 64 of 300 read" in late.shown
    assert "scoring test: 64 of 300 read" in late.shown
    stopping_at(2)
    with pytest.raises(Interrupted):
        train(config, str(tmp_path / "resumed"), view=Recorded())
    stopping_at(None)
    train(config, str(tmp_path / "resumed"), view=(resumed := Recorded()))
    scored = [place for place, shown in enumerate(resumed.shown) if "scoring dev" in str(shown)]
    assert resumed.shown[scored[0] : resumed.shown.index(4)].count("at step 2 of 6") == 1  # before the first line of the log


@pytest.mark.parametrize("live", [True, False])
def test_every_view_shows_what_is_done_between_updates(monkeypatch, live):
    """Of a run alone and of a member, in a terminal and elsewhere. Red if one of them passes over it."""
    monkeypatch.setattr(sys, "stderr", screen := (Terminal() if live else io.StringIO()))
    for name, value in {"COLUMNS": "140", "TERM": "xterm", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("seq2seq_jax.show.progress.SECONDS_BETWEEN_LINES", 0.0)
    alone = Reporter("train")
    alone.start(0, 10, "error")
    alone.doing("scoring dev: 3 of 9 read")
    if alone._bar is not None:
        alone._bar.refresh()
    alone.stop()
    with SweepView(1, ["a"], lambda name: None) as view:
        view.member("a").start(0, 10, "error")
        view.member("a").doing("scoring dev: 5 of 9 read")
        if view._live is not None:
            view._live.refresh()
    assert "scoring dev: 3 of 9 read" in screen.getvalue()
    assert "scoring dev: 5 of 9 read" in screen.getvalue()


def test_members_that_were_stopped_amid_scoring_are_scored_together(tmp_path, monkeypatch, stopping_at):
    """Red if a resumed group scores dev once for each of its members, each time with all of them."""
    config = configuration("language_model", tmp_path)
    plan = make_plan(config, {"train.seed": (0, 1, 2)}, str(tmp_path / "sweep"), Design())
    stopping_at(2)
    with pytest.raises(Interrupted):
        run_sweep(plan, SweepOptions("vectorized"), "launch.py sweep")
    stopping_at(None)
    measure, scored = evaluation.LanguageModelEvaluator.measure, []
    monkeypatch.setattr(evaluation.LanguageModelEvaluator, "measure", lambda *arguments: scored.append(1) or measure(*arguments))
    with after_saving(lambda run: signal.raise_signal(signal.SIGTERM)), pytest.raises(Interrupted):
        run_sweep(plan, SweepOptions("vectorized"), "launch.py sweep")
    assert len(scored) == 1


def test_a_stop_amid_the_study_of_a_table_is_met_at_the_next_batch(tmp_path, stopping_at):
    """Red if the whole of dev is scored first, with a table of so many directions."""
    config = configuration("language_model", tmp_path)
    plan = make_plan(config, {"model.embedding_dim": (2, 4)}, str(tmp_path / "sweep"), Design())
    run_sweep(plan, SweepOptions("serial"), "launch.py sweep")
    for file in (tmp_path / "sweep").glob("*/truncated.json"):
        file.unlink()
    count = stopping_at(3)
    with pytest.raises(Interrupted):
        cut_tables(plan.members, tmp_path / "sweep")
    assert count == [3]
