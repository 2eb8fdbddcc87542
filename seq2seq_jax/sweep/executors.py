"""How members are run: in turn or as one array program in this process, or side by side in processes that share the machine.

Read next: ``processes.py`` and ``vectorized.py``.
"""

from __future__ import annotations

import multiprocessing
import pathlib
from collections.abc import Collection, Sequence

from seq2seq_jax.errors import Interrupted, UserError
from seq2seq_jax.sweep.members import Member
from seq2seq_jax.sweep.outcomes import STOPPED, Outcome, enough, train_member
from seq2seq_jax.sweep.processes import Pool
from seq2seq_jax.sweep.vectorized import group, train_together
from seq2seq_jax.sweep.view import SweepView
from seq2seq_jax.train.devices import platform
from seq2seq_jax.train.run_directory import RunDirectory
from seq2seq_jax.train.signals import stop_signals


def execute(
    members: Sequence[Member],
    folder: pathlib.Path,
    executor: str,
    jobs: int,
    max_failures: int | None,
    view: SweepView,
    largest: Collection[str] = (),
) -> list[Outcome]:
    """Trains members below ``folder``, ``jobs`` at a time in processes, which study those named ``largest`` as well (``largest.py``).

    Raises Interrupted when a signal came and all have saved, UserError for an unknown ``executor``, Gone where the ``folder`` is no longer
    what this process has locked.
    """
    if not members:
        return []
    if executor == "auto":
        executor = automatic(platform(), jobs)
    if executor == "processes" and multiprocessing.current_process().daemon:
        raise UserError("executor=processes: this process, a worker of multiprocessing, may start none; expected executor=serial")
    match executor:
        case "processes":
            return Pool(folder, jobs, view, largest).run(members, max_failures)
        case "vectorized":
            groups = group(members)
        case "serial":
            groups = [[member] for member in members]
        case _:
            raise UserError(f"executor={executor}: expected auto, serial, processes or vectorized")
    platform()  # where no device starts, that is no failure of the members
    return _execute_in_turn(groups, folder, max_failures, view)


def automatic(platform: str, jobs: int) -> str:
    """Returns the executor for a platform of JAX, as ``cpu``, and so many processes at a time."""
    if platform != "cpu":
        return "vectorized"
    return "processes" if jobs > 1 and not multiprocessing.current_process().daemon else "serial"


def _execute_in_turn(groups: Sequence[Sequence[Member]], folder: pathlib.Path, max_failures: int | None, view: SweepView) -> list[Outcome]:
    """Trains groups of members in this process, one after the other; the members of a group together, or in halves if out of memory."""
    outcomes: list[Outcome] = []
    waiting = list(reversed(groups))
    with stop_signals() as stop:
        while waiting and not enough(outcomes, max_failures):
            if stop.requested:
                raise Interrupted(STOPPED)
            RunDirectory(folder).check_held()
            members = waiting.pop()
            if len(members) == 1:
                ended, unfit = [train_member(members[0], folder, view.member(members[0].name))], []
                view.ended(ended[0].member, ended[0].status, ended[0].error)
            else:
                ended, unfit = train_together(members, folder, view)
            outcomes += ended
            half = -(-len(unfit) // 2)
            waiting += [part for part in (unfit[half:], unfit[:half]) if part]
            if any(outcome.status == "interrupted" for outcome in ended):
                raise Interrupted(STOPPED)
    return outcomes
