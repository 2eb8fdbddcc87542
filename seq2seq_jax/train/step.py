"""The step: pure functions of pytrees, and the only place where a gradient is taken.

The loop compiles them for one device or several (``devices.py``); nothing else updates parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax

from seq2seq_jax.config import Config
from seq2seq_jax.data.batches import PairBatch, TextBatch
from seq2seq_jax.model.build import Params
from seq2seq_jax.model.keys import Dropout, named
from seq2seq_jax.model.loss import Loss
from seq2seq_jax.train.state import TrainState, Window, make_optimizer, make_schedule, root_key

Batch = PairBatch | TextBatch
TrainStep = Callable[[TrainState, Batch], TrainState]
Merge = Callable[[Params], Any]  # to a model; which batches it takes depends on its kind


def make_train_step(config: Config, merge: Merge, total_steps: int, axis: str | None = None) -> TrainStep:
    """Returns ``train_step(state, batch) -> state``.

    Args:
      config: the run's configuration.
      merge: makes the model from its parameters.
      total_steps: updates of the whole run, for the schedule.
      axis: name of the mapped axis where several devices share a batch, None on one device.
    """
    optimizer = make_optimizer(config.train)
    schedule = make_schedule(config.train, total_steps)

    def total(sums: Any) -> Any:
        return sums if axis is None else lax.psum(sums, axis)

    def train_step(state: TrainState, batch: Batch) -> TrainState:
        """Makes one update from the mean gradient over the scored units of the whole batch."""
        dropout = _dropout(config, state, batch, axis)

        def objective(params: Params) -> tuple[jax.Array, tuple[Loss, Any]]:
            loss, carry = merge(params).loss(batch, state.carry, dropout, config.train.label_smoothing)
            return loss.objective, (loss, carry)

        gradients, (loss, carry) = jax.grad(objective, has_aux=True)(state.params)
        gradients, loss = total((gradients, loss))
        gradients = jax.tree.map(lambda gradient: gradient / jnp.maximum(loss.count, 1.0), gradients)
        directions, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        rate = state.learning_rate * schedule(state.step)
        params = jax.tree.map(lambda param, direction: param - rate * direction, state.params, directions)
        healthy = jnp.isfinite(loss.objective) & jnp.isfinite(optax.tree.norm(gradients))
        return state._replace(
            step=state.step + 1,
            params=params,
            opt_state=opt_state,
            carry=jax.tree.map(lax.stop_gradient, carry),
            window=_extend(state.window, loss, healthy, state.step),
        )

    return train_step


def _dropout(config: Config, state: TrainState, batch: Batch, axis: str | None) -> Dropout | None:
    rows = jax.tree.leaves(batch)[0].shape[0]
    positions = jnp.arange(rows) + (0 if axis is None else lax.axis_index(axis) * rows)
    key = jax.random.fold_in(named(root_key(state.seed), "dropout"), state.step)
    return Dropout.at(config.model.dropout, key, positions)


def _extend(window: Window, loss: Loss, healthy: jax.Array, step: jax.Array) -> Window:
    sums = Loss(*(before + now for before, now in zip(window.loss, loss, strict=True)))
    return Window(sums, jnp.where((window.bad_step < 0) & ~healthy, step, window.bad_step))


def make_eval_step(structure: nnx.GraphDef) -> Callable[[Params, Any, Batch], tuple[Loss, Any]]:
    """Returns ``eval_step(params, carry, batch) -> (loss, carry)``: the same loss as in training, without dropout or smoothing."""

    def eval_step(params: Params, carry: Any, batch: Batch) -> tuple[Loss, Any]:
        return nnx.merge(structure, params).loss(batch, carry, None, 0.0)

    return eval_step
