r"""How a symbol is written where blanks, line ends and invisible characters cannot stand: in files of vectors and on a command line.

The escapes are those of a Python string: ``\n``, ``\r``, ``\t``, ``\\``, and ``\uXXXX`` or ``\UXXXXXXXX`` for every other white space
or control character, the byte order mark and lone surrogates; ``\e`` is the symbol without characters. Everything else, combining
marks and emoji among it, stands for itself. The four specials are written as they are, so a word of the text that reads like one has
its first character escaped: ``\u003ceos>``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from seq2seq_jax.data.vocabulary import SPECIALS, Vocabulary, name_of_byte

EMPTY = r"\e"
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\\": r"\\"}
_LONG = {written: character for character, written in _SHORT.items()} | {EMPTY: ""}
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.|$)", re.DOTALL)


def escape(symbol: str) -> str:
    """Returns a symbol without blanks, line ends and control characters; different symbols are written differently."""
    return "".join(map(_written, symbol)) or EMPTY


def _written(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    hidden = character.isspace() or unicodedata.category(character) in ("Cc", "Cs") or character == "\ufeff"
    return _code_point(character) if hidden else character


def _code_point(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"


def unescape(text: str) -> str:
    """Undoes ``escape``. Raises ValueError for a backslash that begins no escape."""
    return _ESCAPE.sub(lambda found: _character(found.group()), text)


def _character(written: str) -> str:
    if written in _LONG:
        return _LONG[written]
    if len(written) > 2:
        return chr(int(written[2:], 16))
    raise ValueError(f"{written} is no escape")


def spellings(symbols: Sequence[str]) -> list[str]:
    """Returns how each row of a table is written; ``symbols`` begin with the four specials, as those of every vocabulary do."""
    specials, rest = symbols[: len(SPECIALS)], symbols[len(SPECIALS) :]
    return [*specials, *(_code_point(symbol[0]) + escape(symbol[1:]) if symbol in SPECIALS else escape(symbol) for symbol in rest)]


def reads_as(text: str) -> str | None:
    """Returns the symbol that an escaped text stands for, or None where it is not one."""
    try:
        return unescape(text)
    except (ValueError, OverflowError):
        return None


def bpe_text(symbol: str) -> str | None:
    """Returns the text of a byte-level subword, ``" the"`` for ``Ġthe``; None where its bytes are no whole characters."""
    if any(character not in _BYTES for character in symbol):
        return symbol if symbol in SPECIALS else None
    try:
        return bytes(_BYTES[character] for character in symbol).decode("utf-8")
    except UnicodeDecodeError:
        return None


def bpe_symbol(text: str) -> str:
    """Returns how byte-level subwords write a text: ``Ġthe`` for ``" the"``."""
    return "".join(_CHARACTERS[byte] for byte in text.encode("utf-8", "replace"))


def text_of(symbols: Sequence[str], unit: str | None, row: int) -> str:
    """Returns the text that a row of a table stands for; a special's name, and of half a character its bytes, ``0xe0a4``."""
    symbol = symbols[row]
    if row < len(SPECIALS):
        return symbol
    if unit == "byte":
        return _BLANK_BYTES.get(symbol, symbol)
    if unit != "bpe":
        return symbol
    text = bpe_text(symbol)
    return f"0x{bytes(_BYTES[character] for character in symbol).hex()}" if text is None else text


def is_text(symbols: Sequence[str], unit: str | None, row: int) -> bool:
    """Returns whether ``text_of`` a row is a text, and not the name of a special or of bytes that are no whole characters."""
    if row < len(SPECIALS):
        return False
    if unit == "bpe":
        return bpe_text(symbols[row]) is not None
    return unit != "byte" or symbols[row] in _BLANK_BYTES or len(symbols[row]) == 1


def texts_of(vocabulary: Vocabulary, rows: Int[np.ndarray, " _"]) -> list[str]:
    """Returns the text that each row stands for, as ``text_of`` has it."""
    return [text_of(vocabulary.symbols, vocabulary.unit, row) for row in rows.tolist()]


def symbol_of(text: str, unit: str | None) -> str:
    """Returns how the vocabularies of a unit write a text: subwords and single bytes have symbols of their own."""
    if unit == "byte":
        encoded = text.encode("utf-8", "replace")
        return name_of_byte(encoded[0]) if len(encoded) == 1 else text
    return bpe_symbol(text) if unit == "bpe" else text


def _byte_alphabet() -> dict[int, str]:
    """The characters that stand for bytes (Radford et al. 2019): printable ones for themselves, the others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(0x100 + place) for place, byte in enumerate(others)}


_BLANK_BYTES = {name_of_byte(ord(character)): character for character in " \t\n\r"}
_CHARACTERS = _byte_alphabet()
_BYTES = {character: byte for byte, character in _CHARACTERS.items()}
