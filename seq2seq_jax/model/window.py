"""Sums over the windows of word vectors: each of T units with the W rows that stand around it, S = T + W - 1 rows in all.

Row t + o is the one at offset o of unit t. What a window holds is a band of a T by S matrix; as a product of matrices three quarters of the
work would go into zeros, so the sums here go offset by offset. Each is linear in both arguments, and its derivatives are the other two.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_vjp
def window_sums(weights: Float[Array, "B T W"], rows: Float[Array, "B S D"]) -> Float[Array, "B T D"]:
    """Returns the weighted sum of the rows of each window."""
    length, width = weights.shape[1:]
    return sum((weights[..., o, None] * rows[:, o : o + length] for o in range(width)), jnp.zeros(()))


@jax.custom_vjp
def window_products(units: Float[Array, "B T D"], rows: Float[Array, "B S D"]) -> Float[Array, "B T W"]:
    """Returns the inner product of each unit with each row of its window."""
    batch, length, _ = units.shape
    width = rows.shape[1] - length + 1
    if width == 1:
        return jnp.sum(units * rows, axis=-1, keepdims=True)
    # All products at once are fast here. The band is cut from them by writing each row one place longer, which shifts it by its number.
    products = jnp.einsum("btd,bsd->bts", units, rows).reshape(batch, -1)
    return jnp.pad(products, ((0, 0), (0, length))).reshape(batch, length, -1)[..., :width]


def window_spread(weights: Float[Array, "B T W"], units: Float[Array, "B T D"]) -> Float[Array, "B S D"]:
    """Returns for each row the weighted sum of the units in whose windows it stands."""
    length, width = weights.shape[1:]
    rows, margin = length + width - 1, ((0, 0), (width - 1, width - 1), (0, 0))
    weights, units = jnp.pad(weights, margin), jnp.pad(units, margin)
    places = [(o, slice(width - 1 - o, width - 1 - o + rows)) for o in range(width)]
    return sum((weights[:, place, o, None] * units[:, place] for o, place in places), jnp.zeros(()))


window_sums.defvjp(
    lambda weights, rows: (window_sums(weights, rows), (weights, rows)),
    lambda kept, slope: (window_products(slope, kept[1]), window_spread(kept[0], slope)),
)
window_products.defvjp(
    lambda units, rows: (window_products(units, rows), (units, rows)),
    lambda kept, slope: (window_sums(slope, kept[1]), window_spread(slope, kept[0])),
)
