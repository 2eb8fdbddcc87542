"""What looks like a mistake in a file of text, and is said rather than refused: it may be meant."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from typing import TypeVar

MOST_LINES = 5_000  # of a file, that are looked at: whether a line is in form C can take longer to tell than to read it
Line = TypeVar("Line")


def some(lines: Sequence[Line]) -> Sequence[Line]:
    """Returns all lines or, of many, ``MOST_LINES``: drawn, since every tenth could be of one kind, and always the same ones."""
    return lines if len(lines) <= MOST_LINES else random.Random(0).sample(lines, MOST_LINES)


def mixed_forms(lines: Sequence[str], path: str) -> list[str]:
    """Returns a sentence where some lines spell with combining marks what others may spell with composed characters."""
    marks, composed = 0, 0
    for line in lines:
        if line.isascii():
            continue
        if not unicodedata.is_normalized("NFC", line):
            marks += 1
        elif not unicodedata.is_normalized("NFD", line):
            composed += 1
    if not (marks and composed):
        return []
    return [
        f"{path}: of {len(lines)} lines looked at {marks} are not in Unicode normalization form C and {composed} are, with composed"
        " characters; words that look alike can differ, and --config.data.normalize_nfc=true makes them one."
    ]


def quoted(pairs: Sequence[tuple[str, str]], path: str) -> list[str]:
    """Returns a sentence where at least half of the lines have a field that stands in double quotes, as spreadsheets write them."""
    count = sum(_in_quotes(source) or _in_quotes(target) for source, target in pairs)
    if 2 * count < len(pairs):
        return []
    return [
        f"{path}: of {len(pairs)} lines looked at {count} have a field that begins and ends with a double quote;"
        " the quotes are taken as part of the text."
    ]


def _in_quotes(field: str) -> bool:
    return field[:1] == '"' == field[-1:] and len(field) > 1
