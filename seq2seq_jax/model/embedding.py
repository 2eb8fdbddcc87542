"""The embedding table: one row for each symbol, learned unless it is a baseline. An integer id is only a row number.

The initial scale is chosen so that no later layer notices the table's width: entries are drawn from N(0, INITIAL_STD^2), and
a layer that reads D columns draws its kernel from N(0, 1 / D), so a pre-activation is a sum of D products of variance INITIAL_STD^2 / D
and has variance INITIAL_STD^2 whatever D is. (Flax's own default, entries of variance 1 / D, would leave the scale to each reader.)

The scale is small because a network that starts from large values fits by moving them little (lazy training: Chizat et al. 2019): each
symbol would keep its random draw, and little would be learned of what symbols have in common. On 3,600 Hindi words 0.1 instead of 1
brought the word error rate from 11.3 % to 7.3 % (docs/results.md).

Two baselines are not learned, and show what learning a table is worth: one that stays as drawn (``build.held_tables``), and
``OneHotEmbedding``.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Float, Int, Key

from seq2seq_jax.arrays import Array, Table
from seq2seq_jax.config import ModelConfig
from seq2seq_jax.model.initial import normal

INITIAL_STD = 0.1  # of a table's entries, and so of the pre-activations that come from them


def read_rows(table: Float[Array, "V D"], ids: Int[Array, "*B"]) -> Float[Array, "*B D"]:
    """Returns the rows ``ids`` of a table; an id outside of it reads the nearest row.

    Each is read as a slice of one row: then XLA adds the gradient up in place on CPU. That of ``table[ids]`` it copies first.
    """
    slices = lax.GatherDimensionNumbers(offset_dims=(1, 2), collapsed_slice_dims=(), start_index_map=(0,))
    read = lax.gather(table, ids.reshape(-1, 1), slices, slice_sizes=(1, table.shape[1]), mode="clip")
    return read.reshape(*ids.shape, table.shape[1])


class Embedding(nnx.Module):
    """A table whose row i is the vector of symbol i."""

    def __init__(self, vocabulary_size: int, embedding_dim: int, key: Key[Array, ""], scale: float = INITIAL_STD):
        """Draws the entries from N(0, scale^2)."""
        self.table = nnx.Param(normal(key, (vocabulary_size, embedding_dim), scale))

    def __call__(self, ids: Int[Array, "*B"]) -> Float[Array, "*B D"]:
        """Returns the rows ``ids``."""
        return read_rows(self.table[...], ids)

    def project(self, kernel: Float[Array, "D G"]) -> Float[Array, "V G"]:
        """Returns the product of the whole table with a kernel."""
        return self.table[...] @ kernel

    def is_projected_first(self, reads: int) -> bool:
        """Returns whether reading ``reads`` symbols begins with the product of the whole table: where it has no more rows than that."""
        return self.table.shape[0] <= reads


class OneHotEmbedding(Embedding):
    """The identity as a table, the baseline without one: each symbol has a row of every reader's kernel to itself.

    There is nothing to learn or to store, and reading it needs no product.
    """

    def __init__(self, vocabulary_size: int, scale: float | None = None):
        """Scales by INITIAL_STD sqrt(V) by default: then pre-activations start with the variance that drawn tables give them."""
        self.size = vocabulary_size
        self.scale = INITIAL_STD * vocabulary_size**0.5 if scale is None else scale

    @property
    def table(self) -> Table:  # type: ignore[bad-override]  readers index it as they index a parameter
        """The scaled identity."""
        return self.scale * jnp.eye(self.size)

    def __call__(self, ids: Int[Array, "*B"]) -> Float[Array, "*B D"]:
        """Returns the rows ``ids``."""
        return self.scale * jax.nn.one_hot(jnp.clip(ids, 0, self.size - 1), self.size)

    def project(self, kernel: Float[Array, "D G"]) -> Float[Array, "V G"]:
        """Returns the kernel, scaled: the product with an identity."""
        return self.scale * kernel

    def is_projected_first(self, reads: int) -> bool:
        """Returns true: the product costs nothing."""
        del reads
        return True


def table_width(config: ModelConfig, side: str, vocabulary_size: int) -> int:
    """Returns the columns of the table of ``source`` or ``target``."""
    return vocabulary_size if config.table == "onehot" else configured_width(config, side)


def configured_width(config: ModelConfig, side: str) -> int:
    """Returns the columns that a table of ``source`` or ``target`` has unless it is one-hot, which has as many as symbols."""
    return (config.source_embedding_dim if side == "source" else config.target_embedding_dim) or config.embedding_dim


def make_embedding(config: ModelConfig, side: str, vocabulary_size: int, key: Key[Array, ""]) -> Embedding:
    """Returns the table of ``source`` or ``target`` that ``config`` describes."""
    if config.table == "onehot":
        return OneHotEmbedding(vocabulary_size)
    return Embedding(vocabulary_size, table_width(config, side, vocabulary_size), key)
