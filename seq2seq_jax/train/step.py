"""The step: pure functions of pytrees, and the only place where a gradient is taken.

The loop compiles them for one device or several (``devices.py``); nothing else updates parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax
from jaxtyping import Bool, Float, Int

from seq2seq_jax.arrays import Array, Table
from seq2seq_jax.config import Config
from seq2seq_jax.data.batches import PairBatch, TextBatch
from seq2seq_jax.data.windows import WindowBatch
from seq2seq_jax.model.build import Params
from seq2seq_jax.model.keys import Dropout, named
from seq2seq_jax.model.loss import Loss
from seq2seq_jax.model.skip_gram import ByTable, RowLoss
from seq2seq_jax.train.pretrained import hold
from seq2seq_jax.train.state import TrainState, Window, make_optimizer, make_schedule, moving_average, root_key

Batch = PairBatch | TextBatch | WindowBatch
TrainStep = Callable[[TrainState, Batch], TrainState]
Merge = Callable[[Params], Any]  # to a model; which batches it takes depends on its kind


class Update(NamedTuple):
    """What an update leaves: the new values, the sums of the loss, and whether loss and gradient were finite numbers."""

    params: Params
    opt_state: Any
    carry: Any
    loss: Loss
    healthy: Bool[Array, ""]


def make_train_step(config: Config, merge: Merge, total_steps: int, axis: str | None = None) -> TrainStep:
    """Returns ``train_step(state, batch) -> state``.

    Args:
      config: the run's configuration.
      merge: makes the model from its parameters.
      total_steps: updates of the whole run, for the schedule.
      axis: name of the mapped axis where several devices share a batch, None on one device.
    """
    update = (_update_of_rows if config.model.kind == "skip_gram" else _update_of_all)(config, merge, axis)
    schedule, decay = make_schedule(config.train, total_steps), config.train.average_decay

    def train_step(state: TrainState, batch: Batch) -> TrainState:
        """Makes one update."""
        made = update(state, batch, state.learning_rate * schedule(state.step))
        return state._replace(
            step=state.step + 1,
            params=made.params,
            average={} if decay is None else moving_average(decay, state.average, made.params, state.step),
            opt_state=made.opt_state,
            carry=jax.tree.map(lax.stop_gradient, made.carry),
            window=_extend(state.window, made.loss, made.healthy, state.step),
        )

    return train_step


def _update_of_all(config: Config, merge: Merge, axis: str | None) -> Callable[[TrainState, Batch, jax.Array], Update]:
    """Moves every parameter, by the mean gradient over the scored units of the whole batch."""
    optimizer = make_optimizer(config)

    def update(state: TrainState, batch: Batch, rate: jax.Array) -> Update:
        """Takes the gradient of the mean loss, in nats a unit, and the optimizer's step of length ``rate``."""
        dropout = _dropout(config, state, batch, axis)

        def objective(params: Params) -> tuple[jax.Array, tuple[Loss, Any]]:
            loss, carry = merge(params).loss(batch, state.carry, dropout, config.train.label_smoothing)
            return loss.objective / jnp.maximum(_total(loss.count, axis), 1.0), (loss, carry)

        gradients, (loss, carry) = jax.grad(objective, has_aux=True)(state.params)
        gradients, loss = _total((gradients, loss), axis)
        gradients = hold(config.model, gradients, state.step)
        directions, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = jax.tree.map(lambda param, direction: param - rate * direction, state.params, directions)
        return Update(params, opt_state, carry, loss, jnp.isfinite(loss.objective) & jnp.isfinite(optax.tree.norm(gradients)))

    return update


def _update_of_rows(config: Config, merge: Merge, axis: str | None) -> Callable[[TrainState, Batch, jax.Array], Update]:
    """Moves the rows of tables that a batch reads, by the sum of their gradients, and touches no other (see ``model/skip_gram.py``)."""
    del config

    def update(state: TrainState, batch: Batch, rate: jax.Array) -> Update:
        """Takes the gradient of the summed loss, in nats, by the rows read, and moves each by ``rate`` at most."""
        model = merge(state.params)

        def objective(rows: ByTable) -> tuple[jax.Array, RowLoss]:
            found = model.row_loss(rows, batch)
            return found.loss.objective, found

        gradients, (loss, curvatures) = jax.grad(objective, has_aux=True)(model.read(batch))
        loss = _total(loss, axis)
        places, gradients, curvatures = _everywhere((model.places(batch), gradients, curvatures), axis)
        moved = {
            name: {"table": move_rows(model.table(name), ids, gradients[name], curvatures[name], rate)} for name, ids in places.items()
        }
        healthy = jnp.isfinite(loss.objective) & jnp.isfinite(optax.tree.norm(gradients))
        return Update({**state.params, **moved}, state.opt_state, (), loss, healthy)

    return update


def move_rows(
    table: Table, ids: Int[Array, "B _"], gradients: Float[Array, "B _ D"], curvatures: Float[Array, "B _"], rate: Float[Array, ""]
) -> Table:
    """Moves rows against their gradients, each by its sum over the places where it was read.

    A row goes by the rate, and no farther than the sum of its ``curvatures`` over these places allows (see ``model/skip_gram.py``).
    """
    curvature = jnp.zeros(len(table)).at[ids].add(curvatures)[ids]
    return table.at[ids].add(-(rate / jnp.maximum(1.0, rate * curvature))[..., None] * gradients)


def _total(sums: Any, axis: str | None) -> Any:
    return sums if axis is None else lax.psum(sums, axis)


def _everywhere(rows: Any, axis: str | None) -> Any:
    """Gives each device the rows of all."""
    return rows if axis is None else jax.tree.map(lambda leaf: lax.all_gather(leaf, axis, tiled=True), rows)


def _dropout(config: Config, state: TrainState, batch: Batch, axis: str | None) -> Dropout | None:
    rows = jax.tree.leaves(batch)[0].shape[0]
    devices, device = (1, 0) if axis is None else (lax.axis_size(axis), lax.axis_index(axis))
    key = jax.random.fold_in(named(root_key(state.seed), "dropout"), state.step)
    return Dropout.at(config.model.dropout, key, rows * devices, rows, rows * device)


def _extend(window: Window, loss: Loss, healthy: jax.Array, step: jax.Array) -> Window:
    sums = Loss(*(before + now for before, now in zip(window.loss, loss, strict=True)))
    return Window(sums, jnp.where((window.bad_step < 0) & ~healthy, step, window.bad_step))


def make_eval_step(structure: nnx.GraphDef) -> Callable[[Params, Any, Batch], tuple[Loss, Any]]:
    """Returns ``eval_step(params, carry, batch) -> (loss, carry)``: the same loss as in training, without dropout or smoothing."""

    def eval_step(params: Params, carry: Any, batch: Batch) -> tuple[Loss, Any]:
        return nnx.merge(structure, params).loss(batch, carry, None, 0.0)

    return eval_step
