"""Recurrent layers on top of each other, in the one direction of a decoder or a language model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flax import nnx
from jaxtyping import Array, Float, Key

from seq2seq_jax.arrays import Hidden
from seq2seq_jax.config import ModelConfig
from seq2seq_jax.model.dropout import Dropout, dropped
from seq2seq_jax.model.keys import named
from seq2seq_jax.model.recurrent import LSTM, LSTMState

States = tuple[LSTMState, ...]


class LSTMStack(nnx.Module):
    """Layers of one width, each of which reads the outputs of the one below.

    Where ``config.residual``, a layer's outputs are added to what it has read, from the second layer on: the first reads
    another width (He et al. 2016; in recurrent translators Wu et al. 2016, section 3.1).
    """

    def __init__(self, config: ModelConfig, input_dim: int, key: Key[Array, ""]):
        """Builds ``config.decoder_layers`` layers, the first of which reads ``input_dim`` features."""
        widths = [input_dim] + [config.hidden_dim] * (config.decoder_layers - 1)
        self.layers = nnx.List([LSTM(width, config.hidden_dim, named(key, f"layer{i}")) for i, width in enumerate(widths)])
        self.residual = config.residual

    @property
    def first(self) -> LSTM:
        """The layer that reads the symbols."""
        return self.layers[0]

    @property
    def dropout_units(self) -> dict[str, int]:
        """The units that dropout may drop, by place."""
        return {f"layer{i}": layer.hidden_dim for i, layer in enumerate(self.layers)}

    def start(self, rows: int) -> States:
        """Returns the states before the first step."""
        return tuple(layer.zero_state(rows) for layer in self.layers)

    def __call__(self, inputs: Float[Array, "T B G"], initial: States, dropout: Dropout | None) -> tuple[Float[Array, "T B H"], States]:
        """Runs all layers over the first one's pre-activations; returns the last one's outputs and the final states."""
        return self._through(inputs, initial, dropout, lambda layer, read, state: layer(read, state))

    def step(self, preactivations: Float[Array, "B G"], before: States, dropout: Dropout | None) -> tuple[Hidden, States]:
        """Advances all layers by one step, from the first one's pre-activations; what is dropped is the same at every step."""

        def advance(layer: LSTM, read: Float[Array, "B G"], state: LSTMState) -> tuple[Hidden, LSTMState]:
            after = layer.step(read, state)
            return after.hidden, after

        return self._through(preactivations, before, dropout, advance)

    def _through(
        self, inputs: Any, states: States, dropout: Dropout | None, run: Callable[..., tuple[Any, LSTMState]]
    ) -> tuple[Any, States]:
        """Carries pre-activations of the first layer up through all; ``run(layer, preactivations, state) -> (outputs, state)``."""
        outputs, after = inputs, []
        for i, (layer, state) in enumerate(zip(self.layers, states, strict=True)):
            below = outputs
            outputs, final = run(layer, below if i == 0 else layer.preactivations(below), state)
            outputs = dropped(dropout, f"layer{i}", outputs)
            outputs = outputs + below if self.residual and i > 0 else outputs
            after.append(final)
        return outputs, tuple(after)
