"""The sums over windows against loops over their places, and their derivatives against those that JAX finds in plain products."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seq2seq_jax.model.window import window_products, window_spread, window_sums

BATCH, LENGTH, DIM = 2, 6, 3
WIDTHS = [1, 2, 3, 5, 9]  # up to 3 of them offset by offset, from there as a matrix


def arrays(width: int) -> list[jax.Array]:
    """Draws weights, units and rows."""
    rng = np.random.default_rng(width)
    shapes = ((BATCH, LENGTH, width), (BATCH, LENGTH, DIM), (BATCH, LENGTH + width - 1, DIM))
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


@pytest.mark.parametrize("width", WIDTHS)
def test_each_unit_meets_the_rows_of_its_own_window(width):
    """Red if an offset is left out or shifted, or if the band is cut from the products at the wrong place."""
    weights, units, rows = arrays(width)
    sums, products, spread = (np.zeros(array.shape) for array in (units, weights, rows))
    for b, t, o in np.ndindex(*weights.shape):
        sums[b, t] += weights[b, t, o] * rows[b, t + o]
        products[b, t, o] = units[b, t] @ rows[b, t + o]
        spread[b, t + o] += weights[b, t, o] * units[b, t]
    np.testing.assert_allclose(window_sums(weights, rows), sums, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(window_products(units, rows), products, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(window_spread(weights, units), spread, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("function", [window_sums, window_products])
def test_derivatives_are_those_of_the_band_as_a_matrix(function, width):
    """Red if one of the three is not the other's derivative, in either argument."""
    weights, units, rows = arrays(width)
    band = np.stack([np.eye(LENGTH, LENGTH + width - 1, o) for o in range(width)])  # [W, T, S]
    by_matrix = {
        window_sums: lambda weights, rows: jnp.einsum("bto,ots,bsd->btd", weights, band, rows),
        window_products: lambda units, rows: jnp.einsum("btd,ots,bsd->bto", units, band, rows),
    }[function]
    arguments = (weights, rows) if function is window_sums else (units, rows)
    slope = units if function is window_sums else weights
    found, expected = (jax.vjp(of, *arguments)[1](slope) for of in (function, by_matrix))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
