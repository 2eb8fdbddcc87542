"""What looks like a mistake in a file of text, and is said rather than refused: it may be meant."""

from __future__ import annotations

import itertools
import random
import re
import unicodedata
from collections.abc import Sequence
from typing import TypeVar

from seq2seq_jax.data.vocabulary import Vocabulary

MOST_LINES = 5_000  # of a file, that are looked at: whether a line is in form C can take longer to tell than to read it
FEW_LINES = 10  # of which nothing is concluded
Line = TypeVar("Line")


def some(lines: Sequence[Line]) -> Sequence[Line]:
    """Returns all lines or, of many, ``MOST_LINES``: drawn, since every tenth could be of one kind, and always the same ones."""
    return lines if len(lines) <= MOST_LINES else random.Random(0).sample(lines, MOST_LINES)


def mixed_forms(lines: Sequence[str], path: str) -> list[str]:
    """Returns a sentence where a letter stands in more than one form that Unicode takes for the same, such as composed and with marks."""
    forms: dict[str, list[str]] = {}
    for letter in sorted(_letters(lines)):
        forms.setdefault(unicodedata.normalize("NFC", letter), []).append(letter)
    several = [of_one for of_one in forms.values() if len(of_one) > 1]
    if not several:
        return []
    written = " and as ".join(" ".join(f"U+{ord(character):04X}" for character in letter) for letter in several[0])
    return [
        f"{path}: of the letters in {len(lines)} lines looked at {len(several)} stand there in several Unicode normalization forms, such as"
        f" {several[0][0]} as {written}; words that look alike can differ, and --config.data.normalize_nfc=true makes them one."
    ]


def _letters(lines: Sequence[str]) -> set[str]:
    """Returns the different letters of those lines that are not ASCII, each with the combining marks, or parts of a syllable, after it."""
    foreign = [line for line in lines if not line.isascii()]
    characters = set().union(*foreign)
    joined = "".join(re.escape(character) for character in characters if _joins(character))
    return set(itertools.chain.from_iterable(map(re.compile(f".[{joined}]*").findall, foreign))) if joined else characters


def _joins(character: str) -> bool:
    """Returns whether a character goes on with the letter before it: a mark, or a Korean vowel or final consonant."""
    return unicodedata.category(character).startswith("M") or "\u1160" <= character <= "\u11ff"


def other_form(name: str, texts: Sequence[tuple[Vocabulary, str]]) -> list[str]:
    """Returns a sentence where texts are spelled with other characters than those, looking alike, that their vocabulary has.

    Decomposed ones are taken for another spelling only where the vocabulary has no composed one: a text in form C has combining marks as
    well, for the letters that there are not composed.
    """
    looked_at, count = some(texts), 0
    vocabularies = {vocabulary for vocabulary, _ in looked_at}
    composed = {each: not all(unicodedata.is_normalized("NFD", symbol) for symbol in each.symbols) for each in vocabularies}
    for vocabulary, text in looked_at:
        unknown = 0 if text.isascii() else len(vocabulary.unknown(text))
        form = "NFD" if unicodedata.is_normalized("NFC", text) else "NFC"
        others = [vocabulary.respelled(text)] if unknown else []
        if unknown and not (form == "NFD" and composed[vocabulary]):
            others.append(unicodedata.normalize(form, text))
        count += any(len(vocabulary.unknown(other)) < unknown for other in others)
    if not count:
        return []
    return [
        f"{name}: of {len(looked_at)} texts looked at {count} have fewer such units in another Unicode normalization form, which looks the "
        "same; trained with --config.data.normalize_nfc=true, a model reads all in one."
    ]


def single_words(lines: Sequence[str], path: str) -> list[str]:
    """Returns a sentence where most lines of a text, a few apart, have a single word, as those of a script without blanks."""
    words = [len(line.split(maxsplit=1)) for line in lines if line and not line.isspace()]
    if len(words) < FEW_LINES or 2 * words.count(1) <= len(words):
        return []
    return [
        f"{path}: of {len(words)} lines looked at {words.count(1)} are a single word, which is what stands between blanks;"
        " --config.data.target_unit=char reads characters."
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
