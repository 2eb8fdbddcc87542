"""What is printed: tables and sentences for a terminal, JSON for programs. Knows layout only."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 80  # of sentences, columns
_WIDEST = 1000  # characters: no table is cut, not even in a terminal that is too narrow for it


def stdout_console() -> Console:
    """Returns standard output as a console that prints text as it is, without markup or colours of its own."""
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)


def full_width(console: Console, table: Table) -> int:
    """Returns the width of a table of which nothing is cut, characters."""
    return console.measure(table, options=console.options.update(max_width=_WIDEST)).maximum


def print_whole(console: Console, table: Table) -> None:
    """Prints a table without cutting any of it; in a narrow terminal its lines are broken."""
    width, console.width = console.width, max(console.width, full_width(console, table))
    console.print(table)
    console.width = width


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int, last_left: bool = False) -> None:
    """Prints rows below their headings; the first ``left`` columns, and with ``last_left`` the last, are text, the others figures."""
    table = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < left or (last_left and place == len(columns) - 1) else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    print_whole(stdout_console(), table)


def print_sentence(text: str) -> None:
    """Prints a sentence or a few, in lines that fit a terminal."""
    print(textwrap.fill(text, WIDTH))


def print_json(value: Mapping[str, Any]) -> None:
    """Prints one JSON object; text of any script stays as it is."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
