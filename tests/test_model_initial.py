"""Starting values: what is drawn, and that few programs draw it."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from seq2seq_jax.model import initial
from seq2seq_jax.model.initial import BLOCK, FEW, normal, orthogonal

KEY = jax.random.key(3)


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (128, 512), (2, BLOCK)])
def test_normal_is_jax_draw_of_that_shape(shape):
    """More is drawn than is asked for, and what is kept is what ``jax.random.normal`` gives for the shape itself."""
    np.testing.assert_allclose(normal(KEY, shape, 0.1), 0.1 * jax.random.normal(KEY, shape), rtol=1e-5, atol=1e-8)


def test_orthogonal_is_jax_draw():
    """Each matrix is ``jax.random.orthogonal``'s, so its columns are orthonormal; four lie side by side."""
    drawn = np.asarray(orthogonal(KEY, 16, 4))
    np.testing.assert_allclose(drawn, np.concatenate(list(jax.random.orthogonal(KEY, 16, (4,))), axis=1), atol=1e-5)
    for matrix in np.split(drawn, 4, axis=1):
        np.testing.assert_allclose(matrix.T @ matrix, np.eye(16), atol=1e-5)


def test_traced_values_are_those_of_the_host():
    """``jax.eval_shape`` and transformations see the same numbers, up to rounding."""
    np.testing.assert_allclose(jax.jit(lambda key: normal(key, (5, 9), 0.3))(KEY), normal(KEY, (5, 9), 0.3), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(jax.jit(lambda key: orthogonal(key, 8, 4))(KEY), orthogonal(KEY, 8, 4), atol=1e-5)


def test_shapes_share_a_program(monkeypatch):
    """The next size of a sweep compiles no drawing of its own: what is drawn is of two sizes, the argument by which it is compiled."""
    sizes = []
    monkeypatch.setattr(initial, "_draw", lambda key, size: sizes.append(size) or jax.random.normal(key, (size,)))
    for shape in ((3, 5), (64, 512), (2, 8), (256, 512)):
        normal(KEY, shape, 1.0)
    orthogonal(KEY, 100, 4)
    assert sizes == [FEW, BLOCK, FEW, BLOCK, BLOCK]
