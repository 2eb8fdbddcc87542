"""How studies print what they found: sentences, tables and JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Any

WIDTH = 80  # of sentences, columns


def print_sentence(text: str) -> None:
    """Prints a sentence or a few, in lines that fit a terminal."""
    print(textwrap.fill(text, WIDTH))


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int, last_left: bool = False) -> None:
    """Prints rows below their columns, as ``show.terminal.print_table`` does."""
    from seq2seq_jax.show.terminal import print_table  # rich is not needed for JSON

    print_table(columns, rows, left, last_left=last_left)


def print_json(value: dict[str, Any]) -> None:
    """Prints one JSON object; text of any script stays as it is."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
