r"""Reads files of vectors: word2vec's text and binary form, GloVe, and fastText's ``.vec``. ``embeddings/export.py`` writes them.

The forms are those that gensim, fastText and the original tools read and write. A text form has a line for each vector, its name
and its numbers separated by single blanks; word2vec and fastText begin with a line ``COUNT WIDTH``, GloVe does not. The binary form
begins with that line too; then come, for each vector, its name, a blank and little-endian 32-bit floats. A name cannot hold a blank or
a line end: ``spelling.py`` says how symbols that do are written.
"""

from __future__ import annotations

import codecs
import dataclasses
import mmap
import pathlib
import unicodedata
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from jaxtyping import Float

from seq2seq_jax.data.spelling import reads_as, spellings
from seq2seq_jax.data.vocabulary import SPECIALS
from seq2seq_jax.errors import UserError

_NUMBER_CHARACTERS = b"0123456789.eE+- "
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_EVERY_DIGIT_0 = bytes.maketrans(b"123456789", b"000000000")
_NO_NUMBER = (b"  ", b"- ", b" . ", b"-. ", b"0" * 39)  # no digits; or more than a 32-bit float holds
_CONTROL = bytes(value for value in range(32) if value not in b"\t\n\r")  # in no text, and soon in any binary file
_LOOKED_AT = 1 << 16  # bytes that tell a binary file from a text


@dataclasses.dataclass(frozen=True)
class Vectors:
    """Vectors and their names as the file writes them; of a name that stands there twice, the first."""

    names: list[str]
    table: Float[np.ndarray, "V D"]


def names_of(symbols: Sequence[str]) -> list[tuple[str, ...]]:
    r"""Returns the names by which a file may have each row of a vocabulary, the likeliest first.

    Files of this project have the escaped symbol, others the symbol itself. The latter is left out where it would read as an escape of
    another symbol of the vocabulary: a word of the two characters ``\n`` is not the line end. Last come its Unicode normalization forms,
    which are the same text, where they are no other symbol.
    """
    found: list[tuple[str, ...]] = []
    known = set(symbols)
    for row, (symbol, spelled) in enumerate(zip(symbols, spellings(symbols), strict=True)):
        read = reads_as(symbol)
        plain = row >= len(SPECIALS) and symbol != spelled and (read == symbol or read not in known)
        forms = (unicodedata.normalize(form, symbol) for form in ("NFC", "NFD")) if row >= len(SPECIALS) else ()
        found.append((spelled, *((symbol,) if plain else ()), *(form for form in forms if form not in known)))
    return found


def width_of(path: pathlib.Path) -> int:
    """Returns how many numbers the vectors of a file have. Raises UserError, naming file and line, where it has none."""
    with _opened(path) as content:
        return _Form(path, content).width


def read_vectors(path: pathlib.Path, names: Collection[str] | None = None) -> Vectors:
    """Reads a file of any of the forms; with ``names``, keeps the vectors of these alone. Every line is checked.

    Raises UserError, naming file and line (in a binary file the vector), where it is broken.
    """
    with _opened(path) as content:
        form = _Form(path, content)
        found: dict[str, Float[np.ndarray, " D"]] = {}
        for name, numbers in form.entries(None if names is None else set(names)):
            found.setdefault(name, numbers)
    return Vectors(list(found), np.array(list(found.values()), np.float32).reshape(len(found), form.width))


def _opened(path: pathlib.Path) -> mmap.mmap:
    try:
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected a file of vectors") from None
    except ValueError:
        raise UserError(f"{path}:1: the file is empty; expected a file of vectors") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; expected a file of vectors") from None


class _Form:
    """What kind of file it is: the width of its vectors, how many it promises (None: GloVe's form), and whether it is binary."""

    def __init__(self, path: pathlib.Path, content: mmap.mmap):
        self._path, self._content = path, content
        start = len(codecs.BOM_UTF8) if content[:3] == codecs.BOM_UTF8 else 0
        content.seek(start)
        first = content.readline()
        self._begin = content.tell()
        fields = first.split()
        if first.startswith(_GZIP):
            raise UserError(f"{path}: compressed by gzip; expected a file of vectors, unpacked")
        if first.startswith(_ZIP):
            raise UserError(f"{path}: a zip archive, as .npz files are; expected word2vec's text or binary form, GloVe or fastText's .vec")
        header = len(fields) == 2 and all(field.isdigit() for field in fields)
        self.count, self.width = (int(fields[0]), int(fields[1])) if header else (None, len(first.rstrip(b" \r\n").split(b" ")) - 1)
        self.binary = header and self._reads_as_binary()
        self._line = 2 if header else 1
        if not header:
            self._begin = start
        if self.width < 1 or self.count == 0:
            raise UserError(f"{path}:1: expected COUNT WIDTH, or a name and its numbers; found {_excerpt(first)}")

    def _reads_as_binary(self) -> bool:
        """Returns whether vectors follow as bytes. A first line with its numbers is text, whatever characters the names have."""
        first = self._content.readline().rstrip(b" \r\n")
        if _are_numbers(first.partition(b" ")[2], self.width):
            return False
        looked_at = self._content[self._begin : self._begin + _LOOKED_AT]
        return self._path.suffix == ".bin" or len(looked_at.translate(None, _CONTROL)) < len(looked_at) or not _begins_as_text(looked_at)

    def entries(self, names: set[str] | None) -> Iterator[tuple[str, Float[np.ndarray, " D"]]]:
        """Yields these names, or all, and their vectors; checks the other ones too."""
        return self._binary_entries(names) if self.binary else self._text_entries(names)

    def _text_entries(self, names: set[str] | None) -> Iterator[tuple[str, Float[np.ndarray, " D"]]]:
        self._content.seek(self._begin)
        number = self._line - 1
        for number, raw in enumerate(iter(self._content.readline, b""), self._line):
            if not raw.strip() and not self._content[self._content.tell() :].strip():
                number -= 1  # only empty lines are left
                break
            if self.count is not None and number - self._line >= self.count:
                raise UserError(f"{self._path}:{number}: a vector more than the {self.count} that line 1 promises")
            line = raw.rstrip(b" \r\n")
            name, _, rest = line.partition(b" ")
            if names is not None and (read := _text(name)) and read not in names and _are_numbers(rest, self.width):
                continue  # without an array of it: most lines of a large file are such
            entry = self._parsed(number, line)
            if names is None or entry[0] in names:
                yield entry
        if self.count is not None and number + 1 - self._line < self.count:
            raise UserError(f"{self._path}:{number + 1}: the file ends; expected {self.count} vectors as line 1 promises")

    def _parsed(self, number: int, line: bytes) -> tuple[str, Float[np.ndarray, " D"]]:
        """Returns the name and the numbers of a line; a name may have blanks (GloVe's 840B has ``. . .``), but not end in a number."""
        where = f"{self._path}:{number}"
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            raise UserError(f"{where}: not UTF-8; expected text in UTF-8") from None
        name, *numbers = text.rsplit(" ", self.width)
        values = _floats(numbers)
        parted = "" in numbers or name.endswith(" ") or (" " in name and _floats([name.rsplit(" ")[-1]]) is not None)
        if len(numbers) < self.width or not name or parted:
            blanks = "tabs" if "\t" in text else "blanks side by side" if "  " in text else f"{len(text.split(' ')) - 1} after the name"
            raise UserError(f"{where}: expected a name and {self.width} numbers with single blanks between them, found {blanks}")
        if values is None or not np.isfinite(values).all():
            broken = next(part for part in numbers if (value := _floats([part])) is None or not np.isfinite(value).all())
            raise UserError(f"{where}: {_excerpt(broken)} is not a finite number; expected a name and {self.width} numbers")
        return name, values

    def _binary_entries(self, names: set[str] | None) -> Iterator[tuple[str, Float[np.ndarray, " D"]]]:
        assert self.count is not None  # a binary file has a header
        place, size = self._begin, 4 * self.width
        for number in range(1, self.count + 1):
            where = f"{self._path}: vector {number} of {self.count}"
            blank = self._content.find(b" ", place)
            if blank < 0 or blank + 1 + size > len(self._content):
                raise UserError(f"{where}: the file ends within it; expected a name, a blank and {self.width} floats of 4 bytes")
            name = _text(self._content[place:blank].lstrip(b"\n"))
            if name is None or not name:
                found = _excerpt(self._content[place:blank])
                raise UserError(f"{where}: expected its name in UTF-8, found {found}; or the name of the one before has a blank")
            place = blank + 1 + size
            values = np.frombuffer(self._content[blank + 1 : place], "<f4")
            if not np.isfinite(values).all():
                raise UserError(f"{where}: holds a number that is not finite; expected {self.width} floats of 4 bytes")
            if names is None or name in names:
                yield name, values
        if self._content[place:].strip(b"\n"):
            raise UserError(f"{self._path}: more follows after the {self.count} vectors that line 1 promises")


def _text(name: bytes) -> str | None:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _begins_as_text(content: bytes) -> bool:
    """Returns whether bytes, of which a last character may be cut, are UTF-8."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
    except UnicodeDecodeError:
        return False
    return True


def _are_numbers(text: bytes, width: int) -> bool:
    """Returns whether a text is so many finite numbers and nothing else; looks at its characters where there is no exponent.

    To read each number takes ten times as long, minutes for the largest files of vectors.
    """
    if text.count(b" ") != width - 1 or text.translate(None, _NUMBER_CHARACTERS):
        return False
    if any(sign in text for sign in (b"e", b"E", b"+")):
        values = _floats(text.decode().split(" "))
        return values is not None and bool(np.isfinite(values).all())
    shape = b" %b " % text.translate(_EVERY_DIGIT_0)
    one_point_each = b".." not in shape.translate(None, b"0-")
    return one_point_each and shape.count(b"-") == shape.count(b" -") and not any(part in shape for part in _NO_NUMBER)


def _floats(parts: Sequence[str]) -> Float[np.ndarray, " D"] | None:
    joined = "".join(parts)
    if "_" in joined or not joined.isascii():  # Python would read 2_0 and other digits than 0 to 9
        return None
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
            return np.array(parts, np.float64).astype(np.float32)
    except ValueError:
        return None


def _excerpt(found: bytes | str) -> str:
    text = found.decode("utf-8", "replace") if isinstance(found, bytes) else found
    return repr(text.rstrip("\r\n")[:40])
