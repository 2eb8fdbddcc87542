"""How members are carried out: in turn or as one array program in this process, or side by side in processes that share the cores.

Processes are kept from member to member, so each loads JAX and compiles once. One that dies takes only its
member with it: the member is reported as failed and a new process takes the next one.
"""

from __future__ import annotations

import ctypes
import dataclasses
import multiprocessing
import os
import pathlib
import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config
from seq2seq_jax.sweep.grid import Member
from seq2seq_jax.sweep.outcomes import Outcome, corpus_of, enough, failure, write_failure
from seq2seq_jax.sweep.vectorized import group, train_together
from seq2seq_jax.sweep.view import SweepView
from seq2seq_jax.train.loop import Interrupted, stop_signals, train
from seq2seq_jax.train.progress import View
from seq2seq_jax.train.runtime import prepare

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def execute(
    members: Sequence[Member], folder: pathlib.Path, executor: str, jobs: int | None, max_failures: int | None, view: SweepView
) -> list[Outcome]:
    """Trains members below ``folder``. Raises Interrupted when a signal came, after every running member has saved."""
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(members))
    if executor == "auto":
        executor = "vectorized" if _accelerated() else "processes" if jobs > 1 else "serial"
    if executor == "processes":
        return _Pool(folder, jobs, view).run(list(members), max_failures)
    groups = group(members) if executor == "vectorized" else [[member] for member in members]
    return _execute_in_turn(groups, folder, max_failures, view)


def _accelerated() -> bool:
    import jax

    return jax.default_backend() != "cpu"


def train_member(member: Member, folder: pathlib.Path, view: View) -> Outcome:
    """Trains one member; whatever goes wrong with it becomes its outcome."""
    try:
        train(member.config, str(folder / member.name), member.varied, view, corpus_of(member.config))
    except Interrupted as stopped:
        return Outcome(member.name, "interrupted", str(stopped))
    except Exception as error:  # the others go on
        return failure(folder, member, error)
    return Outcome(member.name, "finished")


def _execute_in_turn(groups: Sequence[Sequence[Member]], folder: pathlib.Path, max_failures: int | None, view: SweepView) -> list[Outcome]:
    """Trains groups of members in this process, one after the other; the members of a group together."""
    prepare()
    outcomes: list[Outcome] = []
    for members in groups:
        if enough(outcomes, max_failures):
            break
        if len(members) > 1:
            outcomes += train_together(members, folder, view)
        else:
            outcomes.append(train_member(members[0], folder, view.member(members[0].name)))
            view.ended(members[0].name, outcomes[-1].status, outcomes[-1].error)
        if outcomes[-1].status == "interrupted":
            raise Interrupted("the sweep is stopped; the same command completes it")
    return outcomes


class _PipeView:
    """Sends what a member shows to the process that draws it."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def note(self, text: str) -> None:
        self._connection.send(("note", (text,)))

    def start(self, done: int, total: int) -> None:
        self._connection.send(("start", (done, total)))

    def update(self, step: int, loss: float, tokens_per_second: float, metric: str) -> None:
        self._connection.send(("update", (step, loss, tokens_per_second, metric)))

    def stop(self) -> None:
        """Sends nothing: the sweep's view ends a member's bar when its outcome comes."""


def _work(connection: Connection, folder: pathlib.Path, cores: set[int]) -> None:
    """Trains the members that come through the pipe, until None comes or the sweep's process is gone."""
    _die_with_parent()
    os.sched_setaffinity(0, cores)  # before JAX counts the cores
    prepare()
    with stop_signals() as stop:
        while (member := connection.recv()) is not None:
            if stop.requested:
                outcome = Outcome(member.name, "interrupted", None)
            else:
                outcome = train_member(member, folder, _PipeView(connection))
            connection.send(("ended", outcome))


def _die_with_parent() -> None:
    """Has the kernel kill this process when the sweep's is killed: it would otherwise go on, and hold locks that the next start needs."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclasses.dataclass
class _Worker:
    process: Any
    connection: Connection
    cores: set[int]
    member: Member | None = None
    last: Member | None = None


def _programs_of(member: Member | None) -> Config | None:
    """Returns what members have in common that share compiled programs."""
    return None if member is None else config_lib.replace(member.config, {"train.seed": 0})


class _Pool:
    """Worker processes, each with its share of the cores and at most one member at a time."""

    def __init__(self, folder: pathlib.Path, jobs: int, view: SweepView):
        self._folder, self._view = folder, view
        cores = sorted(os.sched_getaffinity(0))
        self._shares = [set(cores[i::jobs]) or {cores[i % len(cores)]} for i in range(jobs)]
        self._context = multiprocessing.get_context("spawn")  # JAX does not survive a fork

    def run(self, waiting: list[Member], max_failures: int | None) -> list[Outcome]:
        """Trains all members and returns their outcomes. Raises Interrupted."""
        outcomes: list[Outcome] = []
        with stop_signals() as stop:
            workers = [self._spawn(cores) for cores in self._shares]
            told = False
            while True:
                if stop.requested and not told:
                    told = True
                    for worker in workers:
                        os.kill(worker.process.pid, signal.SIGTERM)
                begins = not (stop.requested or enough(outcomes, max_failures))
                for worker in workers:
                    if worker.member is None and waiting and begins:
                        self._assign(worker, waiting, workers)
                busy = [worker for worker in workers if worker.member is not None]
                if not busy:
                    break
                for ready in wait([worker.connection for worker in busy], timeout=0.5):
                    worker = next(worker for worker in busy if worker.connection is ready)
                    outcome = self._receive(worker)
                    if outcome is not None:
                        outcomes.append(outcome)
                        self._view.ended(outcome.member, outcome.status, outcome.error)
                workers = [worker if worker.process.is_alive() else self._replace(worker) for worker in workers]
            self._dismiss(workers)
        if stop.requested:
            raise Interrupted("the sweep is stopped; the same command completes it")
        return outcomes

    def _assign(self, worker: _Worker, waiting: list[Member], workers: Sequence[_Worker]) -> None:
        """Gives a free worker the next member, by choice one whose programs it has compiled, else one that no other is compiling."""
        others = [_programs_of(other.last) for other in workers if other is not worker]
        own = _programs_of(worker.last)
        member = min(waiting, key=lambda member: (_programs_of(member) != own, _programs_of(member) in others))
        waiting.remove(member)
        worker.member = worker.last = member
        worker.connection.send(member)

    def _spawn(self, cores: set[int]) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._folder, cores), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours, cores)

    def _receive(self, worker: _Worker) -> Outcome | None:
        """Reads one message; a closed pipe means that the process died with its member."""
        member = worker.member
        assert member is not None  # only busy workers are read
        try:
            kind, content = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            error = f"its process ended with exit code {worker.process.exitcode} (-9: killed, often for lack of memory)"
            write_failure(self._folder, member, error)
            worker.member = None
            return Outcome(member.name, "failed", error)
        if kind == "ended":
            worker.member = None
            return content
        getattr(self._view.member(member.name), kind)(*content)
        return None

    def _replace(self, worker: _Worker) -> _Worker:
        """Starts a process in the place of one that died; a member it still had is read from its closed pipe first."""
        return worker if worker.member is not None else self._spawn(worker.cores)

    def _dismiss(self, workers: list[_Worker]) -> None:
        for worker in workers:
            worker.connection.send(None)
        for worker in workers:
            worker.process.join()
