"""Decoding with translators, one or several together by the mean of their probabilities. The only file here that knows a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from seq2seq_jax.arrays import Ids, Lengths, StepLogits
from seq2seq_jax.decode.beam import Hypotheses, beam_search
from seq2seq_jax.decode.greedy import Step, greedy
from seq2seq_jax.model.translator import Translator


def begin(translators: Sequence[Translator], source: Int[Array, "B S"], lengths: Lengths, limit: int) -> tuple[Step, Any]:
    """Returns the step of translating these sources by all translators together, and its first state."""
    steps, states = zip(*(translator.decoding(source, lengths, limit) for translator in translators), strict=True)
    return (steps[0], states[0]) if len(steps) == 1 else (ensemble_step(steps), states)


def ensemble_step(steps: Sequence[Step]) -> Step:
    """Returns a step over the tuple of the models' states, whose logits are the log of the mean of their probabilities."""

    def step(states: tuple[Any, ...], ids: Int[Array, " B"]) -> tuple[tuple[Any, ...], StepLogits]:
        advanced, logits = zip(*(step(state, ids) for step, state in zip(steps, states, strict=True)), strict=True)
        logs = jnp.stack([jax.nn.log_softmax(member, axis=-1) for member in logits])
        return tuple(advanced), jax.nn.logsumexp(logs, axis=0) - jnp.log(len(steps))

    return step


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
