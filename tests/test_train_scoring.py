"""The scoring of a split amid training: what is shown of it, and what a signal that comes then leaves behind."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest

from seq2seq_jax.errors import Interrupted
from seq2seq_jax.train import evaluation, loop
from seq2seq_jax.train.loop import train
from tests.training_fixture import (
    checkpoint_arrays,
    metrics_of,
    pair_config,
    result_of,
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
    begun, count = evaluation._Course.begun, [0]

    def stop_at(number):
        def begun_and_stopped(self, *arguments):
            count[0] += 1
            if count[0] == number:
                signal.raise_signal(signal.SIGTERM)
            begun(self, *arguments)

        monkeypatch.setattr(evaluation._Course, "begun", begun_and_stopped)
        count[0] = 0
        return count

    return stop_at


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


def test_how_far_scoring_has_come_is_shown(tmp_path, monkeypatch, capsys):
    """Red if a person sees a run stand still while a large split is scored, or of a small one more than there is time to read."""
    config = configuration("language_model", tmp_path)
    train(config, str(tmp_path / "soon"))
    assert "scoring" not in capsys.readouterr().err
    monkeypatch.setattr(loop, "SECONDS_UNSHOWN", 0.0)
    monkeypatch.setattr("seq2seq_jax.show.progress.SECONDS_BETWEEN_LINES", 0.0)
    train(config, str(tmp_path / "late"))
    said = capsys.readouterr().err.splitlines()
    assert "train: scoring dev: 64 of 300 read" in said
    assert "train: scoring test: 64 of 300 read" in said
