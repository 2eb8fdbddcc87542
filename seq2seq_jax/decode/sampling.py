"""Sampling: the next symbol is drawn from the model's distribution, sharpened or cut as asked."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int, Key

from seq2seq_jax.arrays import StepLogits
from seq2seq_jax.decode.greedy import Step, without_never


def restrict(logits: StepLogits, temperature: float, top_k: int | None = None, top_p: float | None = None) -> StepLogits:
    """Returns logits of the distribution to draw from.

    Args:
      logits: the model's.
      temperature: divides the logits; 0 leaves only the most probable symbol.
      top_k: number of most probable symbols kept; None keeps all (Fan et al. 2018).
      top_p: the smallest set of symbols with at least this probability is kept (nucleus; Holtzman et al. 2020).
    """
    if temperature == 0.0:
        top_k, temperature = 1, 1.0
    logits = logits / temperature
    descending = jnp.sort(logits, axis=-1, descending=True)
    if top_k is not None:
        threshold = descending[:, min(top_k, logits.shape[-1]) - 1][:, None]
        logits = jnp.where(logits < threshold, -jnp.inf, logits)
        descending = jnp.where(descending < threshold, -jnp.inf, descending)
    if top_p is not None:
        probabilities = jax.nn.softmax(descending, axis=-1)
        needed = jnp.cumsum(probabilities, axis=-1) - probabilities < top_p
        threshold = jnp.min(jnp.where(needed, descending, jnp.inf), axis=-1, keepdims=True)
        logits = jnp.where(logits < threshold, -jnp.inf, logits)
    return logits


def sample(
    step: Step,
    state: Any,
    ids: Int[Array, "B"],
    key: Key[Array, ""],
    length: int,
    temperature: float,
    top_k: int | None = None,
    top_p: float | None = None,
) -> tuple[Any, Int[Array, "B T"]]:
    """Draws ``length`` symbols a row, the first after reading ``ids``.

    Returns:
      The state before the last drawn symbol is read, and the symbols.
    """

    def draw(carried, key):
        state, ids = carried
        state, logits = step(state, ids)
        ids = jax.random.categorical(key, restrict(without_never(logits), temperature, top_k, top_p), axis=-1)
        return (state, ids), ids

    (state, _), drawn = lax.scan(draw, (state, ids), jax.random.split(key, length))
    return state, drawn.T
