"""What a person sees while a run trains: a live bar in a terminal, plain lines elsewhere. Both go to stderr."""

from __future__ import annotations

import sys
import time
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from seq2seq_jax.show.labels import seconds_label

SECONDS_BETWEEN_LINES = 5.0


@runtime_checkable
class View(Protocol):
    """What shows the course of a run: ``Reporter`` for one alone, a part of the sweep's view for a member."""

    def note(self, text: str) -> None:
        """Shows one line that stays."""

    def start(self, done: int, total: int) -> None:
        """Begins to show a run of ``total`` updates, of which ``done`` are made."""

    def update(self, step: int, loss: float, tokens_per_second: float, metric: str) -> None:
        """Shows where the run stands: loss in nats a token, speed, and the best dev metric."""

    def finish(self, step: int, metric: str) -> None:
        """Shows that the run has finished after ``step`` updates, and the best dev metric of its result."""

    def stop(self) -> None:
        """Ends what is live."""


class Pace:
    """How fast something is done, from its first report on: what comes before is mostly compiling."""

    def __init__(self) -> None:
        """Begins without a report."""
        self._first = self._last = (0.0, -1.0)

    def report(self, share: float) -> None:
        """Notes the share that is done."""
        self._last = (time.monotonic(), share)
        if self._first[1] < 0:
            self._first = self._last

    @property
    def seconds(self) -> float | None:
        """Seconds that the whole takes; None before two reports."""
        (began, before), (now, share) = self._first, self._last
        return (now - began) / (share - before) if share > before else None


class Reporter:
    """Shows notes and the course of one run."""

    def __init__(self, title: str):
        """Names the run, such as a member of a sweep."""
        self._title = title
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._pace, self._total = Pace(), 0
        self._last_line = 0.0

    def note(self, text: str) -> None:
        """Prints one line that stays."""
        self._console.print(f"{self._title}: {text}", markup=False)

    def start(self, done: int, total: int) -> None:
        """Begins to show a run of ``total`` updates, of which ``done`` are made."""
        self._pace, self._total = Pace(), total
        self._last_line = time.monotonic()
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.completed}/{task.total} {task.fields[figures]}"))
            self._bar = Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=self._console, transient=True)
            self._bar.start()
            self._bar.add_task(self._title, total=total, completed=done, figures="compiling")
        else:
            self.note("compiling ...")

    def update(self, step: int, loss: float, tokens_per_second: float, metric: str) -> None:
        """Shows where the run stands: loss in nats a token, speed, and the best dev metric."""
        figures = f"loss {loss:.3f}  {tokens_per_second:,.0f} tokens/s  {metric}"
        self._pace.report(step / self._total)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=step, figures=figures)
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES or step == self._total:
            self._last_line = time.monotonic()
            left = (1 - step / self._total) * (self._pace.seconds or 0.0)
            ending = f"  {seconds_label(left)} left" if left else ""
            print(f"{self._title}: step {step}/{self._total}  {figures}{ending}", file=sys.stderr, flush=True)

    def finish(self, step: int, metric: str) -> None:
        """Prints that the run has finished after ``step`` updates, and the best dev metric of its result."""
        self.note(f"finished at step {step}" + (f", {metric}" if metric else ""))

    def stop(self) -> None:
        """Ends the live bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
