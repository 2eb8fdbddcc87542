"""The step: pure functions of pytrees, and the only place where training takes a gradient.

``programs.py`` compiles them for one device, several or threads (``devices.py``), ``sweep/stacked.py`` for several members at once;
nothing else updates parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Bool, Float, Int

from seq2seq_jax.arrays import Array, Scalar, Table
from seq2seq_jax.config import Config
from seq2seq_jax.data.batches import PairBatch, TextBatch
from seq2seq_jax.data.windows import WindowBatch
from seq2seq_jax.model.build import Params
from seq2seq_jax.model.dropout import Dropout, draw_dropout
from seq2seq_jax.model.folding import Merge, Network
from seq2seq_jax.model.keys import named
from seq2seq_jax.model.loss import Loss
from seq2seq_jax.model.skip_gram import ByTable, RowLoss
from seq2seq_jax.train.optimizer import make_optimizer, make_schedule
from seq2seq_jax.train.pretrained import hold, restarted
from seq2seq_jax.train.state import LogSums, TrainState, moving_average, root_key

Batch = PairBatch | TextBatch | WindowBatch


class Gradient(NamedTuple):
    """The summed gradient and loss of one batch.

    Attributes:
      gradients: of the summed loss, of the folded parameters in their own form; of word vectors by table, as ``RowGradients``.
      carry: recurrent state after the batch.
      loss: sums of the loss.
    """

    gradients: Any
    carry: Any
    loss: Loss


class RowGradients(NamedTuple):
    """The gradient of a table in the rows that a batch reads.

    Attributes:
      ids: the rows; one may occur several times.
      gradients: at each occurrence.
      curvatures: at each occurrence (see ``model/skip_gram.py``).
    """

    ids: Int[Array, "B _"]
    gradients: Float[Array, "B _ D"]
    curvatures: Float[Array, "B _"]


@dataclasses.dataclass(frozen=True)
class TrainStep:
    """One update as four pure functions in turn: ``train_step(state, batch) -> state``.

    Only the gradient depends on the shape of the batch, and, where tables are folded, only the others on the embedding size. So each can be
    compiled by itself: random numbers and optimizer once for all shapes, the gradient once for all sizes.

    Attributes:
      draw: ``draw(state) -> dropout`` of the update; None where nothing is dropped.
      fold: ``fold(params) -> folded`` (``model/folding.py``).
      gradient: ``gradient(folded, carry, dropout, batch) -> Gradient``.
      update: ``update(state, gradient) -> state``.
    """

    draw: Callable[[TrainState], Dropout] | None
    fold: Callable[[Params], Params]
    gradient: Callable[[Params, Any, Dropout | None, Batch], Gradient]
    update: Callable[[TrainState, Gradient], TrainState]

    def __call__(self, state: TrainState, batch: Batch) -> TrainState:
        """Makes one update."""
        dropout = None if self.draw is None else self.draw(state)
        return self.update(state, self.gradient(self.fold(state.params), state.carry, dropout, batch))


# State, gradient, rate -> parameters, state of the optimizer, whether all gradients are finite.
Move = Callable[[TrainState, Gradient, Scalar], tuple[Params, Any, Bool[Array, ""]]]


def make_train_step(config: Config, network: Network, total_steps: int, axis: str | None = None) -> TrainStep:
    """Returns the update of a run.

    Args:
      config: the run's configuration.
      network: makes the model from its parameters.
      total_steps: updates of the whole run, for the schedule.
      axis: name of the mapped axis where several devices share a batch, None on one device.
    """
    gradient, move = _by_rows(network.merge, axis) if config.model.kind == "skip_gram" else _of_all(config, network, axis)
    schedule, decay = make_schedule(config.train, total_steps), config.train.average_decay

    def draw(state: TrainState) -> Dropout:
        """Draws for the whole batch and takes the rows of this device."""
        key = jax.random.fold_in(named(root_key(state.seed), "dropout"), state.step)
        units = network.merge(state.params).dropout_units
        return _own_rows(draw_dropout(config.model.dropout, key, config.train.batch_size, units), axis)

    def update(state: TrainState, gradient: Gradient) -> TrainState:
        """Moves the parameters and all that follows them."""
        params, opt_state, finite = move(state, gradient, state.learning_rate * schedule(state.step))
        return state._replace(
            step=state.step + 1,
            params=params,
            average={} if decay is None else moving_average(decay, state.average, params, state.step),
            opt_state=opt_state,
            carry=gradient.carry,
            window=_added(state.window, gradient.loss, jnp.isfinite(gradient.loss.objective) & finite, state.step),
        )

    return TrainStep(draw if config.model.dropout > 0 else None, network.fold, gradient, update)


def _of_all(config: Config, network: Network, axis: str | None) -> tuple[Callable[..., Gradient], Move]:
    """Moves every parameter, by the mean gradient over the scored units of the whole batch."""
    optimizer = make_optimizer(config)

    def gradient(folded: Params, carry: Any, dropout: Dropout | None, batch: Batch) -> Gradient:
        """Takes the gradient of the summed loss, in nats."""

        def objective(folded: Params) -> tuple[Scalar, tuple[Any, Loss]]:
            loss, after = network.merge_folded(folded).loss(batch, carry, dropout, config.train.label_smoothing)
            return loss.objective, (after, loss)

        gradients, (after, loss) = jax.grad(objective, has_aux=True)(folded)
        return Gradient(_total(gradients, axis), after, _total(loss, axis))

    def move(state: TrainState, gradient: Gradient, rate: Scalar) -> tuple[Params, Any, Bool[Array, ""]]:
        """Makes the optimizer's step of length ``rate``; finite is what has a finite norm, which clipping needs too."""
        (summed,) = jax.vjp(network.fold, state.params)[1](gradient.gradients)
        held = hold(config.model, summed, state.step)
        mean = jax.tree.map(lambda leaf: leaf / jnp.maximum(gradient.loss.count, 1.0), held)
        directions, opt_state = optimizer.update(mean, state.opt_state, state.params)
        directions = restarted(config.model, cast(Params, directions), state.step)
        params = jax.tree.map(lambda param, direction: param - rate * direction, state.params, directions)
        return params, opt_state, jnp.isfinite(optax.tree.norm(mean))

    return gradient, move


def _by_rows(merge: Merge, axis: str | None) -> tuple[Callable[..., Gradient], Move]:
    """Moves the rows of tables that a batch reads, by the sum of their gradients, and touches no other (see ``model/skip_gram.py``)."""

    def gradient(params: Params, carry: Any, dropout: Dropout | None, batch: Batch) -> Gradient:
        """Takes the gradient of the summed loss, in nats, by the rows read."""
        del dropout
        model = merge(params)

        def objective(rows: ByTable) -> tuple[Scalar, RowLoss]:
            found = model.row_loss(rows, batch)
            return found.loss.objective, found

        # Read before anything is moved: on a GPU XLA would read them amid the scatter of the other table, and copy both tables whole.
        rows_read = jax.lax.optimization_barrier(model.read(batch))
        gradients, (loss, curvatures) = jax.grad(objective, has_aux=True)(rows_read)
        rows = {name: RowGradients(ids, gradients[name], curvatures[name]) for name, ids in model.places(batch).items()}
        return Gradient(_everywhere(rows, axis), carry, _total(loss, axis))

    def move(state: TrainState, gradient: Gradient, rate: Scalar) -> tuple[Params, Any, Bool[Array, ""]]:
        """Moves each row by ``rate`` at most.

        Finite is what has finite curvatures, of which there is one for each row. It holds the squares of what the row's gradient holds,
        times the same errors, at most 1.
        """
        model = merge(state.params)
        rows: Mapping[str, RowGradients] = gradient.gradients
        moved = {name: {"table": move_rows(model.table(name), *of_table, rate)} for name, of_table in rows.items()}
        finite = jnp.stack([jnp.isfinite(of_table.curvatures).all() for of_table in rows.values()]).all()
        return {**state.params, **moved}, state.opt_state, finite

    return gradient, move


def move_rows(
    table: Table, ids: Int[Array, "B _"], gradients: Float[Array, "B _ D"], curvatures: Float[Array, "B _"], rate: Scalar
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


def _own_rows(rows: Any, axis: str | None) -> Any:
    """Gives each device its share of the rows of the whole batch."""
    if axis is None:
        return rows
    return jax.tree.map(lambda leaf: leaf.reshape(lax.axis_size(axis), -1, *leaf.shape[1:])[lax.axis_index(axis)], rows)


def _added(sums: LogSums, loss: Loss, finite: Bool[Array, ""], step: Int[Array, ""]) -> LogSums:
    total = Loss(*(before + now for before, now in zip(sums.loss, loss, strict=True)))
    return LogSums(total, jnp.where((sums.bad_step < 0) & ~finite, step, sums.bad_step))


def make_eval_step(merge: Merge) -> Callable[[Params, Any, Batch], tuple[Loss, Any]]:
    """Returns ``eval_step(params, carry, batch) -> (loss, carry)``: the same loss as in training, without dropout or smoothing."""

    def eval_step(params: Params, carry: Any, batch: Batch) -> tuple[Loss, Any]:
        return merge(params).loss(batch, carry, None, 0.0)

    return eval_step
