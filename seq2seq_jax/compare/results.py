"""What a comparison starts from: a sweep, its finished runs, and its members without a result to compare.

Read next: ``reading.py``, which fills them from files; ``grid.py``, which arranges them.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import pathlib
from collections.abc import Iterable
from typing import Any

from seq2seq_jax.compare import run_files
from seq2seq_jax.evaluate.metrics import ExampleScores
from seq2seq_jax.json_files import readable_object
from seq2seq_jax.length import Length
from seq2seq_jax.records import CONFIG_FILE


@dataclasses.dataclass(frozen=True)
class RunKey:
    """Where a run stands in the sweep.

    Attributes:
      name: of its directory.
      size: columns of its embedding table.
      seed: of its random draws.
      table: what its table is, one of TABLES.
      setting: values of the further swept fields.
    """

    name: str
    size: int
    seed: int
    table: str
    setting: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """A finished run: its place in the sweep, its directory and its ``result.json``.

    What lies beside that is read when it is first asked for, and once.
    """

    member: RunKey
    directory: pathlib.Path
    result: dict[str, Any]

    @property
    def value(self) -> float:
        """The dev metric of the best checkpoint, in the metric's unit."""
        return float(self.result["dev"][self.result["metric"]["name"]])

    @property
    def rescheduled_at(self) -> list[int]:
        """Steps at which the run was lengthened or shortened, and its learning rate took another course for it."""
        found = self.result.get("rescheduled_at")
        return found if isinstance(found, list) else []

    @functools.cached_property
    def dev_history(self) -> list[dict[str, float]]:
        """The evaluations on dev, in the order of their steps."""
        return run_files.dev_history(self.directory, self.result["steps"])

    @functools.cached_property
    def dev_scores(self) -> ExampleScores | None:
        """The metric of every dev example, where it is a sum over examples."""
        return run_files.dev_scores(self.directory)

    @functools.cached_property
    def record(self) -> dict[str, Any]:
        """The content of ``config.json``, or nothing."""
        return readable_object(self.directory / CONFIG_FILE)

    @property
    def fields(self) -> dict[str, Any]:
        """The configuration by dotted path, or nothing."""
        return run_files.fields_in(self.record)

    @property
    def data_sha256(self) -> dict[str, Any]:
        """The hashes of the data by split, or nothing."""
        found = self.record.get("data_sha256")
        return found if isinstance(found, dict) else {}


def runs_of(runs: Iterable[FinishedRun], embedding_dim: int | None, table: str = "learned") -> list[FinishedRun]:
    """Returns the runs of one size, in their order."""
    return [run for run in runs if (run.member.size, run.member.table) == (embedding_dim, table)]


class Cause(enum.Enum):
    """Why a member has no result to compare, and in words where nothing says more."""

    FAILED = "failed"  # or its result is broken or foreign
    DIVERGED = "diverged"  # its loss was not finite, and would not be if it were tried again
    NOT_RUN = "not run"
    INTERRUPTED = "interrupted"
    SHORTER = "trained for fewer steps or epochs than the sweep asks for now"
    STUCK = "trained for other steps or epochs than the sweep asks for now, and cannot be brought to them"


@dataclasses.dataclass(frozen=True)
class Failure:
    """A member without a result to compare, why, and in words.

    ``member`` is None where its size and seed are not known, ``metric`` where neither its file nor the sweep names one. One that
    ``has_finished`` has a result all the same, of another length.
    """

    name: str
    cause: Cause
    error: str
    member: RunKey | None
    metric: dict[str, Any] | None = None
    has_finished: bool = False

    @property
    def needs_retry(self) -> bool:
        """Whether ``--retry_failed`` is of use: a sweep goes on by itself with what is only unfinished, and what diverged would again."""
        return self.cause is Cause.FAILED

    @property
    def has_failed(self) -> bool:
        """Whether it was tried and failed; a sweep does not try it again by itself."""
        return self.cause in (Cause.FAILED, Cause.DIVERGED)


@dataclasses.dataclass(frozen=True)
class Sweep:
    """All that is known of one sweep.

    Attributes:
      workdir: its directory, as the user typed it.
      runs: finished members, by table, size and seed.
      failures: the others.
      command: the command given last, where it is known.
      directory: where it was given, likewise.
      tuning: values chosen for each size before the comparison and what that has cost, as sweep.json has it; None without.
      axes: the values of each swept field, of all calls of the sweep together; without sweep.json those that its members have.
      earlier_commands: others given before.
      budget: what is equal across sizes, ``hidden`` or ``parameters``.
      tuned: the values that were tried of each field that was tuned for each size before the comparison.
      hidden_dims: of each member, and of its encoder where that has its own, where a budget of parameters makes them differ.
      fixed_size: whether a table read from a file allows its own number of columns only.
      unreached: the length that the sweep asks for now, where every run has another: a longer training that was stopped.
      unlike_fields: fields besides the axes in which the runs differ, with their values; only without sweep.json, whose members differ as
        it says.
      unlike_data: splits in whose data they differ, likewise.
    """

    workdir: str
    runs: list[FinishedRun]
    failures: list[Failure]
    command: str | None
    directory: str | None
    tuning: dict[str, Any] | None
    axes: dict[str, list[Any]]
    earlier_commands: list[str]
    budget: str
    tuned: dict[str, list[Any]]
    hidden_dims: dict[str, tuple[int, int | None]]
    fixed_size: bool
    unreached: Length | None
    unlike_fields: list[str]
    unlike_data: list[str]
