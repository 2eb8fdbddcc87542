"""Small models, with parameters in reach, for the tests of models and decoding."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from seq2seq_jax.config import ModelConfig
from seq2seq_jax.model.build import Params, abstract_params, structure

SIZES = {"source": 9, "target": 8}


class Small:
    """A model of few units. Its parameters are drawn here: larger than at the start, and biases too, so that all have an effect."""

    def __init__(self, seed: int = 0, sizes: dict[str, int] | None = None, **settings: Any):
        self.config = dataclasses.replace(ModelConfig(embedding_dim=3, hidden_dim=4), **settings)
        self.sizes = sizes or SIZES
        self.structure = structure(self.config, self.sizes)
        shapes = abstract_params(self.config, self.sizes)
        draws = np.random.default_rng(seed)
        self.params: Params = jax.tree.map(lambda leaf: jnp.asarray(draws.normal(0, 0.8, leaf.shape), jnp.float32), shapes)

    def merge(self, params: Params | None = None) -> Any:
        """Returns the module with these parameters, or its own."""
        return nnx.merge(self.structure, self.params if params is None else params)

    def run(self, function: Any, *arguments: Any) -> Any:
        """Returns ``function(model, *arguments)``, compiled as one program."""
        return jax.jit(lambda params, *rest: function(self.merge(params), *rest))(self.params, *arguments)


def ids(rows: int, length: int, vocabulary: int, seed: int = 0) -> jax.Array:
    """Returns symbols of text, none of them a special."""
    return jnp.asarray(np.random.default_rng(seed).integers(4, vocabulary, (rows, length)), jnp.int32)


def normal(*shape: int, seed: int = 0) -> jax.Array:
    """Returns draws of N(0, 1)."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))
