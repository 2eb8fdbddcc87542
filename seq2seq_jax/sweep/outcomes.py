"""How members end, what is kept of them then, and what becomes of one that cannot even begin."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Sequence

from seq2seq_jax.errors import Interrupted, error_line, no_room
from seq2seq_jax.length import newest_checkpoint
from seq2seq_jax.sweep.members import Member
from seq2seq_jax.sweep.shared_corpus import corpus_of
from seq2seq_jax.train.artifacts import explain, write_failure
from seq2seq_jax.train.checkpoints import Checkpoints
from seq2seq_jax.train.loop import train
from seq2seq_jax.train.run_directory import Gone, Locked, RunDirectory
from seq2seq_jax.train.view import View

STOPPED = "the same command completes the sweep"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a member ended: ``finished``, ``failed`` or ``interrupted``, and why where it failed."""

    member: str
    status: str
    error: str | None = None


def enough(outcomes: Sequence[Outcome], max_failures: int | None) -> bool:
    """Returns whether no further member is to be begun: so many have failed, or the disk is full, for which all would fail."""
    failed = sum(outcome.status == "failed" for outcome in outcomes)
    return is_full(outcomes) or (max_failures is not None and failed >= max_failures)


def is_full(outcomes: Sequence[Outcome]) -> bool:
    """Returns whether a member has failed since the disk had no room."""
    return any(outcome.error is not None and no_room(outcome.error) is not None for outcome in outcomes)


def thin(run: pathlib.Path, keep: str | None) -> None:
    """Removes the checkpoints of a finished run but the ``best`` or the ``last`` one, or those two where ``keep`` is None.

    So a sweep needs a bounded part of the disk. An unfinished run stays whole, and so does one that has begun a longer training since it
    finished.
    """
    directory = RunDirectory(run)
    result = directory.finished()
    if result is None or newest_checkpoint(run) > result["steps"]:
        return
    best, last = result["best_step"], result["steps"]
    kept = {None: [best, last], "best": [best], "last": [last], "none": []}[keep]
    Checkpoints(directory.checkpoints).keep(kept)


def train_member(member: Member, folder: pathlib.Path, view: View) -> Outcome:
    """Trains one member; whatever goes wrong with it becomes its outcome."""
    try:
        train(member.config, str(folder / member.name), member.varied, view, corpus_of(member.config))
    except Interrupted as stopped:
        return Outcome(member.name, "interrupted", str(stopped))
    except Exception as error:  # the others go on
        return failure(folder, member, error)
    return Outcome(member.name, "finished")


def failure(folder: pathlib.Path, member: Member, error: Exception) -> Outcome:
    """Returns the outcome of a member that failed. Also writes it into result.json, unless the run is another process's, or gone."""
    if isinstance(error, Locked | Gone):
        return Outcome(member.name, "failed", error_line(error))
    line = explain(RunDirectory(folder / member.name), error)
    note_failure(folder, member, line)
    return Outcome(member.name, "failed", line)


def note_failure(folder: pathlib.Path, member: Member, error: str) -> None:
    """Writes the failure of a member, also of one that has never begun: it is not to be tried again unasked."""
    run = RunDirectory(folder / member.name)
    with contextlib.suppress(OSError):  # where there is no place for it, as on a full disk or where the sweep was moved, the outcome tells
        run.path.mkdir(exist_ok=True)
        write_failure(run, member.config, member.varied, error, member.length)
