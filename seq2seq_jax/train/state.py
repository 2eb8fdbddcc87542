"""What training changes: one pytree, all of it in every checkpoint."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Int, Key, UInt32

from seq2seq_jax.arrays import Array, Scalar
from seq2seq_jax.config import ModelConfig, TrainConfig
from seq2seq_jax.model.build import Params, held_tables, table_names
from seq2seq_jax.model.loss import Loss


class LogSums(NamedTuple):
    """Sums since the last line of the log, kept on the device so that a step never waits for the host.

    Attributes:
      loss: sums of the loss.
      bad_step: the first step whose loss or gradient was not finite; -1 while there is none.
    """

    loss: Loss
    bad_step: Int[Array, ""]

    @classmethod
    def empty(cls) -> LogSums:
        """Returns the sums of nothing."""
        return cls(Loss(*(jnp.zeros(()) for _ in Loss._fields)), jnp.full((), -1, jnp.int32))


class TrainState(NamedTuple):
    """Everything that an update reads and writes.

    Attributes:
      step: updates made.
      params: parameters of the model, nested dictionaries of arrays.
      average: their moving average, in the same form; empty where none is kept.
      opt_state: state of the optimizer.
      carry: recurrent state carried from segment to segment, rows first; empty for a translator.
      window: sums for the log; checkpoints hold them by this name.
      seed: root of the random keys; an array, as is the learning rate, so that runs that differ only in them
        share one compiled program.
      learning_rate: Adam's step size at its highest.
    """

    step: Int[Array, ""]
    params: Params
    average: Params
    opt_state: Any
    carry: Any
    window: LogSums
    seed: UInt32[Array, ""]
    learning_rate: Scalar

    @property
    def evaluated(self) -> Params:
        """What dev is scored with, and what a run leaves behind: the average where one is kept, else the parameters."""
        return self.average or self.params

    @classmethod
    def initial(cls, config: TrainConfig, params: Params, optimizer: optax.GradientTransformation, carry: Any) -> TrainState:
        """Returns the state before the first update."""
        return cls(
            step=jnp.zeros((), jnp.int32),
            params=params,
            average={} if config.average_decay is None else jax.tree.map(jnp.copy, params),
            opt_state=optimizer.init(params),
            carry=carry,
            window=LogSums.empty(),
            seed=jnp.asarray(config.seed, jnp.uint32),
            learning_rate=jnp.asarray(config.learning_rate, jnp.float32),
        )


def moving_average(decay: float, average: Params, params: Params, step: Int[Array, ""]) -> Params:
    """Moves an average towards the parameters of an update; its decay rises to ``decay`` over the first ones.

    What does not change is kept to the bit: a frozen table, and the zeros of a padded one (``sweep/padding.py``).
    """
    share = 1 - jnp.minimum(decay, (1 + step) / (10 + step))
    return jax.tree.map(lambda mean, param: mean + share * (param - mean), average, params)


def root_key(seed: UInt32[Array, ""] | int) -> Key[Array, ""]:
    """Returns the one key from which every random draw of a run comes."""
    return jax.random.key(seed)


def parameter_counts(params: Params, model: ModelConfig) -> dict[str, int]:
    """Returns how many parameters lie in embedding tables and how many there are in all; learned ones, so a frozen table is in neither."""
    held, tables = held_tables(model), table_names(params)
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(part)) for name, part in params.items() if name not in held}
    return {"embedding": sum(sizes.get(name, 0) for name in tables), "total": sum(sizes.values())}
