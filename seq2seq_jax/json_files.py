"""JSON files, written at once and read with checks; a damaged one ends with a line that names it. Knows nothing of what they say."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Callable
from typing import Any

from seq2seq_jax.config import FORMAT_VERSION
from seq2seq_jax.errors import Unreadable, UserError
from seq2seq_jax.files import write_atomically


def write_json(path: pathlib.Path, value: Any) -> None:
    """Replaces a JSON file in one move."""
    write_atomically(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def parsed(text: str | bytes) -> Any:
    """Returns what JSON says, None in place of a number that no float can hold, as of NaN and infinity. Raises ValueError."""
    try:
        return json.loads(text, parse_int=_finite(int), parse_float=_finite(float), parse_constant=lambda name: None)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(kind: Callable[[str], float]) -> Callable[[str], float | None]:
    return lambda digits: kind(digits) if math.isfinite(float(digits)) else None


def readable_object(path: pathlib.Path) -> dict[str, Any]:
    """Returns the JSON object in a file whatever its keys, an empty one where the file is missing, damaged or something else."""
    try:
        found = parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def readable_lines(path: pathlib.Path, containing: str = "") -> list[dict[str, Any]]:
    """Returns the JSON objects of a file that has one a line; without a line that is damaged, or being written.

    Only lines ``containing`` a text are parsed, which is slow: most lines of a log are of training.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return []
    found = []
    for line in lines:
        if line and containing.encode() in line:
            try:
                found.append(parsed(line))
            except ValueError:  # half a line of a killed process, or bytes that are no UTF-8
                continue
    return [value for value in found if isinstance(value, dict)]


def read_record(path: pathlib.Path) -> dict[str, Any]:
    """Returns the JSON object in a file. Raises UserError, naming the file, where there is none of this format; Unreadable is one."""
    try:
        found = parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unreadable.of(path, error) from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: expected a JSON object")
    if found.get("format") != FORMAT_VERSION:
        raise UserError(f'{path}: expected "format": {FORMAT_VERSION}, got {json.dumps(found.get("format"))}')
    return found
