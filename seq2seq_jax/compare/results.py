"""Reads a sweep back: which members were asked for, what each of them reached, and which have no result.

Needs ``result.json`` of each member and nothing else; ``sweep.json`` adds the members that never ran. A member whose result is
broken or foreign is listed with the failed ones; a broken ``sweep.json`` raises ``UserError``.
Read next: ``comparison.py``; the files themselves are described in ``docs/architecture.md``.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import sys
from collections.abc import Iterable
from typing import Any

from seq2seq_jax.compare import artifacts
from seq2seq_jax.config import FILES, HIDDEN, SEED, SIZE, TABLE, from_dict, metric_of
from seq2seq_jax.errors import UserError
from seq2seq_jax.length import Standing, length_of, of_other_length, standing
from seq2seq_jax.records import RESULT_FILE, SWEEP_FILE, TABLES, in_order, is_metric, parsed, read_grid, read_record, result_problem
from seq2seq_jax.show.symbols import printable

NOT_RUN = "not run"  # error of a member that has no result
INTERRUPTED = "interrupted"  # error, and status, of one that was stopped: the sweep's command goes on with it
# Errors of members that have finished with other steps or epochs than the sweep asks for now.
SHORTER = "trained for fewer steps or epochs than the sweep asks for now"  # the sweep's command goes on with it
STUCK = "trained for other steps or epochs than the sweep asks for now, and cannot be brought to them"
# Settings in which runs may differ and be compared all the same. Of files their content counts.
_HARMLESS = ("train.devices", "train.log_every", "train.checkpoint_every", "model.pretrained", *FILES)


@dataclasses.dataclass(frozen=True)
class Member:
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
class Run:
    """A finished run: its place in the sweep, its directory and its ``result.json``."""

    member: Member
    directory: pathlib.Path
    result: dict[str, Any]

    @property
    def value(self) -> float:
        """The dev metric of the best checkpoint, in the metric's unit."""
        return float(self.result["dev"][self.result["metric"]["name"]])


def runs_of(runs: Iterable[Run], embedding_dim: int | None, table: str = "learned") -> list[Run]:
    """Returns the runs of one size, in their order."""
    return [run for run in runs if (run.member.size, run.member.table) == (embedding_dim, table)]


@dataclasses.dataclass(frozen=True)
class Failure:
    """A member without a result to compare.

    ``member`` is None where its size and seed are not known, ``metric`` where neither its file nor the sweep names one.
    """

    name: str
    error: str
    member: Member | None
    metric: dict[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class Sweep:
    """All that is known of one sweep.

    Attributes:
      workdir: its directory, as the user typed it.
      runs: finished members, by table, size and seed.
      failures: the others.
      command: the command given last, where it is known.
      tuning: settings chosen for each size before the comparison and what that has cost, as sweep.json has it; None without.
      axes: the values of each swept field, of all calls of the sweep together; without sweep.json those that its members have.
      earlier_commands: others given before.
      design: what is compared beside the axes, as sweep.json has it.
      hidden_dims: of each member, where a budget of parameters makes them differ.
      unlike: in what the runs differ besides the axes, in words; only without sweep.json, whose members differ as it says.
    """

    workdir: str
    runs: list[Run]
    failures: list[Failure]
    command: str | None
    tuning: dict[str, Any] | None = None
    axes: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
    earlier_commands: list[str] = dataclasses.field(default_factory=list)
    design: dict[str, Any] = dataclasses.field(default_factory=dict)
    hidden_dims: dict[str, int] = dataclasses.field(default_factory=dict)
    unlike: list[str] = dataclasses.field(default_factory=list)


def read_sweep(workdir: str) -> Sweep:
    """Reads the sweep in ``workdir``.

    With a ``sweep.json`` only the members in it count; without one, every directory with the result of a run.
    Raises UserError where there is neither a result nor a sweep.json, the sweep.json is broken, or the metrics differ.
    """
    root = pathlib.Path(workdir)
    grid = read_grid(root / SWEEP_FILE) if (root / SWEEP_FILE).is_file() else {}
    entries = (
        grid["members"] if grid else [{"name": path.parent.name} for path in sorted(root.glob(f"*/{RESULT_FILE}")) if _is_of_a_run(path)]
    )
    runs, failures = [], []
    metric = _metric_asked_for(grid)
    for entry in _placed(root, entries):
        outcome = _read_member(root, entry, metric)
        (runs if isinstance(outcome, Run) else failures).append(outcome)
    runs, others = _of_equal_length(runs, grid)
    failures += others
    if runs and not grid:  # a failure may stand in a setting of its own, where no run says what is compared
        failures = [dataclasses.replace(failure, metric=failure.metric or runs[0].result["metric"]) for failure in failures]
    if not (runs or failures or grid):
        raise UserError(f"--workdir={workdir}: holds no results; expected a sweep's directory, with */result.json")
    runs.sort(key=lambda run: (TABLES.index(run.member.table), run.member.size, run.member.seed))
    _check_same_metric(runs)
    axes, earlier_commands = grid.get("axes") or _axes_of(runs, failures), grid.get("earlier_commands", [])
    design, hidden, unlike = grid.get("design", {}), _hidden_dims(grid), [] if grid else _unlike(runs)
    return Sweep(workdir, runs, failures, grid.get("command"), grid.get("tuning"), axes, earlier_commands, design, hidden, unlike)


def _hidden_dims(grid: dict[str, Any]) -> dict[str, int]:
    """Returns by member the hidden size that a budget of parameters has led to; nothing where all have the same."""
    if grid.get("design", {}).get("budget") != "parameters":
        return {}
    shared = grid.get("config", {}).get("model", {}).get("hidden_dim")
    found = {entry["name"]: entry.get("adapted", {}).get(HIDDEN, shared) for entry in grid["members"]}
    return {name: hidden_dim for name, hidden_dim in found.items() if isinstance(hidden_dim, int)}


def _of_equal_length(runs: list[Run], grid: dict[str, Any]) -> tuple[list[Run], list[Failure]]:
    """Parts the runs as long as the sweep asks for now from those that a longer sweep has not reached, or that were lengthened alone."""
    if not grid:
        return runs, []
    entries = {entry["name"]: entry for entry in grid["members"]}
    standings = {}
    for run in runs:
        made, asked = artifacts.length(run.directory), length_of(grid, entries[run.member.name])
        standings[run.member.name] = standing(run.directory, run.result, made, asked)
    others = {name: SHORTER if stands is Standing.EXTENDABLE else STUCK for name, stands in of_other_length(standings).items()}
    failures = [Failure(name, others[name], run.member, run.result["metric"]) for run in runs if (name := run.member.name) in others]
    return [run for run in runs if run.member.name not in others], failures


def _axes_of(runs: list[Run], failures: list[Failure]) -> dict[str, list[Any]]:
    """Returns the values that the members have, by field. Baselines are left out: they stand beside the sizes."""
    members = [item.member for item in (*runs, *failures) if item.member is not None and item.member.table == "learned"]
    axes: dict[str, list[Any]] = {}
    for member in members:
        for path, value in {SIZE: member.size, **member.setting, SEED: member.seed}.items():
            values = axes.setdefault(path, [])
            if value not in values:
                values.append(value)
    return {path: sorted(values, key=in_order) for path, values in axes.items()}


def _is_of_a_run(path: pathlib.Path) -> bool:
    """Says whether a run may have written this result.json, which no sweep.json names; where not, a line on stderr says so."""
    try:
        found = parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True  # what is broken may have been a run's, and is listed
    if isinstance(found, dict) and "format" in found:
        return True
    print(f'{path}: passed over, since it is no result of a run (no "format")', file=sys.stderr)
    return False


def _placed(root: pathlib.Path, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the entries with what tells each from the others: as sweep.json has it, else by result and configuration.

    A run trained alone says its size and seed; its configuration has the fields that other runs vary, and the kind of its table.
    So has that of a broken result.
    """
    said = [_said(root / entry["name"], entry.get("varied")) for entry in entries]
    tables = {settings.get(TABLE, "learned") for _, settings in said}
    fields = sorted({SIZE, SEED}.union([TABLE] if len(tables) > 1 else [], *(varied for varied, _ in said)))
    return [
        {**entry, "varied": {path: settings[path] for path in fields if path in settings} | varied}
        for entry, (varied, settings) in zip(entries, said, strict=True)
    ]


def _said(directory: pathlib.Path, planned: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns what a run is said to vary, by sweep.json or itself, and, unless sweep.json says it all, its settings."""
    if isinstance(planned, dict):
        return planned, {} if {SIZE, SEED} <= set(planned) else artifacts.settings(directory)
    return _varied(directory), artifacts.settings(directory)


def _varied(directory: pathlib.Path) -> dict[str, Any]:
    """Returns what a run's result says that it varies; nothing where it does not say it."""
    try:
        found = parsed((directory / RESULT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    varied = found.get("varied") if isinstance(found, dict) else None
    return varied if isinstance(varied, dict) else {}


def _unlike(runs: list[Run]) -> list[str]:
    """Returns the settings and data in which runs that are compared differ, with their values, besides size, seed and kind of the table."""
    said: list[str] = []
    for setting in _distinct([run.member.setting for run in runs]):
        directories = [run.directory for run in runs if run.member.setting == setting]
        settings = [found for found in map(artifacts.settings, directories) if found]
        hashes = [found for found in map(artifacts.data_sha256, directories) if found]
        paths = [path for path in dict.fromkeys(itertools.chain(*settings)) if path not in (SIZE, SEED, TABLE, *_HARMLESS)]
        values = {path: _distinct([found[path] for found in settings if path in found]) for path in paths}
        said += [f"{path} ({', '.join(map(str, several))})" for path, several in values.items() if len(several) > 1]
        splits = [split for split in dict.fromkeys(itertools.chain(*hashes)) if len({found.get(split) for found in hashes}) > 1]
        said += [f"the data of {split}" for split in splits]
    return list(dict.fromkeys(said))


def _distinct(values: list[Any]) -> list[Any]:
    return [value for place, value in enumerate(values) if value not in values[:place]]


def _metric_asked_for(grid: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the metric of the sweep's configuration, which members without a result cannot say; None where it says none either."""
    try:
        return dataclasses.asdict(metric_of(from_dict(grid["config"])))
    except (UserError, LookupError, TypeError, AttributeError):  # no configuration of this program
        return None


def _read_member(root: pathlib.Path, entry: dict[str, Any], metric: dict[str, Any] | None) -> Run | Failure:
    """Returns a member's run, or why there is none: a broken file is a failure of its member alone."""
    name, directory = entry["name"], root / entry["name"]
    path = directory / RESULT_FILE
    if not path.is_file():
        return Failure(name, NOT_RUN, _place(entry), metric)
    try:
        result = read_record(path)
        _check(path, result)
    except UserError as error:
        return Failure(name, str(error).removeprefix(f"{directory}/"), _place(entry), metric)
    member = _place(entry)
    if result["status"] != "finished":
        metric = result["metric"] if is_metric(result.get("metric")) else metric
        return Failure(name, printable(str(result.get("error") or result["status"])), member, metric)
    if member is None:
        return Failure(name, f'{path.name}: expected "varied" with whole numbers for {SIZE} and {SEED}, or a config.json beside it', None)
    return Run(member, directory, result)


def _place(entry: dict[str, Any]) -> Member | None:
    """Returns where a member stands by what it varies; None where that names no size or seed."""
    varied = entry["varied"]
    size, seed, table = varied.get(SIZE), varied.get(SEED, 0), entry.get("table", varied.get(TABLE, "learned"))
    if not (isinstance(size, int) and isinstance(seed, int) and table in TABLES):
        return None
    return Member(entry["name"], size, seed, table, {path: value for path, value in varied.items() if path not in (SIZE, SEED, TABLE)})


def _check(path: pathlib.Path, result: dict[str, Any]) -> None:
    """Raises UserError, naming file and key, where a result is none, or is of a run that has no dev split to be compared by."""
    problem = result_problem(result)
    if problem is None and result["status"] == "finished" and result["dev"] is None:
        problem = "there is no dev split to compare by; expected data.dev, or data.dev_fraction above 0"
    if problem is not None:
        raise UserError(f"{path}: {problem}")


def _check_same_metric(runs: list[Run]) -> None:
    for run in runs:
        if run.result["metric"]["name"] != runs[0].result["metric"]["name"]:
            names = [each.result["metric"]["name"] for each in (runs[0], run)]
            raise UserError(
                f"{run.directory / RESULT_FILE}: metric {names[1]}, but {runs[0].member.name} has {names[0]}; expected the same"
            )
