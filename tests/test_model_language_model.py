"""The language model: against a NumPy loop, causal by gradient, the same in pieces as at once."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from seq2seq_jax.data.batches import TextBatch
from seq2seq_jax.model.embedding import INITIAL_STD
from tests import oracles
from tests.model_fixture import Small, ids, normal

TEXT = ids(3, 8, 7)
MODEL = Small(kind="language_model", decoder_layers=2, residual=True, tie_output=True, sizes={"target": 7})


def decode(model, carry, inputs):
    return model.decode(carry, inputs)


def start(rows: int):
    return MODEL.merge().start(rows)


def test_equals_a_loop():
    _, logits = MODEL.run(decode, start(3), TEXT)
    params = jax.tree.map(np.asarray, MODEL.params)
    table = params["target_embedding"]["table"]
    below = table[np.asarray(TEXT)].swapaxes(0, 1)
    for i, layer in sorted(params["stack"]["layers"].items()):
        zeros = np.zeros((3, 4))
        hidden, *_ = oracles.lstm(below @ layer["input_kernel"] + layer["bias"], layer["recurrent_kernel"], zeros, zeros)
        below = hidden + (below if i else 0)
    expected = below @ params["output"]["kernel"] @ table.T / (INITIAL_STD * np.sqrt(table.shape[1])) + params["output"]["bias"]
    np.testing.assert_allclose(logits, expected.swapaxes(0, 1), rtol=1e-4, atol=1e-5)


def test_segments_and_single_steps_equal_one_long_pass():
    """Also in a table so large that single steps read it otherwise."""
    for sizes in ({"target": 7}, {"target": 20}):
        model = Small(kind="language_model", decoder_layers=2, sizes=sizes)

        def pieces(module, carry, text):
            whole_carry, whole = module.decode(carry, text)
            middle, first = module.decode(carry, text[:, :3])
            last_carry, second = module.decode(middle, text[:, 3:])
            step_carry, steps = lax.scan(module.step, carry, text.T)
            return (whole, whole_carry), (jnp.concatenate([first, second], axis=1), last_carry), (steps.swapaxes(0, 1), step_carry)

        whole, *others = model.run(pieces, start(3), TEXT)
        for other in others:
            jax.tree.map(lambda one, two: np.testing.assert_allclose(one, two, rtol=2e-5, atol=2e-6), other, whole)


def test_sees_nothing_of_the_future():
    def gradients(module):
        read = module.stack.first.preactivations
        logits = lambda vectors: module.stack(read(vectors), module.start(1), None)[0].sum((1, 2))  # noqa: E731
        return jax.jacrev(logits)(normal(6, 1, 3))

    sizes = jnp.abs(MODEL.run(gradients)).sum((2, 3))
    np.testing.assert_array_equal(np.triu(sizes, 1), 0)
    assert (sizes[np.tril_indices(6)] > 1e-4).all()


def test_rows_weights_and_fresh_starts():
    """A row's loss does not depend on the others or on units of weight 0; where fresh, nothing carried counts."""
    weights = (jnp.arange(8) < jnp.array([8, 5, 0])[:, None]).astype(jnp.float32)
    carry = jax.tree.map(lambda leaf: normal(*leaf.shape), start(3))

    @jax.jit
    def loss(carry, text, weights, fresh):
        return MODEL.merge().loss(TextBatch(text[:, :-1], text[:, 1:], weights[:, 1:], fresh), carry, None, 0.1)

    stale, fresh = jnp.zeros(3, bool), jnp.ones(3, bool)
    whole, after = loss(carry, TEXT, weights, stale)
    alone = [loss(carry, TEXT, weights * (jnp.arange(3) == b)[:, None], stale)[0] for b in range(3)]
    np.testing.assert_allclose(np.sum(alone, axis=0), whole, rtol=1e-6)
    assert whole.count == 7 + 4
    unscored = jnp.where(weights > 0, TEXT, ids(3, 8, 7, seed=9))
    np.testing.assert_array_equal(loss(carry, unscored, weights, stale)[0], whole)
    swapped = jnp.array([2, 0, 1])
    moved, moved_after = loss(jax.tree.map(lambda leaf: leaf[swapped], carry), TEXT[swapped], weights[swapped], stale)
    np.testing.assert_allclose(moved, whole, rtol=1e-6)
    jax.tree.map(lambda one, two: np.testing.assert_allclose(one, two[swapped], rtol=2e-5, atol=2e-6), moved_after, after)
    reset = loss(carry, TEXT, weights, fresh)
    jax.tree.map(np.testing.assert_array_equal, reset, loss(start(3), TEXT, weights, stale))
    assert abs(reset[0].nats - whole.nats) > 1e-2
