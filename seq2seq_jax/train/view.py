"""What a person sees while a run trains: a live bar in a terminal, plain lines elsewhere. Both go to stderr."""

from __future__ import annotations

import sys
from typing import Protocol, runtime_checkable

from rich.progress import Progress

from seq2seq_jax.show.labels import seconds_label
from seq2seq_jax.show.progress import LineTimer, Pace, bar_columns, best_label, figures_label, short_label, stderr_console


@runtime_checkable
class View(Protocol):
    """What shows the course of a run: ``Reporter`` for one alone, a part of the sweep's view for a member."""

    def note(self, text: str) -> None:
        """Shows one line that stays."""

    def start(self, done: int, total: int, metric: str) -> None:
        """Begins to show a run of ``total`` updates, of which ``done`` are made; ``metric`` is the name of what is scored on dev."""

    def update(self, step: int, loss: float, tokens_per_second: float | None, best: float | None) -> None:
        """Shows where the run stands: loss in nats a token, speed, and the best value of the metric on dev."""

    def doing(self, what: str) -> None:
        """Shows what the run does between updates, where that takes long."""

    def finish(self, step: int, best: float | None) -> None:
        """Shows that the run has finished after ``step`` updates, and the value of the metric on dev in its result."""

    def stop(self) -> None:
        """Ends what is live."""


class Reporter:
    """Shows notes and the course of one run."""

    def __init__(self, title: str):
        """Names the run, such as a member of a sweep."""
        self._title = title
        self._console = stderr_console()
        self._bar: Progress | None = None
        self._pace, self._lines, self._total, self._metric = Pace(), LineTimer(), 0, ""

    def note(self, text: str) -> None:
        """Prints one line that stays."""
        self._console.print(f"{self._title}: {text}")

    def start(self, done: int, total: int, metric: str) -> None:
        """Begins to show a run of ``total`` updates, of which ``done`` are made; ``metric`` is the name of what is scored on dev."""
        self._pace, self._lines, self._total, self._metric = Pace(), LineTimer(), total, metric
        if self._console.is_terminal:
            self._bar = Progress(*bar_columns(self._console.width), console=self._console, transient=True)
            self._bar.start()
            self._bar.add_task(self._title, total=total, completed=done, figures="compiling", short="compiling")
        else:
            self.note("compiling ...")

    def update(self, step: int, loss: float, tokens_per_second: float | None, best: float | None) -> None:
        """Shows where the run stands: loss in nats a token, speed, and the best value of the metric on dev."""
        figures = figures_label(loss, tokens_per_second, self._metric, best)
        self._pace.report(step / self._total)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=step, figures=figures, short=short_label(loss, best))
        elif self._lines.due() or step == self._total:
            left = (1 - step / self._total) * (self._pace.seconds or 0.0)
            ending = f"  {seconds_label(left)} left" if left else ""
            print(f"{self._title}: step {step}/{self._total}  {figures}{ending}", file=sys.stderr, flush=True)

    def doing(self, what: str) -> None:
        """Shows what the run does between updates, where that takes long."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], figures=what, short=what)
        elif self._lines.due():
            self.note(what)

    def finish(self, step: int, best: float | None) -> None:
        """Prints that the run has finished after ``step`` updates, and the value of the metric on dev in its result."""
        self.note(f"finished at step {step}" + ("" if best is None else f", {best_label(self._metric, best)}"))

    def stop(self) -> None:
        """Ends the live bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
