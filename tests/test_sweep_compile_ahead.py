"""What is compiled ahead: all that training calls, and the same programs for every size of a sweep."""

from __future__ import annotations

from typing import Any

import pytest

from seq2seq_jax.config import replace
from seq2seq_jax.data.corpus import training_batches
from seq2seq_jax.sweep.compile_ahead import compile_ahead
from seq2seq_jax.sweep.shared_corpus import corpus_of
from seq2seq_jax.train import engine
from seq2seq_jax.train.devices import Devices
from seq2seq_jax.train.evaluation import output_limit
from seq2seq_jax.train.loop import train
from seq2seq_jax.train.programs import programs
from seq2seq_jax.train.signals import Stop
from seq2seq_jax.train.state import total_steps
from tests.training_fixture import pair_config, text_config, write_pairs, write_text


def test_sizes_share_what_is_compiled_ahead(tmp_path):
    """Red if the gradient, scoring or decoding is compiled for each size, or if training calls others than are compiled ahead."""
    words = ["ab" * (i % 11 + 1) + "abcd"[i % 4] * (i % 7) for i in range(400)]
    (tmp_path / "a.tsv").write_text("".join(f"{word}\t{' '.join(word)}\n" for word in dict.fromkeys(words)))
    config = pair_config(tmp_path / "a.tsv", train__steps=40)
    corpus = corpus_of(config)
    batches = training_batches(config, corpus)
    steps = total_steps(config, batches.steps_per_epoch)
    compiled = programs(config, corpus.vocabulary_sizes, steps, Devices(1), output_limit(corpus), batches.shapes)
    step: Any = compiled.train_step
    counted: tuple[Any, ...] = (step.gradient, compiled.eval_step, compiled.decode)
    compile_ahead(config, 0.5, Stop())
    ahead = [program._cache_size() for program in counted]
    assert ahead[0] == len(batches.shapes) > 1
    for size in (2, 4):
        train(replace(config, {"model.embedding_dim": size}), str(tmp_path / f"run{size}"), corpus=corpus)
    assert [program._cache_size() for program in counted] == ahead


@pytest.mark.parametrize(("share", "first"), [(0.0, "update"), (0.99, "evaluation")])
def test_processes_begin_with_different_programs(tmp_path, monkeypatch, share, first):
    """Red if all begin with the same one: then each would compile all of them."""
    calls = []
    monkeypatch.setattr(engine.OneRun, "advance", lambda run, batches: calls.append("update"))
    monkeypatch.setattr(engine.OneRun, "evaluate", lambda run, params, split: calls.append("evaluation"))
    compile_ahead(pair_config(write_pairs(tmp_path / "a.tsv", 300)), share, Stop())
    assert calls[0] == first
    assert calls.count("evaluation") == 1


def test_a_text_has_nothing_to_compile_ahead(tmp_path, monkeypatch):
    """Red if it makes an update that is thrown away, whose one program all processes compile at once anyway."""
    monkeypatch.setattr(engine.OneRun, "advance", lambda run, batches: pytest.fail("an update was made"))
    compile_ahead(text_config(write_text(tmp_path / "a.txt", 1500)), 0.0, Stop())


def test_a_signal_ends_it(tmp_path, monkeypatch):
    """Red if a stopped sweep waits until everything is compiled."""
    stop, calls = Stop(), []

    def advance(run, batches):
        calls.append("update")
        stop.requested = True

    monkeypatch.setattr(engine.OneRun, "advance", advance)
    compile_ahead(pair_config(write_pairs(tmp_path / "a.tsv", 300)), 0.0, stop)
    assert calls == ["update"]
