"""The encoder: recurrent layers over a source sequence, in one direction or both. Inside, time is the leading axis."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Key

from seq2seq_jax.arrays import Ids, Lengths
from seq2seq_jax.config import ModelConfig
from seq2seq_jax.model.embedding import Embedding
from seq2seq_jax.model.keys import Dropout, dropped, named
from seq2seq_jax.model.recurrent import LSTM, zero_state


def length_mask(lengths: Lengths, size: int) -> Bool[Array, "B S"]:
    """Returns true where a position lies within its row's length."""
    return jnp.arange(size)[None] < lengths[:, None]


class Encoder(nnx.Module):
    """Recurrent layers, each of which reads the outputs of the one below, both directions side by side (Schuster & Paliwal 1997).

    Where ``config.residual``, a layer's outputs are added to what it has read, from the second layer on (see ``stack.py``).
    """

    def __init__(self, config: ModelConfig, input_dim: int, key: Key[Array, ""]):
        """Builds ``config.encoder_layers`` layers, the first of which reads ``input_dim`` features."""
        directions = ("forward", "backward") if config.bidirectional else ("forward",)
        self.memory_dim = config.hidden_dim * len(directions)
        self.residual = config.residual
        widths = [input_dim] + [self.memory_dim] * (config.encoder_layers - 1)
        self.layers = nnx.List(
            [
                nnx.List([LSTM(width, config.hidden_dim, named(key, f"layer{i}/{direction}")) for direction in directions])
                for i, width in enumerate(widths)
            ]
        )

    def __call__(
        self, embedding: Embedding, source: Ids, lengths: Lengths, dropout: Dropout | None
    ) -> tuple[Float[Array, "B T M"], Float[Array, "B M"]]:
        """Returns the outputs at every source position and the last layer's last states, directions side by side."""
        mask = length_mask(lengths, source.shape[1]).T
        initial = zero_state(source.shape[0], self.layers[0][0].hidden_dim)
        outputs, last = None, []
        for i, directions in enumerate(self.layers):
            below = outputs
            read = [lstm.lookup(embedding, source.T) if below is None else lstm.preactivations(below) for lstm in directions]
            runs = [lstm(inputs, initial, mask, reverse) for lstm, inputs, reverse in zip(directions, read, (False, True), strict=False)]
            outputs = dropped(dropout, f"encoder/layer{i}", jnp.concatenate([outputs for outputs, _ in runs], axis=-1))
            outputs = outputs + below if self.residual and below is not None else outputs
            last = [final.hidden for _, final in runs]
        return outputs.swapaxes(0, 1), jnp.concatenate(last, axis=-1)
