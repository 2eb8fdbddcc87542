"""Sampling: the next symbol of a running text is drawn from the model's distribution, sharpened or cut as asked."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int, Key

from seq2seq_jax.arrays import StepLogits
from seq2seq_jax.data.vocabulary import EOS, UNK
from seq2seq_jax.decode.greedy import FORBIDDEN, Step, mask_forbidden

COLDEST = 1e-30  # lowest divisor: it leaves only the most probable symbol, and a processor may round a lower one to 0
FORBIDDEN_IN_TEXT = (*FORBIDDEN, EOS, UNK)  # a running text has no end, and an unknown unit no spelling


def filter_logits(logits: StepLogits, temperature: float, top_k: int | None = None, top_p: float | None = None) -> StepLogits:
    """Returns logits of the distribution to draw from.

    Args:
      logits: the model's.
      temperature: divides the logits; 0 leaves only the most probable symbol.
      top_k: number of most probable symbols kept; None keeps all (Fan et al. 2018).
      top_p: the smallest set of symbols with at least this probability, of those left so far, is kept (nucleus; Holtzman et al. 2020).
    """
    ranks = jnp.argsort(jnp.argsort(-logits, axis=-1), axis=-1)  # of equals the first comes first, as in argmax
    if temperature == 0.0:
        return jnp.where(ranks == 0, logits, -jnp.inf)
    logits = (logits - logits.max(axis=-1, keepdims=True)) / max(temperature, COLDEST)
    if top_k is not None:
        logits = jnp.where(ranks < top_k, logits, -jnp.inf)
    if top_p is not None:
        descending = jnp.sort(jax.nn.softmax(logits, axis=-1), axis=-1, descending=True)
        before = jnp.cumsum(descending, axis=-1) - descending
        kept = (jnp.take_along_axis(before, ranks, axis=-1) < top_p) | (ranks == 0)
        logits = jnp.where(kept, logits, -jnp.inf)
    return logits


def sample(
    step: Step,
    state: Any,
    ids: Int[Array, " B"],
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

    def draw(carried: tuple[Any, Int[Array, " B"]], key: Key[Array, ""]) -> tuple[tuple[Any, Int[Array, " B"]], Int[Array, " B"]]:
        state, ids = carried
        state, logits = step(state, ids)
        ids = jax.random.categorical(key, filter_logits(mask_forbidden(logits, FORBIDDEN_IN_TEXT), temperature, top_k, top_p), axis=-1)
        return (state, ids), ids

    (state, _), drawn = lax.scan(draw, (state, ids), jax.random.split(key, length))
    return state, drawn.T
