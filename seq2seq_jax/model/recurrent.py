"""The recurrent core: a long short-term memory over a sequence, with its gradient derived by hand.

Forward, for t = 1..T (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000), gates in the order i, f, g, o:

    z_t = x_t + h_{t-1} W               x_t: pre-activations of the input, computed outside for all steps at once
    i, f, o = sigmoid(z_i, z_f, z_o)    g = tanh(z_g)
    c_t = f c_{t-1} + i g               h_t = o tanh(c_t)

Backward, from the last step to the first, with dh, dc the gradients that reach h_t and c_t:

    dc   += dh q                        q   = o (1 - tanh(c_t)^2)
    dz_i  = dc p_i                      p_i = g i (1 - i)
    dz_f  = dc p_f                      p_f = c_{t-1} f (1 - f)
    dz_g  = dc p_g                      p_g = i (1 - g^2)
    dz_o  = dh p_o                      p_o = tanh(c_t) o (1 - o)
    dh_{t-1} = dz W^T                   dc_{t-1} = dc f

and dx_t = dz_t. The factors p, q and f need nothing from later steps: they are computed and kept going forward, in the place of the
gates, and a step back is six products of numbers beside the one of matrices.

The gradient of W is the sum over t of h_{t-1}^T dz_t. Plain autodiff adds it up inside the backward loop, a small product and a pass over
an H x 4H array at every step; here the dz_t are kept and the sum is one large product after the loop, which is why the gradient is
written out. Steps where the mask is false hold h and c.

Time is the leading axis, so that each step reads contiguous memory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from seq2seq_jax.arrays import Hidden
from seq2seq_jax.model.embedding import Embedding, read_rows
from seq2seq_jax.model.initial import orthogonal
from seq2seq_jax.model.keys import named
from seq2seq_jax.model.linear import kernel_gradient, product, reader_kernel, rows


class LSTMState(NamedTuple):
    """What a layer carries from step to step."""

    hidden: Hidden
    cell: Hidden


Reader = Callable[[Int[Array, "T B"]], Float[Array, "T B G"]]


def _sigmoid(x: Float[Array, "B H"]) -> Float[Array, "B H"]:
    return 0.5 * jnp.tanh(0.5 * x) + 0.5  # one tanh: faster on CPU than the logistic function, equal to rounding


class _Factors(NamedTuple):
    """What the gradient needs of a step, or stacked of all: p of all gates side by side, q and f, as at the top of this file."""

    gates: Float[Array, "*T B G"]
    q: Float[Array, "*T B H"]
    forget: Float[Array, "*T B H"]


def _cell(z: Float[Array, "B G"], cell_before: Hidden) -> tuple[LSTMState, _Factors]:
    """Returns the state after one step, and the factors of its gradient, from all pre-activations and the cell before."""
    z_i, z_f, z_g, z_o = jnp.split(z, 4, axis=-1)
    i, f, g, o = _sigmoid(z_i), _sigmoid(z_f), jnp.tanh(z_g), _sigmoid(z_o)
    cell = f * cell_before + i * g
    tanh_cell = jnp.tanh(cell)
    factors = _Factors(
        gates=jnp.concatenate([g * i * (1 - i), cell_before * f * (1 - f), i * (1 - g * g), tanh_cell * o * (1 - o)], axis=-1),
        q=o * (1 - tanh_cell * tanh_cell),
        forget=f,
    )
    return LSTMState(o * tanh_cell, cell), factors


def _forward(
    inputs: Float[Array, "T B G"],
    kernel: Float[Array, "H G"],
    initial: LSTMState,
    mask: Bool[Array, "T B"] | None,
    reverse: bool,
    for_gradient: bool,
) -> tuple[LSTMState, Float[Array, "T B H"], _Factors | None]:
    """Returns the final state and, stacked over the steps, h and, if asked for, the factors of the gradient.

    The factors of the gates take the place of the pre-activations, which no other step reads. ``lax.scan`` would write its stacks into
    arrays of zeros, which XLA makes once and then copies for each stack. Stacks that begin with different numbers are filled instead of
    copied.
    """
    size = inputs.shape[0]
    hidden, q, forget = (jnp.full((size, *initial.cell.shape), number, inputs.dtype) for number in range(3))
    kept = _Factors(inputs, q, forget) if for_gradient else None

    def body(
        place: Int[Array, ""], carry: tuple[LSTMState, Float[Array, "T B H"], _Factors | None]
    ) -> tuple[LSTMState, Float[Array, "T B H"], _Factors | None]:
        """Makes one time step forward, and keeps what the backward pass needs."""
        state, hidden, kept = carry
        step = size - 1 - place if reverse else place
        z = _at(inputs if kept is None else kept.gates, step) + state.hidden @ kernel
        after, factors = _cell(z, state.cell)
        if mask is not None:
            keep = _at(mask, step)[:, None]
            after = LSTMState(*(jnp.where(keep, new, old) for new, old in zip(after, state, strict=True)))
        if kept is not None:
            kept = _Factors(*(_put(stack, values, step) for stack, values in zip(kept, factors, strict=True)))
        return after, _put(hidden, after.hidden, step), kept

    return lax.fori_loop(0, size, body, (initial, hidden, kept))


def _at(stack: Array, step: Int[Array, ""]) -> Array:
    return lax.dynamic_index_in_dim(stack, step, keepdims=False)


def _put(stack: Array, values: Array, step: Int[Array, ""]) -> Array:
    return lax.dynamic_update_index_in_dim(stack, values, step, 0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def lstm(
    inputs: Float[Array, "T B G"], kernel: Float[Array, "H G"], initial: LSTMState, mask: Bool[Array, "T B"] | None, reverse: bool = False
) -> tuple[Float[Array, "T B H"], LSTMState]:
    """Runs an LSTM over a sequence.

    Args:
      inputs: pre-activations of the gates that come from the input, bias included.
      kernel: recurrent kernel.
      initial: state before the first step (after the last one, where ``reverse``).
      mask: false where a step is padding and the state is held; None where nothing is.
      reverse: whether to run from the last step to the first.

    Returns:
      The hidden state after every step, and the final state.
    """
    final, hidden, _ = _forward(inputs, kernel, initial, mask, reverse, for_gradient=False)
    return hidden, final


class _Residuals(NamedTuple):
    """What the backward pass needs of the forward pass."""

    kernel: Float[Array, "H G"]
    hidden_initial: Hidden
    mask: Bool[Array, "T B"] | None
    hidden: Float[Array, "T B H"]
    factors: _Factors


def _lstm_forward(
    inputs: Float[Array, "T B G"], kernel: Float[Array, "H G"], initial: LSTMState, mask: Bool[Array, "T B"] | None, reverse: bool
) -> tuple[tuple[Float[Array, "T B H"], LSTMState], _Residuals]:
    final, hidden, factors = _forward(inputs, kernel, initial, mask, reverse, for_gradient=True)
    assert factors is not None
    return (hidden, final), _Residuals(kernel, initial.hidden, mask, hidden, factors)


def _lstm_backward(
    reverse: bool, residuals: _Residuals, gradients: tuple[Float[Array, "T B H"], LSTMState]
) -> tuple[Float[Array, "T B G"], Float[Array, "H G"], LSTMState, None]:
    """Returns the gradients of inputs, kernel and initial state; the mask has none.

    The gradients dz take the place of the gates' factors, from which alone a step makes them.
    """
    kernel, hidden_initial, mask, hidden, factors = residuals
    d_outputs, d_final = gradients
    size = len(hidden)
    kernel_t = kernel.T  # once: a product with the transpose made in the loop is a fifth slower on CPU

    def body(place: Int[Array, ""], carry: tuple[LSTMState, Float[Array, "T B G"]]) -> tuple[LSTMState, Float[Array, "T B G"]]:
        """Makes one time step backward."""
        after, gates = carry
        step = place if reverse else size - 1 - place
        dh = after.hidden + _at(d_outputs, step)
        dc = after.cell + dh * _at(factors.q, step)
        dz = jnp.concatenate([dc, dc, dc, dh], axis=-1) * _at(gates, step)
        dc_before = dc * _at(factors.forget, step)
        if mask is None:
            return LSTMState(dz @ kernel_t, dc_before), _put(gates, dz, step)
        keep = _at(mask, step)[:, None]
        dz = jnp.where(keep, dz, 0)
        before = LSTMState(dz @ kernel_t + jnp.where(keep, 0, dh), jnp.where(keep, dc_before, after.cell))
        return before, _put(gates, dz, step)

    d_initial, dz = lax.fori_loop(0, size, body, (d_final, factors.gates))
    return dz, kernel_gradient(rows(_shifted(hidden_initial, hidden, reverse)), rows(dz)), d_initial, None


def _shifted(initial: Hidden, values: Float[Array, "T B H"], reverse: bool) -> Float[Array, "T B H"]:
    """Returns the values one step earlier in the order of the scan."""
    if reverse:
        return jnp.concatenate([values[1:], initial[None]])
    return jnp.concatenate([initial[None], values[:-1]])


lstm.defvjp(_lstm_forward, _lstm_backward)


class LSTM(nnx.Module):
    """One recurrent layer: kernels of the input and of the state, and a bias whose forget part starts at 1 (Jozefowicz et al. 2015).

    Other files know nothing of gates but how many pre-activations they have (``gate_dim``; ``train/devices.py`` counts four a unit), and
    read only ``hidden`` of a state: another kind of layer need only have the members of this class.
    """

    def __init__(self, input_dim: int, hidden_dim: int, key: Key[Array, ""]):
        """Draws an input kernel that keeps the variance of its inputs, and for each gate an orthogonal kernel (Saxe et al. 2014)."""
        self.input_kernel = nnx.Param(reader_kernel(named(key, "input_kernel"), input_dim, 4 * hidden_dim))
        gates = orthogonal(named(key, "recurrent_kernel"), hidden_dim, 4)
        self.recurrent_kernel = nnx.Param(gates)
        self.bias = nnx.Param(jnp.asarray(np.repeat(np.array([0.0, 1.0, 0.0, 0.0], np.float32), hidden_dim)))

    @property
    def hidden_dim(self) -> int:
        """Units of the layer."""
        return self.recurrent_kernel.shape[0]

    @property
    def gate_dim(self) -> int:
        """Pre-activations of all gates together."""
        return self.recurrent_kernel.shape[1]

    @property
    def state_dim(self) -> int:
        """How many numbers ``state_from`` takes per row."""
        return 2 * self.hidden_dim

    def zero_state(self, rows: int) -> LSTMState:
        """Returns a state of zeros."""
        return LSTMState(jnp.zeros((rows, self.hidden_dim)), jnp.zeros((rows, self.hidden_dim)))

    def state_from(self, numbers: Float[Array, "B _"]) -> LSTMState:
        """Makes a state of any ``state_dim`` numbers per row, by tanh where they become the hidden half."""
        hidden, cell = jnp.split(numbers, 2, axis=-1)
        return LSTMState(jnp.tanh(hidden), cell)

    def preactivations(self, inputs: Float[Array, "*T I"]) -> Float[Array, "*T G"]:
        """Returns what the inputs contribute to the gates."""
        return product(inputs, self.input_kernel[...]) + self.bias[...]

    def reader(self, embedding: Embedding, reads: int) -> Reader:
        """Returns the function from symbols to what they contribute to the gates, for reading ``reads`` symbols in all.

        A lookup and then a projection is a lookup: (E W)[ids] = E[ids] W. Where the table has fewer rows than there
        are symbols to read, it is projected once, and the layer then costs the same whatever the embedding size is.
        """
        if embedding.is_projected_first(reads):
            table = embedding.project(self.input_kernel[...]) + self.bias[...]
            return lambda ids: read_rows(table, ids)
        return lambda ids: self.preactivations(embedding(ids))

    def lookup(self, embedding: Embedding, ids: Int[Array, "T B"]) -> Float[Array, "T B G"]:
        """Returns what the symbols ``ids``, all that are read, contribute to the gates."""
        return self.reader(embedding, ids.size)(ids)

    def __call__(
        self, inputs: Float[Array, "T B G"], initial: LSTMState, mask: Bool[Array, "T B"] | None = None, reverse: bool = False
    ) -> tuple[Float[Array, "T B H"], LSTMState]:
        """Runs the layer over pre-activations from ``preactivations`` or ``lookup``."""
        return lstm(inputs, self.recurrent_kernel[...], initial, mask, reverse)

    def step(self, preactivations: Float[Array, "B G"], state: LSTMState) -> LSTMState:
        """Advances the state by one step, for loops that hold more than the layer; its gradient is JAX's own."""
        return _cell(preactivations + state.hidden @ self.recurrent_kernel[...], state.cell)[0]


def lookup_together(layers: Iterable[LSTM], embedding: Embedding, ids: Int[Array, "T B"]) -> list[Float[Array, "T B _"]]:
    """Returns what ``LSTM.lookup`` gives for each of several layers, which read the same symbols.

    A table that is not projected first is read once: two gradients, each added up in the same rows of it, are twice the work, and XLA
    may merge the two sums on CPU and then abort the process (docs/performance.md).
    """
    if embedding.is_projected_first(ids.size):
        return [layer.lookup(embedding, ids) for layer in layers]
    vectors = embedding(ids)
    return [layer.preactivations(vectors) for layer in layers]
