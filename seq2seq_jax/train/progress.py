"""How far a run has come, as far as its parameters do not tell. Read next: ``run.py``, which decides by it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from seq2seq_jax.kinds import LOSS, Metric


@dataclasses.dataclass
class Progress:
    """What a run remembers beside the state; part of every checkpoint.

    Attributes:
      best_step: step of the best evaluation on dev, None before the first.
      best_value: its metric.
      best_loss: its loss, nats a unit, which settles which of equal metrics is the better.
      stale_evaluations: evaluations since then.
      evaluated_step: step of the last evaluation, None before the first.
      train_seconds: time spent in updates, without evaluations, checkpoints and updates that had to be compiled; of time shared by runs,
        an equal share.
      tokens: units trained on in that time, but for ``unlogged_tokens``.
      unlogged_tokens: those since the last line of the log.
      trained_together: runs that have shared the time at most; 1 for a run alone.
      total: updates that the learning rate is scheduled for; 0 before the first.
      rescheduled_at: steps at which the run went on with another course of the learning rate, towards another number of updates.
      run_sha256: of configuration and data (``config.run_sha256``), which tells whose the checkpoint is where config.json is lost.
    """

    best_step: int | None = None
    best_value: float | None = None
    best_loss: float = 0.0
    stale_evaluations: int = 0
    evaluated_step: int | None = None
    train_seconds: float = 0.0
    tokens: float = 0.0
    unlogged_tokens: float = 0.0
    trained_together: int = 1
    total: int = 0
    rescheduled_at: list[int] = dataclasses.field(default_factory=list)
    run_sha256: str | None = None

    @property
    def tokens_per_second(self) -> float | None:
        """Speed of the updates; None where each has had to be compiled so far."""
        tokens = self.tokens + self.unlogged_tokens
        return tokens / self.train_seconds if tokens else None

    def improve(self, step: int, metric: Metric, found: Mapping[str, Any]) -> bool:
        """Takes note of the metrics found on dev at a step, and returns whether they are the best so far."""
        value, loss = found[metric.name], found.get(LOSS, 0.0)
        if self.best_value is not None and metric.rank(value, loss) >= metric.rank(self.best_value, self.best_loss):
            self.stale_evaluations += 1
            return False
        self.best_step, self.best_value, self.best_loss, self.stale_evaluations = step, value, loss, 0
        return True

    def forget_best(self) -> None:
        """Lets the next evaluation be the best so far, which may be one of the step that has been reached."""
        self.best_step, self.best_value, self.best_loss, self.evaluated_step = None, None, 0.0, None
