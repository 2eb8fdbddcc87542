"""Metrics against small cases counted by hand and against a plain edit distance."""

import json
import math
import pathlib
import random
import re
import subprocess
import sys

import numpy as np
import pytest

from seq2seq_jax.evaluate import metrics
from seq2seq_jax.kinds import KINDS, METRICS, Metric


def _edits(one, other):
    """Levenshtein's recurrence, written down."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        above, row = row, [i]
        for j, right in enumerate(other, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (left != right)))
    return row[-1]


def test_a_source_is_right_when_its_output_equals_any_reference():
    result = metrics.translation_metrics(["T UW", "AH", "B"], [["T AH", "T UW"], ["AH"], ["P", "K"]], "word")
    assert result["examples"] == 3
    assert result["word_error_rate"] == pytest.approx(1 / 3)
    assert result["exact_match"] == pytest.approx(2 / 3)
    assert result["phone_error_rate"] == pytest.approx(1 / 4)


def test_the_order_of_references_does_not_matter():
    """Red if of equally near ones the first in the file counts: a dev file in another order would move the metric."""
    outputs, answers = ["a b c", "ab cd e"], [["x y z", "a b d e", "a"], ["ab ce", "ab", "ab cd"]]
    for name in (*metrics.PER_EXAMPLE, *metrics.PER_CORPUS):
        given, turned = (
            metrics.translation_metrics(outputs, references, "word", [name]) for references in (answers, [each[::-1] for each in answers])
        )
        assert given == turned


def test_error_rates_are_edits_over_the_length_of_the_nearest_reference():
    # nearest to "a b c": "a b d e" (2 edits, 4 words) and not "x y z" (3 edits, 3 words)
    result = metrics.translation_metrics(["a b c", "q"], [["x y z", "a b d e"], ["q r"]], "word")
    assert result["token_error_rate"] == result["phone_error_rate"] == pytest.approx((2 + 1) / (4 + 2))
    assert result["character_error_rate"] == pytest.approx((3 + 2) / (7 + 3))  # 3 edits each: the longest of equals
    longer_first = metrics.example_scores(["ab"], [["abcd", ""]], "character_error_rate", "char")  # also where that is longer
    assert (longer_first.amounts, longer_first.sizes) == (2, 4)
    characters = metrics.translation_metrics(["a b c", "q"], [["x y z", "a b d e"], ["q r"]], "char")
    assert characters["phone_error_rate"] == characters["character_error_rate"]
    assert characters["token_error_rate"] == result["token_error_rate"]


def test_edits_agree_with_the_recurrence():
    rng = random.Random(0)
    words = ["".join(rng.choices("abé😀", k=rng.randrange(0, 9))) for _ in range(200)]
    outputs, references = words[:100], [[word] for word in words[100:]]
    scores = metrics.example_scores(outputs, references, "character_error_rate", "char")
    assert scores.amounts.tolist() == [_edits(output, answers[0]) for output, answers in zip(outputs, references, strict=True)]
    assert scores.sizes.tolist() == [len(answers[0]) for answers in references]
    spaced_outputs, spaced_references = [" ".join(word) for word in outputs], [[" ".join(answers[0])] for answers in references]
    spaced = metrics.example_scores(spaced_outputs, spaced_references, "phone_error_rate", "word")
    assert spaced.amounts.tolist() == scores.amounts.tolist()


@pytest.mark.parametrize("name", metrics.PER_EXAMPLE)
def test_a_metric_is_the_ratio_of_its_example_scores(name):
    outputs, references = ["a b", "c", "d e f"], [["a b"], ["b", "c c"], ["d", "e f"]]
    scores = metrics.example_scores(outputs, references, name, "word")
    assert metrics.translation_metrics(outputs, references, "word", [name])[name] == scores.amounts.sum() / scores.sizes.sum()


def test_blanks_between_units_do_not_count_but_blanks_in_text_do():
    assert metrics.translation_metrics(["a b"], [["a  b "]], "word")["word_error_rate"] == 0
    assert metrics.translation_metrics(["a b"], [["a  b "]], "char")["word_error_rate"] == 1


def of_perfect_outputs(name):
    """Returns a metric of outputs of words, which have single blanks, by references that are spaced otherwise and alike."""
    outputs, spaced = ["w x y z .", "a b c d"], [["w  x y   z ."], [" a b\u00a0c\td "]]
    return [metrics.translation_metrics(outputs, references, "word", [name])[name] for references in (spaced, [[one] for one in outputs])]


def ranks_of_right_and_wrong(name):
    """Returns what sorts a right output of greater loss, and a wrong one of less."""
    right, wrong = (metrics.translation_metrics([output], [["a b c d"]], "word", [name])[name] for output in ("a b c d", "z a b x"))
    return METRICS[name].rank(right, loss=9.0), METRICS[name].rank(wrong, loss=1.0)


@pytest.mark.parametrize("name", [*metrics.PER_EXAMPLE, *metrics.PER_CORPUS])
def test_an_output_with_the_words_of_its_reference_is_perfect_however_the_reference_is_spaced(name):
    """Red if the edits of a perfect output are those blanks that a file has beside them."""
    found = of_perfect_outputs(name)
    best = {"exact_match": 1.0, "bleu": pytest.approx(100), "chrf": pytest.approx(100)}.get(name, 0.0)
    assert found == [best, best]
    longer = metrics.translation_metrics(["a b"], [[" a  bc "]], "word", ["character_error_rate"])
    assert longer == {"examples": 1, "character_error_rate": 1 / 4}  # of "a bc"


def test_the_metric_that_contributing_shows_is_one(monkeypatch):
    """Red if who copies the example gets something that the tests of every metric refuse."""
    page = pathlib.Path(__file__).parent.parent.joinpath("CONTRIBUTING.md").read_text(encoding="utf-8")
    (entry,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (given,) = re.findall(r"`(Metric\(.*?\))`", page)
    ((name, score),) = eval(f"{{{entry}}}", vars(metrics)).items()
    monkeypatch.setitem(metrics.PER_EXAMPLE, name, score)
    monkeypatch.setitem(METRICS, name, eval(given, {"Metric": Metric}))
    assert of_perfect_outputs(name) == [0.0, 0.0]
    right, wrong = ranks_of_right_and_wrong(name)
    assert right < wrong


@pytest.mark.parametrize("name", [*metrics.PER_EXAMPLE, *metrics.PER_CORPUS])
def test_a_right_output_ranks_before_a_wrong_one(name):
    """Red if the worst checkpoint and the worst size were taken for the best."""
    right, wrong = ranks_of_right_and_wrong(name)
    assert right < wrong


def test_where_the_metric_says_nothing_the_loss_ranks():
    """Red if a BLEU of a smoothed nothing beats a BLEU of 0 whose loss is lower, or if the loss beats a metric that differs."""
    bleu = METRICS["bleu"]
    assert bleu.rank(0.0, loss=4.9) < bleu.rank(9.2e-31, loss=5.6)
    assert bleu.rank(0.1, loss=5.6) < bleu.rank(0.0, loss=4.9)


@pytest.mark.parametrize("unit", ["char", "byte", "bpe"])
def test_a_blank_that_is_a_unit_counts(unit):
    """Red if references are tidied up where a model can, and has to, write their blanks."""
    result = metrics.translation_metrics(["a b"], [[" a  b"]], unit)
    assert (result["character_error_rate"], result["exact_match"]) == (2 / 5, 0)


def test_empty_references_and_empty_sets_give_finite_numbers():
    assert metrics.translation_metrics(["", "ab"], [[""], [""]], "char")["character_error_rate"] == 2
    assert metrics.translation_metrics([""], [[""]], "word")["phone_error_rate"] == 0
    empty = metrics.translation_metrics([], [], "word", [*metrics.PER_EXAMPLE, "bleu", "chrf"])
    assert all(value in (0, "") for value in empty.values())


def test_bleu_and_chrf_take_any_number_of_references_and_say_how_they_were_computed():
    outputs = ["the cat sat on the mat", "there is a dog in the house"]
    references = [["a cat sat on a mat today", "the cat sat on the mat"], ["there is a dog in the house"]]
    result = metrics.translation_metrics(outputs, references, "word", ["bleu", "chrf"])
    assert result["bleu"] == pytest.approx(100)
    assert result["chrf"] == pytest.approx(100)
    assert "version:" in str(result["bleu_signature"])
    assert "nrefs:var" in str(result["chrf_signature"])
    worse = metrics.translation_metrics(["the cat sat under the mat", outputs[1]], references, "word", ["bleu", "chrf"])
    assert 40 < worse["bleu"] < 100
    assert set(result) == {"examples", "bleu", "bleu_signature", "chrf", "chrf_signature"}


def test_bleu_and_chrf_are_what_the_command_line_of_sacrebleu_prints(tmp_path):
    """Red if references are handed over in another order, or another tokenization or smoothing is set."""
    outputs = ["The cat sat, on a mat.", "there is dog in the house", "no", "ein Haus, zwei Häuser"]
    references = [["the cat sat on the mat.", "A cat sat on a mat."], ["there is a dog in the house", "a dog is in the house"]]
    references += [["no", "no, thanks"], ["ein Haus und zwei Häuser", "zwei Häuser, ein Haus"]]
    files = {"output": outputs, "one": [first for first, _ in references], "other": [second for _, second in references]}
    for name, lines in files.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", "one", "other", "-i", "output", "-m", "bleu", "chrf", "-w", "6"]
    printed = json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout)
    result = metrics.translation_metrics(outputs, references, "word", ["bleu", "chrf"])
    assert [round(result["bleu"], 6), round(result["chrf"], 6)] == [one["score"] for one in printed]
    assert [result["bleu_signature"], result["chrf_signature"]] == [one["signature"] for one in printed]


def test_bleu_does_not_complain_of_texts_whose_words_stand_apart(caplog):
    """Red without ``force``: sacrebleu then asks at every evaluation for a flag that no user of ours can set."""
    lines = ["a cat sits here ."] * 100
    assert metrics.translation_metrics(lines, [[line] for line in lines], "word", ["bleu"])["bleu"] == pytest.approx(100)
    assert not caplog.messages


@pytest.mark.parametrize(("reference", "tokenizer"), [("かかたぬせに。", "char"), ("walked", "char"), ("a cat sits here .", "13a")])
def test_bleu_counts_characters_where_no_blanks_part_words(reference, tokenizer):
    """Red if the best of outputs is worth nothing, being one word without three more."""
    right = metrics.translation_metrics([reference] * 20, [[reference]] * 20, "char", ["bleu"])
    assert right["bleu"] == pytest.approx(100)
    assert f"tok:{tokenizer}|" in right["bleu_signature"]


def test_the_loss_of_a_text_in_its_units():
    result = metrics.text_metrics(loss_sum_nats=100 * math.log(4), units=100, characters=400)
    assert result["loss_nats_per_token"] == pytest.approx(math.log(4))
    assert result["bits_per_character"] == pytest.approx(0.5)
    assert result["nats_per_character"] == pytest.approx(math.log(4) / 4)
    assert result["perplexity_per_token"] == pytest.approx(4)
    assert math.isfinite(metrics.text_metrics(1e9, 1, 1)["perplexity_per_token"])


def test_every_metric_of_the_configuration_is_computed_here():
    offered = {*metrics.PER_EXAMPLE, *metrics.PER_CORPUS, *metrics.text_metrics(1.0, 1, 1)}
    assert {name for kind in KINDS.values() for name in kind.metrics} == set(METRICS)
    of_vectors = {f"{kind}analogy_accuracy" for kind in ("", "semantic_", "syntactic_")} | {"word_similarity"}  # tests/test_word_vectors.py
    assert set(METRICS) == of_vectors | (set(METRICS) & offered)


def test_a_metric_that_is_not_computed_is_refused():
    """Red if a name that nothing computes is quietly another metric, or if one of the corpus has scores by example."""
    for name in ("bleu", "unknown"):
        with pytest.raises(KeyError, match=name):
            metrics.example_scores(["a"], [["a"]], name, "word")
    with pytest.raises(KeyError, match="unknown"):
        metrics.translation_metrics(["a"], [["a"]], "word", ["unknown"])


def test_example_scores_are_float_arrays_of_equal_length():
    """Shape only: what a bootstrap indexes."""
    scores = metrics.example_scores(["a", "b"], [["a"], ["c"]], "exact_match", "char")
    assert scores.amounts.dtype == scores.sizes.dtype == np.float64
    assert scores.amounts.tolist() == [1, 0]
