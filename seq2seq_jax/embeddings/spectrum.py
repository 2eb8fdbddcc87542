"""How many directions a table uses: its singular values and what sums them up.

References: Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality", definition 1.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

CARRIED = 0.95  # of the sum of squared singular values


def squared_singular_values(table: Float[np.ndarray, "V D"]) -> Float[np.ndarray, " K"]:
    """Returns the squares of a table's singular values, the largest first, as many as its smaller side."""
    smaller = table.T @ table if len(table) > table.shape[1] else table @ table.T  # either has the squares as eigenvalues
    return np.linalg.eigvalsh(smaller)[::-1].clip(0)


def directions(table: Float[np.ndarray, "V D"], share: float = CARRIED) -> int:
    """Returns how many directions of a table carry ``share`` of its sum of squares (its squared singular values)."""
    squares = squared_singular_values(table)
    if squares.sum() == 0:
        return 0
    return int(np.searchsorted(np.cumsum(squares) / squares.sum(), share - 1e-12) + 1)


def effective_rank(table: Float[np.ndarray, "V D"]) -> float:
    """Returns the exponential of the entropy of the singular values' shares: k for k equal ones; 0 for a table of zeros."""
    values = np.sqrt(squared_singular_values(table))
    shares = values[values > 0] / max(values.sum(), np.finfo(float).tiny)
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0
