"""The columns of the sizes' table: heading and text of each, those of the terminal and those of the report.

Knows the comparison's JSON and no layout. CSV has figures and no text, so it has columns of its own (``table.py``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Final, Literal

from seq2seq_jax.compare.labels import decimals_of, half_width, p_label, role, size_label, with_interval
from seq2seq_jax.compare.schema import SettingComparison, SizeRow
from seq2seq_jax.show.labels import count_label, seconds_label

_DECODED: Final = "decoded_examples_per_second_median"


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
      heading: of the column.
      text: of a cell, made from the comparison of a setting and the row of a size in it.
      figure: of the row, where the column is left out as long as no row has it.
      spare: whether a narrow terminal goes without.
    """

    heading: str
    text: Callable[[SettingComparison, SizeRow], str]
    figure: str | None = None
    spare: bool = False


def _runs(part: SettingComparison, row: SizeRow) -> str:
    return f"{row['runs']}/{row['runs'] + row['failed']}" if row["failed"] else str(row["runs"])


def _difference(part: SettingComparison, row: SizeRow) -> str:
    return with_interval(row["difference_to_best"], row["difference_ci95"], decimals_of(part), "+")


def _parameters(row: SizeRow, which: Literal["embedding", "total"]) -> str:
    return count_label(row["parameters"][which] if row["parameters"] else None)


def _role_in_words(part: SettingComparison, row: SizeRow) -> str:
    return "recommended" if role(part, row) == "take" else role(part, row)


SIZE = Column("size", lambda part, row: size_label(row))
RUNS = Column("runs", _runs)
MEAN = Column("mean", lambda part, row: with_interval(row["mean"], row["ci95"], decimals_of(part)))
RESAMPLED = Column("± with examples", lambda part, row: half_width(row["bootstrap_ci95"], decimals_of(part)), "bootstrap_ci95", spare=True)
DIFFERENCE = Column("minus best", _difference)

TERMINAL = (
    SIZE,
    RUNS,
    MEAN,
    RESAMPLED,
    DIFFERENCE,
    Column("p", lambda part, row: p_label(row["p_value_holm"])),
    Column("table / all", lambda part, row: f"{_parameters(row, 'embedding')} / {_parameters(row, 'total')}"),
    Column("time", lambda part, row: seconds_label(row["train_seconds_median"])),
    Column("", role),
)
REPORT = (
    SIZE,
    Column("", _role_in_words),
    RUNS,
    MEAN,
    RESAMPLED,
    DIFFERENCE,
    Column("p (Holm)", lambda part, row: p_label(row["p_value_holm"])),
    Column("table", lambda part, row: _parameters(row, "embedding")),
    Column("all parameters", lambda part, row: _parameters(row, "total")),
    Column("training", lambda part, row: seconds_label(row["train_seconds_median"])),
    Column("to best step", lambda part, row: seconds_label(row["best_step_seconds_median"])),
    Column("decoded a second", lambda part, row: count_label(row[_DECODED]), _DECODED),
)


def filled(columns: Sequence[Column], part: SettingComparison) -> list[Column]:
    """Returns the columns that have something to say in the comparison of a setting."""
    return [column for column in columns if column.figure is None or any(row.get(column.figure) is not None for row in part["sizes"])]
