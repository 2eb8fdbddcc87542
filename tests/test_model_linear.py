"""Products and rows read, whose gradients are written for speed, against plain autodiff."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seq2seq_jax.model.embedding import read_rows
from seq2seq_jax.model.linear import product
from tests.model_fixture import normal


@pytest.mark.parametrize("columns", [2, 7])  # fewer than the values have, and more
def test_a_product_and_its_gradient_are_those_of_matrices(columns):
    """Red if a factor is transposed once too often, or if an axis is joined in another order."""
    with jax.enable_x64(True):
        values, kernel, weights = normal(3, 5, 4, seed=1), normal(4, columns, seed=2), normal(3, 5, columns, seed=3)
        assert_same(product, jnp.matmul, (values, kernel), weights)


def test_rows_read_and_their_gradient_are_those_of_an_index():
    """Red if a row that is read twice gets one gradient, or if a row that is not read gets any."""
    with jax.enable_x64(True):
        ids = jnp.array([[0, 3, 3], [1, 0, 3]])
        assert_same(lambda table: read_rows(table, ids), lambda table: table[ids], (normal(5, 4, seed=1),), normal(2, 3, 4, seed=2))
        np.testing.assert_array_equal(read_rows(normal(5, 4, seed=1), jnp.array([-1, 9])), normal(5, 4, seed=1)[jnp.array([0, 4])])


def assert_same(ours, reference, arguments, weights):
    """Both functions have the same values and, of a weighted sum of these, the same gradients."""
    np.testing.assert_allclose(ours(*arguments), reference(*arguments), rtol=1e-12)
    found, expected = (jax.vjp(function, *arguments)[1](weights) for function in (ours, reference))
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)
