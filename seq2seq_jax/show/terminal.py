"""A table for a terminal. Knows layout only."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import rich.console
import rich.table

WIDEST = 1000  # characters: no table is cut, not even in a terminal that is too narrow for it


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int, last_left: bool = False) -> None:
    """Prints rows below their headings; the first ``left`` columns, and with ``last_left`` the last, are text, the others figures."""
    table = rich.table.Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < left or (last_left and place == len(columns) - 1) else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = rich.console.Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    console.width = max(console.width, console.measure(table, options=console.options.update(max_width=WIDEST)).maximum)
    console.print(table)
