"""What a person sees while a sweep runs: the members at work in a terminal, plain lines elsewhere. Both go to stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType

from rich.progress import Progress

from seq2seq_jax.errors import without_configuration
from seq2seq_jax.show.labels import seconds_label
from seq2seq_jax.show.progress import WIDE, LineTimer, Pace, bar_columns, best_label, figures_label, short_label, stderr_console, time_left

NARROW_REST = 43  # columns of a narrower one that are not the member's name


class SweepView:
    """Shows all members; gives each a view of its own."""

    def __init__(self, total: int, missing: Sequence[str], finished: Callable[[str], None]):
        """Begins with ``missing`` members of ``total`` still to train; ``finished`` is called with the name of each that has finished."""
        self._finished = finished
        self._console = stderr_console()
        self._total, self._order = total, list(missing)
        self._ended = total - len(missing)
        self._notes: set[str] = set()
        self._members: dict[str, _Member] = {}
        self._live: Progress | None = None
        self._share = dict.fromkeys(missing, 0.0)
        if missing:
            self.line(f"{len(missing)} of {total} members to train" + (f", {self._ended} are done" if self._ended else ""))

    def __enter__(self) -> SweepView:
        if self._console.is_terminal and self._order:
            self._live = Progress(*bar_columns(self._console.width), console=self._console, transient=True)
            self._live.start()
            self._all = self._live.add_task("sweep", total=len(self._order), figures="members", short="members")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def line(self, text: str) -> None:
        """Prints one line that stays."""
        self._console.print(f"sweep: {text}")

    def member(self, name: str) -> _Member:
        """Returns the view of one member."""
        return self._members.setdefault(name, _Member(self, name, self._live))

    def once(self, text: str) -> None:
        """Prints a line that several members have to say, once."""
        if text not in self._notes:
            self._notes.add(text)
            self.line(text)

    def advanced(self, name: str, share: float) -> None:
        """Notes the share of a member that is done."""
        self._share[name] = share
        if self._live is not None:
            self._live.update(self._all, completed=sum(self._share.values()))

    def seconds_left(self) -> float | None:
        """Returns the time until all have ended, as many at a time as are at work now; None where no member's pace is known yet."""
        members = ((share, self._members[name].seconds if name in self._members else None) for name, share in self._share.items())
        return time_left(members, sum(member.at_work for member in self._members.values()))

    def ended(self, name: str, status: str, error: str | None) -> None:
        """Prints how a member ended."""
        self._ended += 1
        self.advanced(name, 1.0)
        view = self.member(name)
        view.stop()
        self.line(
            f"[{self._ended}/{self._total}] {name} {status}"
            + (f": {without_configuration(error)}" if error else f", {view.best}" if view.best else "")
        )
        if status == "finished":
            self._finished(name)


def _fitting(name: str, width: int) -> str:
    """Returns a member's name, its end where the terminal is too narrow for the whole."""
    room = max(12, width - NARROW_REST)
    return name if width >= WIDE or len(name) <= room else "…" + name[1 - room :]


class _Member:
    """One member: a bar of its own in a terminal, a line every few seconds elsewhere."""

    def __init__(self, sweep: SweepView, name: str, live: Progress | None):
        self._sweep, self._name, self._live = sweep, name, live
        self._task = None
        self._total, self._metric = 1, ""
        self._pace, self._lines, self._began, self._resumed = Pace(), LineTimer(), time.monotonic(), False
        self._whole: float | None = None
        self.best, self.at_work = "", False

    @property
    def seconds(self) -> float | None:
        """What the member takes, measured once it has finished, else from its pace; None where that is not known yet."""
        return self._pace.seconds if self._whole is None else self._whole

    def note(self, text: str) -> None:
        """Prints a line that stays; one that other members have to say too only once."""
        self._sweep.once(text)

    def start(self, done: int, total: int, metric: str) -> None:
        """Begins to show a run of ``total`` updates, of which ``done`` are made; ``metric`` is the name of what is scored on dev."""
        self._total, self._metric, self.at_work = total, metric, True
        self._pace, self._lines, self._began = Pace(), LineTimer(), time.monotonic()
        self._resumed = done > 0
        self._sweep.advanced(self._name, done / total)
        if self._live is not None:
            name = _fitting(self._name, self._live.console.width)
            self._task = self._live.add_task(f"  {name}", total=total, completed=done, figures="compiling", short="compiling")
        else:
            self._sweep.once("compiling ...")

    def update(self, step: int, loss: float, tokens_per_second: float | None, best: float | None) -> None:
        """Shows where the member stands, as a run's view does, and the sweep's time left."""
        self._sweep.advanced(self._name, step / self._total)
        self._pace.report(step / self._total)
        figures = figures_label(loss, tokens_per_second, self._metric, best)
        self.best = best_label(self._metric, best)
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=step, figures=figures, short=short_label(loss, best))
        elif self._lines.due():
            left = self._sweep.seconds_left()
            ending = f"  {seconds_label(left)} left for the sweep" if left is not None else ""
            self._sweep.line(f"{self._name}: step {step}/{self._total}  {figures}{ending}")

    def doing(self, what: str) -> None:
        """Shows what the member does between updates, where that takes long."""
        if self._live is not None and self._task is not None:
            self._live.update(self._task, figures=what, short=what)
        elif self._lines.due():
            self._sweep.line(f"{self._name}: {what}")

    def finish(self, step: int, best: float | None) -> None:
        """Keeps the metric of its result for the line that says how it ended, and its time, from which that of others follows."""
        self.best = best_label(self._metric, best)
        if not self._resumed:
            self._whole = time.monotonic() - self._began

    def stop(self) -> None:
        """Ends its bar."""
        self.at_work = False
        if self._live is not None and self._task is not None:
            self._live.remove_task(self._task)
            self._task = None
