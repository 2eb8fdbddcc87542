"""A trained table as a run leaves it in ``embedding.npz``: read with NumPy alone, from a run directory to rows with names.

Read next: ``studies.py``, above this package, for the questions that are asked about one.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import unicodedata
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from seq2seq_jax.data.spelling import bpe_text, is_text, reads_as, symbol_of, text_of
from seq2seq_jax.data.vocabulary import SPECIALS
from seq2seq_jax.errors import MADE_AGAIN, Unreadable, UserError
from seq2seq_jax.records import EMBEDDING_FILE, no_run
from seq2seq_jax.show.symbols import visible


@dataclasses.dataclass(frozen=True)
class TrainedTable:
    """A trained embedding table and the symbols of its rows.

    Attributes:
      side: ``source`` or ``target``.
      symbols: what each row stands for; the first four are the specials.
      vectors: the rows.
      unit: of the symbols, such as ``char``; None where the file does not say.
      counts: how often an epoch of training reads each row; None where the file does not say.
      moved: Euclidean distance of each row from where it began; None where the file does not say.
      given: whether a row began as a vector of ``model.pretrained``; None where none did.
    """

    side: str
    symbols: list[str]
    vectors: Float[np.ndarray, "V D"]
    unit: str | None = None
    counts: Int[np.ndarray, " V"] | None = None
    moved: Float[np.ndarray, " V"] | None = None
    given: Bool[np.ndarray, " V"] | None = None

    @property
    def studied(self) -> Bool[np.ndarray, " V"]:
        """Which rows mean something: not the specials, and of the others those that have been trained or given.

        Of a frozen table that nothing was given to, all of them.
        """
        return (np.arange(len(self.symbols)) >= len(SPECIALS)) & ~self._drawn

    def untrained(self, row: int) -> bool:
        """Whether a row of a table that was trained, or given vectors, is still its random draw."""
        return bool(self._drawn[row])

    @property
    def which(self) -> str:
        """What the studied rows are."""
        if self.moved is not None and self.moved.any():
            return "trained rows" if self.given is None else "trained or given rows"
        return "rows without the specials" if self.given is None else "rows that were given"

    @property
    def _drawn(self) -> Bool[np.ndarray, " V"]:
        trained = np.zeros(len(self.symbols), bool) if self.moved is None else self.moved > 0
        given = np.zeros_like(trained) if self.given is None else self.given
        return ~(trained | given) if trained.any() or given.any() else np.zeros_like(trained)

    @property
    def title(self) -> str:
        """Which table it is, and how large."""
        return f"{self.side} table of {len(self.symbols):,} rows and {self.vectors.shape[1]} columns"

    def label(self, row: int) -> str:
        """Returns a row's symbol to be read by people: blanks and line ends can be seen, subwords are text."""
        return visible(text_of(self.symbols, self.unit, row))

    def code_points(self, row: int, most: int = 8) -> str:
        """Returns of what a row stands for the first code points, ``U+0061, U+0301``; nothing for a special or half a character."""
        text = text_of(self.symbols, self.unit, row) if is_text(self.symbols, self.unit, row) else ""
        return ", ".join([*(f"U+{ord(character):04X}" for character in text[:most]), *("…" for _ in text[most : most + 1])])

    def row_of(self, typed: str, flag: str) -> int:
        """Returns the row that a text from the command line names: the symbol itself, ``\\n`` or ``\\u0020``, as it is shown, or alike.

        Raises UserError, naming the ``flag``, where there is none.
        """
        rows = {symbol: row for row, symbol in reversed(list(enumerate(self.symbols))) if row >= len(SPECIALS)}
        rows |= {symbol: row for row, symbol in enumerate(SPECIALS) if symbol not in rows}
        read = reads_as(typed)
        for candidate in (typed, *(() if read is None else (read,))):
            is_byte = self.unit == "bpe" and len(candidate) == 1 and bpe_text(candidate) is None  # its name is that of another letter
            for name in (symbol_of(candidate, self.unit), *(() if is_byte else (candidate,))):
                if name in rows:
                    return rows[name]
        every = range(len(self.symbols) - 1, -1, -1)
        shown = {self.label(row): row for row in every}
        alike = {unicodedata.normalize("NFC", text_of(self.symbols, self.unit, row)): row for row in every}
        for found, name in ((shown, typed), (alike, unicodedata.normalize("NFC", typed))):
            if name in found:
                return found[name]
        near = ", ".join(self.label(row) for row in range(len(SPECIALS), min(len(SPECIALS) + 8, len(self.symbols))))
        raise UserError(
            f"{flag}={visible(typed)}: the {self.side} table has no such symbol; expected one of its {len(rows)}, such as {near}"
        )


def read_tables(directory: pathlib.Path) -> list[TrainedTable]:
    """Returns the tables of a run, source first; none where they are one-hot.

    Raises UserError where there is no finished run, or its ``embedding.npz`` is damaged.
    """
    path = directory / EMBEDDING_FILE
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return [_table(side, arrays) for side in ("source", "target") if f"{side}_table" in arrays]
    except FileNotFoundError:
        raise no_run(directory, EMBEDDING_FILE) from None
    except PermissionError as error:
        raise Unreadable.of(path, error) from None
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: damaged ({type(error).__name__}: {error}); expected the tables of a run{MADE_AGAIN}") from None


def _table(side: str, arrays: Mapping[str, np.ndarray]) -> TrainedTable:
    vectors, symbols = arrays[f"{side}_table"], json.loads(str(arrays[f"{side}_symbols"]))
    if vectors.ndim != 2 or len(symbols) != len(vectors):
        raise ValueError(f"{len(symbols)} symbols for a {side} table of shape {vectors.shape}")
    unit = arrays.get(f"{side}_unit")
    named = {name: arrays.get(f"{side}_{name}") for name in ("counts", "moved", "given")}
    return TrainedTable(side, symbols, vectors.astype(float), None if unit is None else str(unit), **named)


def open_table(options: Mapping[str, Any]) -> TrainedTable:
    """Returns the table that the flags ``workdir`` and ``table`` of a study ask for, by default the source's or the only one.

    Raises UserError where there is no such table.
    """
    workdir, side = options["workdir"], options["table"]
    tables = read_tables(pathlib.Path(workdir))
    if not tables:
        raise UserError(f"--workdir={workdir}: the run has no table (model.table=onehot); expected a run with a learned one")
    for table in tables:
        if side in (None, table.side):
            return table
    raise UserError(f"--table={side}: the run has no such table; expected --table={tables[0].side}")


def open_trained(options: Mapping[str, Any]) -> TrainedTable:
    """Returns a table as ``open_table`` does. Raises UserError also where it has no row to look at."""
    table = open_table(options)
    if not table.studied.any():
        raise UserError(f"--workdir={options['workdir']}: no row of the {table.side} table was trained; expected a table to look at")
    return table
