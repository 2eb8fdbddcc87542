"""How many directions a table uses: its singular values and what sums them up.

References: Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality", definition 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from seq2seq_jax.embeddings.tables import open_trained
from seq2seq_jax.show.terminal import print_json, print_sentence, print_table

CARRIED = 0.95  # of the sum of squared singular values
MOST_VALUES = 16  # singular values that are printed; JSON has all


def run(options: Mapping[str, Any]) -> None:
    """Prints the singular values of a table, and how many directions it uses beside a table drawn at random."""
    table = open_trained(options)
    rows = table.vectors[table.studied]
    squares = squared_singular_values(rows)
    drawn = np.random.default_rng(0).normal(size=rows.shape)
    uses = {"table": (effective_rank(rows), directions(rows)), "random": (effective_rank(drawn), directions(drawn))}
    if options["format"] == "json":
        figures = {name: {"effective_rank": rank, "directions": count} for name, (rank, count) in uses.items()}
        shape = {"table": table.side, "rows": len(rows), "columns": rows.shape[1], "carried": CARRIED}
        values = np.sqrt(squares).tolist()
        print_json({**shape, "singular_values": values, "learned": figures["table"], "random": figures["random"]})
        return
    shares = squares / max(squares.sum(), np.finfo(float).tiny)
    shown = [
        [str(place + 1), f"{np.sqrt(square):.3g}", f"{share:.1%}", f"{total:.1%}", "█" * round(40 * share / shares[0])]
        for place, (square, share, total) in enumerate(zip(squares, shares, np.cumsum(shares), strict=True))
    ]
    print(f"Singular values of the {table.title}, {len(rows)} {table.which}:")
    print_table(("direction", "value", "share", "together", ""), shown[:MOST_VALUES], left=0, last_left=True)
    if len(shown) > MOST_VALUES:
        print(f"and {len(shown) - MOST_VALUES} smaller ones")
    (rank, count), (rank_drawn, count_drawn) = uses["table"], uses["random"]
    print_sentence(
        f"{count} of {len(shown)} directions carry {CARRIED:.0%} of the sum of squares; effective rank {rank:.1f}. "
        f"A table of this shape drawn at random: {count_drawn} directions, effective rank {rank_drawn:.1f}."
    )


def squared_singular_values(table: Float[np.ndarray, "V D"]) -> Float[np.ndarray, " _"]:
    """Returns the squares of a table's singular values, the largest first, as many as its smaller side."""
    smaller = table.T @ table if len(table) > table.shape[1] else table @ table.T  # either has the squares as eigenvalues
    return np.linalg.eigvalsh(smaller)[::-1].clip(0)


def directions(table: Float[np.ndarray, "V D"]) -> int:
    """Returns how many directions of a table carry ``CARRIED`` of its sum of squares (its squared singular values)."""
    squares = squared_singular_values(table)
    if squares.sum() == 0:
        return 0
    return int(np.searchsorted(np.cumsum(squares) / squares.sum(), CARRIED - 1e-12) + 1)


def effective_rank(table: Float[np.ndarray, "V D"]) -> float:
    """Returns the exponential of the entropy of the singular values' shares: k for k equal ones; 0 for a table of zeros."""
    values = np.sqrt(squared_singular_values(table))
    shares = values[values > 0] / max(values.sum(), np.finfo(float).tiny)
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0
