"""The language model: predicts each unit of a text from all before it, over segments whose state is carried on."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from seq2seq_jax.arrays import Ids, Logits, StepLogits
from seq2seq_jax.config import ModelConfig
from seq2seq_jax.data.batches import TextBatch
from seq2seq_jax.model.dropout import Dropout
from seq2seq_jax.model.embedding import Embedding, make_embedding, table_width
from seq2seq_jax.model.keys import named
from seq2seq_jax.model.loss import Loss, cross_entropy
from seq2seq_jax.model.output import Output
from seq2seq_jax.model.recurrent import LSTM
from seq2seq_jax.model.stack import LSTMStack, States


class LanguageModel(nnx.Module):
    """Recurrent layers between an embedding table and the scores of the next unit (Mikolov et al. 2010; Graves 2013)."""

    def __init__(self, config: ModelConfig, vocabulary_size: int, key: Key[Array, ""]):
        """Builds ``config.decoder_layers`` layers over a vocabulary of the given size."""
        embedding_dim = table_width(config, "target", vocabulary_size)
        self.target_embedding = make_embedding(config, "target", vocabulary_size, named(key, "target_embedding"))
        self.stack = LSTMStack(config, embedding_dim, named(key, "stack"))
        self.output = Output(config.hidden_dim, vocabulary_size, embedding_dim if config.tie_output else None, named(key, "output"))

    @property
    def dropout_units(self) -> dict[str, int]:
        """The units that dropout may drop, by place."""
        return self.stack.dropout_units

    @property
    def readers(self) -> dict[str, list[LSTM]]:
        """The layers that read the table, by its side."""
        return {"target": [self.stack.first]}

    def embedding(self, side: str) -> Embedding:
        """Returns the one table, of the side ``target``."""
        del side
        return self.target_embedding

    def replace_embeddings(self, tables: Mapping[str, Embedding]) -> None:
        """Puts another in the place of the table, where there is one."""
        self.target_embedding = tables.get("target", self.target_embedding)

    def start(self, rows: int) -> States:
        """Returns the state before the first unit."""
        return self.stack.start(rows)

    def decode(self, carry: States, inputs: Ids, dropout: Dropout | None = None) -> tuple[States, Logits]:
        """Reads a segment and returns the carried state and the logits after each unit."""
        carry, logits = self._read(carry, inputs.T, dropout)
        return carry, logits.swapaxes(0, 1)

    def _read(self, carry: States, inputs: Int[Array, "T B"], dropout: Dropout | None) -> tuple[States, Float[Array, "T B V"]]:
        """Does the same with time first, as the layers have it: to turn round what they give would copy it."""
        outputs, carry = self.stack(self.stack.first.lookup(self.target_embedding, inputs), carry, dropout)
        return carry, self.output(outputs, self.target_embedding)

    def step(self, carry: States, ids: Int[Array, " B"]) -> tuple[States, StepLogits]:
        """Reads one unit a row and returns the logits of the next."""
        carry, logits = self.decode(carry, ids[:, None])
        return carry, logits[:, 0]

    def loss(self, batch: TextBatch, carry: States, dropout: Dropout | None, label_smoothing: float) -> tuple[Loss, States]:
        """Returns the loss sums of a segment and the state to start the next one from."""
        kept = jnp.where(batch.fresh, 0.0, 1.0)[:, None]
        carry = jax.tree.map(lambda values: values * kept, carry)
        carry, logits = self._read(carry, batch.inputs.T, dropout)
        return cross_entropy(logits, batch.targets.T, batch.weights.T, label_smoothing), carry
