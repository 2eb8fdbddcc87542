"""How far training has come, for people: figures, pace and time left. Shared by the views of a run and of a sweep, and by status."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Generator, Iterable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

SECONDS_UNSHOWN = 2.0  # for which nothing is said of what goes on
SECONDS_BETWEEN_LINES = 5.0
WIDE = 120  # columns of a terminal that has room for bars and all figures


def stderr_console() -> Console:
    """Returns where progress is shown: beside the answer, which alone is on stdout."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def bar_columns(width: int) -> tuple[ProgressColumn, ...]:
    """Returns what is shown of each bar; in a narrow terminal what matters most, since the rest would push it out.

    A bar has the fields ``figures``, and ``short`` for a terminal of less than ``WIDE`` columns.
    """
    left = (TextColumn("left"), TimeRemainingColumn(compact=True))
    if width >= WIDE:
        return (TextColumn("{task.description}"), BarColumn(16), MofNCompleteColumn(), TextColumn("{task.fields[figures]}"), *left)
    return (TextColumn("{task.description}"), MofNCompleteColumn(), TextColumn("{task.fields[short]}"), *left)


@contextlib.contextmanager
def shown(what: str, total: int | None = None) -> Generator[Callable[[int], None], None, None]:
    """Shows what is being done once it has lasted two seconds: live in a terminal, as lines elsewhere; and no more once it is done.

    Args:
      what: says it, such as ``train: reading the data``.
      total: how many pieces there are; None where they are not counted.

    Yields:
      What is to be told how many more pieces are done.
    """
    console, lines, done = stderr_console(), LineTimer(), 0
    left = (BarColumn(16), MofNCompleteColumn(), TextColumn("left"), TimeRemainingColumn(compact=True))
    columns = (SpinnerColumn(), TextColumn("{task.description}"), *(left if total else (TimeElapsedColumn(),)))
    bar = Progress(*columns, console=console, transient=True, redirect_stdout=False) if console.is_terminal else None
    if bar is not None:
        bar.add_task(what, total=total)
    ended, one_at_a_time = False, threading.Lock()

    def appear() -> None:
        """Begins to show it, unless it has ended meanwhile; called by a thread of its own."""
        with one_at_a_time:
            if not ended:
                console.print(f"{what} ...") if bar is None else bar.start()

    def advance(pieces: int) -> None:
        """Takes note of ``pieces`` more that are done, a count, and shows how many are where that is due."""
        nonlocal done
        done += pieces
        if bar is not None:
            bar.update(bar.task_ids[0], completed=done)
        elif done != total and lines.due():
            console.print(f"{what}: {done:,}" + (f" of {total:,}" if total else ""))

    timer = threading.Timer(SECONDS_UNSHOWN, appear)
    timer.daemon = True  # a signal that ends the process waits for nobody
    timer.start()
    try:
        yield advance
    finally:
        timer.cancel()
        with one_at_a_time:
            ended = True
        if bar is not None:
            bar.stop()


class LineTimer:
    """When another line is due where there is no terminal that a live bar could move in, or whatever else is shown now and then."""

    def __init__(self, seconds: float | None = None) -> None:
        """Starts the timer; ``seconds`` between lines, by default ``SECONDS_BETWEEN_LINES``."""
        self._seconds, self._last = SECONDS_BETWEEN_LINES if seconds is None else seconds, time.monotonic()

    def due(self) -> bool:
        """Returns whether a line is due, and begins to wait for the next one where it is."""
        is_due = time.monotonic() - self._last >= self._seconds
        if is_due:
            self._last = time.monotonic()
        return is_due


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


def best_label(metric: str, best: float | None) -> str:
    """Returns the best value so far of the metric with this name; nothing where there is none."""
    return "" if best is None else f"best {metric} {best:.4f}"


def figures_label(loss: float, tokens_per_second: float | None, metric: str, best: float | None) -> str:
    """Returns what is shown of a run at work: loss in nats a token, speed once it is known, and the best dev metric."""
    speed = "" if tokens_per_second is None else f"{tokens_per_second:,.0f} tokens/s  "
    return f"loss {loss:.3f}  {speed}{best_label(metric, best)}"


def short_label(loss: float, best: float | None) -> str:
    """Returns the same for a narrow terminal: the best dev metric or, before there is one, the loss."""
    return f"loss {loss:.3f}" if best is None else f"best {best:.4f}"


def time_left(members: Iterable[tuple[float, float | None]], at_work: int) -> float | None:
    """Returns the seconds until all members have ended, ``at_work`` of them at a time; None where some have not and no pace is known.

    Args:
      members: of each the share that is done, 0 to 1, and the seconds that the whole takes, None where they are not known: it is taken
        to need the median of the others.
      at_work: members that are trained now.
    """
    members = list(members)
    known = [whole for _, whole in members if whole is not None]
    to_do = [(1 - share, whole) for share, whole in members if share < 1]
    if to_do and not known:
        return None
    return sum(rest * (statistics.median(known) if whole is None else whole) for rest, whole in to_do) / max(1, at_work)
