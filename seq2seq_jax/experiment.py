"""What the user asks for: an experiment file, and the flags that override its fields."""

from __future__ import annotations

import dataclasses
import importlib.util
import pathlib
import sys
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from seq2seq_jax.config import Config, Field, field_of, fields, get, replace
from seq2seq_jax.errors import UserError, error_line
from seq2seq_jax.validation import TYPES, check_range, check_type

_MODULE = "seq2seq_jax_experiment"  # name of an experiment file as a module
_EXCLUSIVE = (  # giving one side by flag clears the other
    (("train.steps",), ("train.epochs",)),
    (("data.name",), ("data.train", "data.dev", "data.test")),
)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What an experiment file says: a configuration and the axes that its sweep varies."""

    config: Config
    sweep: dict[str, tuple[Any, ...]]


def load_experiment(path: str) -> Experiment:
    """Runs an experiment file and returns its configuration and sweep.

    Raises UserError where the file is missing, does not define ``get_config()`` returning a ``Config``, or has an unknown field or an
    invalid value in it or in ``SWEEP``; of an exception inside the file it names the line.
    """
    if not pathlib.Path(path).is_file():
        found = "a directory" if pathlib.Path(path).is_dir() else "no such file"
        raise UserError(f"--config={path}: {found}; expected an experiment file such as experiments/pronunciation.py")
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    if spec is None or spec.loader is None:
        raise UserError(f"--config={path}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module  # as an import does: dataclasses inside the file look it up
    before = list(sys.path)
    sys.path.append(str(pathlib.Path(path).parent.absolute()))  # as of a script, what stands beside it can be imported
    try:
        spec.loader.exec_module(module)
        config = module.get_config() if hasattr(module, "get_config") else None
    except Exception as error:
        raise UserError(f"--config={path}: {_line_of(error, spec.origin)}{error_line(error)}") from error
    finally:
        sys.path[:] = before
    if not isinstance(config, Config):
        raise UserError(f"--config={path}: expected a function get_config() that returns a seq2seq_jax.config.Config")
    for name, field in fields().items():
        value = get(config, name)
        check_type(field, value, f"--config={path}: get_config(): {name}={value!r}")
    config = replace(config, {name: _as_typed(field, get(config, name)) for name, field in fields().items()})
    return Experiment(config, _axes(f"--config={path}: SWEEP", getattr(module, "SWEEP", {})))


def _line_of(error: Exception, file: str | None) -> str:
    """Returns the line of a file that led to an error, for a message; nothing where none did, as of a syntax error, which names its own."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"line {lines[-1]}: " if lines else ""


def _axes(where: str, sweep: Any) -> dict[str, tuple[Any, ...]]:
    """Returns the axes of an experiment file. Raises UserError where they are something else."""
    if not isinstance(sweep, Mapping) or not all(isinstance(values, tuple | list) and values for values in sweep.values()):
        raise UserError(f'{where}: expected fields with their values, such as {{"model.embedding_dim": (2, 8, 32)}}')
    for path, values in sweep.items():
        field = field_of(path, where)
        for value in values:
            check_type(field, value, f"{where}: {path}={value!r}")
    return {path: tuple(_as_typed(field_of(path), value) for value in values) for path, values in sweep.items()}


def _as_typed(field: Field, value: Any) -> Any:
    """Returns a value as it would be read from a flag: names of members and hashes tell 0 from 0.0."""
    return float(value) if field.value_type is float and value is not None else value


def parse(path: str, text: str, typed: str | None = None) -> Any:
    """Turns a flag's text into the value of the field at ``path``.

    Raises UserError, naming the flag as ``typed``, where the field is unknown or the text is not of its type.
    """
    field = field_of(path, typed)
    value_type = field.value_type
    where = typed or f"{path}={text}"
    if field.optional and text.lower() in ("null", "none"):
        return None
    if field.choices:
        if text not in field.choices:
            raise UserError(f"{where}: expected one of {', '.join(field.choices)}")
        return text
    if value_type is bool:
        if text.lower() not in ("true", "false", "1", "0"):
            raise UserError(f"{where}: expected {TYPES[bool]}")
        return text.lower() in ("true", "1")
    if value_type is str:
        if not text:
            raise UserError(f"{where}: expected text, got nothing")
        return text
    try:
        return value_type(text)
    except ValueError:
        raise UserError(f"{where}: expected {TYPES[value_type]}") from None


def override(config: Config, given: Iterable[tuple[str, str]]) -> Config:
    """Applies ``(path, text)`` overrides in order.

    A value for one of an exclusive pair (steps, epochs) clears the other; another kind of model, what it does not read.

    Raises UserError for an unknown field, an unreadable value, or both of an exclusive pair.
    """
    paths = set()  # of fields that are given a value; null excludes nothing
    for path, text in given:
        typed = f"--config.{path}={text}"
        value = parse(path, text, typed)
        if value is not None:
            check_range(fields()[path], value, typed)
            paths.add(path)
        config = replace(config, {path: value})
    for one, other in _EXCLUSIVE:
        first, second = (sorted(paths & set(side)) for side in (one, other))
        if first and second:
            raise UserError(f"--config.{first[0]} and --config.{second[0]}: give one of them, not both")
    if "model.kind" in paths:
        config = _without_unread(config, paths)
    return without_opposites(config, paths)


def _without_unread(config: Config, kept: Iterable[str]) -> Config:
    """Returns the configuration with the fields of other kinds of models at their defaults, but for those ``kept``."""
    unread = {path: field.default for path, field in fields().items() if not field.read_by(config.model.kind)}
    return replace(config, {path: default for path, default in unread.items() if path not in set(kept)})


def without_opposites(config: Config, paths: Iterable[str]) -> Config:
    """Returns the configuration without what the fields at ``paths`` exclude, such as steps where epochs are given."""
    paths = set(paths)
    for one, other in _EXCLUSIVE:
        for side, opposite in ((one, other), (other, one)):
            if paths & set(side):
                config = replace(config, dict.fromkeys(opposite))
    return config
