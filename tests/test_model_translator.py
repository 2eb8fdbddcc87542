"""The encoder-decoder: against a NumPy loop, step by step, under padding and regrouping, and by its gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import ModelConfig
from seq2seq_jax.data.batches import PairBatch
from seq2seq_jax.model.attention import Attention
from seq2seq_jax.model.dropout import draw_dropout
from tests import oracles
from tests.model_fixture import SIZES, Small, ids, normal

ATTENDING = [kind for kind in config_lib.field_of("model.attention").choices if kind != "none"]
LENGTHS = jnp.array([6, 1, 4])
TARGET_LENGTHS = jnp.array([2, 5, 0])
SOURCE, TARGET = ids(3, 6, SIZES["source"], seed=1), ids(3, 5, SIZES["target"], seed=2)
NEAR = {"rtol": 2e-5, "atol": 2e-6}  # rounding of float32 over a dozen steps


def small(kind: Any, encoder_hidden_dim: int | None = None, **settings) -> Small:
    equal = ModelConfig(attention=kind).attention_wants_equal_widths
    return Small(attention=kind, encoder_hidden_dim=4 if equal else encoder_hidden_dim, **settings)


def teacher_forced(model, source, lengths, inputs):
    return model.decode(*model.encode(source, lengths), inputs)


@pytest.mark.parametrize("kind", ATTENDING)
def test_translator_equals_a_loop(kind):
    """Two layers on each side, directions of unequal widths, residual connections, input feeding: all there is, one pair at a time."""
    model = small(kind, encoder_layers=2, decoder_layers=2, residual=True, input_feeding=True, encoder_hidden_dim=7)
    logits = model.run(teacher_forced, SOURCE, LENGTHS, TARGET)
    inputs = jnp.concatenate([jnp.ones_like(TARGET[:, :1]), TARGET[:, :-1]], axis=1)  # BOS first
    weights = model.run(lambda model, *args: model.attention_weights(*args), SOURCE, LENGTHS, TARGET)
    params = jax.tree.map(np.asarray, model.params)
    for b, length in enumerate(LENGTHS):
        expected, _ = oracles.translator_logits(params, kind, SOURCE[b, :length], TARGET[b])
        np.testing.assert_allclose(logits[b], expected, rtol=1e-4, atol=1e-5)
        _, looked = oracles.translator_logits(params, kind, SOURCE[b, :length], inputs[b])
        np.testing.assert_allclose(weights[b, :, :length], looked, rtol=1e-4, atol=1e-6)
        assert not weights[b, :, length:].any()


@pytest.mark.parametrize("kind", ATTENDING)
def test_attention_equals_a_loop(kind):
    """Weights sum to 1 and are exactly 0 on padding, whose content is immaterial."""
    memory_dim = 4 if ModelConfig(attention=kind).attention_wants_equal_widths else 6
    attention = Attention(kind, memory_dim, 4, jax.random.key(0))
    values, queries = normal(3, 6, memory_dim, seed=1), normal(3, 2, 4, seed=2)
    mask = jnp.arange(6) < LENGTHS[:, None]
    context, weights = attention(queries, attention.remember(jnp.where(mask[..., None], values, 1e3), mask))
    params = {name: np.asarray(value) for name, value in vars(attention).items() if name.endswith("_kernel")}
    for b, length in enumerate(LENGTHS):
        for t in range(2):
            expected = oracles.attention(kind, params, np.asarray(queries[b, t]), np.asarray(values[b, :length]))
            np.testing.assert_allclose(context[b, t], expected[0], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(weights[b, t, :length], expected[1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(weights * ~mask[:, None], 0)


def test_attention_to_nothing_is_even():
    """Red if a row without a source position makes numbers that are none."""
    attention = Attention("dot", 4, 4, jax.random.key(0))
    _, weights = attention(normal(1, 2, 4), attention.remember(normal(1, 3, 4, seed=1), jnp.zeros((1, 3), bool)))
    np.testing.assert_allclose(weights, 1 / 3, rtol=1e-6)


CASES = [("none", 1, False), ("none", 2, False), *((kind, 1, False) for kind in ATTENDING), ("general", 2, False), ("general", 2, True)]


@pytest.mark.parametrize(("kind", "layers", "feeding"), CASES)
def test_decoding_step_by_step_equals_teacher_forcing(kind, layers, feeding):
    """Also with several hypotheses a source, which share its memory."""
    model = small(kind, decoder_layers=layers, input_feeding=feeding)

    def stepwise(model, source, lengths, inputs, hypotheses):
        step, state = model.decoding(source, lengths, inputs.shape[1])
        state = jax.tree.map(lambda leaf: jnp.repeat(leaf, hypotheses, axis=0), state)
        _, logits = lax.scan(step, state, inputs.T)
        return logits.swapaxes(0, 1)

    def both(model, source, lengths, inputs):
        several = jnp.stack([inputs, inputs[::-1]], axis=1).reshape(-1, inputs.shape[1])
        return (
            teacher_forced(model, source, lengths, inputs),
            stepwise(model, source, lengths, inputs, 1),
            teacher_forced(model, source, lengths, inputs[::-1]),
            stepwise(model, source, lengths, several, 2),
        )

    forced, stepped, forced_other, stepped_two = model.run(both, SOURCE, LENGTHS, TARGET)
    np.testing.assert_allclose(stepped, forced, **NEAR)
    np.testing.assert_allclose(stepped_two[0::2], forced, **NEAR)
    np.testing.assert_allclose(stepped_two[1::2], forced_other, **NEAR)


@pytest.mark.parametrize(("kind", "feeding"), [("none", False), ("general", False), ("general", True)])
def test_padding_and_place_in_the_batch_change_nothing(kind, feeding):
    """The loss and the encoding of a row do not depend on what stands in its padding, nor on the other rows."""
    model = small(kind, encoder_layers=2, input_feeding=feeding)

    @jax.jit
    def measure(source, target, order):
        def loss(params, keep):
            lengths = jnp.where(keep, TARGET_LENGTHS, 0)[order]
            batch = PairBatch(source[order], LENGTHS[order], target[order], lengths)
            return model.merge(params).loss(batch, (), None, 0.1)[0]

        sums = jnp.stack([jnp.stack(loss(model.params, jnp.arange(3) == b)) for b in range(3)])
        gradient = jax.grad(lambda params: loss(params, jnp.ones(3, bool)).objective)(model.params)
        state, _ = model.merge().encode(source[order], LENGTHS[order])
        return sums, gradient, state

    sums, gradient, state = measure(SOURCE, TARGET, jnp.arange(3))
    assert sums[:, 2].tolist() == [2, 5, 0]
    assert sums[2, 0] == 0  # a row without an example
    padded_source = jnp.where(jnp.arange(6) < LENGTHS[:, None], SOURCE, ids(3, 6, SIZES["source"], seed=3))
    padded_target = jnp.where(jnp.arange(5) < TARGET_LENGTHS[:, None], TARGET, ids(3, 5, SIZES["target"], seed=4))
    assert (padded_source != SOURCE).sum() > 3
    assert (padded_target != TARGET).sum() > 3
    padded_sums, padded_gradient, padded_state = measure(padded_source, padded_target, jnp.arange(3))
    np.testing.assert_array_equal(padded_sums, sums)
    jax.tree.map(np.testing.assert_array_equal, padded_gradient, gradient)
    jax.tree.map(np.testing.assert_array_equal, padded_state, state)
    order = jnp.array([2, 0, 1])
    moved_sums, moved_gradient, moved_state = measure(padded_source, padded_target, order)
    np.testing.assert_allclose(moved_sums, sums, rtol=1e-5)
    jax.tree.map(lambda moved, kept: np.testing.assert_allclose(moved, kept, rtol=1e-4, atol=1e-5), moved_gradient, gradient)
    jax.tree.map(lambda moved, kept: np.testing.assert_allclose(moved, kept[order], **NEAR), moved_state, state)


@pytest.mark.parametrize("shared", [False, True])
def test_both_directions_read_a_large_table_once(shared):
    """Red if its gradient is added up twice in the same rows: that is twice the work, and XLA on CPU may abort (docs/performance.md)."""
    sizes = {"source": 50, "target": 50}  # more rows than a batch reads symbols
    model = Small(sizes=sizes, share_embeddings=shared, tie_output=True)
    batch = PairBatch(SOURCE, LENGTHS, TARGET, TARGET_LENGTHS)
    program = jax.make_jaxpr(jax.grad(lambda params: model.merge(params).loss(batch, (), None, 0.0)[0].objective))(model.params)
    assert str(program).count(":f32[50,3] = scatter-add") == 2  # once for the encoder, once for the decoder


@pytest.mark.parametrize("feeding", [False, True])
def test_decoder_sees_nothing_of_the_future(feeding):
    """Gradient of the logits at t with respect to the vectors of the inputs: 0 after t, not 0 up to t."""
    model = small("general", decoder_layers=2, input_feeding=feeding)

    def gradients(model, source, lengths):
        state, memory = model.encode(source, lengths)
        first = model.decoder.stack.first

        def logits(vectors):
            read = first.preactivations(vectors)
            return model.output(model.decoder(read, state, memory)[0], model.embedding("target")).sum((0, 2))

        return jax.jacrev(logits)(normal(5, 3, 3, seed=5))

    sizes = jnp.abs(model.run(gradients, SOURCE, LENGTHS)).sum((2, 3))  # of the logits at t, by input
    np.testing.assert_array_equal(np.triu(sizes, 1), 0)
    assert (sizes[np.tril_indices(5)] > 1e-4).all()


def test_input_feeding_of_nothing_is_no_input_feeding():
    """With a kernel of zeros the path step by step gives what the fast one gives, in training with dropout too."""
    feeding, plain = (Small(decoder_layers=2, residual=True, input_feeding=on) for on in (True, False))
    params = jax.tree.map(lambda leaf: leaf, feeding.params)
    kernel = params["decoder"].pop("feed_kernel")

    @jax.jit
    def logits(params, scale):
        decoder = {**params["decoder"], "feed_kernel": scale * kernel}
        of_plain, of_feeding = plain.merge(params), feeding.merge({**params, "decoder": decoder})
        dropout = draw_dropout(0.5, jax.random.key(3), 3, of_plain.dropout_units)
        return [model.decode(*model.encode(SOURCE, LENGTHS, dropout), TARGET, dropout) for model in (of_plain, of_feeding)]

    fast, fed = logits(params, 0.0)
    np.testing.assert_allclose(fed, fast, **NEAR)
    fast, fed = logits(params, 1.0)
    np.testing.assert_allclose(fed[:, 0], fast[:, 0], **NEAR)  # before the first step there is nothing to feed
    assert np.abs(fed[:, 1:] - fast[:, 1:]).max() > 1e-2
