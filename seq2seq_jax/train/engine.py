"""What advances runs: the state of one run, or of several, on the devices, behind one interface that the loop drives."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, runtime_checkable

import jax

from seq2seq_jax.data.examples import PairSplit, TextSplit
from seq2seq_jax.model.build import Params
from seq2seq_jax.train.devices import Devices
from seq2seq_jax.train.evaluation import Evaluation, Evaluator, Watch
from seq2seq_jax.train.programs import Programs
from seq2seq_jax.train.state import LogSums, TrainState
from seq2seq_jax.train.step import Batch


@runtime_checkable
class Engine(Protocol):
    """Runs on the devices; each has its place, counted from 0."""

    def advance(self, batches: Sequence[Batch | None]) -> None:
        """Makes one update of each run that has a batch, and none of the others."""

    def log_sums(self) -> list[LogSums]:
        """Waits for the devices and returns each run's sums for the log."""

    def clear_log_sums(self, places: Collection[int]) -> None:
        """Begins new sums for some runs."""

    def state(self, place: int) -> TrainState:
        """Returns a run's state on the host, as checkpoints hold it."""

    def evaluate(self, params: Sequence[Params], split: PairSplit | TextSplit, watch: Watch) -> list[Evaluation]:
        """Scores a split with each of the host parameters, at most as many as there are runs."""


class OneRun:
    """The engine of a run by itself, on one device or several that share each batch."""

    def __init__(self, programs: Programs, devices: Devices, evaluator: Evaluator, state: TrainState):
        """Places a host state on the devices."""
        self._programs, self._devices, self._evaluator = programs, devices, evaluator
        self._state = devices.place(state)

    def advance(self, batches: Sequence[Batch | None]) -> None:
        """Makes one update."""
        (batch,) = batches
        assert batch is not None  # there is no other run to wait for
        self._state = self._programs.train_step(self._state, self._devices.split_batch(batch))

    def log_sums(self) -> list[LogSums]:
        """Waits for the device and returns the sums for the log."""
        return [jax.device_get(self._state.window)]

    def clear_log_sums(self, places: Collection[int]) -> None:
        """Begins new sums."""
        del places
        self._state = self._state._replace(window=LogSums.empty())

    def state(self, place: int) -> TrainState:
        """Returns the state on the host."""
        del place
        return self._devices.gather(self._state)

    def evaluate(self, params: Sequence[Params], split: PairSplit | TextSplit, watch: Watch) -> list[Evaluation]:
        """Scores a split."""
        return [self._evaluator.evaluate(jax.device_put(own), split, watch) for own in params]
