"""How good the outputs are: error rates, BLEU and chrF of translations, and the loss of a text in its several units.

Works on strings and numbers of the host; knows nothing of models, vocabularies or runs. Every error rate is
sum of edits / sum of reference lengths over all sources, each against its nearest reference (fewest insertions, deletions and
substitutions, Levenshtein 1966; the first of equals).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

CHEAP = ("word_error_rate", "exact_match", "phone_error_rate", "token_error_rate", "character_error_rate")
CORPUS = ("bleu", "chrf")  # of the whole corpus, no sum over examples; points, 0 to 100

References = Sequence[Sequence[str]]


def metric_names(chosen: str) -> tuple[str, ...]:
    """Returns the metrics of outputs that are computed where ``chosen`` is the one that decides: those that cost much only with it."""
    return (*CHEAP, *CORPUS) if chosen in CORPUS else CHEAP


class ExampleScores(NamedTuple):
    """One metric, example by example: its value is ``amounts.sum() / sizes.sum()``, also over a resampled set of examples.

    Attributes:
      amounts: errors (or right answers, for exact_match) of each example.
      sizes: what they are counted over: reference units, or 1.
    """

    amounts: Float[np.ndarray, " B"]
    sizes: Float[np.ndarray, " B"]


def translation_metrics(
    hypotheses: Sequence[str], references: References, target_unit: str, names: Sequence[str] = CHEAP
) -> dict[str, Any]:
    """Computes metrics of outputs, one of each source.

    Args:
      hypotheses: output of each source.
      references: right answers of each source, at least one.
      target_unit: ``word`` where blanks separate the units of the target, as they do phones; else a unit is a character.
      names: which to compute. Fractions: ``word_error_rate`` (sources whose output equals no reference),
        ``exact_match`` (1 - that), ``phone_error_rate`` (edits of target units), ``token_error_rate`` (edits of words),
        ``character_error_rate`` (edits of code points, blanks included). Points: ``bleu`` (Papineni et al. 2002) and
        ``chrf`` (Popović 2015), as sacrebleu computes them, each with its signature (Post 2018).

    Returns:
      The metrics, and ``examples``: the number of sources. An error rate of no source at all is 0; where all references
      are empty, edits are counted over a length of 1.
    """
    results: dict[str, Any] = {"examples": len(hypotheses)}
    for name in names:
        if name in CORPUS:
            results |= _corpus_metric(hypotheses, references, name)
        else:
            scores = example_scores(hypotheses, references, name, target_unit)
            results[name] = float(scores.amounts.sum() / max(1.0, scores.sizes.sum()))
    return results


def example_scores(hypotheses: Sequence[str], references: References, metric_name: str, unit: str) -> ExampleScores:
    """Computes a metric of ``CHEAP`` for each example, for intervals by resampling. Arguments as in ``translation_metrics``.

    Raises ValueError for a metric that is no sum over examples.
    """
    if metric_name not in CHEAP:
        raise ValueError(f"{metric_name}: expected one of {', '.join(CHEAP)}")
    pairs = list(zip(hypotheses, references, strict=True))
    if metric_name in ("word_error_rate", "exact_match"):
        right = np.array([any(_same(hypothesis, answer, unit) for answer in answers) for hypothesis, answers in pairs], bool)
        amounts = right if metric_name == "exact_match" else ~right
        return ExampleScores(amounts.astype(np.float64), np.ones(len(pairs)))
    words = metric_name == "token_error_rate" or (metric_name == "phone_error_rate" and unit == "word")
    nearest = [_nearest(hypothesis, answers, words) for hypothesis, answers in pairs]
    amounts, sizes = np.array(nearest, np.float64).reshape(-1, 2).T
    return ExampleScores(amounts, sizes)


def text_metrics(loss_sum_nats: float, units: int, characters: int) -> dict[str, float | int]:
    """Computes the metrics of a text from its loss.

    Args:
      loss_sum_nats: minus the log probability of the whole text, nats.
      units: how many units were predicted.
      characters: how many code points they spell, whatever the unit.

    Returns:
      ``loss_nats_per_token``, ``nats_per_character``, ``bits_per_character``, ``perplexity_per_token`` (largest float where it
      overflows), ``examples`` (units).
    """
    loss, per_character = loss_sum_nats / max(1, units), loss_sum_nats / max(1, characters)
    return {
        "loss_nats_per_token": loss,
        "nats_per_character": per_character,
        "bits_per_character": per_character / math.log(2),
        "perplexity_per_token": math.exp(min(loss, 709.0)),
        "examples": units,
    }


def _same(hypothesis: str, answer: str, unit: str) -> bool:
    """Where blanks only separate units, their number does not count."""
    return hypothesis == answer or (unit == "word" and hypothesis.split() == answer.split())


def _nearest(hypothesis: str, answers: Sequence[str], words: bool) -> tuple[int, int]:
    """Returns the edits to the nearest answer and that answer's length."""
    from rapidfuzz.distance import Levenshtein

    output = hypothesis.split() if words else hypothesis
    found = []
    for answer in answers:
        units = answer.split() if words else answer
        found.append((Levenshtein.distance(output, units), len(units)))
    return min(found, key=lambda pair: pair[0])


def _corpus_metric(hypotheses: Sequence[str], references: References, name: str) -> dict[str, Any]:
    import sacrebleu

    # force only silences a warning, at every evaluation, about texts whose words and punctuation stand apart
    metric = sacrebleu.BLEU(force=True) if name == "bleu" else sacrebleu.CHRF()
    most = max(map(len, references), default=0)
    streams: list[list[Any]]  # sacrebleu takes None where a source has fewer references than others
    streams = [[answers[place] if place < len(answers) else None for answers in references] for place in range(most)]
    score = metric.corpus_score(list(hypotheses), streams).score if hypotheses else 0.0
    return {name: float(score), f"{name}_signature": str(metric.get_signature()) if hypotheses else ""}
