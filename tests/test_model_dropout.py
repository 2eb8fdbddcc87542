"""Dropout: the same units at every time step, keyed by the position of the row, and right in the mean."""

import jax
import jax.numpy as jnp
import numpy as np

from seq2seq_jax.data.batches import PairBatch
from seq2seq_jax.model.keys import Dropout, dropped
from tests.model_fixture import Small, ids

KEY = jax.random.key(3)


def test_units_are_dropped_for_the_whole_sequence():
    dropout = Dropout(0.25, KEY, 1000, 1000)
    values = dropped(dropout, "layer0", jnp.ones((3, 1000, 20)))
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[0], values[2])
    np.testing.assert_allclose(np.unique(values), [0, 4 / 3], rtol=1e-6)
    standard_error = np.sqrt(0.25 / 0.75 / 20_000)
    assert abs(values[0].mean() - 1) < 4 * standard_error
    assert (values[0].mean(0) != values[0].mean()).any()
    other = dropped(dropout, "layer1", jnp.ones((3, 1000, 20)))
    assert abs(np.corrcoef(values[0].ravel(), other[0].ravel())[0, 1]) < 4 / np.sqrt(20_000)


def test_nothing_is_dropped_at_rate_0():
    assert Dropout.at(0.0, KEY, 2, 2) is None
    values = jnp.ones((1, 2, 3))
    assert dropped(None, "layer0", values) is values


def test_a_batch_in_two_halves_is_dropped_as_a_whole():
    """Loss sums of the halves add up, so what is dropped goes with the position in the global batch."""
    model = Small(bidirectional=False)
    batch = PairBatch(ids(4, 5, 9), jnp.array([5, 3, 1, 4]), ids(4, 3, 8), jnp.array([3, 2, 3, 1]))

    @jax.jit
    def loss(batch, first):
        return model.merge().loss(batch, (), Dropout(0.5, KEY, 6, len(batch.source), first), 0.0)[0]

    halves = [loss(PairBatch(*(leaf[first : first + 2] for leaf in batch)), first) for first in (0, 2)]
    whole = loss(batch, 0)
    np.testing.assert_allclose(np.add(*halves), whole, rtol=1e-5)
    assert abs(loss(batch, 2).nats - whole.nats) > 1e-2
