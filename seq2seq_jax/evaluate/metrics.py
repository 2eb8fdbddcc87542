"""How good the outputs are: error rates, BLEU and chrF of translations, and the loss of a text in its several units.

Works on strings and numbers of the host; knows nothing of models, vocabularies or runs. Every error rate is
sum of edits / sum of reference lengths over all sources, each against its nearest reference (fewest insertions, deletions and
substitutions, Levenshtein 1966; of equally near ones the first).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

References = Sequence[Sequence[str]]


def is_right(output: str, answers: Iterable[str], unit: str | None) -> bool:
    """Returns whether an output is one of the answers; where blanks only separate units, their number does not count."""
    return _written(output, unit) in (_written(answer, unit) for answer in answers)


def _written(text: str, unit: str | None) -> str:
    """Returns a text as outputs of the unit are written: words with one blank between any two, everything else as it is."""
    return " ".join(text.split()) if unit == "word" else text


def _edits(output: str, answers: Sequence[str], words: bool) -> tuple[int, int]:
    """Returns the edits to the nearest answer and that answer's length, in words or characters; of equally near ones the longest."""
    from rapidfuzz.distance import Levenshtein

    units = output.split() if words else output
    found = []
    for answer in answers:
        expected = answer.split() if words else answer
        found.append((Levenshtein.distance(units, expected), len(expected)))
    return min(found, key=lambda pair: (pair[0], -pair[1]))


def _bleu(references: References) -> Any:
    """Returns BLEU of words or, where most references are written without blanks between words, of characters.

    As a word each, such sentences have no four in a row, and the best of outputs would be worth 0.
    """
    import sacrebleu

    spaced = [" " in answer.strip() for answers in references for answer in answers]
    tokenizer = "13a" if 2 * sum(spaced) >= len(spaced) else "char"
    return sacrebleu.BLEU(tokenize=tokenizer, force=True)  # only silences a warning about texts whose words and punctuation stand apart


def _chrf(references: References) -> Any:
    import sacrebleu

    return sacrebleu.CHRF()


# From an output, its right answers and the unit of the target to an amount and a size (see ``ExampleScores``).
PER_EXAMPLE: dict[str, Callable[[str, Sequence[str], str], tuple[float, float]]] = {
    "word_error_rate": lambda output, answers, unit: (not is_right(output, answers, unit), 1),
    "exact_match": lambda output, answers, unit: (is_right(output, answers, unit), 1),
    "phone_error_rate": lambda output, answers, unit: _edits(output, answers, words=unit == "word"),
    "token_error_rate": lambda output, answers, unit: _edits(output, answers, words=True),
    "character_error_rate": lambda output, answers, unit: _edits(
        _written(output, unit), [_written(answer, unit) for answer in answers], words=False
    ),
}
# Metrics of a whole corpus, no sums over examples: sacrebleu's, in points, 0 to 100.
PER_CORPUS: dict[str, Callable[[References], Any]] = {"bleu": _bleu, "chrf": _chrf}


def metric_names(chosen: str) -> tuple[str, ...]:
    """Returns the metrics of outputs to compute: those of a whole corpus, which take a second, only where ``chosen`` is one of them."""
    return (*PER_EXAMPLE, *PER_CORPUS) if chosen in PER_CORPUS else tuple(PER_EXAMPLE)


class ExampleScores(NamedTuple):
    """One metric, example by example: its value is ``amounts.sum() / sizes.sum()``, also over a resampled set of examples.

    Of several runs stacked, a run has its place in the axes in front.

    Attributes:
      amounts: errors of each example, or right answers where more is better.
      sizes: what they are counted over: reference units, or 1.
    """

    amounts: Float[np.ndarray, "... examples"]
    sizes: Float[np.ndarray, "... examples"]


def translation_metrics(
    hypotheses: Sequence[str], references: References, target_unit: str, names: Iterable[str] = tuple(PER_EXAMPLE)
) -> dict[str, Any]:
    """Computes metrics of outputs, one of each source.

    Args:
      hypotheses: output of each source.
      references: right answers of each source, at least one.
      target_unit: ``word`` where blanks separate the units of the target, as they do phones; else a unit is a character.
      names: which to compute. Fractions: ``word_error_rate`` (sources whose output equals no reference),
        ``exact_match`` (1 - that), ``phone_error_rate`` (edits of target units), ``token_error_rate`` (edits of words),
        ``character_error_rate`` (edits of code points, blanks included; between units that are words one blank). Points: ``bleu``
        (Papineni et al. 2002; of characters where most references have no blank, ``tok:char`` in its signature) and ``chrf``
        (Popović 2015), as sacrebleu computes them, each with its signature (Post 2018); both pass over further blanks themselves.

    Returns:
      The metrics, and ``examples``: the number of sources. An error rate of no source at all is 0; where all references
      are empty, edits are counted over a length of 1.
    """
    results: dict[str, Any] = {"examples": len(hypotheses)}
    for name in names:
        if name in PER_CORPUS:
            results |= _corpus_metric(hypotheses, references, name)
        else:
            scores = example_scores(hypotheses, references, name, target_unit)
            results[name] = float(scores.amounts.sum() / max(1.0, scores.sizes.sum()))
    return results


def example_scores(hypotheses: Sequence[str], references: References, metric_name: str, unit: str) -> ExampleScores:
    """Computes a metric of ``PER_EXAMPLE`` for each example, for intervals by resampling. Arguments as in ``translation_metrics``."""
    score = PER_EXAMPLE[metric_name]
    scored = [score(hypothesis, answers, unit) for hypothesis, answers in zip(hypotheses, references, strict=True)]
    amounts, sizes = np.array(scored, np.float64).reshape(-1, 2).T
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


def _corpus_metric(hypotheses: Sequence[str], references: References, name: str) -> dict[str, Any]:
    metric = PER_CORPUS[name](references)
    most = max(map(len, references), default=0)
    ordered = list(map(sorted, references))  # of equally near ones sacrebleu takes the first
    streams: list[list[Any]]  # it takes None where a source has fewer references than others
    streams = [[answers[place] if place < len(answers) else None for answers in ordered] for place in range(most)]
    score = metric.corpus_score(list(hypotheses), streams).score if hypotheses else 0.0
    return {name: float(score), f"{name}_signature": str(metric.get_signature()) if hypotheses else ""}
