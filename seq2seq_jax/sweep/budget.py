"""Counting parameters without making any, and the hidden size that keeps their number while the table grows."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import ENCODER_HIDDEN, HIDDEN, SIDES, SIZE, Config, ModelConfig
from seq2seq_jax.errors import UserError
from seq2seq_jax.model.build import abstract_params
from seq2seq_jax.sweep.axes import Axes
from seq2seq_jax.sweep.members import Member
from seq2seq_jax.sweep.shared_corpus import vocabulary_sizes
from seq2seq_jax.train.state import parameter_counts

CLOSE = 0.01  # of the total: budgets this near to each other count as equal
MOST_MORE = 4  # units by which an encoder may depart from its share of the hidden units


def count_parameters(config: Config) -> dict[str, int]:
    """Returns the learned parameters of a configuration, in tables and in all, without allocating them."""
    return _count(config.model, tuple(vocabulary_sizes(config).items()))


@functools.lru_cache(maxsize=256)
def _count(model: ModelConfig, vocabularies: tuple[tuple[str, int], ...]) -> dict[str, int]:
    return parameter_counts(abstract_params(model, dict(vocabularies)), model)


def equal_parameters(members: Sequence[Member]) -> list[Member]:
    """Returns the members with hidden sizes that give each as many parameters as the smallest table leads to, within 1 % of these.

    Members with other values of further axes have a budget of their own. Raises UserError where no hidden size comes within 1 %.
    """
    matched = []
    for member in members:
        smallest = smallest_beside(member, members)
        if member.config.model == smallest.config.model:
            matched.append(member)
        else:
            matched.append(matched_to(count_parameters(smallest.config)["total"], member))
    return matched


def check_tuned(config: Config, tune: Axes) -> None:
    """Raises UserError where a tuned field would change how many parameters there are, after they were made equal."""
    before = count_parameters(config)["total"]
    for path, values in tune.items():
        for value in values:
            after = count_parameters(config_lib.replace(config, {path: value}))["total"]
            if after != before:
                raise UserError(
                    f"--tune={path}: {value} makes {after:,} parameters of {before:,}, and --budget=parameters keeps them equal; expected "
                    "a field that adds none, such as train.learning_rate"
                )


def smallest_beside(member: Member, members: Sequence[Member]) -> Member:
    """Returns the member with the smallest learned table among those that must have as many parameters as ``member``."""
    same = [other for other in members if other.table == "learned" and _budget_of(other) == _budget_of(member)]
    return min(same, key=lambda other: count_parameters(other.config)["embedding"])


def _budget_of(member: Member) -> dict[str, Any]:
    """Returns what members have in common that must have equally many parameters; a size of one side is a size too."""
    return {path: value for path, value in member.setting.items() if path not in SIDES}


def _with_hidden_dim(member: Member, hidden_dim: int, more: int = 0) -> Member:
    """Returns the member with so many hidden units, as many more or fewer of its encoder in proportion, and ``more`` of these."""
    model = member.config.model
    if model.kind != "translator" or (model.encoder_hidden_dim is None and not more):
        return member.adapt({HIDDEN: hidden_dim})
    scaled = round(model.encoder_dim * hidden_dim / model.hidden_dim)
    return member.adapt({HIDDEN: hidden_dim, ENCODER_HIDDEN: max(scaled + more, 2)})  # one for each direction


def matched_to(target: int, member: Member) -> Member:
    """Returns the member with the hidden size that gives it nearest to ``target`` parameters. Raises UserError where that is not near.

    A hidden unit more or less may be more than 1 %. Those of an encoder are fewer parameters each, so it may have a few more or less than
    in proportion; not where attention wants it as wide as the decoder.
    """
    model = member.config.model
    adjustable = model.kind == "translator" and not model.attention_wants_equal_widths
    more = range(-MOST_MORE, MOST_MORE + 1) if adjustable else (0,)
    found = []
    for hidden_dim, units in itertools.product(_around(target, member), more):
        candidate = _with_hidden_dim(member, hidden_dim, units)
        total = count_parameters(candidate.config)["total"]
        error = abs(total - target)
        # Near enough is half of what is allowed, so that two such are close to each other; then the encoder's share counts.
        found.append(((max(error, CLOSE / 2 * target), abs(units), error), total, candidate))
    _, nearest, best = min(found, key=lambda one: one[0])
    if abs(nearest - target) > CLOSE * target:
        hidden_dim = best.config.model.hidden_dim
        learned = member.table == "learned"
        what = f"{SIZE}={member.varied.get(SIZE)}" if learned else f"the baseline {member.table}, of size {member.varied.get(SIZE)},"
        way_out = "with sizes nearer to each other" if learned else "without this baseline"
        raise UserError(
            f"--budget=parameters: {what} comes no nearer to {target:,} parameters than {nearest:,}, with {HIDDEN}={hidden_dim}; "
            f"expected to come within 1 %, {way_out} or with a larger {HIDDEN}"
        )
    return best


def _around(target: int, member: Member) -> list[int]:
    """Returns two hidden sizes on either side of ``target`` parameters, of at least 2: one for each direction of the encoder."""

    def total(hidden_dim: int) -> int:
        return count_parameters(_with_hidden_dim(member, hidden_dim).config)["total"]

    low, high = 2, 4
    while total(high) < target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if total(middle) < target else (low, middle)
    return [hidden_dim for hidden_dim in (low - 1, low, high, high + 1) if hidden_dim >= 2]
