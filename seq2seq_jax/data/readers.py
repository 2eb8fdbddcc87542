"""Files of text: pairs of lines, or one running text. Knows nothing of units, vocabularies or models.

Text is UTF-8 with or without a byte order mark; lines end at LF or CRLF and nowhere else, so a line may hold any other
character that Unicode calls a line end. Every mistake in a file is a ``UserError`` that names the file and the line.
"""

from __future__ import annotations

import codecs
import hashlib
import pathlib
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from seq2seq_jax.errors import UserError
from seq2seq_jax.files import sha256_of

Content = TypeVar("Content")

_OTHER_FORMS = {
    b"\x1f\x8b": "this is a file compressed by gzip",
    codecs.BOM_UTF16_LE: "this is text in UTF-16 or UTF-32",
    codecs.BOM_UTF16_BE: "this is text in UTF-16",
}  # by how they begin


def files_of(spec: str) -> list[pathlib.Path]:
    """Returns the one or two files of a path specification: ``a.tsv``, or ``a.src,a.tgt``.

    Names and folders may have commas themselves. If the whole is the path of a file, it is that file; else it is cut at the first comma
    that leaves two paths that exist. Raises UserError where there are several commas and none does.
    """
    if pathlib.Path(spec).exists() or "," not in spec:
        return [pathlib.Path(spec)]
    cuts = [(spec[:place], spec[place + 1 :]) for place, character in enumerate(spec) if character == ","]
    there = [cut for cut in cuts if all(part and pathlib.Path(part).exists() for part in cut)]
    first, *others = there or cuts
    if not all(first) or (others and not there):
        raise UserError(f"{spec}: expected one file of two columns, or two aligned files a.src,a.tgt; none of its commas parts two files")
    return [pathlib.Path(part) for part in first]


def absolute(spec: str) -> str:
    """Returns the path specification with absolute paths."""
    return ",".join(str(path.absolute()) for path in files_of(spec))


def spec_sha256(spec: str) -> str:
    """Returns the hash of the content: of one file as ``sha256sum`` prints it, of two the hash of both hashes in order.

    Raises UserError where one cannot be read.
    """
    digests = [_read(path, sha256_of) for path in files_of(spec)]
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()


def read_text(path: str | pathlib.Path) -> str:
    """Returns a file's text with LF line ends and without byte order mark, nor the CR of a last line that has lost its LF.

    Raises UserError where it is missing, a directory, empty, or not UTF-8 (naming the line).
    """
    text = decoded(_read(path, pathlib.Path.read_bytes), str(path))
    if not text:
        raise UserError(f"{path}:1: the file is empty; expected text")
    return text


def decoded(raw: bytes, origin: str) -> str:
    """Returns text as ``read_text`` does, empty text too. Raises UserError, naming ``origin`` and the line, where it is not UTF-8."""
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        for mark, form in _OTHER_FORMS.items():
            if raw.startswith(mark):
                raise UserError(f"{origin}: {form}; expected text in UTF-8") from None
        raise UserError(f"{origin}:{line}: byte {raw[error.start]:#04x} is not UTF-8; expected text in UTF-8") from None
    return text.replace("\r\n", "\n").removesuffix("\r")


def read_pairs(spec: str) -> list[tuple[str, str]]:
    """Returns the (source, target) pairs of ``a.tsv`` or ``a.src,a.tgt``; pair i stands in line i + 1.

    Raises UserError where a file cannot be read, its lines end in CR alone, a line has not exactly two columns, or the two files have
    unequal lines.
    """
    files = files_of(spec)
    if len(files) == 1:
        return [_columns(line, files[0], number) for number, line in enumerate(_lines(files[0]), 1)]
    sources, targets = (_lines(path) for path in files)
    if len(sources) != len(targets):
        longer, shorter = files if len(sources) > len(targets) else files[::-1]
        most, fewest = max(len(sources), len(targets)), min(len(sources), len(targets))
        raise UserError(f"{longer}:{fewest + 1}: no such line in {shorter}; expected aligned files, found {most} and {fewest} lines")
    return list(zip(sources, targets, strict=True))


def normalize(text: str, nfc: bool) -> str:
    """Returns the text as the vocabularies see it: in Unicode normalization form C where ``nfc`` (data.normalize_nfc)."""
    return unicodedata.normalize("NFC", text) if nfc else text


def split_lines(text: str) -> list[str]:
    """Splits at LF only; a last line without LF counts, the nothing after a last LF does not."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _read(path: str | pathlib.Path, read: Callable[[pathlib.Path], Content]) -> Content:
    """Returns what ``read`` makes of a file. Raises UserError where it cannot be read."""
    try:
        return read(pathlib.Path(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected a text file in UTF-8 there") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a directory; expected a file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; expected a text file in UTF-8 there") from None


def lines_of(text: str, path: str | pathlib.Path) -> list[str]:
    """Returns the lines of a file's text. Raises UserError where they end in CR alone: all of the file would be a single line."""
    if "\r" in text and "\n" not in text.removesuffix("\n"):
        raise UserError(f"{path}:1: lines end in a carriage return alone; expected lines that end in a line feed")
    return split_lines(text)


def _lines(path: pathlib.Path) -> list[str]:
    return lines_of(read_text(path), path)


def _columns(line: str, path: pathlib.Path, number: int) -> tuple[str, str]:
    columns = line.split("\t")
    if len(columns) != 2:
        found = "no tab; two aligned files are given as a.src,a.tgt" if line else "an empty line"
        if len(columns) > 2:
            found = f"{len(columns)} columns; cut -f1,2 keeps the first two"
        raise UserError(f"{path}:{number}: expected source and target separated by one tab, found {found}")
    return columns[0], columns[1]
