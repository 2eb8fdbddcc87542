"""Reads a sweep back: which members were asked for, what each of them reached, and which have no result.

Needs ``result.json`` of each member and nothing else; ``sweep.json`` adds the members that never ran. A member whose result is
broken or foreign is listed with the failed ones; a broken ``sweep.json`` raises ``UserError``.
Read next: ``comparison.py``; the files themselves are described in ``docs/architecture.md``.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seq2seq_jax import config as config_lib
from seq2seq_jax.compare import run_files
from seq2seq_jax.compare.results import Cause, Failure, FinishedRun, RunKey, Sweep
from seq2seq_jax.config import (
    ENCODER_HIDDEN,
    FILES,
    HIDDEN,
    SEED,
    SIDES,
    SIZE,
    TABLE,
    TABLES,
    WITHOUT_EFFECT,
    from_dict,
    in_order,
    setting_of,
)
from seq2seq_jax.errors import UserError, has_diverged, no_room
from seq2seq_jax.json_files import parsed, read_record, readable_object
from seq2seq_jax.kinds import metric_of
from seq2seq_jax.length import Length, Standing, failed_longer, length_of, standing
from seq2seq_jax.records import (
    CONFIG_FILE,
    NO_DIRECTORY,
    RESULT_FILE,
    SWEEP_FILE,
    SweepRecord,
    is_metric,
    read_sweep_record,
    result_problem,
)
from seq2seq_jax.show.symbols import printable

# Directory of a member that varies size and seed alone (``sweep/members.py``).
_NAME = re.compile(r"embedding_dim=(?P<size>\d+),seed=(?P<seed>\d+)")
# Fields in which runs may differ and be compared all the same. Of files their content counts.
HARMLESS = (*WITHOUT_EFFECT, "model.pretrained", *FILES)


class _File(NamedTuple):
    """A member's ``result.json``: what it says, and why it is no result to compare, if it is none."""

    directory: pathlib.Path
    content: dict[str, Any]
    cause: Cause | None = None
    error: str = ""

    @property
    def varied(self) -> dict[str, Any]:
        """What the run says that it varies; nothing where it does not say it."""
        varied = self.content.get("varied")
        return varied if isinstance(varied, dict) else {}


def read_sweep(workdir: str) -> Sweep:
    """Reads the sweep in ``workdir``.

    With a ``sweep.json`` only the members in it count; without one, every directory with the result of a run.
    Raises UserError where there is neither a result nor a sweep.json, the sweep.json is broken, or the metrics differ.
    """
    root = pathlib.Path(workdir)
    record, is_planned = _members_below(root)
    entries = record["members"]
    files = [_read_file(root / entry["name"]) for entry in entries]
    metric = _metric_asked_for(record)
    outcomes = [_outcome(file, member, metric) for file, member in zip(files, _members(entries, files), strict=True)]
    finished = [outcome for outcome in outcomes if isinstance(outcome, FinishedRun)]
    runs, others, unreached = _by_length(record, finished) if is_planned else (finished, [], None)
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)] + others
    if runs and not is_planned:  # a failure may stand in a setting of its own, where no run says what is compared
        failures = [dataclasses.replace(failure, metric=failure.metric or runs[0].result["metric"]) for failure in failures]
    runs.sort(key=lambda run: (TABLES.index(run.member.table), run.member.size, run.member.seed))
    _check_same_metric(runs)
    unlike_fields, unlike_data = ([], []) if is_planned else _unlike(runs)
    design = record.get("design", {})
    return Sweep(
        workdir=workdir,
        runs=runs,
        failures=failures,
        command=record.get("command"),
        directory=record.get("directory"),
        tuning=record.get("tuning"),
        axes=record.get("axes") or _axes_of(runs, failures),
        earlier_commands=record.get("earlier_commands", []),
        budget=design.get("budget", "hidden"),
        tuned=design.get("tune", {}),
        hidden_dims=_hidden_dims(record),
        fixed_size=_has_given_table(record),
        unreached=unreached,
        unlike_fields=unlike_fields,
        unlike_data=unlike_data,
    )


def _members_below(root: pathlib.Path) -> tuple[SweepRecord, bool]:
    """Returns the content of sweep.json or else one that names every directory with the result of a run, and whether there is one.

    Raises UserError where there is neither, or the sweep.json is broken.
    """
    try:
        if _is_there(root / SWEEP_FILE):
            return read_sweep_record(root / SWEEP_FILE), True
        paths = [path for path in _results_below(root) if _is_of_a_run(path)]
    except OSError as error:
        raise UserError(f"--workdir={root}: {error.strerror}; expected a directory that can be read") from None
    if paths:
        return SweepRecord(members=[{"name": path.parent.name} for path in paths]), False
    if any("format" in readable_object(root / name) for name in (CONFIG_FILE, RESULT_FILE)):
        raise UserError(f"--workdir={root}: this is the directory of one run; expected its parent, with several runs to compare")
    raise UserError(f"--workdir={root}: holds no results; expected a sweep's directory, with */result.json")


def _has_given_table(record: SweepRecord) -> bool:
    """Says whether the swept size is that of vectors from a file (``model.pretrained``), which have their own."""
    model = record.get("config", {}).get("model", {})
    given = model.get("pretrained") is not None or "model.pretrained" in record.get("axes", {})
    return given and all(model.get(path.removeprefix("model.")) is None for path in SIDES)


def _hidden_dims(record: SweepRecord) -> dict[str, tuple[int, int | None]]:
    """Returns by member the hidden sizes that a budget of parameters has led to; nothing where all have the same.

    An encoder's, of both directions together, are there where some member has a number of its own.
    """
    if record.get("design", {}).get("budget") != "parameters":
        return {}
    model = record.get("config", {}).get("model", {})
    shared = {HIDDEN: model.get("hidden_dim"), ENCODER_HIDDEN: model.get("encoder_hidden_dim")}
    found = {entry["name"]: shared | entry.get("adapted", {}) for entry in record["members"]}
    found = {name: values for name, values in found.items() if isinstance(values[HIDDEN], int)}
    if any(values[ENCODER_HIDDEN] for values in found.values()):
        directions = 2 if model.get("bidirectional", True) else 1
        return {name: (values[HIDDEN], values[ENCODER_HIDDEN] or directions * values[HIDDEN]) for name, values in found.items()}
    return {name: (values[HIDDEN], None) for name, values in found.items()}


def _by_length(record: SweepRecord, runs: list[FinishedRun]) -> tuple[list[FinishedRun], list[Failure], Length | None]:
    """Returns the runs as long as the sweep asks for now, why the others are not, and the length asked for where no run has it yet.

    In that case, as where a longer sweep was stopped early, all runs are compared at the length before.
    """
    asked = {entry["name"]: length_of(record, entry) for entry in record["members"]}
    others = {run.member.name: failure for run in runs if (failure := _of_other_length(run, asked[run.member.name])) is not None}
    if runs and len(others) == len(runs):
        return runs, [], length_of(record)
    return [run for run in runs if run.member.name not in others], list(others.values()), None


def _of_other_length(run: FinishedRun, asked: Length | None) -> Failure | None:
    """Returns why a run is not as long as asked for: a longer sweep has not reached it, or it was lengthened alone; None where it is."""
    stands = standing(run.directory, run.result, asked)
    if stands is Standing.DONE:
        return None
    error = failed_longer(run.result, asked)
    cause = Cause.STUCK if stands is not Standing.EXTENDABLE else Cause.SHORTER if error is None else Cause.FAILED
    return Failure(run.member.name, cause, printable(error or cause.value), run.member, run.result["metric"], has_finished=True)


def _axes_of(runs: list[FinishedRun], failures: list[Failure]) -> dict[str, list[Any]]:
    """Returns the values that the members have, by field. Baselines are left out: they stand beside the sizes."""
    members = [item.member for item in (*runs, *failures) if item.member is not None and item.member.table == "learned"]
    axes: dict[str, list[Any]] = {}
    for member in members:
        for path, value in {SIZE: member.size, **member.setting, SEED: member.seed}.items():
            values = axes.setdefault(path, [])
            if value not in values:
                values.append(value)
    return {path: sorted(values, key=in_order) for path, values in axes.items()}


def _results_below(root: pathlib.Path) -> list[pathlib.Path]:
    """Returns the results in directories of ``root``; also of one that cannot be read, which may have been a run's. Raises OSError."""

    def has_result(directory: pathlib.Path) -> bool:
        try:
            return _is_there(directory / RESULT_FILE)
        except PermissionError:
            return True

    return [directory / RESULT_FILE for directory in sorted(root.iterdir()) if has_result(directory)] if root.is_dir() else []


def _is_there(path: pathlib.Path) -> bool:
    """Returns whether there is a file. Raises OSError where it cannot be looked at."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _is_of_a_run(path: pathlib.Path) -> bool:
    """Says whether a run may have written this result.json, which no sweep.json names; where not, a line on stderr says so."""
    try:
        found = parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True  # what is broken may have been a run's, and is listed
    if isinstance(found, dict) and "format" in found:
        return True
    print(f'{path}: skipped, since it is no result of a run (no "format")', file=sys.stderr)
    return False


def _members(entries: list[dict[str, Any]], files: list[_File]) -> list[RunKey | None]:
    """Returns which member of the sweep each entry is; None where its size or seed is not known."""
    recorded = [_recorded(entry, file) for entry, file in zip(entries, files, strict=True)]
    tables = {own.get(TABLE, "learned") for _, own in recorded}
    fields = sorted({SIZE, SEED}.union([TABLE] if len(tables) > 1 else [], *(varied for varied, _ in recorded)))
    return [
        _member(entry, {path: own[path] for path in fields if path in own} | varied)
        for entry, (varied, own) in zip(entries, recorded, strict=True)
    ]


def _recorded(entry: dict[str, Any], file: _File) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns what a member is recorded to vary and, where that may not be all, its whole configuration.

    sweep.json says what a member varies. Without it a run's result says its size and seed, and its config.json everything else. Where
    the result is damaged, config.json says size and seed too or, where there is none, the name of the directory.
    """
    planned = entry.get("varied")
    if isinstance(planned, dict) and {SIZE, SEED} <= set(planned):
        return planned, {}
    own = run_files.fields_in(readable_object(file.directory / CONFIG_FILE))
    if isinstance(planned, dict):
        return planned, own
    named = _NAME.fullmatch(entry["name"]) if file.cause is not None and not own else None
    return file.varied or ({SIZE: int(named["size"]), SEED: int(named["seed"])} if named else {}), own


def _member(entry: dict[str, Any], values: dict[str, Any]) -> RunKey | None:
    """Returns the member that has these ``values`` of what the sweep varies."""
    size, seed, table = values.get(SIZE), values.get(SEED, 0), entry.get("table", values.get(TABLE, "learned"))
    if not (isinstance(size, int) and isinstance(seed, int) and table in TABLES):
        return None
    return RunKey(entry["name"], size, seed, table, setting_of(values))


def _unlike(runs: list[FinishedRun]) -> tuple[list[str], list[str]]:
    """Returns in what runs that are compared differ: fields, with their values, besides size, seed and kind of the table; splits' data."""
    unlike_fields, unlike_data = [], []
    for setting in _distinct([run.member.setting for run in runs]):
        same = [run for run in runs if run.member.setting == setting]
        fields = [found for found in map(fields_of, same) if found]
        hashes = [run.data_sha256 for run in same if run.data_sha256]
        unlike_fields += differing_fields(fields, ignore=(SIZE, SEED, TABLE, *HARMLESS))
        splits = [split for split in dict.fromkeys(itertools.chain(*hashes)) if len({found.get(split) for found in hashes}) > 1]
        if "train" in splits and not any("dev" in found for found in hashes):  # which dev is cut from
            splits.append("dev")
        counts = [run.result["dev"].get("examples") for run in same]
        if len({count for count in counts if isinstance(count, int)}) > 1:  # all that result files by themselves tell of it
            splits.append("dev")
        unlike_data += splits
    return list(dict.fromkeys(unlike_fields)), list(dict.fromkeys(unlike_data))


def fields_of(run: FinishedRun) -> dict[str, Any]:
    """Returns the fields of a run's configuration, or nothing where it has none.

    One that was written before there was a field has its default. Of the length it has those of its result, since it may be asked for a
    longer one now.
    """
    found, own = run.fields, run.result.get("length")
    if not found:
        return {}
    found = {path: field.default for path, field in config_lib.fields().items()} | found
    return found | {"train.steps": own.get("steps"), "train.epochs": own.get("epochs")} if isinstance(own, dict) else found


def differing_fields(configurations: Sequence[Mapping[str, Any]], ignore: Iterable[str]) -> list[str]:
    """Returns the fields in which configurations by dotted path differ, with their values; one that lacks a field says nothing of it."""
    paths = [path for path in dict.fromkeys(itertools.chain(*configurations)) if path not in set(ignore)]
    values = {path: _distinct([found[path] for found in configurations if path in found]) for path in paths}
    return [f"{path} ({', '.join(map(str, several))})" for path, several in values.items() if len(several) > 1]


def _distinct(values: list[Any]) -> list[Any]:
    return [value for place, value in enumerate(values) if value not in values[:place]]


def _metric_asked_for(record: SweepRecord) -> dict[str, Any] | None:
    """Returns the metric of the sweep's configuration, which members without a result cannot say; None where it says none either."""
    try:
        return metric_of(from_dict(record["config"])).to_json()
    except (UserError, LookupError, TypeError, AttributeError):  # no configuration of this program
        return None


def _read_file(directory: pathlib.Path) -> _File:
    """Reads the result of a member: a broken file is a failure of its member alone."""
    path = directory / RESULT_FILE
    try:
        if directory.is_file():
            return _File(directory, {}, Cause.FAILED, NO_DIRECTORY)
        if not _is_there(path):
            return _File(directory, {}, Cause.NOT_RUN, Cause.NOT_RUN.value)
        result = read_record(path)
        _check(path, result)
    except OSError as error:
        return _File(directory, {}, Cause.FAILED, f"{RESULT_FILE}: {error.strerror}; expected a file that can be read")
    except UserError as error:
        return _File(directory, readable_object(path), Cause.FAILED, str(error).removeprefix(f"{directory}/"))
    if result["status"] != "finished":
        error = str(result.get("error") or "")
        goes_on = result["status"] == "interrupted" or no_room(error) is not None  # by the same command
        cause = Cause.INTERRUPTED if goes_on else Cause.DIVERGED if has_diverged(error) else Cause.FAILED
        return _File(directory, result, cause, printable(error or cause.value))
    return _File(directory, result)


def _outcome(file: _File, member: RunKey | None, metric: dict[str, Any] | None) -> FinishedRun | Failure:
    """Returns a member's run, or why there is none; ``metric`` is the sweep's, for a member whose file names none."""
    name = file.directory.name if member is None else member.name
    if file.cause is not None:
        own = file.content.get("metric")
        return Failure(name, file.cause, file.error, member, own if is_metric(own) else metric)
    if member is None:
        expected = f'result.json: expected "varied" with whole numbers for {SIZE} and {SEED}, or a config.json beside it'
        return Failure(name, Cause.FAILED, expected, None)
    size, seed = file.varied.get(SIZE, member.size), file.varied.get(SEED, member.seed)
    if (size, seed) != (member.size, member.seed):  # a copy of another member's directory
        expected = f"size {member.size} and seed {member.seed}, those of this member; remove the directory to train it"
        return Failure(name, Cause.FAILED, f"{RESULT_FILE}: is of size {size} and seed {seed}; expected {expected}", member, metric)
    return FinishedRun(member, file.directory, file.content)


def _check(path: pathlib.Path, result: dict[str, Any]) -> None:
    """Raises UserError, naming file and key, where a result is none, or is of a run that has no dev split to be compared by."""
    problem = result_problem(result)
    if problem is None and result["status"] == "finished" and result.get("dev") is None:
        problem = "there is no dev split to compare by; expected data.dev, or data.dev_fraction above 0"
    if problem is not None:
        raise UserError(f"{path}: {problem}")


def _check_same_metric(runs: list[FinishedRun]) -> None:
    for run in runs:
        first, own = (f"{each.result['metric']['name']}{_direction(each)}" for each in (runs[0], run))
        if own != first:
            raise UserError(f"{run.directory / RESULT_FILE}: metric {own}, but {runs[0].member.name} has {first}; expected the same")


def _direction(run: FinishedRun) -> str:
    return "" if run.result["metric"]["lower_is_better"] else " (higher is better)"
