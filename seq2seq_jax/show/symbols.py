"""Symbols and texts as people can read them: what is invisible gets a mark."""

from __future__ import annotations

import re
import unicodedata

_UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")  # but not line ends and tabs
_MARKS = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍", "\u00a0": "⍽"}


def printable(text: str) -> str:
    """Returns ``text`` with what no page may hold (control characters, lone surrogates) written as code points."""
    return _UNWRITABLE.sub(lambda found: f"U+{ord(found.group()):04X}", text)


def visible(symbol: str) -> str:
    """Returns a symbol such that blanks, line ends, lone combining marks and joiners and other invisible characters can be seen too."""
    shown = "".join(_shown(character, alone=len(symbol) == 1) for character in symbol)
    return f"◌{shown}" if symbol and unicodedata.category(symbol[0]).startswith("M") else shown


def legible(text: str) -> str:
    """Returns a text with what a metric counts and nobody would see marked: blanks at its ends, and invisible characters."""
    inner = text.strip(" ")
    before = len(text) - len(text.lstrip(" ")) if inner else len(text)
    marked = "".join(character if character == " " else _shown(character, alone=False) for character in inner)
    return "␣" * before + marked + "␣" * (len(text) - before - len(inner))


def _shown(character: str, alone: bool) -> str:
    if character in _MARKS:
        return _MARKS[character]
    hidden = character.isspace() or unicodedata.category(character) in ("Cc", "Cs", "Cf", "Co", "Cn")
    joins = character in "\u200c\u200d" and not alone  # part of how a word or an emoji is written
    return f"U+{ord(character):04X}" if hidden and not joins else character
