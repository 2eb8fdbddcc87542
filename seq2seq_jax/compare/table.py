"""The comparison as a table for a terminal, and as CSV for a spreadsheet.

Knows layout only: every figure comes from the object that ``comparison.py`` returns.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import Any, TextIO

import rich.box
import rich.console
import rich.table
import rich.text

from seq2seq_jax.compare.grid import Metric

MISSING = "-"


def print_table(comparison: dict[str, Any], file: TextIO | None = None) -> None:
    """Prints the comparison to ``file`` (standard output by default): sizes, then what to take and why, then what failed."""
    console = rich.console.Console(file=file or sys.stdout, highlight=False, markup=False, emoji=False)
    parts = comparison.get("comparisons", [comparison])
    for part in parts:
        if len(parts) > 1:
            console.print(f"\n{setting_label(part['setting'])}", style="bold")
        console.print(_sizes(part))
        _print_recommendation(console, part)
        _print_failed(console, part)


def setting_label(setting: dict[str, Any]) -> str:
    """Returns the further swept fields as text, such as ``model.hidden_dim=128``."""
    return ", ".join(f"{path}={value}" for path, value in setting.items()) or "as configured"


def decimals_of(part: dict[str, Any]) -> int:
    """Returns how many decimals of the metric are worth showing at the tolerance of the comparison."""
    return Metric(**part["metric"]).decimals(part["recommendation"]["tolerance"])


def with_interval(middle: float | None, interval: list[float] | None, decimals: int, sign: str = "") -> str:
    """Returns ``0.310 ± 0.012``; the second half is missing where there is no interval."""
    if middle is None:
        return MISSING
    text = f"{middle:{sign}.{decimals}f}"
    return text if interval is None else f"{text} ± {(interval[1] - interval[0]) / 2:.{decimals}f}"


def count_label(number: float | None) -> str:
    """Returns a count in at most four or five characters: 812345 becomes ``812k``."""
    if number is None:
        return MISSING
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{suffix}"
    return f"{number:g}"


def seconds_label(seconds: float | None) -> str:
    """Returns a duration: ``61 s``, ``12 min``, ``3.4 h``."""
    if seconds is None:
        return MISSING
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def p_label(p_value: float | None) -> str:
    """Returns a p value to two digits."""
    if p_value is None:
        return MISSING
    return "<.001" if p_value < 0.001 else f"{p_value:.3f}"[1:] if p_value < 0.9995 else "1"


def size_label(row: dict[str, Any]) -> str:
    """Returns the size, with the kind of its table where that is not learned."""
    return str(row["embedding_dim"]) if row["table"] == "learned" else f"{row['embedding_dim']} {row['table']}"


def role(part: dict[str, Any], row: dict[str, Any]) -> str:
    """Returns what the size is in the answer: ``take``, ``best``, both or nothing."""
    if row["table"] != "learned":
        return ""
    roles = {"take": part["recommendation"]["embedding_dim"], "best": part["best"]["embedding_dim"]}
    return ", ".join(name for name, dim in roles.items() if dim == row["embedding_dim"])


def _sizes(part: dict[str, Any]) -> rich.table.Table:
    metric, decimals = part["metric"], decimals_of(part)
    better = "lower" if metric["lower_is_better"] else "higher"
    table = rich.table.Table(
        title=f"{metric['name']} on {part['split']} ({metric['unit']}, {better} is better), ± 95 % interval",
        title_justify="left",
        title_style="bold",
        box=rich.box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for name in ("size", "runs", "mean", "minus best", "p", "table / all", "time", ""):
        table.add_column(name, justify="left" if not name else "right", no_wrap=True)
    for row in part["sizes"]:
        parameters = row["parameters"] or {}
        cells = (
            size_label(row),
            f"{row['runs']}/{row['runs'] + row['failed']}" if row["failed"] else str(row["runs"]),
            with_interval(row["mean"], row["ci95"], decimals),
            with_interval(row["difference_to_best"], row["difference_ci95"], decimals, "+"),
            p_label(row["p_value_holm"]),
            f"{count_label(parameters.get('embedding'))} / {count_label(parameters.get('total'))}",
            seconds_label(row["train_seconds_median"]),
            role(part, row),
        )
        table.add_row(*map(rich.text.Text, cells), style="bold" if "take" in role(part, row) else "")
    return table


def _print_recommendation(console: rich.console.Console, part: dict[str, Any]) -> None:
    recommendation = part["recommendation"]
    if part["seed_correlation"] is not None:
        console.print(f"Correlation of sizes over seeds, which pairing removes from differences: {part['seed_correlation']:.2f}\n")
    console.print(recommendation["answer"], style="bold")
    for warning in recommendation["warnings"]:
        console.print(warning)
    test = recommendation["test"]
    if test:
        figure = with_interval(test["mean"], test["ci95"], decimals_of(part))
        console.print(f"\nOn test, size {recommendation['embedding_dim']}: {part['metric']['name']} {figure} over {test['runs']} runs.")
    for line in recommendation["going_on"]:  # unbroken, to be copied
        console.print(line, soft_wrap=True)


def _print_failed(console: rich.console.Console, part: dict[str, Any]) -> None:
    if part["failed"]:
        console.print(f"\n{len(part['failed'])} without a result:", style="bold")
    for failure in part["failed"]:
        console.print(f"  {failure['member']}: {failure['error']}", soft_wrap=True)


def to_csv(comparison: dict[str, Any]) -> str:
    """Returns one line a size, with a header; intervals as two columns, nothing where a figure is missing."""
    rows = [_csv_row(part, row) for part in comparison.get("comparisons", [comparison]) for row in part["sizes"]]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _csv_row(part: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    interval, difference = row["ci95"] or [None, None], row["difference_ci95"] or [None, None]
    parameters = row["parameters"] or {}
    return {
        "embedding_dim": row["embedding_dim"],
        "table": row["table"],
        "setting": json.dumps(row["setting"], sort_keys=True),
        "metric": part["metric"]["name"],
        "runs": row["runs"],
        "failed": row["failed"],
        "mean": row["mean"],
        "ci95_low": interval[0],
        "ci95_high": interval[1],
        "difference_to_best": row["difference_to_best"],
        "difference_ci95_low": difference[0],
        "difference_ci95_high": difference[1],
        "p_value_holm": row["p_value_holm"],
        "parameters_embedding": parameters.get("embedding"),
        "parameters_total": parameters.get("total"),
        "train_seconds_median": row["train_seconds_median"],
        "role": role(part, row),
    }
