"""The keys of ``compare --format=json``, as types: what scripts read, and what the table and the report are made from.

A figure that is not known is None. The keys are promised to scripts by ``docs/architecture.md``, "A run directory".
Read next: ``answer.py``, which fills them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

Interval = list[float] | None  # lower and upper end, 95 %


class MetricRow(TypedDict):
    """What is compared, as result.json has it."""

    name: str
    unit: str
    lower_is_better: bool
    tolerance: float | None


class Parameters(TypedDict):
    """How many numbers are trained: in the tables, and in all."""

    embedding: float | None
    total: float | None


class Cost(TypedDict):
    """What a size costs, as medians over its runs."""

    parameters: Parameters | None
    train_seconds_median: float | None
    best_step_seconds_median: float | None
    tokens_per_second_median: float | None
    decoded_examples_per_second_median: float | None


class SizeRow(Cost):
    """A size: the metric of its runs, in the metric's unit, its distance from the best size, and its cost.

    ``seeds`` are the names of what the values are over: data sets where sweeps are pooled. Bootstrap intervals are over seeds and examples.
    """

    embedding_dim: int
    table: str
    setting: dict[str, Any]
    runs: int
    failed: int
    seeds: list[int | str]
    values: list[float]
    mean: float | None
    ci95: Interval
    difference_to_best: float | None
    difference_ci95: Interval
    p_value_holm: float | None
    standard_deviation: float | None
    bootstrap_ci95: Interval
    difference_bootstrap_ci95: Interval


class OnTest(TypedDict):
    """What the recommended size reaches on test."""

    mean: float
    ci95: Interval
    runs: int
    examples: int | None


class RecommendationRow(TypedDict):
    """Which size to take, how sure that is, and the sentences that say so.

    ``has_learned`` is false where not even the best size is better than what needs no learning: the verdict then means little.
    """

    embedding_dim: int | None
    verdict: str
    has_learned: bool
    tolerance: float | None
    excess_bound: float | None
    more_seeds_needed: int | None
    reason: str
    test: OnTest | None
    answer: list[str]
    warnings: list[str]
    going_on: list[str]
    command: str | None
    data_sets: NotRequired[int]
    more_data_sets_needed: NotRequired[int | None]


class BestSize(TypedDict):
    """The size with the best mean."""

    embedding_dim: int | None


class FailedRow(TypedDict):
    """A member without a result to compare."""

    member: str
    error: str


class DetectableRow(TypedDict):
    """The smallest difference that so many seeds detect."""

    seeds: int
    detectable_difference: float | None


class NoiseFloor(DetectableRow):
    """The spread over seeds alone, and what it hides today (``seeds``) and with other numbers of seeds."""

    standard_deviation: float | None
    standard_deviation_of_differences: float | None
    by_seeds: list[DetectableRow]


class ReachedRow(TypedDict):
    """What a size has reached within a time."""

    embedding_dim: int
    table: str
    mean: float | None


class EqualTimeRow(TypedDict):
    """All sizes after the same time of training."""

    train_seconds: float
    share_of_shortest: float
    best: int | None
    sizes: list[ReachedRow]


class RuleOfThumbRow(TypedDict):
    """What a rule recommends for a table: of the source, of the target, or shared by both."""

    table: str
    vocabulary: int
    rule: str
    embedding_dim: float


class TruncatedRow(TypedDict):
    """The metric of the largest table cut to its first directions."""

    directions: float
    value: float


class ChosenRow(TypedDict):
    """What tuning chose for a size."""

    embedding_dim: int | None
    table: str
    values: dict[str, Any]


class TuningSummary(TypedDict):
    """What was tried and chosen before the comparison, with which seed, and what that cost."""

    seed: int
    runs: int
    train_seconds: float
    chosen: list[ChosenRow]
    tried: dict[str, list[Any]]


class HiddenDimRow(TypedDict):
    """The hidden size of a size, and of its encoder where that has its own, where a budget of parameters makes them differ."""

    embedding_dim: int
    table: str
    hidden_dim: int
    encoder_hidden_dim: int | None


class SettingComparison(TypedDict):
    """The comparison of runs that differ in size and seed only: of one setting of the further swept fields."""

    metric: MetricRow
    split: str
    setting: dict[str, Any]
    seed_correlation: float | None
    sizes: list[SizeRow]
    best: BestSize
    recommendation: RecommendationRow
    failed: list[FailedRow]
    noise_floor: NoiseFloor
    trained_together: int
    pareto: dict[str, list[int] | None]
    at_equal_time: list[EqualTimeRow] | None
    rules_of_thumb: list[RuleOfThumbRow]
    truncated_table: list[TruncatedRow]
    tuning: TuningSummary | None
    hidden_dims: list[HiddenDimRow]


def by_setting(parts: Sequence[SettingComparison]) -> bool:
    """Returns whether a comparison is one by settings: of a single value of a further field too."""
    return len(parts) > 1 or bool(parts[0]["setting"])


def json_object(parts: Sequence[SettingComparison]) -> Mapping[str, Any]:
    """Returns the one object that scripts read: the comparison itself, or those of all settings under ``comparisons``."""
    return {"comparisons": parts} if by_setting(parts) else parts[0]
