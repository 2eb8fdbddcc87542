"""What the JSON files of runs and sweeps say, read with checks: config.json, result.json and sweep.json."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import pathlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Required, TypedDict, cast

from seq2seq_jax.config import FORMAT_VERSION, TABLES, Config, field_of, from_dict
from seq2seq_jax.errors import MADE_AGAIN, Unreadable, UserError
from seq2seq_jax.json_files import read_record, readable_object
from seq2seq_jax.length import Length
from seq2seq_jax.validation import check_type, validate

# Files in the directory of a run (docs/architecture.md), and in that of a sweep.
CONFIG_FILE, RESULT_FILE, METRICS_FILE, EMBEDDING_FILE = "config.json", "result.json", "metrics.jsonl", "embedding.npz"
SAMPLES_FILE, DEV_SCORES_FILE, TRUNCATED_FILE, PIP_LOSS_FILE = "samples.jsonl", "dev_scores.npz", "truncated.json", "pip_loss.json"
TRACEBACK_FILE, SWEEP_FILE, TUNING_FOLDER = "traceback.txt", "sweep.json", "tuning"
NO_DIRECTORY = "a file stands in the place of a run; expected a directory, or nothing"


class SweepRecord(TypedDict, total=False):
    """What sweep.json says; one written by another program may have the members alone.

    Attributes:
      format: of the file.
      command: the command line given last.
      directory: the current directory in which it was given, from which its paths are meant.
      earlier_commands: others given before.
      axes: values of each swept field, of all calls together.
      design: what is compared beside the axes (``sweep/design.py``).
      tuning: what was chosen for each size, and what that has cost (``sweep/tuning.py``); None without.
      members: each with ``name``, ``varied``, ``table`` and ``adapted`` (``sweep/members.py``).
      config: what the members share, fields by section.
    """

    format: int
    command: str | None
    directory: str
    earlier_commands: list[str]
    axes: dict[str, list[Any]]
    design: dict[str, Any]
    tuning: dict[str, Any] | None
    members: Required[list[dict[str, Any]]]
    config: dict[str, dict[str, Any]]


def read_sweep_record(path: pathlib.Path, *needed: str) -> SweepRecord:
    """Returns the content of a sweep.json: its members, and the other keys that it has.

    Raises UserError, naming the file and the key, where something else stands there, or a ``needed`` key is missing.
    """
    try:
        return _sweep_record(path, needed)
    except Unreadable:
        raise
    except UserError as error:
        raise damaged_sweep(path, error) from None


def damaged_sweep(path: pathlib.Path, error: UserError) -> UserError:
    """Returns the error for a sweep.json that cannot be read, with the way out."""
    said = str(error).removeprefix(f"{path}: ")
    return UserError(f"{path}: {said}; where it is damaged, remove it: the sweep's whole command writes it again and loses no run")


def _sweep_record(path: pathlib.Path, needed: Sequence[str]) -> SweepRecord:
    found = read_record(path)
    for key, (is_sound, expected) in _FORMS.items():
        if (key in found or key in ("members", *needed)) and not is_sound(found.get(key)):
            raise UserError(f'{path}: expected "{key}": {expected}')
    for entry in found["members"]:
        if entry.get("table", "learned") not in TABLES:
            raise UserError(f"{path}: {entry['name']}: unknown table {entry['table']!r}; expected one of {', '.join(TABLES)}")
    return cast(SweepRecord, found)


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """What a run's config.json says.

    Attributes:
      config: resolved.
      steps: updates asked for.
      data_sha256: of the data, by split or by the field that names a file.
      output_limit: longest decoded output, units with the end symbol.
      batch_shapes: of training.
    """

    config: Config
    steps: int
    data_sha256: Mapping[str, str]
    output_limit: int
    batch_shapes: Sequence[tuple[int, int]]

    @property
    def length(self) -> Length:
        """How long the run was asked to train when it last began."""
        return Length(self.config.train.steps, self.config.train.epochs, self.steps)

    def to_json(self) -> dict[str, Any]:
        """Returns the content of config.json."""
        return {"format": FORMAT_VERSION, **dataclasses.asdict(self)}


def read_config(path: pathlib.Path) -> RunRecord:
    """Returns what a run's config.json says. Raises UserError, naming the file, where it is no such file."""
    found = read_record(path)
    try:
        for section, values in found["config"].items():
            for name, value in values.items():
                check_type(field_of(f"{section}.{name}"), value, f"{section}.{name}={value!r}")
        config = from_dict(found["config"])
        validate(config)
        steps, limit = (_whole(found[key], key) for key in ("steps", "output_limit"))
        shapes = [(int(source), int(target)) for source, target in found["batch_shapes"]]
        return RunRecord(config, steps, dict(found["data_sha256"].items()), limit, shapes)
    except (KeyError, ValueError, TypeError, AttributeError, UserError) as error:
        raise UserError(f"{path}: expected the configuration of a run, found something else ({error})") from error


def _whole(value: Any, key: str) -> int:
    if not isinstance(value, int):
        raise ValueError(f"{key}: {value!r}")
    return value


def read_result(path: pathlib.Path) -> dict[str, Any] | None:
    """Returns the content of a run's result.json, or None where there is none, or a damaged one: the run can make it again."""
    try:
        result = read_record(path)
    except UserError:
        return None
    sound = result_problem(result) is None and is_metric(result.get("metric"))  # which train also writes of what has not finished
    return dict.fromkeys(_RESULT_KINDS) | result if sound else None


def no_run(directory: pathlib.Path, missing: str) -> UserError:
    """Returns the error for a directory in which a run's file is ``missing``.

    Of a sweep's directory it names a member that has the file. Of any other it says what is missing, and where the directory's name looks
    like a misspelt member of the sweep around it, which one may be meant.
    """
    is_run = missing != CONFIG_FILE and os.path.exists(directory / CONFIG_FILE)
    unfinished = f"there is no {missing}; expected the directory of a finished run{MADE_AGAIN}"
    otherwise = unfinished if is_run else f"there is no run here (no {CONFIG_FILE}); train one first"
    if not (directory / SWEEP_FILE).exists():
        entries = readable_object(directory.parent / SWEEP_FILE).get("members") or []
        names = [entry["name"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("name"), str)]
        there = [name for name in names if os.path.exists(directory.parent / name / missing)]  # not where it cannot be looked at
        near = [] if directory.name in names else difflib.get_close_matches(directory.name, there, n=1)
        return UserError(f"--workdir={directory}: {otherwise}{f'; did you mean {directory.parent / near[0]}?' if near else ''}")
    member = min(directory.glob(f"*/{missing}"), default=None)
    such_as = "" if member is None else f", such as {member.parent}"
    return UserError(f"--workdir={directory}: this is the directory of a sweep; expected one of its members{such_as}")


def is_metric(value: Any) -> bool:
    """Says whether it is the ``metric`` of a result.json, as far as that is read."""
    if not (_is_object(value) and isinstance(value.get("name"), str) and isinstance(value.get("lower_is_better"), bool)):
        return False
    tolerance = value.get("tolerance")
    return tolerance is None or (isinstance(tolerance, int | float) and tolerance >= 0)


def result_problem(result: Mapping[str, Any]) -> str | None:
    """Returns why a result is not valid; None where all that is read is there, of the right type. An unfinished run may lack figures."""
    status = result.get("status")
    if status not in ("finished", "failed", "interrupted"):
        return 'expected "status": finished, failed or interrupted'
    for key, kind in _RESULT_KINDS.items():
        value = result.get(key)
        if not isinstance(value, kind) and not (value is None and status != "finished"):
            return f'expected "{key}" as train writes it, got {json.dumps(value)}'
    if status == "finished" and not result["steps"]:
        return 'expected "steps" above 0'
    metric, dev = result.get("metric"), result.get("dev")
    if metric is None:  # of one that has not finished
        return None
    if not is_metric(metric):
        return 'expected "metric" with name, unit, lower_is_better and tolerance'
    if dev is not None and not isinstance(dev.get(metric["name"]), int | float):
        return f'expected a finite number for {metric["name"]} in "dev"'
    return None


def _are_members(value: Any) -> bool:
    """Says whether these are objects, each with a name of its own and fields by path."""
    if not _are_objects(value) or not all(_is_object(entry.get(key, {})) for entry in value for key in ("varied", "adapted")):
        return False
    names = [entry.get("name") for entry in value]
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


def _is_tuning(value: Any) -> bool:
    """Says whether it is None, or has what comparing and growing a tuned sweep read."""
    if value is None:
        return True
    counts = {"seed": int, "runs": int, "train_seconds": (int, float)}
    if not (
        _is_object(value) and all(isinstance(value.get(key), kind) for key, kind in counts.items()) and _are_objects(value.get("chosen"))
    ):
        return False
    return all(_is_object(entry.get("varied")) and _is_object(entry.get("values")) for entry in value["chosen"])


def _is_command(value: Any) -> bool:
    try:
        return value is None or (isinstance(value, str) and bool(shlex.split(value)))
    except ValueError:  # a quotation mark that nothing closes
        return False


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_configuration(value: Any) -> bool:
    if not _is_object(value) or not all(map(_is_object, value.values())):
        return False
    return all(isinstance(value.get("train", {}).get(unit), int | None) for unit in ("steps", "epochs"))


def _are_lists(value: Any) -> bool:
    return _is_object(value) and all(isinstance(values, list) for values in value.values())


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_object, value))


# What is read of every finished run's result.json.
_RESULT_KINDS: dict[str, Any] = {
    "metric": dict,
    "train_seconds": int | float,
    "best_step": int,
    "steps": int,
    "parameters": dict,
    **dict.fromkeys(("dev", "test", "varied", "versions"), dict | None),  # there may be no such split
    "error": str | None,
}
_FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "members": (_are_members, "a list of objects, each with a name of its own and fields by path"),
    "axes": (_are_lists, "lists of values by field"),
    "config": (_is_configuration, "fields by section, steps and epochs whole numbers or null"),
    "design": (lambda value: _is_object(value) and _are_lists(value.get("tune", {})), "an object, its tune lists of values by field"),
    "command": (_is_command, "null, or a command line"),
    "directory": (lambda value: isinstance(value, str), "the path of a directory"),
    "earlier_commands": (lambda value: isinstance(value, list) and all(map(_is_command, value)), "a list of command lines"),
    "tuning": (_is_tuning, "null, or an object with seed, runs, train_seconds and what is chosen for each size"),
}
