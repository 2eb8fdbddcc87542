"""The runs of one setting as an array ``[seeds, sizes]``: what the statistics are computed from.

Knows which size is complete and which is a baseline, and nothing of tests or verdicts.
Read next: ``recommend.py``.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from seq2seq_jax.compare.labels import size_name
from seq2seq_jax.compare.results import Cause, Failure, FinishedRun, runs_of
from seq2seq_jax.config import TABLES
from seq2seq_jax.errors import UserError
from seq2seq_jax.kinds import LOSS, METRICS, UNIGRAM, Metric


@dataclasses.dataclass(frozen=True)
class Size:
    """One column of the grid: an embedding size, the kind of its table, its finished runs and its failed members."""

    embedding_dim: int
    table: str
    runs: list[FinishedRun]
    failures: list[Failure]

    @property
    def label(self) -> str:
        """The size as readers see it."""
        return size_name(self.embedding_dim, self.table)

    @property
    def diverged(self) -> list[Failure]:
        """Its members whose loss was not finite: no command brings them to an end."""
        return [failure for failure in self.failures if failure.cause is Cause.DIVERGED]

    @property
    def has_finished(self) -> bool:
        """Whether a member has a result, be it of another length than those that are compared."""
        return bool(self.runs) or any(failure.has_finished for failure in self.failures)


@dataclasses.dataclass(frozen=True)
class Grid:
    """Runs that differ in size and seed only.

    Attributes:
      metric: what is compared.
      seeds: names of the rows: seeds, or data sets where several sweeps are pooled.
      sizes: the columns: learned tables by size, then the baselines.
      values: the metric of each run, NaN where there is none.
      pooled: whether several sweeps are pooled, so that data sets stand in place of seeds and values are relative.
    """

    metric: Metric
    seeds: list[int | str]
    sizes: list[Size]
    values: Float[np.ndarray, "seeds sizes"]
    pooled: bool = False

    @property
    def lengthened(self) -> bool:
        """Whether runs had another course of the learning rate than new ones would have."""
        return any(run.rescheduled_at for size in self.sizes for run in size.runs)

    @property
    def untrained(self) -> float | None:
        """The value that needs no learning; of a language model what the frequencies of units alone reach. None where it is not known."""
        if self.metric.untrained is not None or self.metric.name not in (LOSS, "bits_per_character"):
            return self.metric.untrained
        run = next((run for size in self.sizes for run in size.runs), None)
        loss, unigram = (run.result["dev"].get(name) if run else None for name in (LOSS, UNIGRAM))
        if run is None or not isinstance(loss, int | float) or not isinstance(unigram, int | float) or loss <= 0:
            return None
        return run.value * unigram / loss  # in the metric's unit: bits a character are a multiple of nats a token

    @property
    def lacks_runs(self) -> bool:
        """Whether members have failed or are missing that a command can bring to an end."""
        return any(len(size.failures) > len(size.diverged) for size in self.sizes)

    @property
    def tried(self) -> str:
        """Where the sizes that are compared were tried, as words."""
        return "tried in every data set" if self.pooled else "tried"

    @property
    def losses(self) -> Float[np.ndarray, "seeds sizes"]:
        """The values, turned so that less is better."""
        return self.values if self.metric.lower_is_better else -self.values

    @property
    def learned(self) -> Bool[np.ndarray, " sizes"]:
        """Which sizes have a learned table; the others are baselines."""
        return np.array([size.table == "learned" for size in self.sizes], dtype=bool)

    @property
    def eligible(self) -> Bool[np.ndarray, " sizes"]:
        """Which sizes may be the best or recommended: learned, with results, and with no run failed or missing."""
        return np.array([size.table == "learned" and bool(size.runs) and not size.failures for size in self.sizes], dtype=bool)


def make_grid(runs: list[FinishedRun], failures: list[Failure]) -> Grid:
    """Arranges the runs of one setting by seed and size. Failures whose place is not known are left out.

    Raises UserError, naming both directories, for two runs in one place.
    """
    _check_distinct(runs)
    placed = [(failure.member, failure) for failure in failures if failure.member is not None]
    members = [run.member for run in runs] + [member for member, _ in placed]
    keys = sorted({(TABLES.index(member.table), member.size) for member in members})
    sizes = []
    for rank, dim in keys:
        key = (TABLES[rank], dim)
        failed = [failure for member, failure in placed if (member.table, member.size) == key]
        sizes.append(Size(dim, key[0], runs_of(runs, dim, key[0]), failed))
    seeds = sorted({run.member.seed for run in runs})
    values = np.full((len(seeds), len(sizes)), np.nan)
    for column, size in enumerate(sizes):
        for run in size.runs:
            values[seeds.index(run.member.seed), column] = run.value
    return Grid(_metric(runs, failures), list(seeds), sizes, values)


def _check_distinct(runs: list[FinishedRun]) -> None:
    found: dict[tuple[str, int, int], FinishedRun] = {}
    for run in runs:
        member = run.member
        other = found.setdefault((member.table, member.size, member.seed), run)
        if other is not run:
            both = f"{member.table} table, size {member.size} and seed {member.seed}, as {other.directory} has"
            raise UserError(f"{run.directory}: {both}; expected one run of them, or a sweep.json that says which one counts")


def _metric(runs: list[FinishedRun], failures: list[Failure]) -> Metric:
    found = next((metric for metric in [run.result["metric"] for run in runs] + [failure.metric for failure in failures] if metric), None)
    if found is None:  # there is nothing to compare, and nothing to name it by
        return Metric("metric", "unknown", True, None)
    known = METRICS.get(found["name"], Metric(found["name"], "", True, None))  # a result.json may name any metric
    unit, tolerance = str(found.get("unit") or ""), found.get("tolerance")
    return dataclasses.replace(known, unit=unit, lower_is_better=found["lower_is_better"], tolerance=tolerance)
