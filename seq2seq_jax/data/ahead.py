"""Reads the next batch while the devices are busy with the one before."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class ReadAhead:
    """A pure ``batch_at(seed, step)`` whose next step is computed in a thread of its own as soon as a step is asked for."""

    def __init__(self, batch_at: Callable[[int, int], Any], steps: int):
        """Takes the function and the steps that there are: what comes after may open an epoch that nobody needs."""
        self._batch_at, self._steps = batch_at, steps
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._ahead: dict[int, tuple[int, Future[Any]]] = {}  # of each seed a step, and its batch

    def __call__(self, seed: int, step: int) -> Any:
        """Returns the batch of a step; the runs of one seed may be at different steps."""
        step_ahead, batch = self._ahead.pop(seed, (None, None))
        if batch is None or step_ahead != step:
            batch = self._read(seed, step)
        if step + 1 < self._steps:
            self._ahead[seed] = (step + 1, self._read(seed, step + 1))
        return batch.result()

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _read(self, seed: int, step: int) -> Future[Any]:
        return self._thread.submit(self._batch_at, seed, step)
