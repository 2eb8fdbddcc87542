"""Linear maps: how their kernels are drawn, and their product with values of any leading axes."""

from __future__ import annotations

import jax
from jax import lax
from jaxtyping import Float, Key

from seq2seq_jax.arrays import Array  # kernels read from a checkpoint are NumPy's
from seq2seq_jax.model.initial import normal


def reader_kernel(key: Key[Array, ""], inputs: int, outputs: int) -> Float[Array, "I O"]:
    """Draws the kernel of a layer that reads unit-variance inputs: N(0, 1 / inputs), LeCun et al. 1998, section 4.6."""
    return normal(key, (inputs, outputs), inputs**-0.5)


@jax.custom_vjp
def product(values: Float[Array, "*B I"], kernel: Float[Array, "I O"]) -> Float[Array, "*B O"]:
    """Returns ``values @ kernel`` as one product of two matrices, whose gradients are such products too.

    Over more axes the gradient would sum over several, which the CPU does by copying the arrays into another order first.
    """
    return (rows(values) @ kernel).reshape(*values.shape[:-1], kernel.shape[1])


def _product_forward(values: Float[Array, "*B I"], kernel: Float[Array, "I O"]) -> tuple[Float[Array, "*B O"], tuple[Array, Array]]:
    return product(values, kernel), (values, kernel)


def _product_backward(factors: tuple[Array, Array], gradient: Float[Array, "*B O"]) -> tuple[Float[Array, "*B I"], Float[Array, "I O"]]:
    values, kernel = factors
    return (rows(gradient) @ kernel.T).reshape(values.shape), kernel_gradient(rows(values), rows(gradient))


product.defvjp(_product_forward, _product_backward)


def kernel_gradient(values: Float[Array, "rows I"], gradient: Float[Array, "rows O"]) -> Float[Array, "I O"]:
    """Returns ``values.T @ gradient``, the gradient of a kernel.

    Where that has fewer columns than rows, the transposed product is up to three times as fast on CPU. The barrier holds XLA back from
    turning it round again (docs/performance.md).
    """
    if values.shape[1] <= gradient.shape[1]:
        return values.T @ gradient
    return lax.optimization_barrier(gradient.T @ values).T


def rows(values: Float[Array, "*B I"]) -> Float[Array, "rows I"]:
    """Joins all axes but the last into one."""
    return values.reshape(-1, values.shape[-1])
