"""The kinds of model: what each reads, and the metrics that it is judged by on dev."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from seq2seq_jax.config import Config

RANK_CORRELATION = "rank correlation"  # unit of a metric: Spearman's
LOSS = "loss_nats_per_token"  # the metric that every kind of model has
UNIGRAM = "unigram_nats_per_token"  # beside a language model's loss on dev: that of the frequencies of training's units alone
IN_TRAIN = "also_in_train"  # beside the metrics of a split: how many of its sources, lines of a list or units of a text train has too
TOO_LONG = "longer_than_trained"  # likewise: of how many sources train would have left out every pair, as too long
OUT_OF_REACH = "out_of_reach"  # likewise: of how many sources no output can be right


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric of quality on dev.

    Attributes:
      name: key in ``result.json``; the unit, if there is one, is part of the name.
      unit: of its values.
      lower_is_better: the direction of improvement.
      tolerance: largest difference that does not matter, in the metric's unit; None: 5 % of the best mean.
      untrained: value where every output is empty, or every answer wrong: a model that does no better has learned nothing yet; None where
        there is no such value.
      label: how it is written for people; None: its name in words.
      proportion: whether it is a mean of zeros and ones over the examples of dev, whose standard error follows from the mean.
    """

    name: str
    unit: str
    lower_is_better: bool
    tolerance: float | None
    untrained: float | None = None
    proportion: bool = False
    label: str | None = None

    @property
    def best(self) -> float | None:
        """The value where every answer is right; None where there is none, or it is beyond what runs reach."""
        return None if self.untrained is None else 0.0 if self.lower_is_better else 100.0 if self.unit == "points" else 1.0

    def to_json(self) -> dict[str, Any]:
        """Returns what files and answers say of it."""
        return {"name": self.name, "unit": self.unit, "lower_is_better": self.lower_is_better, "tolerance": self.tolerance}

    def rank(self, value: float, loss: float) -> tuple[float, float]:
        """Returns what sorts the better of two evaluations first: the metric or, where that is equal to nine decimals, the loss in nats.

        An error rate of 1 says nothing of what has been learned by then, nor does a BLEU of 1e-30.
        """
        value = round(value, 9)
        return value if self.lower_is_better else -value, loss


METRICS = {
    metric.name: metric
    for metric in (
        Metric("word_error_rate", "fraction", True, 0.01, untrained=1.0, proportion=True),
        Metric("phone_error_rate", "fraction", True, 0.01, untrained=1.0),
        Metric("token_error_rate", "fraction", True, 0.01, untrained=1.0),
        Metric("character_error_rate", "fraction", True, 0.01, untrained=1.0),
        Metric("exact_match", "fraction", False, 0.01, untrained=0.0, proportion=True),
        Metric("bleu", "points", False, 0.5, untrained=0.0, label="BLEU"),
        Metric("chrf", "points", False, 0.5, untrained=0.0, label="chrF"),
        Metric("bits_per_character", "bits", True, 0.01),
        Metric(LOSS, "nats", True, None),
        Metric("analogy_accuracy", "fraction", False, 0.01, untrained=0.0),
        Metric("semantic_analogy_accuracy", "fraction", False, 0.01, untrained=0.0),
        Metric("syntactic_analogy_accuracy", "fraction", False, 0.01, untrained=0.0),
        Metric("word_similarity", RANK_CORRELATION, False, 0.02),
    )
}


@dataclasses.dataclass(frozen=True)
class ModelKind:
    """What other packages must know of a kind of model.

    Attributes:
      form: what it reads: ``pairs`` of lines, or one running ``text``.
      sides: names of its vocabularies.
      metrics: of dev; the first is the default.
    """

    form: Literal["pairs", "text"]
    sides: tuple[str, ...]
    metrics: tuple[str, ...]


_SEGMENT = "data.segment_length"
_OF_TRAINING = (_SEGMENT, "data.max_length")  # they leave dev as it is
_OF_THE_LOSS = ("data.window", "data.subsample", "data.bpe_size", "model.cbow", "model.negatives")  # they change it and no other metric
_ERRORS = ("word_error_rate", "phone_error_rate", "token_error_rate", "character_error_rate")
_ANALOGIES = ("analogy_accuracy", "semantic_analogy_accuracy", "syntactic_analogy_accuracy")
KINDS: dict[str, ModelKind] = {
    "translator": ModelKind("pairs", ("source", "target"), (*_ERRORS, "exact_match", "bleu", "chrf", LOSS)),
    "language_model": ModelKind("text", ("target",), ("bits_per_character", LOSS)),
    "skip_gram": ModelKind("text", ("target",), (LOSS, *_ANALOGIES, "word_similarity")),
}


def metric_of(config: Config) -> Metric:
    """Returns the dev metric that chooses checkpoints and sizes."""
    return METRICS[config.train.metric or KINDS[config.model.kind].metrics[0]]


def changes_scores(path: str, metric: str, kind: str) -> bool:
    """Returns whether values of a field cannot be judged against each other by a metric on dev, since they change what it is a figure of.

    Args:
      path: of the field.
      metric: name of the metric.
      kind: of the model.
    """
    if path in _OF_THE_LOSS or (path == _SEGMENT and kind == "skip_gram"):
        return metric == LOSS
    return path == "train.metric" or (path.startswith("data.") and path not in _OF_TRAINING)
