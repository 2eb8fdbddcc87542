"""The axes of a sweep: fields and the values that each is to have, read from flags and from an experiment. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import AXIS_FLAGS
from seq2seq_jax.errors import UserError
from seq2seq_jax.experiment import parse
from seq2seq_jax.validation import check_range

Axes = dict[str, tuple[Any, ...]]
MOST_VALUES = 10_000  # of a range; a slip of the finger should not fill the memory


def parse_values(flag: str, path: str, text: str) -> tuple[Any, ...]:
    """Turns ``4,16,64`` or ``0..4`` (4 included) into values of the field at ``path``.

    Raises UserError, naming the flag as typed, for an unknown field, an unreadable value, one out of range, a repeated one, or none.
    """
    parts = []
    for part in text.split(","):
        span = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", part)
        if span and int(span[2]) - int(span[1]) >= MOST_VALUES:
            raise UserError(f"{flag}: expected a range of at most {MOST_VALUES} values")
        if span and int(span[1]) > int(span[2]):
            raise UserError(f"{flag}: expected values such as 4,16,64 or 0..4, the first not above the last")
        parts += map(str, range(int(span[1]), int(span[2]) + 1)) if span else [part]
    values = tuple(parse(path, part, flag) for part in parts)
    for value in values:
        if value is not None:
            check_range(config_lib.field_of(path), value, flag)
    repeated = [value for i, value in enumerate(values) if value in values[:i]]
    if repeated:
        raise UserError(f"{flag}: {repeated[0]} is listed twice; expected distinct values")
    return values


def parse_axes(texts: Sequence[str], short: Mapping[str, str | None]) -> list[tuple[str, tuple[Any, ...]]]:
    """Turns what ``--axis`` and, by their names, the flags of ``AXIS_FLAGS`` say into paths and their values. Raises UserError."""
    named = [
        (AXIS_FLAGS[flag], parse_values(f"--{flag}={text}", AXIS_FLAGS[flag], text)) for flag, text in short.items() if text is not None
    ]
    return [parse_field("axis", text) for text in texts] + named


def parse_field(flag: str, text: str) -> tuple[str, tuple[Any, ...]]:
    """Turns ``field=value,value``, the content of a flag, into a path and its values. Raises UserError."""
    path, equals, values = text.partition("=")
    if not equals or not values:
        raise UserError(f"--{flag}={text}: expected field=value,value such as train.learning_rate=1e-3,2e-3")
    return path, parse_values(f"--{flag}={text}", path, values)


def make_axes(experiment: Mapping[str, Sequence[Any]], given: Sequence[tuple[str, tuple[Any, ...]]]) -> Axes:
    """Merges an experiment's axes with those given by flag, which replace theirs. Raises UserError for one given twice, or none at all."""
    paths = [path for path, _ in given]
    for path in paths:
        config_lib.field_of(path)
        if paths.count(path) > 1:
            raise UserError(f"{path}: this axis is given twice; expected each field in one flag")
    axes = {path: tuple(values) for path, values in {**experiment, **dict(given)}.items()}
    if not axes:
        raise UserError("sweep: nothing is swept; expected --embedding_dims, --axis, or SWEEP in the experiment file")
    return axes


def merged_axes(earlier: Mapping[str, Sequence[Any]], axes: Axes) -> Axes:
    """Returns each axis with the earlier values after those of now; in the order of the earlier axes, which names of members keep."""
    return {path: (*axes[path], *(value for value in values if value not in axes[path])) for path, values in earlier.items()}
