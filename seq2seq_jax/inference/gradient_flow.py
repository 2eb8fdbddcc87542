"""Where the gradient of a loss goes: through layers and time steps, into rows of the table, and not into the ids.

Zeros are added to what each time step looks up, to the pre-activations of each recurrent layer and to the logits: the gradient with
respect to such a zero is that with respect to the value it is added to, and takes in all paths through later steps. The table is given
to the model twice, to look symbols up and for a tied output, so that both paths are seen apart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from seq2seq_jax.arrays import Array, Scalar, Table
from seq2seq_jax.inference.flow import Flow, Rows, Side
from seq2seq_jax.model.embedding import Embedding, read_rows
from seq2seq_jax.model.language_model import LanguageModel
from seq2seq_jax.model.recurrent import LSTM
from seq2seq_jax.model.translator import Translator

IdsBySide = dict[str, Int[np.ndarray, " _"]]  # what each side reads
DeviceIdsBySide = dict[str, Int[Array, " _"]]
Traced = Translator | LanguageModel
Norms = Float[np.ndarray, " _"]


class TracedEmbedding(Embedding):
    """A table given twice, to be looked up and to be read by a tied output, with something added to what each time step looks up."""

    def __init__(self, lookup: Table, added: Float[Array, "T 1 D"], table: Table):
        self.lookup, self.added, self.table = nnx.Param(lookup), nnx.Param(added), nnx.Param(table)

    def __call__(self, ids: Int[Array, "T 1"]) -> Float[Array, "T 1 D"]:
        """Returns the rows ``ids`` with what is added to them."""
        return read_rows(self.lookup[...], ids) + self.added[...]

    def is_projected_first(self, reads: int) -> bool:
        """Returns false: there has to be a row for each time step, which is looked up and then projected."""
        del reads
        return False


def gradient_flow(
    make: Callable[[], Traced], ids: IdsBySide, targets: Int[np.ndarray, " T"], position: int = 0, held: Collection[str] = ()
) -> Flow:
    """Follows the gradient of the loss of one example, without dropout and label smoothing.

    Args:
      make: returns the model with its parameters, anew each time.
      ids: what is read: source symbols and EOS (translators), and on the target side BOS and all targets but the last.
      targets: what is predicted.
      position: the output symbol whose loss is followed, counted from 1; 0: the mean over all.
      held: names of the tables that training leaves as they are (``build.held_tables``).
    """
    weights = np.full(len(targets), 1 / len(targets)) if position == 0 else np.eye(len(targets))[position - 1]

    def loss(parts: dict[str, Any], ids: DeviceIdsBySide) -> tuple[Scalar, Float[Array, " T"]]:
        model = make()
        _install(model, parts)
        logits = _logits(model, ids) + parts["logits"]
        losses = jax.nn.logsumexp(logits, axis=-1) - jnp.take_along_axis(logits, jnp.asarray(targets)[:, None], axis=-1)[:, 0]
        return jnp.sum(losses * weights), losses

    model = make()
    device_ids = {side: jnp.asarray(symbols) for side, symbols in ids.items()}
    follow = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True, allow_int=True))
    (gradients, id_gradients), losses = jax.device_get(follow(_parts(model, ids), device_ids))
    reached = any(leaf.dtype != jax.dtypes.float0 for leaf in jax.tree.leaves(id_gradients))
    sides = [Side(side, symbols, _layer_norms(model, side, gradients)) for side, symbols in ids.items()]
    return Flow(targets, losses, position, sides, _rows(model, gradients, held), reached)


def _parts(model: Traced, ids: IdsBySide) -> dict[str, Any]:
    """Returns what the gradient is taken by: the tables, once for each use, and the zeros."""
    tables = {side: model.embedding(side).table[...] for side in ids}
    steps = {side: jnp.zeros((len(symbols), 1, tables[side].shape[1])) for side, symbols in ids.items()}
    layers = {
        side: {name: jnp.zeros((len(ids[side]), 1, layers[place].gate_dim)) for name, layers, place in _recurrent(model, side)}
        for side in ids
    }
    logits = jnp.zeros((len(ids["target"]), len(model.output.bias[...])))
    return {"lookup": tables, "output": dict(tables), "steps": steps, "layers": layers, "logits": logits}


def _recurrent(model: Traced, side: str) -> list[tuple[str, Any, int]]:
    """Returns the recurrent layers that read a side: name, list and place in it.

    With input feeding the layers above the first run inside the decoder's loop and have no pre-activations of all steps.
    """
    if isinstance(model, Translator) and side == "source":
        arrows = "→←"
        groups = enumerate(model.encoder.layers)
        return [(f"layer {i} {arrows[place]}", group, place) for i, group in groups for place in range(len(group))]
    decoder = model.decoder if isinstance(model, Translator) else model
    layers = decoder.stack.layers
    count = 1 if isinstance(model, Translator) and model.decoder.input_feeding else len(layers)
    return [(f"layer {place}", layers, place) for place in range(count)]


def _install(model: Traced, parts: dict[str, Any]) -> None:
    """Puts traced tables and layers in the place of the model's."""
    traced = {side: TracedEmbedding(parts["lookup"][side], parts["steps"][side], parts["output"][side]) for side in parts["lookup"]}
    model.replace_embeddings(traced)
    for side in traced:
        for name, layers, place in _recurrent(model, side):
            _add(layers[place], parts["layers"][side][name])


def _add(layer: LSTM, added: Float[Array, "T 1 G"]) -> None:
    """Has a recurrent layer add something to the pre-activations of each time step."""
    own = layer.preactivations
    layer.preactivations = lambda inputs: own(inputs) + added


def _logits(model: Any, ids: DeviceIdsBySide) -> Float[Array, "T V"]:
    target = ids["target"][None]
    if not isinstance(model, Translator):
        return model.decode(model.start(1), target)[1][0]
    source = ids["source"][None]
    state, memory = model.encode(source, jnp.array([source.shape[1]]))
    return model.decode(state, memory, target)[0]


def _layer_norms(model: Traced, side: str, gradients: dict[str, Any]) -> dict[str, Norms]:
    """Returns the norms at each time step, from the lookup upward."""
    norms = {"lookup": _norms(gradients["steps"][side][:, 0])}
    norms |= {name: _norms(gradients["layers"][side][name][:, 0]) for name, _, _ in _recurrent(model, side)}
    return norms | {"logits": _norms(gradients["logits"])} if side == "target" else norms


def _rows(model: Traced, gradients: dict[str, Any], held: Collection[str]) -> list[Rows]:
    """Returns the norms by row; a shared table has the lookups of both sides."""

    def is_learned(side: str, name: str) -> bool:
        return type(model.embedding(side)) is Embedding and name not in held

    def rows(sides: tuple[str, ...], name: str) -> Rows:
        learned = is_learned(sides[-1], name)
        lookups = {side: _norms(gradients["lookup"][side]) * learned for side in sides}
        softmax = _norms(gradients["output"]["target"]) * learned if model.output.tied and "target" in sides else None
        return Rows(sides, lookups, softmax, learned)

    if isinstance(model, Translator) and model.shared:
        return [rows(("source", "target"), "shared_embedding")]
    return [rows((side,), f"{side}_embedding") for side in gradients["lookup"]]


def _norms(gradient: Float[np.ndarray, "_ D"]) -> Norms:
    return np.linalg.norm(np.asarray(gradient, np.float64), axis=-1)
