"""How far a sweep has come that another process runs, or has run: read from its files and locks, without JAX and without changing it."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

from seq2seq_jax.errors import UserError, without_configuration
from seq2seq_jax.json_files import readable_lines
from seq2seq_jax.kinds import Metric, metric_of
from seq2seq_jax.length import Length, Standing, failed_longer, length_made, length_of, standing
from seq2seq_jax.records import METRICS_FILE, NO_DIRECTORY, SWEEP_FILE, TUNING_FOLDER, RunRecord, read_sweep_record
from seq2seq_jax.show.labels import MISSING, seconds_label
from seq2seq_jax.show.progress import time_left
from seq2seq_jax.show.terminal import print_table
from seq2seq_jax.train.run_directory import RunDirectory

STATES = ("running", "waiting", "interrupted", "failed", "damaged", "finished")


@dataclasses.dataclass(frozen=True)
class Status:
    """How far a member is.

    Attributes:
      name: of its directory.
      state: ``finished``, ``failed``, ``running`` (a process holds its lock), ``interrupted`` (begun, or finished before
        more was asked for, and no process works on it), ``damaged`` (its config.json), or ``waiting``.
      step: the last one of which metrics are written.
      steps: all that were asked for; None where that is not known yet.
      metric: the best dev metric so far, as text.
      seconds: spent in updates so far; of time that members trained together share, an equal share.
      error: why it failed, or what is damaged.
      process: which one works on it; None where none does. Members trained together have the same.
    """

    name: str
    state: str
    step: int | None = None
    steps: int | None = None
    metric: str = MISSING
    seconds: float | None = None
    error: str | None = None
    process: str | None = None

    @property
    def share(self) -> float:
        """Share of its updates that is made, 0 to 1; nothing is left of a failed one."""
        return 1.0 if self.state in ("finished", "failed") else (self.step or 0) / (self.steps or math.inf)

    @property
    def whole(self) -> float | None:
        """Seconds in updates that all of them take at its pace; None where that cannot be said."""
        return self.seconds / self.step * self.steps if self.seconds and self.step and self.steps else None

    @property
    def seconds_left(self) -> float | None:
        """Time in updates that it still needs, its own share; None where that cannot be said."""
        return None if self.whole is None else (1 - self.share) * self.whole


def read_status(workdir: str) -> list[Status]:
    """Returns the status of every member of the sweep in ``workdir``, tuning runs first.

    Raises UserError where there is no sweep, or what describes it is damaged.
    """
    root = pathlib.Path(workdir)
    if not (root / SWEEP_FILE).exists():
        raise UserError(f"--workdir={workdir}: there is no sweep here (no sweep.json); expected the directory of a sweep")
    members = []
    for prefix in (f"{TUNING_FOLDER}/", ""):
        path = root / prefix / SWEEP_FILE
        if path.exists():
            record = read_sweep_record(path)
            # Tuning runs of sizes that have chosen already are not made again, whatever is asked for since.
            asked = {entry["name"]: None if prefix else length_of(record, entry) for entry in record["members"]}
            members += [_member(root / prefix / name, prefix + name, length) for name, length in asked.items()]
    return members


def run(workdir: str) -> None:
    """Prints the status of a sweep. Raises UserError as ``read_status`` does."""
    members = read_status(workdir)
    rows = [_row(member, members) for member in members]
    print_table(("member", "state", "metric", "step", "time", "left"), rows, left=3)
    counts = {state: sum(member.state == state for member in members) for state in STATES}
    processes = {member.process for member in members if member.process is not None}
    left = time_left([(member.share, member.whole) for member in members if member.state != "damaged"], len(processes))
    print(f"{', '.join(f'{count} {state}' for state, count in counts.items() if count)}{_left_label(left)}")
    for member in members:
        if member.error is not None:
            print(f"{member.name}: {without_configuration(member.error)}")
    ended = counts["finished"] + counts["failed"]
    if RunDirectory(pathlib.Path(workdir)).holder() is None and ended < len(members) and not counts["damaged"]:
        print("no process is working on this sweep; the command that launched it completes it")


def _member(directory: pathlib.Path, name: str, asked: Length | None) -> Status:
    run = RunDirectory(directory)
    process = run.holder()  # asked first, so that what ends meanwhile has its result below
    result = run.result()
    if directory.is_file():
        return Status(name, "damaged", error=f"{directory}: {NO_DIRECTORY}")
    try:
        record = run.record()
    except UserError as error:
        return Status(name, "damaged", error=str(error), process=process)
    if result is not None and result["status"] in ("finished", "failed") and process is None:
        ended = _ended(name, result)
        if asked and record and ended.state == "finished" and standing(run.path, result, asked) is Standing.EXTENDABLE:
            return _lengthened(ended, run.path, result, record, asked)
        return ended
    if record is None:
        return Status(name, "waiting" if process is None else "running", process=process)
    return dataclasses.replace(_begun(run.path, name, "interrupted" if process is None else "running", record), process=process)


def _ended(name: str, result: dict[str, Any]) -> Status:
    """Returns the status of a member with a result."""
    metric = _metric(result["metric"]["name"], (result["dev"] or {}).get(result["metric"]["name"]))
    return Status(name, result["status"], result["steps"], result["steps"], metric, result["train_seconds"], result["error"])


def _lengthened(ended: Status, directory: pathlib.Path, result: dict[str, Any], record: RunRecord, asked: Length) -> Status:
    """Returns the status of a member that has finished at another length than is asked for now, and on which no process works."""
    steps = asked.updates_after(length_made(result))
    error = failed_longer(result, asked)
    if error is not None:
        return dataclasses.replace(ended, state="failed", steps=steps, error=error)
    begun = _begun(directory, ended.name, "interrupted", record)  # it may have made some of the further updates
    furthest = max(dataclasses.replace(ended, state="interrupted"), begun, key=lambda found: found.step or 0)
    return dataclasses.replace(furthest, steps=steps)


def _begun(directory: pathlib.Path, name: str, state: str, record: RunRecord) -> Status:
    """Returns the status of a member that has begun: from its metrics and, for the steps asked for, its configuration."""
    metric = metric_of(record.config)
    last, best = _last_records(directory / METRICS_FILE, metric)
    step, seconds = (last["step"], last["elapsed_seconds"]) if last else (0, 0.0)
    return Status(name, state, step, record.steps, best, seconds)


def _last_records(path: pathlib.Path, metric: Metric) -> tuple[dict[str, Any] | None, str]:
    """Returns the last record and the best dev metric."""
    numbered = ("step", "elapsed_seconds")
    records = [record for record in readable_lines(path) if all(isinstance(record.get(key), int | float) for key in numbered)]
    dev = [record.get(metric.name) for record in records if record.get("split") == "dev"]
    values = [value for value in dev if isinstance(value, int | float)]
    best = (min if metric.lower_is_better else max)(values, default=None)
    return (records[-1] if records else None), _metric(metric.name, best)


def _metric(name: str, value: float | None) -> str:
    return MISSING if value is None else f"{name} {value:.4f}"


def _row(member: Status, members: Sequence[Status]) -> list[str]:
    """Returns the columns of a member; what one process trains together ends together, after the shares of all."""
    step = MISSING if member.step is None else f"{member.step}/{member.steps or '?'}"
    together = [member] if member.process is None else [other for other in members if other.process == member.process]
    shares = [other.seconds_left for other in together]
    left = sum(share or 0.0 for share in shares) if member.state not in ("finished", "failed") and any(shares) else None
    return [member.name, member.state, member.metric, step, seconds_label(member.seconds), seconds_label(left)]


def _left_label(seconds: float | None) -> str:
    if seconds is None:
        return "; time left not known yet"
    return f"; about {seconds_label(seconds)} left" if seconds else ""
