"""Cross-entropy as sums: against NumPy, with weights and label smoothing."""

import jax.numpy as jnp
import numpy as np
import pytest

from seq2seq_jax.model.loss import cross_entropy
from tests import oracles
from tests.model_fixture import normal

LOGITS = 3 * normal(4, 5, 7)
TARGETS = jnp.asarray(np.random.default_rng(1).integers(0, 7, (4, 5)))
WEIGHTS = (jnp.arange(5) < jnp.array([5, 2, 0, 1])[:, None]).astype(jnp.float32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_numpy(smoothing):
    loss = cross_entropy(LOGITS, TARGETS, WEIGHTS, smoothing)
    expected = oracles.cross_entropy(LOGITS.reshape(20, 7), TARGETS.ravel(), WEIGHTS.ravel(), smoothing)
    np.testing.assert_allclose(np.array(loss), expected, rtol=1e-6)
    assert loss.count == 8


def test_a_uniform_model_costs_log_v():
    loss = cross_entropy(jnp.zeros((4, 5, 7)), TARGETS, WEIGHTS, 0.1)
    np.testing.assert_allclose([loss.nats / loss.count, loss.objective / loss.count], np.log(7), rtol=1e-6)


def test_large_logits_stay_finite():
    loss = cross_entropy(jnp.array([[1e4, -1e4]]), jnp.array([1]), jnp.ones(1), 0.0)
    np.testing.assert_allclose(loss.nats, 2e4)
