"""Cross-entropy as sums and counts. Means are taken once, at the end, over all batches or devices."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from seq2seq_jax.arrays import Scalar


class Loss(NamedTuple):
    """Sums over the scored units of a batch.

    Attributes:
      objective: what training minimises, nats; smoothed where label smoothing is on.
      nats: negative log-likelihood of the targets.
      count: scored units.
    """

    objective: Scalar
    nats: Scalar
    count: Scalar


def cross_entropy(
    logits: Float[Array, "*B V"], targets: Int[Array, "*B"], weights: Float[Array, "*B"], label_smoothing: float = 0.0
) -> Loss:
    """Sums the cross-entropy over units of weight above 0.

    With label smoothing s the target distribution is (1 - s) one-hot + s / V (Szegedy et al. 2016, section 7).
    """
    log_normalizer = jax.nn.logsumexp(logits, axis=-1)
    # Not indexed: the gradient would be written into its places one by one, and not as part of the loop that makes all of it.
    picked = jnp.sum(jnp.where(jnp.arange(logits.shape[-1]) == targets[..., None], logits, 0), axis=-1)
    nats = jnp.sum(weights * (log_normalizer - picked))
    objective = nats
    if label_smoothing > 0.0:
        uniform = jnp.sum(weights * (log_normalizer - jnp.mean(logits, axis=-1)))
        objective = (1 - label_smoothing) * nats + label_smoothing * uniform
    return Loss(objective, nats, jnp.sum(weights))
