"""The share of the machine's own matrix-product peak that the language model's step reaches.

Counted are the products that the mathematics needs, each once forward and twice backward: the recurrent ones, those of
upper layers' inputs, the output's, and the first layer's input at the price of the cheaper way, by symbols or by rows of the table.
Everything else (gates, softmax, Adam) counts as nothing done.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from benchmarks import ours, timing
from benchmarks.lstm_step import SHAPES, Shape

PEAK_SIZE = 2048  # rows and columns of the two factors of the product that sets the peak


def measure(repetitions: int) -> Iterator[timing.Figure]:
    """Yields the share of every shape."""
    factor = jax.random.normal(jax.random.key(0), (PEAK_SIZE, PEAK_SIZE))
    multiply = jax.jit(jnp.matmul)
    for shape in SHAPES:
        actions = {"step": ours.language_model(*shape), "peak": lambda: jax.block_until_ready(multiply(factor, factor))}
        seconds = timing.in_turn(actions, repetitions)
        share = operations(shape) / seconds["step"] / (2 * PEAK_SIZE**3 / seconds["peak"])
        yield timing.alone(f"peak_share/{shape}", share)


def operations(shape: Shape) -> float:
    """Returns the multiplications and additions of the products of one training step."""
    symbols = shape.b * shape.t
    recurrent = symbols * shape.h * 4 * shape.h * shape.layers
    inputs = min(shape.v, symbols) * shape.d * 4 * shape.h + symbols * shape.h * 4 * shape.h * (shape.layers - 1)
    output = symbols * shape.h * shape.v
    return 3 * 2.0 * (recurrent + inputs + output)
