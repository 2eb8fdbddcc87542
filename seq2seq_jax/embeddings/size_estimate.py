"""How large word vectors should be, from the text alone: the size with the least expected pairwise inner product (PIP) loss.

Vectors are meant up to a rotation, so what two tables E and F differ in is ||E E' - F F'||, the PIP loss. Skip-gram with
negative sampling factorises the shifted pointwise mutual information of units and contexts (Levy & Goldberg 2014): E = U D^(1/2). A
text shows that matrix with noise. A small table leaves signal out, bias; a large one takes noise in, variance; the PIP loss
against the table of the matrix without noise has both and is least somewhere between.

The noise is measured by counting two halves of the text apart (Yin & Shen 2018, section 5). What noise of that size does to
singular values and directions is known for large matrices (Benaych-Georges & Nadakuditi 2012, section 3.1). It gives the singular
values of the signal from those that are seen, and the expected loss of every size at once, where Yin & Shen have a bound (theorem 3)
and a simulation. At the power 1/2 the best size is the number of singular values above 4 / sqrt(3) standard deviations of the noise
times the root of the number of units: the threshold of Gavish & Donoho 2014.

References: Yin & Shen 2018, On the dimensionality of word embedding, arXiv 1812.04224.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from seq2seq_jax.data.draws import random_bits

MOST_UNITS = 5000  # the most frequent ones are looked at: time grows with the cube
PIECE = 1000  # units of a text that go to the same half of it


class SizeEstimate(NamedTuple):
    """What a text says about the size of its vectors.

    Attributes:
      size: the best; None where no singular value rises above the noise, so that nothing is known of any size.
      losses: expected PIP loss of the sizes from 0 up to the number of singular values that rise above the noise.
      signal: these singular values, without the noise.
      noise: standard deviation of an entry of the matrix.
      units: rows of the matrix.
    """

    size: int | None
    losses: Float[np.ndarray, " _"]
    signal: Float[np.ndarray, " _"]
    noise: float
    units: int


def expected_losses(signal: Float[np.ndarray, " _"], noise: float, units: int) -> Float[np.ndarray, " _"]:
    """Returns the expected PIP loss of tables factorised from a square matrix with noise, against that of the whole signal.

    The first is of a table without columns, the last of one with as many as the signal has singular values.

    Args:
      signal: singular values without noise, the largest first.
      noise: standard deviation of every entry.
      units: rows and columns of the matrix.

    A singular value s of the signal is seen as s + b^2 / s, and its direction with a cosine of squared 1 - b^2 / s^2, where
    b = noise sqrt(units); below b neither rises above the noise.
    """
    edge = noise * np.sqrt(units)
    seen = np.where(signal > edge, signal + edge**2 / signal, 2 * edge)
    cosine = np.clip(1 - edge**2 / signal**2, 0, 1)  # squared; both sides of a product have it, and E E' has one side twice
    whole = np.sum(signal**2)
    steps = seen**2 - 2 * signal * seen * cosine
    return np.sqrt(np.maximum(0.0, whole + np.concatenate([[0.0], np.cumsum(steps)])))


def without_noise(seen: Float[np.ndarray, " _"], noise: float, units: int) -> Float[np.ndarray, " _"]:
    """Returns the singular values of the signal, given those of the matrix with noise: of those above the noise's own, 2 b."""
    edge = noise * np.sqrt(units)
    above = seen[seen > 2 * edge]
    return (above + np.sqrt(above**2 - 4 * edge**2)) / 2


def estimate_size(units: Int[np.ndarray, " T"], lines: Int[np.ndarray, " T"], window: int, negatives: int) -> SizeEstimate:
    """Estimates the best size of the vectors of a text.

    Args:
      units: the text as numbers of units, 0 for the most frequent; units beyond ``MOST_UNITS`` are passed over.
      lines: the line that each stands in; a window does not leave it.
      window: farthest context.
      negatives: drawn for each pair; the shift is their logarithm.
    """
    count = min(int(units.max()) + 1, MOST_UNITS)
    half = (random_bits(len(units) // PIECE + 1, 0) >> np.uint64(63)).astype(bool)[np.arange(len(units)) // PIECE]
    parts = [cooccurrences(units, lines, window, count, side) for side in (half, ~half)]
    noise = float(np.sqrt(np.square(np.subtract(*(shifted_information(part, negatives) for part in parts))).mean())) / 2
    seen = np.abs(np.linalg.eigvalsh(shifted_information(parts[0] + parts[1], negatives)))  # symmetric, so these are its singular values
    signal = without_noise(np.sort(seen)[::-1], noise, count)
    losses = expected_losses(signal, noise, count)
    size = int(losses[1:].argmin()) + 1 if len(signal) else None  # a table has at least one column
    return SizeEstimate(size, losses, signal, noise, count)


def cooccurrences(
    units: Int[np.ndarray, " T"], lines: Int[np.ndarray, " T"], window: int, count: int, counted: Bool[np.ndarray, " T"]
) -> Float[np.ndarray, "V V"]:
    """Counts how often units stand near each other, each pair weighted with the share of windows that reach so far.

    The distance is that in the whole text; units from ``count`` on are passed over, and so are pairs whose first unit is not ``counted``.
    """
    found = np.zeros(count * count, np.float32)
    for distance in range(1, window + 1):
        first, second = units[:-distance], units[distance:]
        kept = (lines[:-distance] == lines[distance:]) & (first < count) & (second < count) & counted[:-distance]
        places = first[kept].astype(np.int64) * count + second[kept]
        found += np.bincount(places, minlength=count * count).astype(np.float32) * ((window + 1 - distance) / window)
    return found.reshape(count, count) + found.reshape(count, count).T


def shifted_information(pairs: Float[np.ndarray, "V V"], negatives: int) -> Float[np.ndarray, "V V"]:
    """Returns max(0, log(p(a, b) / (p(a) p(b))) - log negatives), 0 for pairs never seen (Levy & Goldberg 2014, section 3.2)."""
    sums = pairs.sum(axis=1)
    expected = np.outer(sums, sums) / max(float(sums.sum()), 1.0) * negatives
    ratio = np.divide(pairs, expected, out=np.ones_like(pairs), where=(pairs > 0) & (expected > 0))
    return np.log(np.maximum(ratio, 1.0))
