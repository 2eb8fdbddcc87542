"""What processes that begin together compile: each the same programs, so each begins with others and reads the rest from disk."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import numpy as np

from seq2seq_jax.config import Config
from seq2seq_jax.data.corpus import training_batches
from seq2seq_jax.data.examples import PairSplit
from seq2seq_jax.model.build import initial_params
from seq2seq_jax.sweep.shared_corpus import corpus_of
from seq2seq_jax.train.devices import choose_devices
from seq2seq_jax.train.engine import OneRun
from seq2seq_jax.train.evaluation import make_evaluator, output_limit
from seq2seq_jax.train.programs import initial_state, programs
from seq2seq_jax.train.signals import Stop
from seq2seq_jax.train.state import total_steps

EXAMPLES = 64  # of dev that are scored; as many as have all lengths among them


def compile_ahead(config: Config, share: float, stop: Stop) -> None:
    """Runs each program of a translator once, on a state that is thrown away, unless a signal comes.

    A text has a single shape of batch, and so hardly more than one program to compile.

    Args:
      config: of the member that is to be trained first.
      share: of the programs, 0 to 1, that others begin with.
      stop: tells of a signal.
    """
    corpus = corpus_of(config)
    batches = training_batches(config, corpus)
    if config.model.kind != "translator":
        return
    sizes, limit, steps = corpus.vocabulary_sizes, output_limit(corpus), total_steps(config, batches.steps_per_epoch)
    devices = choose_devices(config, sizes["target"], batches.shapes)
    compiled = programs(config, sizes, steps, devices, limit, batches.shapes)
    state = initial_state(config, compiled.structure, initial_params(config.model, sizes, jax.random.key(0)))
    engine = OneRun(compiled, devices, make_evaluator(config, compiled, corpus.vocabularies, batches.shapes), state)
    firsts = {batches.shape_at(step): step for step in reversed(range(min(steps, batches.steps_per_epoch)))}
    calls: list[Callable[[], object]] = [
        functools.partial(engine.advance, [batches.batch_at(config.train.seed, step)]) for step in sorted(firsts.values())
    ]
    if isinstance(corpus.dev, PairSplit):
        few = _few(corpus.dev)
        calls.append(lambda: engine.evaluate([engine.state(0).evaluated], few))
    begin = int(share * len(calls))
    for call in calls[begin:] + calls[:begin]:
        if not stop.requested:
            call()


def _few(split: PairSplit) -> PairSplit:
    places = np.unique(np.linspace(0, len(split.sources) - 1, EXAMPLES).astype(int))
    return PairSplit([split.sources[place] for place in places], [split.targets[place] for place in places])
