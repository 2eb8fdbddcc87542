"""Reads the next batches while the devices are busy with the one before."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_AHEAD = 4  # steps read at a time, over all seeds: to wake the thread at every step makes those of word vectors a tenth slower


class ReadAhead:
    """A pure ``batch_at(seed, step)`` whose next steps are computed in a thread of its own as soon as a step is asked for."""

    def __init__(self, batch_at: Callable[[int, int], Any], steps: int):
        """Reads ahead up to the last of ``steps``; one more might begin an epoch that nobody needs."""
        self._batch_at, self._steps = batch_at, steps
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._ahead: dict[int, dict[int, Future[Any]]] = {}  # by seed and step, the batches that are being read

    def __call__(self, seed: int, step: int) -> Any:
        """Returns the batch of a step; the runs of one seed may be at different steps."""
        ahead = self._ahead.pop(seed, {})
        batch = ahead.pop(step, None)
        if batch is None:
            batch, ahead = self._read(seed, step), {}
        if not ahead:
            most = max(1, _AHEAD // (1 + len(self._ahead)))
            ahead = {later: self._read(seed, later) for later in range(step + 1, min(step + 1 + most, self._steps))}
        self._ahead[seed] = ahead
        return batch.result()

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _read(self, seed: int, step: int) -> Future[Any]:
        return self._thread.submit(self._batch_at, seed, step)
