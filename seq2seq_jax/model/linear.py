"""Linear maps: how their kernels are drawn, and their product with values of any leading axes."""

from __future__ import annotations

from jaxtyping import Float, Key

from seq2seq_jax.arrays import Array  # kernels read from a checkpoint are NumPy's
from seq2seq_jax.model.initial import normal


def reader_kernel(key: Key[Array, ""], inputs: int, outputs: int) -> Float[Array, "I O"]:
    """Draws the kernel of a layer that reads unit-variance inputs: N(0, 1 / inputs), LeCun et al. 1998, section 4.6."""
    return normal(key, (inputs, outputs), inputs**-0.5)


def product(values: Float[Array, "*B I"], kernel: Float[Array, "I O"]) -> Float[Array, "*B O"]:
    """Returns ``values @ kernel`` as one product of two matrices.

    Over more axes its gradient would sum over several, which the CPU does by copying the arrays into another order first.
    """
    return (values.reshape(-1, values.shape[-1]) @ kernel).reshape(*values.shape[:-1], kernel.shape[1])
