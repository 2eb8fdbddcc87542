"""Attention: a decoder state's view of the encoder's outputs."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Key

from seq2seq_jax.model.keys import named
from seq2seq_jax.model.linear import product, reader_kernel

MASKED = -1e30  # finite, so that a row without any source position gives uniform weights and no NaN


class Memory(NamedTuple):
    """The encoder's outputs as attention reads them: projected once for a whole decoding."""

    values: Float[Array, "B S M"]
    keys: Float[Array, "B S H"]
    mask: Bool[Array, "B S"]


class Attention(nnx.Module):
    """Scores by ``dot`` and ``general`` (Luong et al. 2015, section 3.1) or ``additive`` (Bahdanau et al. 2015, appendix A.1.2)."""

    def __init__(self, kind: str, memory_dim: int, hidden_dim: int, key: Key[Array, ""]):
        """Draws the kernels that ``kind`` needs."""
        self.kind = kind
        if kind in ("general", "additive"):
            self.memory_kernel = nnx.Param(reader_kernel(named(key, "memory_kernel"), memory_dim, hidden_dim))
        if kind == "additive":
            self.query_kernel = nnx.Param(reader_kernel(named(key, "query_kernel"), hidden_dim, hidden_dim))
            self.score_kernel = nnx.Param(reader_kernel(named(key, "score_kernel"), hidden_dim, 1))

    def remember(self, values: Float[Array, "B S M"], mask: Bool[Array, "B S"]) -> Memory:
        """Prepares the encoder's outputs."""
        return Memory(values, values if self.kind == "dot" else product(values, self.memory_kernel[...]), mask)

    def __call__(self, queries: Float[Array, "B T H"], memory: Memory) -> tuple[Float[Array, "B T M"], Float[Array, "B T S"]]:
        """Returns the context of every query and the weights, which sum to 1 over the source and are 0 on padding."""
        if self.kind == "additive":
            mixed = jnp.tanh(product(queries, self.query_kernel[...])[:, :, None] + memory.keys[:, None])
            scores = product(mixed, self.score_kernel[...])[..., 0]
        else:
            scores = jnp.einsum("bth,bsh->bts", queries, memory.keys)
        weights = jax.nn.softmax(jnp.where(memory.mask[:, None], scores, MASKED), axis=-1)
        return jnp.einsum("bts,bsm->btm", weights, memory.values), weights
