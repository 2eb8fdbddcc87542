"""What is compiled ahead: all that training calls, and the same programs for every size of a sweep."""

from __future__ import annotations

import multiprocessing
import time
from typing import Any

import jax
import pytest

from seq2seq_jax.config import replace
from seq2seq_jax.data.corpus import training_batches
from seq2seq_jax.errors import Interrupted
from seq2seq_jax.length import total_steps
from seq2seq_jax.model.build import initial_params
from seq2seq_jax.sweep import processes
from seq2seq_jax.sweep.compile_ahead import compile_ahead, own_first
from seq2seq_jax.sweep.members import make_members
from seq2seq_jax.sweep.outcomes import Outcome
from seq2seq_jax.sweep.shared_corpus import corpus_of
from seq2seq_jax.sweep.shares import Share
from seq2seq_jax.train import engine
from seq2seq_jax.train.devices import Devices
from seq2seq_jax.train.evaluation import output_limit
from seq2seq_jax.train.loop import train
from seq2seq_jax.train.programs import network_of, programs
from seq2seq_jax.train.signals import Stop
from seq2seq_jax.train.state import root_key
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
    compile_ahead(config, 1, 2, print, Stop())
    ahead = [program._cache_size() for program in counted]
    assert ahead[0] == len(batches.shapes) > 1
    for size in (2, 4):
        train(replace(config, {"model.embedding_dim": size}), str(tmp_path / f"run{size}"), corpus=corpus)
    assert [program._cache_size() for program in counted] == ahead


@pytest.mark.parametrize(
    ("place", "processes", "expected"),
    [(0, 1, "abcde"), (0, 2, "acedb"), (1, 2, "bdeca"), (1, 3, "becda"), (3, 4, "deabc"), (6, 7, "abcde")],
)
def test_each_process_begins_with_its_part(place, processes, expected):
    """Red if two begin with the same program, one is left out, or both go on in the same order, each compiling what the other does."""
    assert "".join(own_first("abcde", place, processes)) == expected


def test_a_text_has_nothing_to_compile_ahead(tmp_path, monkeypatch):
    """Red if it makes an update that is thrown away, whose one program all processes compile at once anyway."""
    said: list[str] = []
    monkeypatch.setattr(engine.OneRun, "advance", lambda run, batches: pytest.fail("an update was made"))
    compile_ahead(text_config(write_text(tmp_path / "a.txt", 1500)), 0, 2, said.append, Stop())
    assert not said


def test_a_signal_ends_it(tmp_path, monkeypatch):
    """Red if a stopped sweep waits until everything is compiled."""
    stop, calls, said = Stop(), [], []

    def advance(run, batches):
        calls.append("update")
        stop.requested = True

    monkeypatch.setattr(engine.OneRun, "advance", advance)
    compile_ahead(pair_config(write_pairs(tmp_path / "a.tsv", 300)), 0, 2, said.append, stop)
    assert (calls, said) == (["update"], ["compiling ..."])


def test_a_process_compiles_ahead_once_and_its_members_stand_whatever_becomes_of_the_study(tmp_path, monkeypatch):
    """Red if it compiles nothing ahead, or for every member, or if a study that fails, or that a signal ends, takes an outcome along.

    Red too if data that take their time are read without a word, or others with one.
    """
    members = make_members(pair_config(tmp_path / "a.tsv"), {"model.embedding_dim": (2, 4)})
    ahead = []

    def study(members, folder):
        raise Interrupted("stopped")

    monkeypatch.setattr(processes, "STUDIES", (study,))
    for of_a_process in ("_die_with_parent", "collect_garbage_rarely", "prepare"):
        monkeypatch.setattr(processes, of_a_process, lambda: None)
    monkeypatch.setattr(processes, "compile_ahead", lambda config, *place: ahead.append((config.model.embedding_dim, *place[:2])))
    monkeypatch.setattr(processes, "train_member", lambda member, folder, view: Outcome(member.name, "finished"))
    monkeypatch.setattr(processes, "corpus_of", lambda config: time.sleep(0.3))
    monkeypatch.setattr(Share, "take", lambda share: None)
    ours, theirs = multiprocessing.Pipe()
    for seconds, notes in ((0.01, [("note", ("reading the data ...",))]), (60.0, [])):
        monkeypatch.setattr(processes, "SECONDS_UNSHOWN", seconds)
        for given in (*members, None):
            ours.send(given)
        processes._work(theirs, tmp_path, Share(frozenset({0}), 1), 1, 2, [member.name for member in members])
        assert [ours.recv() for _ in notes] == notes
        sent = [ours.recv() for _ in members]
        assert [(kind, outcome.member) for kind, outcome in sent] == [("ended", member.name) for member in members]
    assert ahead == [(2, 1, 2), (2, 1, 2)]  # once by each of the two processes


def test_tables_are_folded_that_every_batch_projects_whole(tmp_path):
    """Red if the longest batches decide: in the others a table would be multiplied that has more rows than they read."""
    config = pair_config(tmp_path / "a.tsv", train__batch_size=4)
    sizes = {"source": 12, "target": 12}
    for shortest, folded in ((3, True), (2, False)):
        network = network_of(config, sizes, [(shortest, 9), (9, 9)])
        params = jax.eval_shape(network.fold, initial_params(config.model, sizes, root_key(0)))
        assert ("source_embedding" not in params) == folded
        assert "target_embedding" not in params
