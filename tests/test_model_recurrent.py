"""The recurrent core and its hand-written gradient, against a NumPy loop, Flax's cells, plain autodiff and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from seq2seq_jax.config import ModelConfig
from seq2seq_jax.model.embedding import Embedding
from seq2seq_jax.model.recurrent import LSTM, LSTMState, lstm
from seq2seq_jax.model.stack import LSTMStack
from tests import oracles
from tests.model_fixture import normal

T, B, H = 5, 4, 3
LENGTHS = np.array([5, 0, 3, 1])
MASK = np.arange(T)[:, None] < LENGTHS


def example(masked: bool):
    """Returns arguments of ``lstm``, all but the direction."""
    kernel, initial = normal(H, 4 * H, seed=1), LSTMState(normal(B, H, seed=2), normal(B, H, seed=3))
    return normal(T, B, 4 * H, seed=4), kernel, initial, jnp.asarray(MASK) if masked else None


CASES = [(masked, reverse) for masked in (False, True) for reverse in (False, True)]


@pytest.mark.parametrize(("masked", "reverse"), CASES)
def test_lstm_equals_a_loop(masked, reverse):
    inputs, kernel, initial, mask = example(masked)
    outputs, final = jax.jit(lstm, static_argnums=4)(inputs, kernel, initial, mask, reverse)
    expected = oracles.lstm(np.asarray(inputs), kernel, *initial, None if mask is None else MASK, reverse)
    for value, oracle in zip((outputs, *final), expected, strict=True):
        np.testing.assert_allclose(value, oracle, rtol=2e-5, atol=2e-6)
    if masked:
        np.testing.assert_array_equal(final.hidden[1], initial.hidden[1])  # a row without a symbol: nothing has happened
        np.testing.assert_array_equal(final.cell[1], initial.cell[1])


def test_lstm_equals_flax_cells():
    layer = LSTM(2, H, jax.random.key(0))
    layer.bias[...] = normal(4 * H, seed=7)
    inputs, state = normal(B, 2, seed=8), LSTMState(*normal(2, B, H, seed=9))
    outputs, final = layer(layer.preactivations(inputs[None]), state)
    optimized, plain = nnx.OptimizedLSTMCell(2, H, rngs=nnx.Rngs(0)), nnx.LSTMCell(2, H, rngs=nnx.Rngs(0))
    optimized.dense_i.kernel[...], optimized.dense_h.kernel[...] = layer.input_kernel[...], layer.recurrent_kernel[...]
    assert optimized.dense_h.bias is not None
    optimized.dense_h.bias[...] = layer.bias[...]
    for place, gate in enumerate("ifgo"):
        of_input, of_hidden = getattr(plain, "if_" if gate == "f" else f"i{gate}"), getattr(plain, f"h{gate}")
        cut = slice(place * H, (place + 1) * H)
        of_input.kernel[...], of_hidden.kernel[...] = layer.input_kernel[:, cut], layer.recurrent_kernel[:, cut]
        of_hidden.bias[...] = layer.bias[cut]
    for cell in (optimized, plain):
        (cell_state, hidden), _ = cell((state.cell, state.hidden), inputs)
        for ours, theirs in ((outputs[0], hidden), (final.hidden, hidden), (final.cell, cell_state)):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def plain_scan(inputs, kernel, initial, mask, reverse):
    """The same recurrence with nothing derived by hand."""

    def body(state, scanned):
        x, keep = scanned
        i, f, g, o = jnp.split(x + state.hidden @ kernel, 4, axis=-1)
        cell = jax.nn.sigmoid(f) * state.cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        new = LSTMState(jax.nn.sigmoid(o) * jnp.tanh(cell), cell)
        new = jax.tree.map(lambda after, before: jnp.where(keep[:, None], after, before), new, state)
        return new, new.hidden

    mask = jnp.ones((T, B), bool) if mask is None else mask
    final, outputs = lax.scan(body, initial, (inputs, mask), reverse=reverse)
    return outputs, final


@pytest.mark.parametrize(("masked", "reverse"), CASES)
def test_gradient_equals_autodiff_and_finite_differences(masked, reverse):
    """Every output and both final states enter, each with its own weight, so that no part of the gradient can hide."""
    with jax.enable_x64(True):
        inputs, kernel, initial, mask = example(masked)
        variables = (inputs, kernel, initial)
        weights = [normal(*shape, seed=10 + i) for i, shape in enumerate(((T, B, H), (B, H), (B, H)))]

        def value(run, variables):
            outputs, final = run(*variables, mask, reverse)
            return sum(jnp.vdot(weight, part) for weight, part in zip(weights, (outputs, *final), strict=True))

        ours, reference = (jax.jit(jax.grad(lambda variables, run=run: value(run, variables)))(variables) for run in (lstm, plain_scan))
        for mine, theirs in zip(jax.tree.leaves(ours), jax.tree.leaves(reference), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)
        direction = jax.tree.map(lambda leaf: normal(*leaf.shape, seed=20), variables)
        moved = jax.jit(lambda size: value(lstm, jax.tree.map(lambda at, by: at + size * by, variables, direction)))
        slope = (moved(1e-5) - moved(-1e-5)) / 2e-5
        product = sum(jnp.vdot(one, other) for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(direction), strict=True))
        np.testing.assert_allclose(product, slope, rtol=1e-7)


@pytest.mark.parametrize("rows", [3, 50])
def test_projecting_first_changes_nothing(rows):
    """A table with fewer rows than symbols read is projected before the lookup, a larger one after it."""
    layer, embedding = LSTM(2, H, jax.random.key(0)), Embedding(rows, 2, jax.random.key(1))
    symbols = jnp.asarray(np.random.default_rng(0).integers(0, 3, (T, B)))
    assert embedding.is_projected_first(symbols.size) == (rows == 3)
    read = layer.lookup(embedding, symbols)
    expected = np.asarray(embedding.table)[np.asarray(symbols)] @ np.asarray(layer.input_kernel) + np.asarray(layer.bias)
    np.testing.assert_allclose(read, expected, rtol=1e-5, atol=1e-6)


def test_a_stack_is_its_layers_in_turn():
    """Stepping, running at once and the loop agree; from the second layer on the outputs are added to what was read."""
    stack = LSTMStack(ModelConfig(hidden_dim=H, decoder_layers=3, residual=True), 2, jax.random.key(0))
    inputs = normal(T, B, 2, seed=1)
    initial = tuple(LSTMState(*normal(2, B, H, seed=2 + i)) for i in range(3))
    read = stack.first.preactivations(inputs)
    outputs, final = jax.jit(lambda read: stack(read, initial, None))(read)

    below = np.asarray(inputs)
    for i, layer in enumerate(stack.layers):
        x = below @ np.asarray(layer.input_kernel) + np.asarray(layer.bias)
        hidden, *last = oracles.lstm(x, np.asarray(layer.recurrent_kernel), *initial[i])
        below = hidden + (below if i else 0)
        np.testing.assert_allclose(final[i].cell, last[1], rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(outputs, below, rtol=2e-5, atol=2e-6)

    states, step = initial, jax.jit(lambda x, states: stack.step(x, states, None))
    for t in range(T):
        one, states = step(read[t], states)
        np.testing.assert_allclose(one, outputs[t], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(states[2].cell, final[2].cell, rtol=1e-5, atol=1e-6)


def test_the_forget_gate_starts_open():
    layer = LSTM(2, H, jax.random.key(0))
    np.testing.assert_array_equal(layer.bias[...], np.repeat([0.0, 1.0, 0.0, 0.0], H))
