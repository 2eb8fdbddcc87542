"""The PIP loss and the size that it recommends, against matrices that are really made, spoilt with noise and factorised."""

from __future__ import annotations

import numpy as np
import pytest

from seq2seq_jax.embeddings import size_estimate
from seq2seq_jax.embeddings.size_estimate import cooccurrences, estimate_size, expected_losses, shifted_information, without_noise
from tests import oracles

SIZE, NOISE = 256, 0.0625  # so that the noise alone has singular values up to 2
SIGNAL = np.array([9.0, 8, 6, 5, 4.5, 4, 3.5, 3, 2.5, 2.2, 1.9, 1.6, 1.4, 1.2, 0.9, 0.6])


def table(matrix: np.ndarray, columns: int) -> np.ndarray:
    """Returns the first directions of a symmetric matrix, each times the root of its singular value."""
    values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(-np.abs(values))[:columns]
    return vectors[:, order] * np.sqrt(np.abs(values[order]))


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, list[np.ndarray]]:
    """A matrix with these singular values, and some that are seen of it."""
    draws = np.random.default_rng(0)
    directions = np.linalg.qr(draws.normal(size=(SIZE, len(SIGNAL))))[0]
    clean = (directions * SIGNAL) @ directions.T
    spoilt = []
    for _ in range(3):
        noise = np.triu(draws.normal(size=(SIZE, SIZE)) * NOISE)
        spoilt.append(clean + noise + np.triu(noise, 1).T)
    return clean, spoilt


def test_expected_losses_are_those_of_tables_that_are_really_factorised(noisy):
    """Red if the shift of singular values, the turn of directions or the power is wrong. All sizes, within 3 %."""
    clean, spoilt = noisy
    whole = table(clean, len(SIGNAL))
    widest = [table(matrix, len(SIGNAL)) for matrix in spoilt]
    measured = [[oracles.pip_loss(whole, wide[:, :columns]) for wide in widest] for columns in range(len(SIGNAL) + 1)]
    expected = expected_losses(SIGNAL, NOISE, SIZE)
    np.testing.assert_allclose(expected, np.mean(measured, axis=1), rtol=0.03)
    assert expected.argmin() == (3**0.5 * NOISE * SIZE**0.5 < SIGNAL).sum()
    assert abs(expected.argmin() - np.mean(measured, axis=1).argmin()) <= 1


def test_the_signal_is_found_again_under_the_noise(noisy):
    seen = np.sort(np.abs(np.linalg.eigvalsh(noisy[1][0])))[::-1]
    found = without_noise(seen, NOISE, SIZE)
    np.testing.assert_allclose(found[:10], SIGNAL[:10], rtol=0.1)
    assert abs(len(found) - (NOISE * SIZE**0.5 < SIGNAL).sum()) <= 4


def test_counts_and_information_are_those_of_the_formulas():
    """One pair after the other. Red if a window leaves a line, or a distance has the wrong weight."""
    draws = np.random.default_rng(1)
    units, lines, window = draws.integers(0, 6, 200), np.sort(draws.integers(0, 9, 200)), 3
    expected = np.zeros((5, 5))
    for i in range(200):
        for j in range(i + 1, min(i + window, 199) + 1):
            if lines[i] == lines[j] and max(units[i], units[j]) < 5 and i % 2:
                expected[units[i], units[j]] += (window + 1 - (j - i)) / window
    expected = expected + expected.T
    found = cooccurrences(units, lines, window, 5, np.arange(200) % 2 == 1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    shares = expected / expected.sum()
    with np.errstate(divide="ignore"):
        information = np.log(shares / np.outer(shares.sum(1), shares.sum(1))) - np.log(2)
    np.testing.assert_allclose(shifted_information(found, 2), np.maximum(information, 0), rtol=1e-4, atol=1e-6)


def test_a_text_of_topics_needs_about_as_many_columns_as_topics():
    """Twelve topics with words of their own. Red if the noise is measured without the other half, or not scaled to the whole text."""
    draws = np.random.default_rng(0)
    topics = np.repeat(draws.integers(0, 12, 4000), 20)
    units = topics * 20 + draws.integers(0, 20, len(topics))
    found = estimate_size(units, np.repeat(np.arange(4000), 20), 5, 1)
    assert found.units == 240
    assert found.size is not None
    assert 10 <= found.size <= 14
    assert found.losses[found.size] == found.losses.min()


def test_of_many_units_the_most_frequent_are_looked_at(monkeypatch):
    """Red if time and memory grow with the vocabulary, or if the others are taken for one of them."""
    units = np.minimum(np.random.default_rng(0).geometric(0.1, 3000) - 1, 60)
    whole = estimate_size(units, np.zeros(3000, int), 2, 1)
    monkeypatch.setattr(size_estimate, "MOST_UNITS", 12)
    found = estimate_size(units, np.zeros(3000, int), 2, 1)
    assert (whole.units, found.units) == (units.max() + 1, 12)


def test_a_text_that_says_nothing_has_no_estimate_and_no_table_is_without_columns(monkeypatch):
    """Red if the answer is a table of 0 columns, whose expected loss may be the least."""
    units = np.random.default_rng(0).integers(0, 40, 3000)
    found = estimate_size(units, np.zeros(3000, int), 2, 5)
    assert (found.size, len(found.losses)) == (None, 1)
    monkeypatch.setattr(size_estimate, "without_noise", lambda seen, noise, count: np.array([1.01, 1.005]) * noise * count**0.5)
    faint = estimate_size(units, np.zeros(3000, int), 2, 1)
    assert (faint.losses.argmin(), faint.size) == (0, 1)
