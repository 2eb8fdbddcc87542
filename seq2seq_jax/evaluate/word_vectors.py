"""How good word vectors are: analogies solved, and agreement with people on which words are alike. Works on arrays of the host."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int, Real

_ROWS = 1024  # questions scored together


def analogy_hits(table: Float[np.ndarray, "V D"], questions: Int[np.ndarray, "_ 4"]) -> Bool[np.ndarray, " _"]:
    """Returns whether each analogy a : b = c : d is solved, d being the row nearest to b - a + c.

    Rows are brought to length 1 first, nearness is the cosine, and a, b and c are no answers: the 3CosAdd of Levy & Goldberg
    2014, equation 1, which is what Mikolov et al. 2013a did.
    """
    directions = unit_rows(np.asarray(table, np.float32))
    hits = np.zeros(len(questions), bool)
    for start in range(0, len(questions), _ROWS):
        a, b, c, d = questions[start : start + _ROWS].T
        scores = (directions[b] - directions[a] + directions[c]) @ directions.T
        for asked in (a, b, c):
            scores[np.arange(len(asked)), asked] = -np.inf
        hits[start : start + _ROWS] = scores.argmax(axis=1) == d
    return hits


def similarity_correlation(table: Float[np.ndarray, "V D"], pairs: Int[np.ndarray, "_ 2"], similarity: Float[np.ndarray, " _"]) -> float:
    """Returns Spearman's correlation of cosines with what people say of the pairs; 0 where either is the same for all pairs."""
    directions = unit_rows(np.asarray(table, np.float64))
    cosines = (directions[pairs[:, 0]] * directions[pairs[:, 1]]).sum(axis=1)
    return rank_correlation(cosines, similarity) or 0.0


def rank_correlation(first: Real[np.ndarray, " values"], second: Real[np.ndarray, " values"]) -> float | None:
    """Returns Spearman's rank correlation; None where one side does not vary."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    from scipy.stats import spearmanr  # only here: it takes half a second

    return float(spearmanr(first, second).statistic)


def unit_rows(table: Float[np.ndarray, "V D"]) -> Float[np.ndarray, "V D"]:
    """Returns the rows brought to length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    return table / np.where(lengths == 0, 1, lengths)
