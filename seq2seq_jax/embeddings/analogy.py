"""What is to c as b is to a, by the offset between rows.

References: Mikolov, Yih & Zweig 2013, "Linguistic regularities in continuous space word representations", section 4 (the vector offset).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seq2seq_jax.embeddings.neighbours import Neighbour, nearest, print_neighbours, warn_of_untrained
from seq2seq_jax.embeddings.tables import TrainedTable, open_table
from seq2seq_jax.evaluate.word_vectors import unit_rows


def run(options: Mapping[str, Any]) -> None:
    """Prints what is to c as b is to a."""
    table = open_table(options)
    a, b, c = (table.row_of(options[name], f"--{name}") for name in "abc")
    warn_of_untrained(table, (a, b, c))
    asked = {"a": table.symbols[a], "b": table.symbols[b], "c": table.symbols[c]}
    title = f"{table.label(a)} is to {table.label(b)} as {table.label(c)} is to"
    print_neighbours(table, asked, analogy(table, a, b, c, options["k"]), title, options["format"])


def analogy(table: TrainedTable, a: int, b: int, c: int, k: int) -> list[Neighbour]:
    """Returns the k rows nearest to b - a + c (rows at length 1), the three left out: a is to b as c is to the first of them."""
    units = unit_rows(table.vectors)
    offset = units[b] - units[a] + units[c]
    return nearest(units @ unit_rows(offset[None])[0], table.studied, {a, b, c}, k)
