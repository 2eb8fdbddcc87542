"""Greedy decoding: the most probable next symbol, until every row has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from seq2seq_jax.arrays import StepLogits
from seq2seq_jax.data.vocabulary import BOS, EOS, PAD

Step = Callable[[Any, Int[Array, " B"]], tuple[Any, StepLogits]]
# Symbols so far, the step's state, each row's last symbol and whether it has ended, all symbols.
_Carried = tuple[Int[Array, ""], Any, Int[Array, " B"], Bool[Array, " B"], Int[Array, "B T"]]
FORBIDDEN = (PAD, BOS)  # symbols that no target contains


def mask_forbidden(logits: StepLogits, symbols: Sequence[int] = FORBIDDEN) -> StepLogits:
    """Returns the logits with those of ``symbols`` at minus infinity."""
    return logits.at[..., jnp.array(symbols)].set(-jnp.inf)


def ending_in_time(logits: Float[Array, "*B V"], t: Int[Array, ""], limit: int) -> Float[Array, "*B V"]:
    """Returns the logits, or log-probabilities, of symbol number ``t``, from 0; the last that ``limit`` allows can only be the end."""
    return jnp.where((t + 1 < limit) | (jnp.arange(logits.shape[-1]) == EOS), logits, -jnp.inf)


def greedy(step: Step, state: Any, rows: int, limit: int) -> Int[Array, "B T"]:
    """Decodes ``rows`` sequences of at most ``limit`` symbols, the last of which is the end symbol.

    Args:
      step: reads one symbol a row and gives the logits of the next.
      state: what ``step`` starts from.
      rows: sequences decoded together.
      limit: longest output, the end symbol included.

    Returns:
      Symbols up to and including EOS, then PAD.
    """

    def unfinished(carried: _Carried) -> Bool[Array, ""]:
        t, _, _, done, _ = carried
        return (t < limit) & ~jnp.all(done)

    def advance(carried: _Carried) -> _Carried:
        t, state, ids, done, outputs = carried
        state, logits = step(state, ids)
        ids = jnp.where(done, PAD, jnp.argmax(ending_in_time(mask_forbidden(logits), t, limit), axis=-1))
        return t + 1, state, ids, done | (ids == EOS), outputs.at[:, t].set(ids)

    start = (jnp.array(0), state, jnp.full(rows, BOS), jnp.zeros(rows, bool), jnp.full((rows, limit), PAD))
    return lax.while_loop(unfinished, advance, start)[-1]
