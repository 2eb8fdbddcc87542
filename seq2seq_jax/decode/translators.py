"""Decoding with translators, one or several together. The only file here that knows a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from seq2seq_jax.arrays import Ids, Lengths
from seq2seq_jax.decode.beam import Hypotheses, beam_search
from seq2seq_jax.decode.ensemble import ensemble_step
from seq2seq_jax.decode.greedy import Step, greedy
from seq2seq_jax.model.translator import Translator


def begin(translators: Sequence[Translator], source: Int[Array, "B S"], lengths: Lengths, limit: int) -> tuple[Step, Any]:
    """Returns the step of translating these sources by all translators together, and its first state."""
    steps, states = zip(*(translator.decoding(source, lengths, limit) for translator in translators), strict=True)
    return (steps[0], states[0]) if len(steps) == 1 else (ensemble_step(steps), states)


def translate_greedily(translators: Sequence[Translator], source: Int[Array, "B S"], lengths: Lengths, limit: int) -> Int[Array, "B T"]:
    """Returns the output whose every symbol is the most probable next one, of at most ``limit`` symbols with EOS."""
    step, state = begin(translators, source, lengths, limit)
    return greedy(step, state, source.shape[0], limit)


def translate_by_beam(
    translators: Sequence[Translator], source: Int[Array, "B S"], lengths: Lengths, limit: int, width: int, alpha: float
) -> Hypotheses:
    """Returns the ``width`` best outputs that a beam finds; ``alpha`` is the length penalty's."""
    step, state = begin(translators, source, lengths, limit)
    return beam_search(step, state, source.shape[0], width, limit, alpha)


def mean_attention(
    translators: Sequence[Translator], source: Int[Array, "B S"], lengths: Lengths, target: Ids
) -> Float[Array, "B T S"] | None:
    """Returns how each target symbol weighs the source positions, the mean of the translators that have attention; None without any."""
    found = [translator.attention_weights(source, lengths, target) for translator in translators]
    weights = [one for one in found if one is not None]
    return jnp.mean(jnp.stack(weights), axis=0) if weights else None
