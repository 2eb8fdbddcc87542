"""Sampling: frequencies follow the distribution asked for, and nothing outside its set is ever drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from seq2seq_jax.data.vocabulary import BOS, EOS, PAD, UNK
from seq2seq_jax.decode.greedy import greedy
from seq2seq_jax.decode.sampling import filter_logits, sample
from tests import oracles
from tests.model_fixture import Small, normal

V = 9
LOGITS = 1.5 * normal(3, V, seed=2)
CASES = [(1.0, None, None), (0.5, None, None), (1.0, 3, None), (1.4, 5, 0.8), (1.0, 100, None)]
CASES += [(1.0, None, 0.7), (1.0, None, 1e-6), (1.0, None, 0.0)]


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), CASES)
def test_restriction_equals_going_down_the_list(temperature, top_k, top_p):
    found = jax.nn.softmax(filter_logits(LOGITS, temperature, top_k, top_p), axis=-1)
    for row, logits in zip(found, LOGITS, strict=True):
        expected = oracles.restricted(logits, temperature, top_k, top_p)
        np.testing.assert_allclose(row, expected, rtol=1e-5)
        np.testing.assert_array_equal(row == 0, expected == 0)


def test_of_equals_the_first_are_kept():
    logits = jnp.zeros((1, V))
    assert np.flatnonzero(jnp.isfinite(filter_logits(logits, 1.0, top_k=2))[0]).tolist() == [0, 1]
    assert np.flatnonzero(jnp.isfinite(filter_logits(logits, 0.0))[0]).tolist() == [0]


@pytest.mark.parametrize("temperature", [1e-45, 1e-38, 1e-20])
def test_the_coldest_text_is_the_most_probable(temperature):
    """Red if a temperature that a processor takes for 0 makes numbers that are none."""
    found = jax.nn.softmax(filter_logits(LOGITS, temperature, top_k=5, top_p=0.9), axis=-1)
    np.testing.assert_array_equal(found, jax.nn.one_hot(LOGITS.argmax(axis=-1), V))


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), [(0.7, None, None), (1.0, 3, None), (1.0, None, 0.6)])
def test_frequencies_follow_the_softmax(temperature, top_k, top_p):
    """A model without memory draws 20,000 symbols; chi-square against the exact probabilities, those of what text never has at 0."""
    never = jnp.array([PAD, BOS, EOS, UNK])
    logits = LOGITS[:1].at[0, never].set(2.0)

    def step(state, ids):
        return state, jnp.tile(logits, (ids.shape[0], 1))

    draw = jax.jit(lambda key: sample(step, (), jnp.zeros(200, int), key, 100, temperature, top_k, top_p)[1])
    drawn = np.asarray(draw(jax.random.key(0)))
    assert drawn.shape == (200, 100)
    counts = np.bincount(drawn.ravel(), minlength=V)
    text = [symbol for symbol in range(V) if symbol not in never]
    expected = np.zeros(V)
    expected[text] = oracles.restricted(logits[0, jnp.array(text)], temperature, top_k, top_p)
    np.testing.assert_array_equal(counts[expected == 0], 0)
    kept = expected > 0
    assert stats.chisquare(counts[kept], 20_000 * expected[kept]).pvalue > 1e-3
    repeats = (drawn[:, 1:] == drawn[:, :-1]).mean()  # draws in a row are independent
    assert repeats == pytest.approx((expected**2).sum(), abs=0.02)
    np.testing.assert_array_equal(draw(jax.random.key(0)), drawn)
    assert (np.asarray(draw(jax.random.key(1))) != drawn).any()


def test_temperature_0_is_greedy_and_the_state_goes_on():
    """Drawing in two pieces, with the state and last symbol handed on, is drawing at once."""
    model = Small(kind="language_model", sizes={"target": V}, seed=3)
    params = model.params
    params["output"]["bias"] = params["output"]["bias"].at[jnp.array([EOS, UNK])].set(-30.0)  # a sample never has them

    def draw(module):
        first = jnp.full(4, BOS)
        carry = jax.tree.map(lambda leaf: normal(*leaf.shape, seed=4), module.start(4))
        key = jax.random.key(0)
        whole = sample(module.step, carry, first, key, 8, 0.0)[1]
        middle, one = sample(module.step, carry, first, key, 3, 0.0)
        two = sample(module.step, middle, one[:, -1], key, 5, 0.0)[1]
        return greedy(module.step, carry, 4, 9)[:, :8], whole, jnp.concatenate([one, two], axis=1)  # whose last can only be the end

    expected, whole, pieces = model.run(draw)
    assert len(np.unique(expected)) > 2
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(pieces, expected)
