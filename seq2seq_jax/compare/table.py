"""The comparison as a table for a terminal, and as CSV for a spreadsheet.

Knows layout only: every figure comes from the object that ``comparison.py`` returns.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import rich.box
import rich.console
import rich.table
import rich.text

from seq2seq_jax.compare import columns
from seq2seq_jax.compare.columns import Column
from seq2seq_jax.compare.labels import (
    correlation_sentence,
    cost_lines,
    design_lines,
    noise_lines,
    role,
    sentence_on_test,
    setting_label,
    settings_lines,
    spelled,
)
from seq2seq_jax.compare.schema import SettingComparison, SizeRow, by_setting
from seq2seq_jax.config import setting_key
from seq2seq_jax.errors import without_configuration
from seq2seq_jax.show.terminal import full_width, print_whole, stdout_console


def print_comparison(parts: Sequence[SettingComparison], noise_floor: bool = False) -> None:
    """Prints the comparison: sizes, what to take and why, what it costs, what failed; with ``noise_floor`` the scatter over seeds alone."""
    console = stdout_console()
    for part in parts:
        if by_setting(parts):
            console.print(f"\n{setting_label(part['setting'])}", style="bold")
        _print_sizes(console, part)
        _print_recommendation(console, part)
        console.print()
        for line in cost_lines(part) + design_lines(part) + (noise_lines(part) if noise_floor else []):
            console.print(line)
        _print_failed(console, part)
    by_settings = settings_lines(parts)
    if by_settings:
        console.print("\nBy setting:", style="bold")
    for line in by_settings:
        console.print(f"  {line}", soft_wrap=True)


def _print_sizes(console: rich.console.Console, part: SettingComparison) -> None:
    """Prints the table, without the columns that a narrow terminal can do without."""
    shown = columns.filled(columns.TERMINAL, part)
    table = _sizes(part, shown)
    if full_width(console, table) > console.width:
        table = _sizes(part, [column for column in shown if not column.spare])
    print_whole(console, table)
    console.print()


def _sizes(part: SettingComparison, shown: Sequence[Column]) -> rich.table.Table:
    metric = part["metric"]
    better = "lower" if metric["lower_is_better"] else "higher"
    table = rich.table.Table(
        title=f"{spelled(metric['name'])} on {part['split']} ({metric['unit']}, {better} is better), ± 95 % interval",
        title_justify="left",
        title_style="bold",
        box=rich.box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for column in shown:
        table.add_column(column.heading, justify="right", no_wrap=True)
    for row in part["sizes"]:
        cells = [rich.text.Text(column.text(part, row)) for column in shown]
        table.add_row(*cells, style="bold" if role(part, row) == "take" else "")
    return table


def _print_recommendation(console: rich.console.Console, part: SettingComparison) -> None:
    recommendation = part["recommendation"]
    correlation = correlation_sentence(part)
    if correlation:
        console.print(f"{correlation}\n")
    console.print(" ".join(recommendation["answer"]), style="bold")
    for warning in recommendation["warnings"]:
        console.print(warning)
    test = sentence_on_test(part)
    if test:
        console.print(f"\n{test}")
    for line in recommendation["going_on"]:  # unbroken, to be copied
        console.print(line, soft_wrap=True)


def _print_failed(console: rich.console.Console, part: SettingComparison) -> None:
    if part["failed"]:
        console.print(f"\n{len(part['failed'])} without a result to compare:", style="bold")
    for failure in part["failed"]:
        console.print(f"  {failure['member']}: {without_configuration(failure['error'])}", soft_wrap=True)


def to_csv(parts: Sequence[SettingComparison]) -> str:
    """Returns one line a size, with a header; intervals as two columns, nothing where a figure is missing."""
    rows = [_csv_row(part, row) for part in parts for row in part["sizes"]]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _csv_row(part: SettingComparison, row: SizeRow) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    row_values: dict[str, Any] = {**row}
    for key, value in row_values.items():
        if key == "setting":
            cells |= {key: setting_key(value), "metric": part["metric"]["name"]}
        elif key == "parameters":
            cells |= {f"{key}_{name}": (value or {}).get(name) for name in ("embedding", "total")}
        elif key.endswith("ci95"):
            cells |= dict(zip((f"{key}_low", f"{key}_high"), value or (None, None), strict=True))
        elif key not in ("seeds", "values"):  # of each run
            assert not isinstance(value, list | dict), key  # which would need columns of its own
            cells[key] = value
    return cells | {"role": role(part, row)}
