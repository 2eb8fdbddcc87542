"""Beam search: the best few outputs of every source, with scores. Compiled as one loop over a whole batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from seq2seq_jax.data.vocabulary import BOS, EOS, PAD
from seq2seq_jax.decode.greedy import Step, ending_in_time, mask_forbidden


class Hypotheses(NamedTuple):
    """The outputs of a beam, best first.

    Attributes:
      ids: symbols up to and including EOS, then PAD.
      log_probabilities: of the whole output, nats; minus infinity where there were fewer outputs than places.
      scores: log-probabilities over the length penalty.
    """

    ids: Int[Array, "B K T"]
    log_probabilities: Float[Array, "B K"]
    scores: Float[Array, "B K"]


_Carried = tuple[Int[Array, ""], Any, Hypotheses, Int[Array, "B K"]]  # symbols so far, the step's state, the beam, its last symbols


def length_penalty(lengths: Int[Array, "*B"] | int, alpha: float) -> Float[Array, "*B"]:
    """Returns what log-probabilities of outputs of these lengths (EOS counted) are divided by; 1 where ``alpha`` is 0.

    References:
      Wu et al. 2016, eq. 14: lp(Y) = (5 + |Y|)^alpha / (5 + 1)^alpha
    """
    return ((5.0 + jnp.asarray(lengths, jnp.float32)) / 6.0) ** alpha


def beam_search(step: Step, state: Any, rows: int, width: int, limit: int, alpha: float) -> Hypotheses:
    """Decodes ``rows`` sequences of at most ``limit`` symbols and keeps the best ``width`` hypotheses of each.

    A hypothesis that has ended stays and competes with its score; the search ends when all that are kept have ended. One that has not
    by the limit ends there, with the end symbol's probability in its score, as teacher forcing gives it.
    With ``width`` 1 it is greedy decoding.

    Args:
      step: reads one symbol a hypothesis, the hypotheses of a sequence next to each other, and gives the logits of the next.
      state: what ``step`` starts from, a pytree whose leaves have a row for each sequence.
      rows: sequences decoded together.
      width: hypotheses kept for each.
      limit: longest output, the end symbol included.
      alpha: strength of the length normalisation; 0 ranks by log-probability.
    """

    def unfinished(carried: _Carried) -> Bool[Array, ""]:
        t, _, beam, _ = carried
        return (t < limit) & ~jnp.all(_ended(beam, t) | jnp.isneginf(beam.scores))

    def advance(carried: _Carried) -> _Carried:
        """Extends every hypothesis by one symbol and keeps the best."""
        t, state, beam, ids = carried
        state, logits = step(state, ids.reshape(-1))
        parents, ids, log_probabilities, scores = _best(logits, beam, _ended(beam, t), t, limit, alpha)
        places = (jnp.arange(rows)[:, None] * width + parents).reshape(-1)
        state = jax.tree.map(lambda leaf: leaf[places], state)
        outputs = jnp.take_along_axis(beam.ids, parents[..., None], axis=1).at[..., t].set(ids)
        return t + 1, state, Hypotheses(outputs, log_probabilities, scores), ids

    alone = jnp.where(jnp.arange(width) == 0, 0.0, -jnp.inf)  # the first step has one hypothesis a row
    beam = Hypotheses(jnp.full((rows, width, limit), PAD), *(jnp.tile(alone, (rows, 1)) for _ in range(2)))
    state = jax.tree.map(lambda leaf: jnp.repeat(leaf, width, axis=0), state)
    return lax.while_loop(unfinished, advance, (jnp.array(0), state, beam, jnp.full((rows, width), BOS)))[2]


def _ended(beam: Hypotheses, t: Int[Array, ""]) -> Bool[Array, "B K"]:
    """Returns which hypotheses of ``t`` symbols have their EOS."""
    last = lax.dynamic_index_in_dim(beam.ids, jnp.maximum(t - 1, 0), axis=2, keepdims=False)
    return (t > 0) & ((last == EOS) | (last == PAD))


def _best(
    logits: Float[Array, "_ V"], beam: Hypotheses, ended: Bool[Array, "B K"], t: Int[Array, ""], limit: int, alpha: float
) -> tuple[Int[Array, "B K"], Int[Array, "B K"], Float[Array, "B K"], Float[Array, "B K"]]:
    """Returns the best ``width`` of all hypotheses' continuations: parent, symbol, log-probability and score.

    An ended hypothesis has one continuation, by PAD, which leaves it as it is.
    """
    rows, width = beam.scores.shape
    added = ending_in_time(mask_forbidden(jax.nn.log_softmax(logits, axis=-1)), t, limit).reshape(rows, width, -1)
    held = jnp.where(jnp.arange(added.shape[-1]) == PAD, 0.0, -jnp.inf)
    log_probabilities = beam.log_probabilities[..., None] + jnp.where(ended[..., None], held, added)
    scores = jnp.where(ended[..., None], beam.scores[..., None] + held, log_probabilities / length_penalty(t + 1, alpha))
    scores, places = lax.top_k(scores.reshape(rows, -1), width)
    parents, ids = jnp.divmod(places, added.shape[-1])
    return parents, ids, jnp.take_along_axis(log_probabilities.reshape(rows, -1), places, axis=1), scores
