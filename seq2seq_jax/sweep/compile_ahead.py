"""What processes that begin together compile: where all need the same programs each begins with its part, and finds the rest on disk."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import jax

from seq2seq_jax.config import Config
from seq2seq_jax.data.corpus import training_batches
from seq2seq_jax.length import total_steps
from seq2seq_jax.model.build import initial_params
from seq2seq_jax.sweep.shared_corpus import corpus_of
from seq2seq_jax.train.evaluation import TranslatorEvaluator
from seq2seq_jax.train.loop import prepare_alone
from seq2seq_jax.train.programs import initial_state
from seq2seq_jax.train.signals import Stop

Call = TypeVar("Call")


def compile_ahead(config: Config, place: int, processes: int, note: Callable[[str], None], stop: Stop) -> None:
    """Runs each program of a translator once, on a state that is thrown away, unless a signal comes.

    A text has a single shape of batch, and so hardly more than one program to compile.

    Args:
      config: of the member that is to be trained first.
      place: of this process, counted from 0.
      processes: how many there are at most.
      note: is told that it begins.
      stop: tells of a signal.
    """
    corpus = corpus_of(config)
    batches = training_batches(config, corpus)
    prepared = prepare_alone(config, corpus, batches)
    if not isinstance(prepared.evaluator, TranslatorEvaluator):
        return
    note("compiling ...")
    params = initial_params(config.model, corpus.vocabulary_sizes, jax.random.key(0))
    engine = prepared.engine(initial_state(config, prepared.programs.structure, params))
    steps = min(total_steps(config, batches.steps_per_epoch), batches.steps_per_epoch)
    firsts = {batches.shape_at(step): step for step in reversed(range(steps))}
    updates: list[Callable[[], object]] = [
        functools.partial(engine.advance, [batches.batch_at(config.train.seed, step)]) for step in firsts.values()
    ]
    for call in own_first([*updates, *(prepared.evaluator.calls(params) if corpus.dev is not None else ())], place, processes):
        if not stop.requested:
            call()


def own_first(calls: Sequence[Call], place: int, processes: int) -> list[Call]:
    """Returns the calls in the order of one process: its own part forward, those of the others backward, so that few are made twice."""
    parts = [calls[part::processes] for part in range(processes)]
    others = [call for part in range(1, processes) for call in reversed(parts[(place + part) % processes])]
    return [*parts[place], *others]
