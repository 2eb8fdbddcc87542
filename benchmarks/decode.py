"""Decoding: seconds a sentence, greedily and with a beam of 5, and seconds a character of a sampled text.

The models are untrained and so never stop early: every sentence is as long as the limit, the worst case.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks import ours, timing
from benchmarks.translator_step import CONFIG, LENGTHS, SIZES
from seq2seq_jax.config import LENGTH_PENALTY, ModelConfig
from seq2seq_jax.decode.sampling import sample
from seq2seq_jax.decode.translators import translate_by_beam, translate_greedily
from seq2seq_jax.model.build import initial_params, structure

ROWS, LIMIT, BEAM = 256, 20, 5
TEXT_V, TEXT_D, TEXT_H, TEXT_LENGTH = 65, 64, 512, 500


def measure(repetitions: int) -> Iterator[timing.Figure]:
    """Yields the three figures."""
    batch = ours.pair_batch(SIZES, ROWS, LENGTHS)
    sources = (batch.source, batch.source_lengths)
    greedy = _compiled(CONFIG, SIZES, lambda model, source, lengths: translate_greedily([model], source, lengths, LIMIT), *sources)
    beam = _compiled(
        CONFIG, SIZES, lambda model, source, lengths: translate_by_beam([model], source, lengths, LIMIT, BEAM, LENGTH_PENALTY), *sources
    )
    config = ModelConfig(kind="language_model", embedding_dim=TEXT_D, hidden_dim=TEXT_H)
    text = _compiled(config, {"target": TEXT_V}, _sample, jax.random.key(0))
    actions = {"decode/greedy": greedy, f"decode/beam{BEAM}": beam, "sample": text}
    shares = {"decode/greedy": ROWS, f"decode/beam{BEAM}": ROWS, "sample": TEXT_LENGTH}
    for name, seconds in timing.in_turn(actions, repetitions).items():
        yield timing.alone(name, seconds / shares[name])


def _sample(model: Any, key: jax.Array) -> Any:
    return sample(model.step, model.start(1), jnp.full(1, ours.SPECIALS), key, TEXT_LENGTH, 0.8)


def _compiled(config: ModelConfig, sizes: dict[str, int], function: Any, *arguments: Any) -> timing.Action:
    """Returns ``function(model, *arguments)`` as an action."""
    graph = structure(config, sizes)
    params = initial_params(config, sizes, jax.random.key(0))
    run = jax.jit(lambda params, *rest: function(nnx.merge(graph, params), *rest))
    return lambda: jax.block_until_ready(run(params, *arguments))
