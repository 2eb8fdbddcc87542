"""How a pure step is compiled: ``jax.jit`` on one device, ``jax.pmap`` over several. The only file that knows.

Several devices share each batch by rows. State is the same on all of them, but for the carried recurrent state,
which belongs to rows; outside this file it always has the global batch as its first axis.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from seq2seq_jax.config import UserError
from seq2seq_jax.train.state import TrainState
from seq2seq_jax.train.step import Batch, TrainStep

AXIS = "data"


def choose_device_count(requested: int | None, batch_size: int) -> int:
    """Returns how many devices share a batch: as asked for, else the most that divide it.

    Raises UserError where there are fewer than asked for, or they do not divide the batch.
    """
    available = jax.local_device_count()
    if requested is None:
        return max(count for count in range(1, available + 1) if batch_size % count == 0)
    if requested > available:
        raise UserError(f"train.devices={requested}: expected at most {available}, the devices of this machine")
    if batch_size % requested:
        raise UserError(f"train.devices={requested}: expected a divisor of train.batch_size={batch_size}")
    return requested


@dataclasses.dataclass(frozen=True)
class Devices:
    """One device or several, with the same interface."""

    count: int

    def compile(self, make: Callable[[str | None], TrainStep]) -> TrainStep:
        """Compiles ``make(axis)``; the state given to the result is consumed by it."""
        if self.count == 1:
            return jax.jit(make(None), donate_argnums=0)
        by_row: Any = TrainState(*(0 if field == "carry" else None for field in TrainState._fields))
        return jax.pmap(
            make(AXIS), AXIS, in_axes=(by_row, 0), out_axes=by_row, devices=jax.local_devices()[: self.count], donate_argnums=0
        )

    def split(self, rows: Any) -> Any:
        """Gives each device its share of a pytree of arrays whose first axis is the row."""
        if self.count == 1:
            return rows
        return jax.tree.map(lambda leaf: leaf.reshape(self.count, -1, *leaf.shape[1:]), rows)

    def place(self, state: TrainState) -> TrainState:
        """Turns a state as checkpoints hold it into what the compiled step takes."""
        return state._replace(carry=self.split(state.carry))

    def gather(self, state: TrainState) -> TrainState:
        """Undoes ``place`` and brings the state to the host."""
        host = jax.device_get(state)
        if self.count == 1:
            return host
        return host._replace(carry=jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), host.carry))

    def split_batch(self, batch: Batch) -> Batch:
        """Gives each device its rows of a batch."""
        return jax.tree.map(np.asarray, self.split(batch))
