"""metrics.jsonl and TensorBoard: one record for each log and each evaluation, none of them twice after a resume."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
from tensorboardX import SummaryWriter

from seq2seq_jax.errors import UserError
from seq2seq_jax.files import write_atomically
from seq2seq_jax.records import METRICS_FILE


class MetricsLog:
    """Appends records to ``metrics.jsonl`` and the same numbers to ``tensorboard/``."""

    def __init__(self, folder: pathlib.Path, resumed_at: int):
        """Opens the log of a run that goes on after step ``resumed_at``; records after it are removed.

        Raises UserError, naming the line, where one up to there is damaged.
        """
        self._path = folder / METRICS_FILE
        self._kept: set[tuple[int, str]] = set()  # step and split of the records up to there
        self._cut_after(resumed_at)
        self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115  closed by close()
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=resumed_at + 1, write_to_disk=True)

    def _cut_after(self, step: int) -> None:
        if not self._path.exists():
            return
        kept = []
        for number, line in enumerate(self._path.read_bytes().splitlines(keepends=True), 1):
            try:
                if not line.endswith(b"\n") or (record := json.loads(line))["step"] > step:
                    break  # the last line of a killed process may be half a line
                self._kept.add((record["step"], record.get("split")))
            except (ValueError, LookupError, TypeError):
                raise UserError(f"{self._path}: line {number}: expected a JSON object with its step; remove the line to go on") from None
            kept.append(line.decode())
        write_atomically(self._path, "".join(kept))

    def has(self, step: int, split: str) -> bool:
        """Returns whether an earlier start has made the record."""
        return (step, split) in self._kept

    def write(self, step: int, split: str, values: dict[str, Any]) -> None:
        """Appends one record; it is on its way to disk when this returns, so a checkpoint never runs ahead of it.

        One that an earlier start has made, of the step that this one goes on from, stays as it is.
        """
        if self.has(step, split):
            return
        self._file.write(json.dumps({"step": step, "split": split, **values}, allow_nan=False) + "\n")
        self._file.flush()
        for name, value in values.items():
            if isinstance(value, int | float | np.number):
                self._board.add_scalar(f"{split}/{name}", value, step)

    def close(self) -> None:
        """Closes both."""
        self._file.close()
        self._board.close()
