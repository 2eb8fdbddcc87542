"""Skip-gram and CBOW: the loss, its gradient and curvature against sums over single pairs, and which rows an update moves."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seq2seq_jax.config import Config, TrainConfig
from seq2seq_jax.data.windows import WindowBatch
from seq2seq_jax.model import skip_gram
from seq2seq_jax.model.build import Params, initial_params
from seq2seq_jax.model.folding import Network
from seq2seq_jax.model.skip_gram import CONTEXTS, VECTORS
from seq2seq_jax.train.optimizer import make_optimizer
from seq2seq_jax.train.state import TrainState
from seq2seq_jax.train.step import make_train_step, move_rows
from tests.model_fixture import Small

WINDOW, VOCABULARY = 2, 20
BATCH = WindowBatch(
    units=np.array([[5, 6, 7, 8, 6, 9, 5], [0, 0, 10, 7, 11, 7, 12], [7, 5, 9, 0, 0, 0, 0]], np.int32),
    before=np.array([[1, 2, 0], [0, 1, 2], [0, 0, 0]], np.int32),
    after=np.array([[1, 0, 2], [2, 1, 1], [0, 0, 0]], np.int32),
    negatives=np.array([[13, 5, 13, 14], [15, 10, 16, 13], [17, 17, 18, 18]], np.int32),
)


def small(cbow: bool) -> Small:
    return Small(kind="skip_gram", cbow=cbow, negatives=3, sizes={"target": VOCABULARY})


def pairs_by_one(cbow: bool):
    """Yields each thing to be told: the rows whose mean is read, the row predicted, its sign and its weight."""
    for units, befores, afters, negatives in zip(*BATCH, strict=True):
        for t, (before, after) in enumerate(zip(befores, afters, strict=True), WINDOW):
            near = [*units[t - before : t], *units[t + 1 : t + after + 1]]
            for read, predicted in [(near, units[t])] * bool(near) if cbow else [([units[t]], unit) for unit in near]:
                yield read, predicted, 1, 1.0
                yield from ((read, negative, -1, 3 / len(negatives)) for negative in negatives)


def loss_by_pairs(vectors: np.ndarray, contexts: np.ndarray, cbow: bool) -> float:
    """The objective as equation 4 of Mikolov et al. 2013b has it, one pair after the other, its negatives weighted to three."""
    asked = pairs_by_one(cbow)
    return sum(weight * np.log1p(np.exp(-sign * (vectors[read].mean(0) @ contexts[row]))) for read, row, sign, weight in asked)


def curvature_by_pairs(vectors: np.ndarray, contexts: np.ndarray, cbow: bool) -> list[np.ndarray]:
    """For each pair its second derivative, bounded from below where it is wrong, times the squared length of what the row meets."""
    found = [np.zeros(VOCABULARY), np.zeros(VOCABULARY)]
    for read, row, sign, weight in pairs_by_one(cbow):
        mean = vectors[read].mean(0)
        error = 1 / (1 + np.exp(sign * (mean @ contexts[row])))
        bend = weight * (error * (1 - error) if error < 0.5 else error / 2)
        np.add.at(found[0], read, bend * contexts[row] @ contexts[row] / len(read) ** 2)
        found[1][row] += bend * mean @ mean
    return found


def tables(params: Params) -> tuple[np.ndarray, np.ndarray]:
    """Returns the vectors and the context vectors in float64."""
    return np.asarray(params[VECTORS]["table"], np.float64), np.asarray(params[CONTEXTS]["table"], np.float64)


@pytest.mark.parametrize("cbow", [False, True])
def test_loss_gradient_and_curvature_are_those_of_single_pairs(cbow):
    """Finite differences of the sum over pairs. Red if a pair, a weight, a mean or the chain through CBOW's mean is wrong.

    Red too if a unit without a context counts.
    """
    model = small(cbow)
    both, module, batch = tables(model.params), model.merge(), jax.tree.map(jnp.asarray, BATCH)
    gradients, found = jax.grad(lambda rows: (lambda out: (out.loss.objective, out))(module.row_loss(rows, batch)), has_aux=True)(
        module.read(batch)
    )
    assert float(found.loss.nats) == pytest.approx(loss_by_pairs(*both, cbow), rel=1e-5)
    assert int(found.loss.count) == 6
    places = module.places(batch)
    for index, (name, expected) in enumerate(zip((VECTORS, CONTEXTS), curvature_by_pairs(*both, cbow), strict=True)):
        dense, curvature = np.zeros_like(both[index]), np.zeros(VOCABULARY)
        np.add.at(dense, np.asarray(places[name]), np.asarray(gradients[name]))
        np.add.at(curvature, np.asarray(places[name]), np.asarray(found.curvature[name]))
        np.testing.assert_allclose(dense, differences(both, index, cbow), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(curvature, expected, rtol=1e-4, atol=1e-6)


def differences(both: tuple[np.ndarray, np.ndarray], index: int, cbow: bool) -> np.ndarray:
    """Returns the gradient of a table by central differences."""
    step, gradient = 1e-5, np.zeros_like(both[index])
    for place in np.ndindex(*gradient.shape):
        for sign in (1, -1):
            moved = [table.copy() for table in both]
            moved[index][place] += sign * step
            gradient[place] += sign * loss_by_pairs(moved[0], moved[1], cbow) / (2 * step)
    return gradient


@pytest.mark.parametrize("cbow", [False, True])
def test_an_update_moves_the_rows_of_the_batch_and_no_other(cbow):
    """Red if any other row gets anything at all, or a row that occurs twice is moved once."""
    model = small(cbow)
    config = Config(model=model.config, train=TrainConfig(steps=10, clip_norm=None))
    state = TrainState.initial(config.train, model.params, make_optimizer(config), ())._replace(learning_rate=jnp.float32(1e-3))
    after = jax.jit(make_train_step(config, Network(model.merge, lambda params: params, model.merge), 10))(state, BATCH)
    places = model.merge().places(jax.tree.map(jnp.asarray, BATCH))
    for name, before in zip((VECTORS, CONTEXTS), tables(model.params), strict=True):
        moved = np.flatnonzero((np.asarray(after.params[name]["table"]) != np.asarray(before, np.float32)).any(axis=1))
        assert set(moved) <= set(np.asarray(places[name]).ravel())
        assert set(moved) >= {6, 7, 10, 11}
    losses = [loss_by_pairs(*tables(params), cbow) for params in (state.params, after.params)]
    assert losses[1] < losses[0]


@pytest.mark.parametrize("cbow", [False, True])
@pytest.mark.parametrize(("value", "bad_step"), [(1e9, -1), (np.nan, 0), (np.inf, 0)])
def test_rows_that_are_not_finite_are_noticed_at_their_step(cbow, value, bad_step):
    """Red if the rows of word vectors are not watched, or if what is only large is called infinite."""
    model = small(cbow)
    config = Config(model=model.config, train=TrainConfig(steps=10, clip_norm=None))
    state = TrainState.initial(config.train, model.params, make_optimizer(config), ())._replace(learning_rate=jnp.float32(1e-3))
    state.params[VECTORS]["table"] = state.params[VECTORS]["table"].at[6, 0].set(value)
    after = jax.jit(make_train_step(config, Network(model.merge, lambda params: params, model.merge), 10))(state, BATCH)
    assert int(after.window.bad_step) == bad_step


def test_rows_move_by_the_rate_and_no_farther_than_their_curvature_allows():
    """Red if places of one row are not added, or a small rate is changed."""
    table, ids = jnp.zeros((5, 2)), jnp.array([[1, 3, 1]])
    gradients, curvatures = jnp.array([[[1.0, 0.0], [0.0, 2.0], [1.0, 4.0]]]), jnp.array([[3.0, 0.5, 1.0]])
    slow = move_rows(table, ids, gradients, curvatures, jnp.float32(0.1))
    np.testing.assert_allclose(slow, [[0, 0], [-0.2, -0.4], [0, 0], [0, -0.2], [0, 0]], rtol=1e-6)
    fast = move_rows(table, ids, gradients, curvatures, jnp.float32(1.0))
    np.testing.assert_allclose(fast, [[0, 0], [-2 / 4, -4 / 4], [0, 0], [0, -2], [0, 0]], rtol=1e-6)


def test_vectors_start_as_in_word2vec():
    params = initial_params(small(False).config, {"target": 400}, jax.random.key(0))
    assert float(jnp.std(params[VECTORS]["table"])) == pytest.approx(1 / 3 / 12**0.5, rel=0.1)  # uniform in +-0.5 / D has this
    assert not np.asarray(params[CONTEXTS]["table"]).any()


def test_the_loss_of_a_pair_and_its_slope_are_finite_for_any_score():
    """Red if an exponential overflows, if the logarithm of 0 is taken, or if the slope at 0, where every context begins, is not 1/2."""
    scores = jnp.array([-1e4, -100.0, -20.0, -1e-3, 0.0, 1e-3, 20.0, 100.0, 1e4])
    logs, errors = skip_gram._log_sigmoid(scores)
    np.testing.assert_allclose(logs, jax.nn.log_sigmoid(scores), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(errors, jax.nn.sigmoid(-scores), rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(jax.vmap(jax.grad(lambda x: skip_gram._log_sigmoid(x)[0]))(scores), jax.nn.sigmoid(-scores), atol=1e-7)
