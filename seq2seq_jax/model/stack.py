"""Recurrent layers on top of each other, in the one direction of a decoder or a language model."""

from __future__ import annotations

from flax import nnx
from jaxtyping import Array, Float, Key

from seq2seq_jax.arrays import Hidden
from seq2seq_jax.config import ModelConfig
from seq2seq_jax.model.dropout import Dropout, dropped
from seq2seq_jax.model.keys import named
from seq2seq_jax.model.recurrent import LSTM, Inputs, LSTMState

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

    def __call__(self, inputs: Inputs, initial: States, dropout: Dropout | None) -> tuple[Float[Array, "T B H"], States]:
        """Runs all layers over the first one's pre-activations; returns the last one's outputs and the final states."""
        outputs, final = self.first(inputs, initial[0])
        outputs, states = dropped(dropout, "layer0", outputs), [final]
        for i, (layer, state) in enumerate(zip(self.layers[1:], initial[1:], strict=True), start=1):
            below = outputs
            outputs, final = layer(layer.preactivations(below), state)
            outputs = dropped(dropout, f"layer{i}", outputs)
            outputs = outputs + below if self.residual else outputs
            states.append(final)
        return outputs, tuple(states)

    def step(self, preactivations: Float[Array, "B G"], before: States, dropout: Dropout | None) -> tuple[Hidden, States]:
        """Advances all layers by one step.

        Args:
          preactivations: of the first layer.
          before: the states.
          dropout: of layers' outputs, the same at every step.
        """
        states: list[LSTMState] = []
        outputs = preactivations
        for i, (layer, state) in enumerate(zip(self.layers, before, strict=True)):
            below = outputs
            states.append(layer.step(below if i == 0 else layer.preactivations(below), state))
            outputs = dropped(dropout, f"layer{i}", states[i].hidden)
            outputs = outputs + below if self.residual and i > 0 else outputs
        return outputs, tuple(states)
