"""What looks like a mistake in a file of text, and is said rather than refused: it may be meant."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from typing import TypeVar

from seq2seq_jax.data.vocabulary import Vocabulary

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


def other_form(name: str, texts: Sequence[tuple[Vocabulary, str]]) -> list[str]:
    """Returns a sentence where texts are spelled with other characters than those, looking alike, that their vocabulary has.

    Composed ones are taken for another spelling only where the vocabulary has none: a text in form C has combining marks as well, for the
    letters that there are not composed.
    """
    looked_at, count = some(texts), 0
    vocabularies = {vocabulary for vocabulary, _ in looked_at}
    composed = {each: not all(unicodedata.is_normalized("NFD", symbol) for symbol in each.symbols) for each in vocabularies}
    for vocabulary, text in looked_at:
        unknown = 0 if text.isascii() else len(vocabulary.unknown(text))
        form = "NFD" if unicodedata.is_normalized("NFC", text) else "NFC"
        if unknown and not (form == "NFD" and composed[vocabulary]):
            count += len(vocabulary.unknown(unicodedata.normalize(form, text))) < unknown
    if not count:
        return []
    return [
        f"{name}: of {len(looked_at)} texts looked at {count} have fewer such units in another Unicode normalization form, which looks the "
        "same; trained with --config.data.normalize_nfc=true, a model reads all in one."
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


def blanks_at_ends(pairs: Sequence[tuple[str, str]], path: str, units: tuple[str, str]) -> list[str]:
    """Returns a sentence where lines have a field with a blank at an end, which is a unit of its own unless ``units`` are words."""
    count = sum(any(field != field.strip() for field, unit in zip(pair, units, strict=True) if unit != "word") for pair in pairs)
    if not count:
        return []
    return [
        f"{path}: of {len(pairs)} lines looked at {count} have a field that begins or ends with a blank;"
        " the blanks are taken as part of the text."
    ]


def _in_quotes(field: str) -> bool:
    return field[:1] == '"' == field[-1:] and len(field) > 1
