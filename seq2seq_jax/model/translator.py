"""The encoder-decoder: a source sequence in, a target sequence out, an embedding table on each side or one for both.

Inside encoder and decoder time is the leading axis; in batches and logits it is the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from seq2seq_jax.arrays import Ids, Lengths, Logits, StepLogits
from seq2seq_jax.config import ModelConfig
from seq2seq_jax.data.batches import PairBatch
from seq2seq_jax.data.vocabulary import BOS
from seq2seq_jax.model.attention import Memory
from seq2seq_jax.model.decoder import Decoder, DecoderState
from seq2seq_jax.model.dropout import Dropout
from seq2seq_jax.model.embedding import Embedding, make_embedding, table_width
from seq2seq_jax.model.encoder import Encoder, length_mask
from seq2seq_jax.model.keys import named
from seq2seq_jax.model.loss import Loss, cross_entropy
from seq2seq_jax.model.output import Output
from seq2seq_jax.model.recurrent import LSTM

Step = Callable[[DecoderState, Int[Array, " B"]], tuple[DecoderState, StepLogits]]


class Translator(nnx.Module):
    """An encoder-decoder with attention (Sutskever et al. 2014; Luong et al. 2015)."""

    def __init__(self, config: ModelConfig, source_vocabulary: int, target_vocabulary: int, key: Key[Array, ""]):
        """Builds the layers that ``config`` describes for vocabularies of these sizes.

        Encoder, decoder and output hold no tables: they are given the one that they read, which both sides may share.
        """
        source_dim = table_width(config, "source", source_vocabulary)
        target_dim = table_width(config, "target", target_vocabulary)
        self.shared = config.share_embeddings
        if self.shared:
            self.shared_embedding = make_embedding(config, "target", target_vocabulary, named(key, "shared_embedding"))
        else:
            self.source_embedding = make_embedding(config, "source", source_vocabulary, named(key, "source_embedding"))
            self.target_embedding = make_embedding(config, "target", target_vocabulary, named(key, "target_embedding"))
        self.encoder = Encoder(config, source_dim, named(key, "encoder"))
        self.decoder = Decoder(config, target_dim, self.encoder.memory_dim, named(key, "decoder"))
        self.output = Output(config.hidden_dim, target_vocabulary, target_dim if config.tie_output else None, named(key, "output"))

    @property
    def dropout_units(self) -> dict[str, int]:
        """The units that dropout may drop, by place."""
        return self.encoder.dropout_units | self.decoder.dropout_units

    def start(self, rows: int) -> tuple[()]:
        """Returns what is carried from batch to batch: nothing."""
        del rows
        return ()

    def embedding(self, side: str) -> Embedding:
        """Returns the table of ``source`` or ``target``, the same one where they share it."""
        if self.shared:
            return self.shared_embedding
        return self.source_embedding if side == "source" else self.target_embedding

    @property
    def readers(self) -> dict[str, list[LSTM]]:
        """The layers that read each side's table."""
        return {"source": list(self.encoder.layers[0]), "target": [self.decoder.stack.first]}

    def replace_embeddings(self, tables: Mapping[str, Embedding]) -> None:
        """Puts others in the place of some sides' tables; of both sides where they share one, which then is two."""
        if self.shared and tables:
            del self.shared_embedding
            self.shared = False
        for side, table in tables.items():
            setattr(self, f"{side}_embedding", table)

    def encode(self, source: Int[Array, "B S"], lengths: Lengths, dropout: Dropout | None = None) -> tuple[DecoderState, Memory | None]:
        """Reads the source and returns the state in which the decoder starts and, with attention, what it looks at."""
        outputs, last = self.encoder(self.embedding("source"), source, lengths, dropout)
        attention = self.decoder.attention
        memory = None if attention is None else attention.remember(outputs, length_mask(lengths, source.shape[1]))
        return self.decoder.start(last), memory

    def decode(self, state: DecoderState, memory: Memory | None, inputs: Ids, dropout: Dropout | None = None) -> Logits:
        """Returns the logits after each of the given target symbols (teacher forcing)."""
        read = self.decoder.stack.first.lookup(self.embedding("target"), inputs.T)
        vectors, _, _ = self.decoder(read, state, memory, dropout)
        return self.output(vectors, self.embedding("target"))

    def decoding(self, source: Int[Array, "B S"], lengths: Lengths, limit: int) -> tuple[Step, DecoderState]:
        """Returns what decodes these sources step by step: a function and the state that it starts from.

        What is the same at every step is computed once, here. The function reads one target symbol per row and returns the
        logits of the next. There is one row per source, or K successive ones for the K hypotheses of a beam.

        Args:
          source: the sources.
          lengths: of the sources.
          limit: largest number of steps.
        """
        state, memory = self.encode(source, lengths)
        reader = self.decoder.stack.first.reader(self.embedding("target"), source.shape[0] * limit)

        def step(state: DecoderState, ids: Int[Array, " B"]) -> tuple[DecoderState, StepLogits]:
            vectors, _, state = self.decoder(reader(ids[None]), state, memory)
            return state, self.output(vectors[:, 0], self.embedding("target"))

        return step, state

    def attention_weights(self, source: Int[Array, "B S"], lengths: Lengths, target: Ids) -> Float[Array, "B T S"] | None:
        """Returns how each target symbol's prediction weighs the source positions; None without attention."""
        state, memory = self.encode(source, lengths)
        read = self.decoder.stack.first.lookup(self.embedding("target"), _after_bos(target).T)
        return self.decoder(read, state, memory)[1]

    def loss(self, batch: PairBatch, carry: tuple[()], dropout: Dropout | None, label_smoothing: float) -> tuple[Loss, tuple[()]]:
        """Returns the loss sums of a batch; a translator carries nothing from batch to batch."""
        state, memory = self.encode(batch.source, batch.source_lengths, dropout)
        logits = self.decode(state, memory, _after_bos(batch.target), dropout)
        weights = length_mask(batch.target_lengths, batch.target.shape[1]).astype(logits.dtype)
        return cross_entropy(logits, batch.target, weights, label_smoothing), carry


def _after_bos(target: Ids) -> Ids:
    """Returns what the decoder reads to predict ``target``: BOS and all but the last symbol."""
    return jnp.concatenate([jnp.full_like(target[:, :1], BOS), target[:, :-1]], axis=1)
