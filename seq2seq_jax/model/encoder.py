"""The encoder: recurrent layers over a source sequence, in one direction or both. Inside, time is the leading axis."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Key

from seq2seq_jax.arrays import Lengths
from seq2seq_jax.config import ModelConfig
from seq2seq_jax.model.dropout import Dropout, dropped
from seq2seq_jax.model.embedding import Embedding
from seq2seq_jax.model.keys import named
from seq2seq_jax.model.recurrent import LSTM, lookup_together


def length_mask(lengths: Lengths, size: int) -> Bool[Array, "B S"]:
    """Returns true where a position lies within its row's length."""
    return jnp.arange(size)[None] < lengths[:, None]


class Encoder(nnx.Module):
    """Recurrent layers, each of which reads the outputs of the one below, both directions side by side (Schuster & Paliwal 1997).

    Where ``config.residual``, a layer's outputs are added to what it has read, from the second layer on (see ``stack.py``).
    """

    def __init__(self, config: ModelConfig, input_dim: int, key: Key[Array, ""]):
        """Builds ``config.encoder_layers`` layers, the first of which reads ``input_dim`` features."""
        self.memory_dim = config.encoder_dim
        backward = self.memory_dim // 2  # half of the units read in each direction, as in OpenNMT (Klein et al. 2017)
        directions = {"forward": self.memory_dim - backward, "backward": backward} if config.bidirectional else {"forward": self.memory_dim}
        self.residual = config.residual
        widths = [input_dim] + [self.memory_dim] * (config.encoder_layers - 1)
        self.layers = nnx.List(
            [
                nnx.List([LSTM(width, units, named(key, f"layer{i}/{direction}")) for direction, units in directions.items()])
                for i, width in enumerate(widths)
            ]
        )

    @property
    def dropout_units(self) -> dict[str, int]:
        """The units that dropout may drop, by place."""
        return {f"encoder/layer{i}": self.memory_dim for i in range(len(self.layers))}

    def __call__(
        self, embedding: Embedding, source: Int[Array, "B S"], lengths: Lengths, dropout: Dropout | None
    ) -> tuple[Float[Array, "B S M"], Float[Array, "B M"]]:
        """Returns the outputs at every source position and the last layer's last states, directions side by side."""
        mask = length_mask(lengths, source.shape[1]).T
        outputs, last = self._read(0, lookup_together(self.layers[0], embedding, source.T), mask, dropout)
        for i in range(1, len(self.layers)):
            below = outputs
            outputs, last = self._read(i, [lstm.preactivations(below) for lstm in self.layers[i]], mask, dropout)
            outputs = outputs + below if self.residual else outputs
        return outputs.swapaxes(0, 1), last

    def _read(
        self, layer: int, inputs: list[Float[Array, "S B _"]], mask: Bool[Array, "S B"], dropout: Dropout | None
    ) -> tuple[Float[Array, "S B M"], Float[Array, "B M"]]:
        """Reads the sequence with one layer, in each direction its own pre-activations; returns outputs and last states side by side."""
        directions = self.layers[layer]
        rows = mask.shape[1]
        read = [
            lstm(own, lstm.zero_state(rows), mask, reverse=place == 1)
            for place, (lstm, own) in enumerate(zip(directions, inputs, strict=True))
        ]
        outputs = jnp.concatenate([outputs for outputs, _ in read], axis=-1)
        return dropped(dropout, f"encoder/layer{layer}", outputs), jnp.concatenate([final.hidden for _, final in read], axis=-1)
