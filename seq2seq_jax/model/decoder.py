"""The decoder: recurrent layers over target symbols, their attention to the source, and the vector that the output is read from.

With input feeding a step needs the attention of the step before, and everything runs step by step. Without, the layers run over
all steps first and attention is computed for all of them at once, with the same result.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Key

from seq2seq_jax.arrays import Hidden
from seq2seq_jax.config import ModelConfig
from seq2seq_jax.model.attention import Attention, Memory
from seq2seq_jax.model.dropout import Dropout, dropped
from seq2seq_jax.model.keys import named
from seq2seq_jax.model.linear import product, reader_kernel
from seq2seq_jax.model.stack import LSTMStack, States

Vectors = Float[Array, "B T H"]
Weights = Float[Array, "B T S"]


class DecoderState(NamedTuple):
    """What decoding carries from symbol to symbol, a row for each hypothesis.

    Attributes:
      layers: of the recurrent layers.
      fed: the attentional vector of the step before, where it is fed into the next.
    """

    layers: States
    fed: Hidden | None


class Decoder(nnx.Module):
    """Recurrent layers with attention (Luong et al. 2015, section 3) or without (Sutskever et al. 2014)."""

    def __init__(self, config: ModelConfig, input_dim: int, memory_dim: int, key: Key[Array, ""]):
        """Builds ``config.decoder_layers`` layers, the first reading ``input_dim`` features, over memories of width ``memory_dim``."""
        self.hidden_dim = hidden_dim = config.hidden_dim
        self.stack = LSTMStack(config, input_dim, named(key, "stack"))
        bridges = [reader_kernel(named(key, f"bridge{i}"), memory_dim, layer.state_dim) for i, layer in enumerate(self.stack.layers)]
        self.bridges = nnx.List([nnx.Param(bridge) for bridge in bridges])
        if config.attention == "none":
            self.attention = None
        else:
            self.attention = Attention(config.attention, memory_dim, hidden_dim, named(key, "attention"))
            self.combine_kernel = nnx.Param(reader_kernel(named(key, "combine_kernel"), memory_dim + hidden_dim, hidden_dim))
        self.input_feeding = config.input_feeding
        if config.input_feeding:
            self.feed_kernel = nnx.Param(reader_kernel(named(key, "feed_kernel"), hidden_dim, self.stack.first.gate_dim))

    @property
    def dropout_units(self) -> dict[str, int]:
        """The units that dropout may drop, by place."""
        return self.stack.dropout_units | ({} if self.attention is None else {"vector": self.hidden_dim})

    def start(self, last: Float[Array, "B M"]) -> DecoderState:
        """Returns the state before the first symbol: of each layer a projection of the encoder's last state."""
        layers = tuple(layer.state_from(last @ bridge[...]) for layer, bridge in zip(self.stack.layers, self.bridges, strict=True))
        return DecoderState(layers, jnp.zeros_like(layers[0].hidden) if self.input_feeding else None)

    def __call__(
        self, inputs: Float[Array, "T B G"], state: DecoderState, memory: Memory | None, dropout: Dropout | None = None
    ) -> tuple[Vectors, Weights | None, DecoderState]:
        """Reads symbols and returns, after each, the vector that the output is read from.

        Args:
          inputs: pre-activations of the first layer.
          state: before the first of the symbols.
          memory: of the sources, a row for each; inputs and state may have several successive rows per source, as in a beam.
          dropout: of layers' outputs and of the vectors.

        Returns:
          The vectors, the weights of the attention (None without), and the state after the last symbol.
        """
        if self.input_feeding:
            return self._step_by_step(inputs, state, memory, dropout)
        hidden, layers = self.stack(inputs, state.layers, dropout)
        vectors, weights = self._attend(hidden.swapaxes(0, 1), memory)
        if self.attention is not None:
            vectors = dropped(dropout, "vector", vectors.swapaxes(0, 1)).swapaxes(0, 1)
        return vectors, weights, DecoderState(layers, None)

    def _step_by_step(
        self, inputs: Float[Array, "T B G"], state: DecoderState, memory: Memory | None, dropout: Dropout | None
    ) -> tuple[Vectors, Weights, DecoderState]:
        """Feeds the vector of each step into the next one's first layer (Luong et al. 2015, section 3.3)."""

        def advance(state: DecoderState, preactivations: Float[Array, "B G"]) -> tuple[DecoderState, tuple[Hidden, Float[Array, "B S"]]]:
            """Makes one step; gives the state after it, the vector ``[B, H]`` and the weights ``[B, S]`` of the attention."""
            assert state.fed is not None  # it began with zeros
            preactivations = preactivations + state.fed @ self.feed_kernel[...]
            hidden, layers = self.stack.step(preactivations, state.layers, dropout)
            vectors, weights = self._attend(hidden[:, None], memory)
            assert weights is not None  # only attention has a vector to feed
            vector = dropped(dropout, "vector", vectors[:, 0])
            return DecoderState(layers, vector), (vector, weights[:, 0])

        state, (vectors, weights) = lax.scan(advance, state, inputs)
        return vectors.swapaxes(0, 1), weights.swapaxes(0, 1), state

    def _attend(self, hidden: Vectors, memory: Memory | None) -> tuple[Vectors, Weights | None]:
        """Returns the attentional vectors (Luong et al. 2015, eq. 5) and the weights; without attention the hidden states themselves."""
        if self.attention is None or memory is None:  # both or neither
            return hidden, None
        rows, steps, width = hidden.shape
        context, weights = self.attention(hidden.reshape(memory.values.shape[0], -1, width), memory)
        both = jnp.concatenate([context.reshape(rows, steps, -1), hidden], axis=-1)
        return jnp.tanh(product(both, self.combine_kernel[...])), weights.reshape(rows, steps, -1)
