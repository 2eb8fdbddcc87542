"""Dropout: the same units at every time step, keyed by the position of the row, and right in the mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seq2seq_jax.data.batches import PairBatch, TextBatch
from seq2seq_jax.model.dropout import draw_dropout, dropped
from tests.model_fixture import Small, ids

KEY = jax.random.key(3)


def test_units_are_dropped_for_the_whole_sequence():
    dropout = draw_dropout(0.25, KEY, 1000, {"layer0": 20, "layer1": 20})
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
    values = jnp.ones((1, 2, 3))
    assert dropped(None, "layer0", values) is values


PAIRS = PairBatch(ids(2, 5, 9), jnp.array([5, 3]), ids(2, 3, 8), jnp.array([3, 2]))
TEXT = TextBatch(ids(2, 5, 8), ids(2, 5, 8, seed=1), jnp.ones((2, 5)), jnp.ones(2, bool))


@pytest.mark.parametrize(("kind", "batch"), [("translator", PAIRS), ("language_model", TEXT)])
def test_units_are_dropped_at_every_place_that_has_some(kind, batch):
    """Red if what is drawn for a place does not reach it."""
    model = Small(kind=kind, encoder_layers=2, decoder_layers=2)
    kept = {name: jnp.ones((2, width)) for name, width in model.merge().dropout_units.items()}

    @jax.jit
    def nats(dropout):
        module = model.merge()
        return module.loss(batch, module.start(2), dropout, 0.0)[0].nats

    for name, scales in kept.items():
        assert abs(nats({**kept, name: 0 * scales}) - nats(kept)) > 1e-3, name


def test_loss_sums_of_the_halves_of_a_batch_add_up():
    """Red if a row's loss depends on the rows beside it, or on what is dropped in them."""
    model = Small(bidirectional=False)
    batch = PairBatch(ids(4, 5, 9), jnp.array([5, 3, 1, 4]), ids(4, 3, 8), jnp.array([3, 2, 3, 1]))
    drawn = draw_dropout(0.5, KEY, 4, model.merge().dropout_units)

    @jax.jit
    def loss(batch, dropout):
        return model.merge().loss(batch, (), dropout, 0.0)[0]

    def rows(tree, first):
        return jax.tree.map(lambda leaf: leaf[first : first + 2], tree)

    halves = [loss(rows(batch, first), rows(drawn, first)) for first in (0, 2)]
    np.testing.assert_allclose(np.add(*halves), loss(batch, drawn), rtol=1e-5)
    assert abs(loss(rows(batch, 0), rows(drawn, 2)).nats - halves[0].nats) > 1e-2
