"""Members side by side in processes that share the machine.

Processes are kept from member to member, so each loads JAX and compiles once. One that dies takes nothing along but its member's
updates since the last checkpoint: a new process goes on from there if it was killed, and the member has failed if it crashed.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Collection, Generator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from seq2seq_jax.config import Config
from seq2seq_jax.errors import Interrupted, UserError
from seq2seq_jax.interpreter import collect_garbage_rarely
from seq2seq_jax.show.progress import SECONDS_UNSHOWN
from seq2seq_jax.sweep.compile_ahead import compile_ahead
from seq2seq_jax.sweep.found import Found
from seq2seq_jax.sweep.largest import STUDIES, STUDYING
from seq2seq_jax.sweep.members import Member
from seq2seq_jax.sweep.outcomes import STOPPED, Outcome, enough, note_failure, train_member
from seq2seq_jax.sweep.shared_corpus import corpus_of, forget_corpus
from seq2seq_jax.sweep.shares import Share, shares
from seq2seq_jax.sweep.view import SweepView
from seq2seq_jax.train.devices import platform
from seq2seq_jax.train.programs import shape_key
from seq2seq_jax.train.run_directory import RunDirectory
from seq2seq_jax.train.runtime import prepare
from seq2seq_jax.train.signals import Stop, stop_signals

_FROM_OUTSIDE = (0, -signal.SIGTERM, -signal.SIGKILL)  # exit codes of what did not crash: a person killed it, or a kernel short of memory
_SHORT_OF_MEMORY = (*_FROM_OUTSIDE, -signal.SIGABRT)  # as which C++ ends where it can allocate nothing
MOST_KILLS = 3  # of a member at the same checkpoint; then it has failed


class _PipeView:
    """Sends what a member shows to the process that draws it."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def note(self, text: str) -> None:
        self._connection.send(("note", (text,)))

    def start(self, done: int, total: int, metric: str) -> None:
        self._connection.send(("start", (done, total, metric)))

    def update(self, step: int, loss: float, tokens_per_second: float | None, best: float | None) -> None:
        self._connection.send(("update", (step, loss, tokens_per_second, best)))

    def doing(self, what: str) -> None:
        self._connection.send(("doing", (what,)))

    def finish(self, step: int, best: float | None) -> None:
        self._connection.send(("finish", (step, best)))

    def stop(self) -> None:
        """Sends nothing: the sweep's view ends a member's bar when its outcome comes."""


def _work(connection: Connection, folder: pathlib.Path, share: Share, place: int, processes: int, largest: Collection[str]) -> None:
    """Trains the members that come through the pipe, until None comes, a signal does, or the sweep's process is gone.

    ``place`` of this process among so many ``processes``; ``largest``: members whose tables are studied.
    """
    _die_with_parent()
    collect_garbage_rarely()
    share.take()
    prepare()
    try:
        platform()
    except UserError as error:  # where no device starts, that is no failure of the members
        connection.send(("refused", error))
        return
    view, compiled = _PipeView(connection), False
    with stop_signals(quiet=True) as stop:
        while not stop.requested and (member := connection.recv()) is not None:
            if not compiled:
                compiled = True
                with contextlib.suppress(Exception):  # which training the member will meet, and tell
                    with _noted(view, "reading the data ..."):
                        corpus_of(member.config)
                    compile_ahead(member.config, place, processes, view.note, stop)
            outcome = Outcome(member.name, "interrupted") if stop.requested else train_member(member, folder, view)
            if outcome.status == "finished" and member.name in largest:
                # A signal too; the sweep's own study makes up for it, and tells.
                with contextlib.suppress(Exception, Interrupted), _noted(view, f"{STUDYING} ..."):
                    for study in STUDIES:
                        study([member], folder)
            connection.send(("ended", outcome))


@contextlib.contextmanager
def _noted(view: _PipeView, what: str) -> Generator[None, None, None]:
    """Lets the view say what is being done once that has lasted some time."""
    timer = threading.Timer(SECONDS_UNSHOWN, view.note, [what])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # no other thread sends at the same time


@contextlib.contextmanager
def _without_warning() -> Generator[None, None, None]:
    """Has a resource tracker that is started meanwhile give no warning when it clears up after a killed worker."""
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")  # which the tracker is started with
    try:
        yield
    finally:
        sys.warnoptions.pop()


@contextlib.contextmanager
def _without_main() -> Generator[None, None, None]:
    """Hides the main module from a process that is started, which would run it again, and with it the sweep that a script begins."""
    main = sys.modules["__main__"]
    before = {name: vars(main).pop(name) for name in ("__file__", "__spec__") if name in vars(main)}
    main.__spec__ = None
    try:
        yield
    finally:
        vars(main).update(before)


def _die_with_parent() -> None:
    """Ends this process at once when the sweep's is killed: it would otherwise go on, and hold locks that the next start needs."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # a worker has one

    def end_with_it() -> None:
        parent.join()
        os._exit(0)

    threading.Thread(target=end_with_it, daemon=True).start()


@dataclasses.dataclass
class _Worker:
    process: Any
    connection: Connection
    place: int
    member: Member | None = None
    last: Member | None = None


def _shapes_of(member: Member | None) -> Config | None:
    return None if member is None else shape_key(member.config)


def _terminate(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()


class Pool:
    """Worker processes, each with its share of the machine and at most one member at a time."""

    def __init__(self, folder: pathlib.Path, jobs: int, view: SweepView, largest: Collection[str] = ()):
        """Prepares ``jobs`` processes for members below ``folder``; see ``executors.execute``."""
        self._folder, self._view, self._largest = folder, view, largest
        self.shares, self._stopping = shares(jobs), False
        self._context = multiprocessing.get_context("spawn")  # JAX does not survive a fork
        self._kills: collections.Counter[tuple[str, int]] = collections.Counter()  # by member and its newest checkpoint

    def run(self, members: Sequence[Member], max_failures: int | None) -> list[Outcome]:
        """Trains all members and returns their outcomes. Raises Interrupted."""
        forget_corpus()  # each process reads its own
        with stop_signals() as stop:
            workers: list[_Worker] = []
            try:
                workers += map(self._spawn, range(min(len(self.shares), len(members))))
                outcomes = self._train(list(members), workers, max_failures, stop)
            except KeyboardInterrupt:  # somebody will not wait until they have saved
                for worker in workers:
                    worker.process.kill()
                raise
            except BaseException:
                _terminate(workers)  # they save and end; nobody would take what they send
                raise
            finally:
                self._dismiss(workers)
        if stop.requested:
            raise Interrupted(STOPPED)
        return outcomes

    def _train(self, waiting: list[Member], workers: list[_Worker], max_failures: int | None, stop: Stop) -> list[Outcome]:
        """Hands out members until none is left or it is time to stop, with a new worker in the place of each that has died."""
        outcomes: list[Outcome] = []
        while True:
            if stop.requested and not self._stopping:
                self._stopping = True
                _terminate(workers)
            if not (stop.requested or enough(outcomes, max_failures)):
                RunDirectory(self._folder).check_held()
                self._assign(workers, waiting)
            busy = [worker for worker in workers if worker.member is not None]
            if not busy:
                return outcomes
            for ready in wait([worker.connection for worker in busy], timeout=0.5):
                worker = next(worker for worker in busy if worker.connection is ready)
                outcomes += self._receive(worker, waiting)
            if not stop.requested:
                workers[:] = [self._alive(worker) for worker in workers]

    def _assign(self, workers: Sequence[_Worker], waiting: list[Member]) -> None:
        """Gives each free worker a member, by choice one whose programs it has all compiled, else one that no other is compiling."""
        for worker in workers:
            if worker.member is None and waiting:
                others = [_shapes_of(other.last) for other in workers if other is not worker]
                own = _shapes_of(worker.last)
                member = min(waiting, key=lambda member: (_shapes_of(member) != own, _shapes_of(member) in others))
                waiting.remove(member)
                worker.member = worker.last = member
                with contextlib.suppress(OSError):  # where it has died, its pipe is read as closed
                    worker.connection.send(member)

    def _spawn(self, place: int) -> _Worker:
        ours, theirs = self._context.Pipe()
        arguments = (theirs, self._folder, self.shares[place], place, len(self.shares), self._largest)
        process = self._context.Process(target=_work, args=arguments, daemon=True)
        with _without_warning():
            resource_tracker.ensure_running()  # which the first start would do, and unblock what is blocked here
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is for the sweep, which tells its workers
        try:
            with _without_main():
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        return _Worker(process, ours, place)

    def _receive(self, worker: _Worker, waiting: list[Member]) -> list[Outcome]:
        """Reads one message and returns the outcome that it brings; an interrupted member is the next to be trained again.

        Raises UserError where the worker can train none.
        """
        member = worker.member
        assert member is not None  # only busy workers are read
        try:
            kind, content = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            kind, content = "ended", self.outcome_of_dead(member, worker.process.exitcode)
        if isinstance(content, UserError):
            raise content
        if kind != "ended":
            getattr(self._view.member(member.name), kind)(*content)
            return []
        worker.member = None
        if content.status == "interrupted":
            self._view.member(member.name).stop()
            waiting.insert(0, member)
            return []
        self._view.ended(content.member, content.status, content.error)
        return [content]

    def outcome_of_dead(self, member: Member, exit_code: int) -> Outcome:
        """Returns how a member ends whose process died: failed if it crashed or was killed too often, else interrupted, to be resumed.

        One whose result is written has finished: its process died over the study of its table.
        """
        found = Found(self._folder, member)
        if found.result_as_asked is not None:
            return Outcome(member.name, "finished")
        self._kills[member.name, found.saved] += 1
        error = f"its process ended with exit code {exit_code}"
        if exit_code in _FROM_OUTSIDE and self._kills[member.name, found.saved] < MOST_KILLS:
            if not self._stopping:  # else it was told to end before it could listen
                self._view.line(f"{member.name}: {error}; it goes on from {f'step {found.saved}' if found.saved else 'the beginning'}")
            return Outcome(member.name, "interrupted")
        error += f", {MOST_KILLS} times at step {found.saved}" if exit_code in _FROM_OUTSIDE else ""
        error += " (often for lack of memory)" if exit_code in _SHORT_OF_MEMORY else ""
        note_failure(self._folder, member, error)
        return Outcome(member.name, "failed", error)

    def _alive(self, worker: _Worker) -> _Worker:
        """Returns a new worker in the place of a free one that has ended. What a busy one had is known once its closed pipe is read."""
        return worker if worker.member is not None or worker.process.is_alive() else self._spawn(worker.place)

    def _dismiss(self, workers: Sequence[_Worker]) -> None:
        for worker in workers:
            with contextlib.suppress(OSError):
                worker.connection.send(None)
        for worker in workers:
            worker.process.join()
