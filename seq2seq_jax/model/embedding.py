"""The embedding table: one learnt row for each symbol. An integer id is only a row number.

The initial scale is chosen so that no later layer notices the table's width: entries are drawn from N(0, 1), and
a layer that reads D columns draws its kernel from N(0, 1 / D), so a pre-activation is a sum of D products of variance 1 / D
and has variance 1 whatever D is. (Flax's own default, entries of variance 1 / D, would leave the scale to each reader.)
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from seq2seq_jax.arrays import Table


class Embedding(nnx.Module):
    """A table whose row i is the vector of symbol i."""

    def __init__(self, vocabulary_size: int, embedding_dim: int, key: Key[Array, ""]):
        """Draws the entries from N(0, 1)."""
        self.table = nnx.Param(jax.random.normal(key, (vocabulary_size, embedding_dim)))

    def __call__(self, ids: Int[Array, "*B"]) -> Float[Array, "*B D"]:
        """Returns the rows ``ids``."""
        return jnp.take(self.table[...], ids, axis=0, mode="clip")

    @property
    def vocabulary_size(self) -> int:
        """Rows of the table."""
        return self.table.shape[0]

    @property
    def embedding_dim(self) -> int:
        """Columns of the table."""
        return self.table.shape[1]


def reader_kernel(key: Key[Array, ""], inputs: int, outputs: int) -> Float[Array, "I O"]:
    """Draws the kernel of a layer that reads unit-variance inputs: N(0, 1 / inputs), LeCun et al. 1998, section 4.6."""
    return jax.random.normal(key, (inputs, outputs)) / jnp.sqrt(inputs)


def output_logits(features: Float[Array, "*B D"], table: Table) -> Float[Array, "*B V"]:
    """Scores every symbol by the product of ``features`` with its row, scaled to the variance of one product."""
    return features @ table.T / jnp.sqrt(table.shape[1])
