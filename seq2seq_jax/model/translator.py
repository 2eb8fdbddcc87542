"""The encoder-decoder: a source sequence in, a target sequence out, one embedding table on each side.

Inside, time is the leading axis of everything recurrent; batches come and logits go with the row first.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Key

from seq2seq_jax.arrays import Ids, Lengths, Logits, StepLogits
from seq2seq_jax.config import ModelConfig
from seq2seq_jax.data.batches import PairBatch
from seq2seq_jax.data.vocabulary import BOS
from seq2seq_jax.model.attention import Attention, Memory
from seq2seq_jax.model.embedding import Embedding, reader_kernel
from seq2seq_jax.model.keys import Dropout, dropped, named
from seq2seq_jax.model.loss import Loss, cross_entropy
from seq2seq_jax.model.output import Output
from seq2seq_jax.model.recurrent import LSTM, Inputs, LSTMState, zero_state


class DecoderState(NamedTuple):
    """What decoding carries from symbol to symbol."""

    layers: tuple[LSTMState, ...]
    memory: Memory | None


def length_mask(lengths: Lengths, size: int) -> Bool[Array, "B S"]:
    """Returns true where a position lies within its row's length."""
    return jnp.arange(size)[None] < lengths[:, None]


class Encoder(nnx.Module):
    """Recurrent layers over the source, in one direction or both."""

    def __init__(self, config: ModelConfig, input_dim: int, key: Key[Array, ""]):
        """Builds ``config.encoder_layers`` layers; each reads the outputs of the one below."""
        self.directions = ("forward", "backward") if config.bidirectional else ("forward",)
        self.memory_dim = config.hidden_dim * len(self.directions)
        widths = [input_dim] + [self.memory_dim] * (config.encoder_layers - 1)
        self.layers = nnx.List(
            [
                nnx.List([LSTM(width, config.hidden_dim, named(key, f"layer{i}/{name}")) for name in self.directions])
                for i, width in enumerate(widths)
            ]
        )

    def __call__(
        self, embedding: Embedding, source: Ids, lengths: Lengths, dropout: Dropout | None
    ) -> tuple[Float[Array, "B S M"], Float[Array, "B M"]]:
        """Returns the outputs at every source position and the last states, directions side by side."""
        mask = length_mask(lengths, source.shape[1]).T
        outputs, last = jnp.zeros(()), []
        for i, directions in enumerate(self.layers):
            read = [self._read(i, lstm, embedding, source.T, outputs) for lstm in directions]
            initial = zero_state(source.shape[0], directions[0].hidden_dim)
            runs = [lstm(inputs, initial, mask, reverse=j == 1) for j, (lstm, inputs) in enumerate(zip(directions, read, strict=True))]
            outputs = dropped(dropout, f"encoder/layer{i}", jnp.concatenate([outputs for outputs, _ in runs], axis=-1))
            last = [final.hidden for _, final in runs]
        return outputs.swapaxes(0, 1), jnp.concatenate(last, axis=-1)

    def _read(self, layer: int, lstm: LSTM, embedding: Embedding, ids: Int[Array, "S B"], below: Array) -> Inputs:
        return lstm.lookup(embedding, ids) if layer == 0 else lstm.preactivations(below)


class Translator(nnx.Module):
    """An encoder-decoder with attention (Sutskever et al. 2014; Luong et al. 2015)."""

    def __init__(self, config: ModelConfig, source_vocabulary: int, target_vocabulary: int, key: Key[Array, ""]):
        """Builds the layers that ``config`` describes; vocabularies are given by their sizes."""
        hidden_dim = config.hidden_dim
        source_dim = config.source_embedding_dim or config.embedding_dim
        target_dim = config.target_embedding_dim or config.embedding_dim
        self.source_embedding = Embedding(source_vocabulary, source_dim, named(key, "source_embedding"))
        self.target_embedding = Embedding(target_vocabulary, target_dim, named(key, "target_embedding"))
        self.encoder = Encoder(config, source_dim, named(key, "encoder"))
        memory_dim = self.encoder.memory_dim
        widths = [target_dim] + [hidden_dim] * (config.decoder_layers - 1)
        self.bridges = nnx.List(
            [nnx.Param(reader_kernel(named(key, f"bridge{i}"), memory_dim, 2 * hidden_dim)) for i in range(config.decoder_layers)]
        )
        self.decoder = nnx.List([LSTM(width, hidden_dim, named(key, f"decoder/layer{i}")) for i, width in enumerate(widths)])
        if config.attention == "none":
            self.attention = None
        else:
            self.attention = Attention(config.attention, memory_dim, hidden_dim, named(key, "attention"))
            self.combine_kernel = nnx.Param(reader_kernel(named(key, "combine_kernel"), memory_dim + hidden_dim, hidden_dim))
        tied_dim = target_dim if config.tie_output else None
        self.output = Output(hidden_dim, target_vocabulary, tied_dim, named(key, "output"))

    def encode(self, source: Ids, lengths: Lengths, dropout: Dropout | None = None) -> DecoderState:
        """Reads the source and returns the state in which the decoder starts: a projection of the encoder's last state."""
        outputs, last = self.encoder(self.source_embedding, source, lengths, dropout)
        layers = []
        for bridge in self.bridges:
            hidden, cell = jnp.split(last @ bridge[...], 2, axis=-1)
            layers.append(LSTMState(jnp.tanh(hidden), cell))
        memory = None if self.attention is None else self.attention.remember(outputs, length_mask(lengths, source.shape[1]))
        return DecoderState(tuple(layers), memory)

    def decode(self, state: DecoderState, inputs: Ids, dropout: Dropout | None = None) -> Logits:
        """Returns the logits after each of the given target symbols (teacher forcing)."""
        outputs, _ = self._run_layers(state, inputs.T, dropout)
        return self._logits(outputs.swapaxes(0, 1), state.memory, dropout)

    def step(self, state: DecoderState, ids: Int[Array, "B"]) -> tuple[DecoderState, StepLogits]:
        """Reads one target symbol a row and returns the logits of the next."""
        outputs, layers = self._run_layers(state, ids[None], None)
        return DecoderState(layers, state.memory), self._logits(outputs.swapaxes(0, 1), state.memory, None)[:, 0]

    def loss(self, batch: PairBatch, carry: tuple[()], dropout: Dropout | None, label_smoothing: float) -> tuple[Loss, tuple[()]]:
        """Returns the loss sums of a batch; a translator carries nothing from batch to batch."""
        inputs = jnp.concatenate([jnp.full_like(batch.target[:, :1], BOS), batch.target[:, :-1]], axis=1)
        logits = self.decode(self.encode(batch.source, batch.source_lengths, dropout), inputs, dropout)
        weights = length_mask(batch.target_lengths, batch.target.shape[1]).astype(logits.dtype)
        return cross_entropy(logits, batch.target, weights, label_smoothing), carry

    def _run_layers(self, state: DecoderState, ids: Int[Array, "T B"], dropout: Dropout | None):
        outputs, layers = jnp.zeros(()), []
        for i, (lstm, initial) in enumerate(zip(self.decoder, state.layers, strict=True)):
            inputs = lstm.lookup(self.target_embedding, ids) if i == 0 else lstm.preactivations(outputs)
            outputs, final = lstm(inputs, initial)
            outputs = dropped(dropout, f"decoder/layer{i}", outputs)
            layers.append(final)
        return outputs, tuple(layers)

    def _logits(self, hidden: Float[Array, "B T H"], memory: Memory | None, dropout: Dropout | None) -> Logits:
        if self.attention is not None and memory is not None:
            context, _ = self.attention(hidden, memory)
            hidden = jnp.tanh(jnp.concatenate([context, hidden], axis=-1) @ self.combine_kernel[...])
            hidden = dropped(dropout, "combined", hidden.swapaxes(0, 1)).swapaxes(0, 1)
        return self.output(hidden, self.target_embedding)
