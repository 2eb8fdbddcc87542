"""From a hidden state to scores of every symbol."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Key

from seq2seq_jax.model.embedding import INITIAL_STD, Embedding
from seq2seq_jax.model.keys import named
from seq2seq_jax.model.linear import product, reader_kernel


class Output(nnx.Module):
    """A kernel and a bias over the vocabulary; where tied, the kernel is the target's embedding table.

    A tied output first projects the hidden state to the table's width, so that tying (Press & Wolf 2017) does not
    chain the embedding size to the hidden size.
    """

    def __init__(self, hidden_dim: int, vocabulary_size: int, tied_dim: int | None, key: Key[Array, ""]):
        """Draws the kernel: to the vocabulary, or to ``tied_dim`` columns where the output is tied."""
        self.kernel = nnx.Param(reader_kernel(named(key, "kernel"), hidden_dim, tied_dim or vocabulary_size))
        self.bias = nnx.Param(jnp.asarray(np.zeros(vocabulary_size, np.float32)))
        self.tied = tied_dim is not None

    def __call__(self, hidden: Float[Array, "*B H"], embedding: Embedding) -> Float[Array, "*B V"]:
        """Returns the logits; ``embedding`` is read only where the output is tied to it."""
        features = product(hidden, self.kernel[...])
        if self.tied:
            table = embedding.table[...]
            features = features / (INITIAL_STD * jnp.sqrt(table.shape[1]))  # so that logits too have variance 1
            features = product(features, table.T)
        return features + self.bias[...]
