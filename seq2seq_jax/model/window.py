"""Sums over the windows of word vectors: each of T units with the W rows that stand around it, S = T + W - 1 rows in all.

Unit t has the rows t to t + W - 1, so the windows are a band in a T by S matrix. Where the band is narrow that matrix would be mostly
zeros, and sums are taken offset by offset. ``window_sums``, ``window_products`` and ``window_spread`` are linear in both arguments, and
the derivatives of each are the other two.
"""

from __future__ import annotations

import functools
import operator

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

_NARROW = 0.4  # share of a band in its matrix up to which offset by offset is faster; measured on CPU


@jax.custom_vjp
def window_sums(weights: Float[Array, "B T W"], rows: Float[Array, "B S D"]) -> Float[Array, "B T D"]:
    """Returns the weighted sum of the rows of each window."""
    length, width = weights.shape[1:]
    if not _is_narrow(length, width):
        return _matrix(weights) @ rows
    return functools.reduce(operator.add, [weights[..., o, None] * rows[:, o : o + length] for o in range(width)])


@jax.custom_vjp
def window_products(units: Float[Array, "B T D"], rows: Float[Array, "B S D"]) -> Float[Array, "B T W"]:
    """Returns the inner product of each unit with each row of its window."""
    if units.shape == rows.shape:  # windows of one row
        return jnp.sum(units * rows, axis=-1, keepdims=True)
    return _band(jnp.einsum("btd,bsd->bts", units, rows))  # all products at once are fast


@jax.custom_vjp
def block_products(units: Float[Array, "B T D"], rows: Float[Array, "B N D"]) -> Float[Array, "B T N"]:
    """Returns the inner product of each unit with each of N rows that its block shares."""
    return jnp.einsum("btd,bnd->btn", units, rows)


def window_spread(weights: Float[Array, "B T W"], units: Float[Array, "B T D"]) -> Float[Array, "B S D"]:
    """Returns for each row the weighted sum of the units in whose windows it stands."""
    length, width = weights.shape[1:]
    if not _is_narrow(length, width):
        return jnp.einsum("bts,btd->bsd", _matrix(weights), units)
    rows, margin = length + width - 1, ((0, 0), (width - 1, width - 1), (0, 0))
    weights, units = jnp.pad(weights, margin), jnp.pad(units, margin)
    places = [(o, slice(width - 1 - o, width - 1 - o + rows)) for o in range(width)]
    return functools.reduce(operator.add, [weights[:, place, o, None] * units[:, place] for o, place in places])


def _band(matrix: Float[Array, "B T S"]) -> Float[Array, "B T W"]:
    """Returns what the windows hold of a matrix: each row written one place longer is shifted by its number."""
    batch, length, rows = matrix.shape
    flat = jnp.pad(matrix.reshape(batch, -1), ((0, 0), (0, length)))
    return flat.reshape(batch, length, -1)[..., : rows - length + 1]


def _matrix(weights: Float[Array, "B T W"]) -> Float[Array, "B T S"]:
    """Undoes ``_band``, with zeros outside."""
    batch, length, width = weights.shape
    rows = length + width - 1
    return jnp.pad(weights, ((0, 0), (0, 0), (0, length))).reshape(batch, -1)[:, : length * rows].reshape(batch, length, rows)


def _is_narrow(length: int, width: int) -> bool:
    return width <= _NARROW * (length + width - 1)


window_sums.defvjp(
    lambda weights, rows: (window_sums(weights, rows), (weights, rows)),
    lambda residuals, cotangent: (window_products(cotangent, residuals[1]), window_spread(residuals[0], cotangent)),
)
window_products.defvjp(
    lambda units, rows: (window_products(units, rows), (units, rows)),
    lambda residuals, cotangent: (window_sums(cotangent, residuals[1]), window_spread(cotangent, residuals[0])),
)


def _block_cotangents(
    residuals: tuple[Float[Array, "B T D"], Float[Array, "B N D"]], cotangent: Float[Array, "B T N"]
) -> tuple[Float[Array, "B T D"], Float[Array, "B N D"]]:
    """Returns the cotangents of a block's units and rows; XLA folds a transpose into its product, for which the CPU has no fast kernel."""
    units, rows = residuals
    return cotangent @ rows, lax.optimization_barrier(jnp.swapaxes(cotangent, 1, 2)) @ units


block_products.defvjp(lambda units, rows: (block_products(units, rows), (units, rows)), _block_cotangents)
