"""Word vectors as a run: what they are asked, what they learn, and what is refused."""

from __future__ import annotations

import json
import pathlib
import unicodedata
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from seq2seq_jax import config as config_lib
from seq2seq_jax.data.corpus import corpus_key, load_corpus
from seq2seq_jax.data.examples import TextSplit
from seq2seq_jax.data.raw_splits import data_sha256
from seq2seq_jax.data.vocabulary import SPECIALS, Vocabulary
from seq2seq_jax.data.word_questions import WordQuestions, load, read_analogies, read_similarity
from seq2seq_jax.embeddings import pip_loss
from seq2seq_jax.embeddings.pip_loss import as_json
from seq2seq_jax.embeddings.size_estimate import SizeEstimate, estimate_size
from seq2seq_jax.errors import UserError
from seq2seq_jax.evaluate import word_vectors
from seq2seq_jax.evaluate.word_vectors import analogy_hits, similarity_correlation
from seq2seq_jax.inference.evaluate import evaluate
from seq2seq_jax.model.loss import Loss
from seq2seq_jax.sweep.design import Design
from seq2seq_jax.sweep.plan import make_plan
from seq2seq_jax.sweep.sweep import SweepOptions, run_sweep
from seq2seq_jax.train.evaluation import Measured, WordVectorEvaluator
from seq2seq_jax.train.loop import train
from seq2seq_jax.validation import validate
from tests.sweep_fixture import compare
from tests.training_fixture import vector_config

QUESTIONS = ": capitals\nman woman king queen\nman woman king prince\nman woman tsar queen\n: gram1-plural\nking queen man woman\n"


def write(path: pathlib.Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_analogies_are_solved_as_by_hand():
    """man woman king queen in the plane: queen is where king + woman - man points. Red if a word of the question may answer."""
    table = np.array([[1.0, 0], [1, 1], [3, 0.1], [2, 2.1], [0, 5], [0, 0]])  # man, woman, king, queen, other, nothing
    unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    for a, b, c in ((0, 1, 2), (2, 3, 0), (0, 2, 4)):
        scores = [-9.0 if row in (a, b, c) else float(unit[row] @ (unit[b] - unit[a] + unit[c])) for row in range(len(table))]
        right = int(np.argmax(scores))
        assert analogy_hits(table, np.array([[a, b, c, right]])).tolist() == [True]
        others = [row for row in range(len(table)) if row != right]
        assert not analogy_hits(table, np.array([[a, b, c, row] for row in others])).any()
    assert analogy_hits(table, np.zeros((0, 4), int)).shape == (0,)


def test_many_questions_are_answered_like_each(monkeypatch):
    """Red if what is scored together is counted in the place of other questions."""
    draws = np.random.default_rng(0)
    table, questions = draws.normal(size=(9, 2)), draws.integers(0, 9, (60, 4))
    each = [analogy_hits(table, question[None])[0] for question in questions]
    monkeypatch.setattr(word_vectors, "_ROWS", 7)
    assert analogy_hits(table, questions).tolist() == each
    assert 3 < sum(each) < 30


def test_similarity_is_the_correlation_of_ranks():
    table = np.array([[1.0, 0], [1, 0.1], [1, 1], [0, 1]])
    pairs = np.array([[0, 1], [0, 2], [0, 3]])
    assert similarity_correlation(table, pairs, np.array([9.0, 8, 1])) == pytest.approx(1)
    assert similarity_correlation(5 * table, pairs, np.array([1.0, 8, 9])) == pytest.approx(-1)
    assert similarity_correlation(table, pairs, np.array([9.0, 1, 8])) == pytest.approx(0.5)
    assert similarity_correlation(np.zeros((4, 2)), pairs, np.array([9.0, 1, 8])) == 0


@pytest.mark.parametrize(
    ("metric", "examples"),
    [
        ("loss_nats_per_token", 9000),
        ("word_similarity", 2),
        ("analogy_accuracy", 3),
        ("semantic_analogy_accuracy", 2),
        ("syntactic_analogy_accuracy", 1),
    ],
)
def test_examples_are_what_the_metric_rests_on(metric, examples):
    """Red if units of text stand for the questions or pairs that chose, from which the comparison says how small the dev set is."""
    analogies = np.array([[4, 5, 6, 7], [4, 5, 6, 8], [6, 7, 4, 5]])
    questions = WordQuestions(analogies, np.array([False, False, True]), np.array([[6, 7], [4, 5]]), np.array([8.5, 7.0]), {}, {}, [])
    asked: Any = SimpleNamespace(_metric=metric)
    losses = [Loss(*map(jnp.asarray, sums)) for sums in ((1000, 1000, 400), (1100, 1100, 500)) * 10]
    table = np.random.default_rng(0).normal(size=(9, 3))
    found = WordVectorEvaluator.score(asked, TextSplit("", np.zeros(0, int), questions), Measured((losses, table)))
    assert found.metrics["examples"] == examples
    assert (found.scores is None) == (metric == "word_similarity")
    if found.scores is not None:
        assert found.scores[0].sum() / found.scores[1].sum() == pytest.approx(found.metrics[metric])


def test_only_known_words_are_asked(tmp_path):
    vocabulary = Vocabulary([*SPECIALS, "man", "woman", "king", "queen", "prince"], "word")
    config = vector_config(tmp_path / "a.txt", data__analogies=write(tmp_path / "q.txt", QUESTIONS))
    config = config_lib.replace(
        config, {"data.similarity": write(tmp_path / "s.tsv", "# scores\nking\tqueen\t8.5\nman  tsar 1\nman woman 7 x\n")}
    )
    questions = load(config, vocabulary)
    decomposed = Vocabulary([*SPECIALS, "cafe\u0301", "the\u0301"], "word")
    other_form = config_lib.replace(
        config, {"data.analogies": None, "data.similarity": write(tmp_path / "f.tsv", "caf\u00e9\tth\u00e9\t7\nth\u00e9\tcafe\u0301\t6\n")}
    )
    assert load(other_form, decomposed).pairs.tolist() == [[4, 5], [5, 4]]
    write(tmp_path / "a.txt", "man woman")
    assert {name: digest for name, digest in data_sha256(config).items() if name != "train"} == questions.sha256
    assert questions.analogies.tolist() == [[4, 5, 6, 7], [4, 5, 6, 8], [6, 7, 4, 5]]
    assert questions.syntactic.tolist() == [False, False, True]
    assert (questions.pairs.tolist(), questions.similarity.tolist()) == ([[6, 7], [4, 5]], [8.5, 7.0])
    assert [note.rsplit(": ", 1)[1] for note in questions.notes] == [
        "all words are known of 3 of 4 lines.",
        "all words are known of 2 of 3 lines.",
    ]
    with pytest.raises(UserError, match=r"data.analogies=.*q.txt: .*words of 0 lines"):
        load(config, Vocabulary([*SPECIALS, "man"], "word"))
    with pytest.raises(UserError, match=r"data.similarity=.*s.tsv: .*words of 1 lines"):  # of which there is no order
        load(config_lib.replace(config, {"data.analogies": None}), Vocabulary([*SPECIALS, "man", "woman"], "word"))


def test_questions_need_a_dev_split_and_scores_that_differ(tmp_path):
    """Red if questions are read and never asked, or if a similarity without any order is scored as 0."""
    text = write(tmp_path / "a.txt", "man woman king queen\n" * 20)
    config = vector_config(
        pathlib.Path(text), data__analogies=write(tmp_path / "q.txt", ": x\nman woman king queen\n"), data__dev_fraction=0.0
    )
    assert "data.analogies: not asked in training, since there is no dev split." in load_corpus(config).notes
    with pytest.raises(UserError, match=r"^data\.analogies: asked where dev is scored, and there is no dev split; expected data\.dev"):
        load_corpus(config_lib.replace(config, {"train.metric": "analogy_accuracy"}))
    config = vector_config(pathlib.Path(text), data__similarity=write(tmp_path / "s.tsv", "man woman 5\nking queen 5\n"))
    with pytest.raises(UserError, match=r"^data\.similarity=.*s\.tsv: all known pairs have the same score"):
        load_corpus(config_lib.replace(config, {"train.metric": "word_similarity"}))


def test_words_that_are_known_in_lower_case_alone_are_named(tmp_path):
    """Red if whoever asks a text in lower case for Paris is not told what is wrong."""
    text = write(tmp_path / "a.txt", "paris france rome italy\n" * 20)
    for asked, hint in (("Paris France Rome Italy", "in lower case it has those of 1"), ("Oslo Norway Bern Italy", "expected more$")):
        config = vector_config(pathlib.Path(text), data__analogies=write(tmp_path / "q.txt", f": x\n{asked}\n"))
        with pytest.raises(UserError, match=rf"^data\.analogies=.*q\.txt: the training text has the words of 0 lines; .*{hint}"):
            load_corpus(config)


def test_questions_are_brought_to_the_form_of_the_text(tmp_path):
    """Red if data.normalize_nfc passes over them: none of their words would be known."""
    words = [unicodedata.normalize("NFD", word) for word in ("café", "thé", "père", "mère")]
    config = vector_config(
        pathlib.Path(write(tmp_path / "a.txt", " ".join(words) + "\n")),
        data__analogies=write(tmp_path / "q.txt", f": x\n{' '.join(words)}\n"),
        data__similarity=write(tmp_path / "s.txt", f"{words[0]} {words[1]} 1\n{words[2]},{words[3]},2\n"),
    )
    for nfc, form in ((True, "NFC"), (False, "NFD")):
        vocabulary = Vocabulary([*SPECIALS, *(unicodedata.normalize(form, word) for word in words)], "word")
        found = load(config_lib.replace(config, {"data.normalize_nfc": nfc}), vocabulary)
        assert (found.analogies.tolist(), found.pairs.tolist()) == ([[4, 5, 6, 7]], [[4, 5], [6, 7]])


@pytest.mark.parametrize(
    ("metric", "section", "others"),
    [("semantic_analogy_accuracy", "gram1", "capitals"), ("syntactic_analogy_accuracy", "capitals", "gram1")],
)
def test_a_metric_without_a_question_of_its_group_is_refused(tmp_path, metric, section, others):
    """Red if that is found out by a KeyError after the first evaluation, or a sweep does not see it before it trains."""
    questions = f": {section}\nman woman king queen\n: {others}\nman woman tsar queen\n"
    text = write(tmp_path / "a.txt", "man woman king queen\n" * 99)
    config = vector_config(pathlib.Path(text), data__analogies=write(tmp_path / "q.txt", questions), train__metric=metric)
    validate(config)
    for reading in (config, corpus_key(config)):
        with pytest.raises(
            UserError, match=rf"^data\.analogies=.*q\.txt: .*words of no {metric.partition('_')[0]} question; expected .*{metric}$"
        ):
            load_corpus(reading)
    other = {"semantic": "syntactic", "syntactic": "semantic"}[metric.partition("_")[0]]
    load_corpus(config_lib.replace(config, {"train.metric": f"{other}_analogy_accuracy"}))


@pytest.mark.parametrize(
    ("reader", "text", "line"),
    [
        (read_analogies, ": a\na b c d\na b c\n", 3),
        (read_similarity, "a b 1\na b\n", 2),
        (read_similarity, "a b x\n\na b x\n", 3),
        (read_similarity, "a b 1\na,b,x\n", 2),
        (read_similarity, "a,b\n", 1),
        (read_similarity, ",a,1\n", 1),
        (read_similarity, "a b nan\n", 1),
        (read_similarity, "a b 1\na b 1_0\n", 2),
        (read_similarity, "a\tb\t7,35\na b 1\n", 1),  # no heading
        (read_similarity, "new york\tparis\t5.0\na b 1\n", 1),
    ],
)
def test_a_broken_line_is_named(tmp_path, reader, text, line):
    path = write(tmp_path / "broken.txt", text)
    with pytest.raises(UserError, match=rf"broken\.txt:{line}: expected"):
        reader(path, nfc=False)


@pytest.mark.parametrize(
    "text",
    [
        "tiger\tcat\t7.35\nplane car 5\n",
        "Word 1,Word 2,Human (mean)\ntiger,cat,7.35\nplane, car, 5, x\n",
        "word1 word2 SimLex999\ntiger cat 7.35\nplane car 5\n",
    ],
)
def test_similarities_are_read_as_they_are_published(tmp_path, text):
    assert read_similarity(write(tmp_path / "s.csv", text), nfc=False) == [(["tiger", "cat"], 7.35), (["plane", "car"], 5.0)]


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> pathlib.Path:
    """A text of two kinds of lines that share no word but one."""
    folder, draws = tmp_path_factory.mktemp("planted"), np.random.default_rng(0)
    words = [[f"{kind}{i}" for i in range(8)] for kind in "ab"]
    lines = [" ".join([*draws.choice(words[i % 2], 6), "the"]) for i in range(1500)]
    write(folder / "text.txt", "\n".join(lines) + "\n")
    write(folder / "alike.txt", "a1 a2 1\nb1 b2 1\na0 b0 0\na3 b4 0\n")
    write(folder / "questions.txt", ": gram0\na1 a2 b1 b2\n: x\na1 b1 a2 b2\n")
    return folder


@pytest.mark.parametrize("cbow", [False, True])
def test_two_kinds_of_words_are_separated(planted, tmp_path, cbow):
    """Red if pairs cross lines, a sign is wrong, or a row that thousands of pairs of a batch move overshoots: 17 words, rate 0.3."""
    config = vector_config(
        planted / "text.txt",
        data__similarity=str(planted / "alike.txt"),
        data__analogies=str(planted / "questions.txt"),
        data__subsample=0.0,
        data__segment_length=32,
        data__test_fraction=0.1,
        model__cbow=cbow,
        train__steps=40,
        train__batch_size=32,
        train__learning_rate=0.3,
        train__metric="word_similarity",
    )
    validate(config)
    result = train(config, str(tmp_path / "run"))
    assert result["metric"] == {"name": "word_similarity", "unit": "rank correlation", "lower_is_better": False, "tolerance": 0.02}
    assert result["dev"]["word_similarity"] > 0.8
    assert (result["dev"]["analogy_questions"], result["dev"]["word_similarity_pairs"]) == (2, 4)
    arrays = np.load(tmp_path / "run/embedding.npz")
    symbols = json.loads(str(arrays["target_symbols"]))
    table = arrays["target_table"] / np.linalg.norm(arrays["target_table"], axis=1, keepdims=True)
    rows = np.array([[symbols.index(f"{kind}{i}") for i in range(8)] for kind in "ab"])
    cosines = table @ table.T
    within = min(cosines[np.ix_(group, group)].min() for group in rows)
    assert within > cosines[np.ix_(*rows)].max()
    again = evaluate([str(tmp_path / "run")], "dev")
    assert {name: again[name] for name in result["dev"]} == pytest.approx(result["dev"])
    assert set(result["test"]) == {"loss_nats_per_token", "examples"}  # what was asked on dev has chosen already
    assert evaluate([str(tmp_path / "run")], "test").items() >= result["test"].items()
    assert compare([str(tmp_path)])["recommendation"]["test"] is None


def test_what_is_asked_is_what_the_run_was_asked(planted, tmp_path):
    """Red if a file of questions that has changed since is scored without a word, by ``evaluate`` or within a run."""
    asked = pathlib.Path(write(tmp_path / "alike.txt", (planted / "alike.txt").read_text()))
    values = {"data__similarity": str(asked), "data__test_fraction": 0.1, "train__steps": 4, "train__eval_every": 2}
    config = vector_config(planted / "text.txt", **values)
    corpus = load_corpus(config)
    write(asked, "a1 a2 0\nb1 b2 0\na0 b0 1\na3 b4 1\na3 b4 1\n")
    result = train(config, str(tmp_path / "run"), corpus=corpus)
    assert result["dev"]["word_similarity_pairs"] == 4
    for file in (None, write(tmp_path / "other.txt", "a1 a2 a1 a2\n" * 50)):
        with pytest.raises(UserError, match=r"alike\.txt: the content is not that of the run's similarity data; expected sha256"):
            evaluate([str(tmp_path / "run")], "dev", file)
    evaluate([str(tmp_path / "run")], "test")
    write(asked, (planted / "alike.txt").read_text())
    assert evaluate([str(tmp_path / "run")], "dev")["word_similarity_pairs"] == 4


def test_the_counts_that_negatives_rest_on_stay_with_the_run(planted, tmp_path):
    """Red if evaluating needs the training text, or the vocabulary loses its counts on the way."""
    config = vector_config(planted / "text.txt")
    corpus = load_corpus(config)
    vocabulary = corpus.vocabularies["target"]
    assert vocabulary.counts is not None
    assert vocabulary.counts[vocabulary.row_of("the")] == vocabulary.counts[vocabulary.line_break]
    vocabulary.save(tmp_path, "target")
    np.testing.assert_array_equal(Vocabulary.load(tmp_path, "target").counts, vocabulary.counts)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train__metric": "analogy_accuracy"}, r"train\.metric=analogy_accuracy: needs data\.analogies"),
        ({"train__metric": "word_similarity"}, r"train\.metric=word_similarity: needs data\.similarity"),
        ({"train__metric": "bleu"}, r"expected one of loss_nats_per_token, analogy_accuracy"),
        ({"model__table": "frozen"}, r"model\.table=frozen: .* expected learned"),
        ({"train__clip_norm": 1.0}, r"train\.clip_norm=1\.0: .* expected null"),
        ({"model__dropout": 0.1}, r"model\.dropout=0\.1"),
        ({"model__pretrained": "v.txt"}, r"model\.pretrained=v\.txt: .* expected null"),
        ({"model__pretrained_frozen_steps": 3}, r"model\.pretrained_frozen_steps=3: .* expected 0"),
        ({"train__label_smoothing": 0.1}, r"train\.label_smoothing"),
    ],
)
def test_what_word_vectors_cannot_do_is_refused(tmp_path, values, message):
    with pytest.raises(UserError, match=message):
        validate(vector_config(tmp_path / "a.txt", **values))


def test_a_line_of_the_log_without_a_pair_is_written(planted, tmp_path):
    """Red if what is scored since the last line is divided by, where subsampling has left nothing of a batch."""
    config = vector_config(
        planted / "text.txt", data__subsample=3e-4, data__segment_length=2, train__batch_size=1, train__log_every=1, train__steps=20
    )
    train(config, str(tmp_path / "run"))
    logged = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert {record["loss_nats_per_token"] == 0 for record in logged if record["split"] == "train"} == {True, False}


def test_the_estimate_is_of_the_lines_as_training_reads_them(planted):
    """Red if windows leave their lines, or window and negatives are taken for each other."""
    config = vector_config(planted / "text.txt", data__window=2, data__dev_fraction=0.0, model__negatives=1)
    corpus = load_corpus(config)
    words = [symbol for symbol in corpus.vocabularies["target"].symbols[len(SPECIALS) :] if symbol != "\n"]
    lines = [line.split() for line in (planted / "text.txt").read_text().splitlines()]
    units = np.array([words.index(word) for line in lines for word in line])
    expected = estimate_size(units, np.repeat(np.arange(len(lines)), list(map(len, lines))), 2, 1)
    found = pip_loss.estimated_size(config, corpus)
    np.testing.assert_allclose(found.losses, expected.losses, rtol=1e-5)


def test_a_sweep_sets_the_estimate_of_its_text_beside_the_measured_sizes(planted, tmp_path, capsys, monkeypatch):
    """Red if the estimate is made of another text than the run's, or compare does not find it."""
    config = vector_config(planted / "text.txt", data__subsample=0.0, train__steps=6, train__batch_size=4, model__negatives=1)
    axes = {"model.embedding_dim": (2, 3)}
    run_sweep(make_plan(config, axes, str(tmp_path), Design()), SweepOptions("serial"), "launch.py sweep")
    compared = compare([str(tmp_path)])
    assert all(row["bootstrap_ci95"][0] < row["mean"] < row["bootstrap_ci95"][1] for row in compared["sizes"])  # over blocks of dev
    found = {row["rule"]: row["embedding_dim"] for row in compared["rules_of_thumb"]}
    run = tmp_path / "embedding_dim=2,seed=0"
    capsys.readouterr()
    pip_loss.run({"workdir": run, "format": "json"})
    shown = json.loads(capsys.readouterr().out)
    assert shown["symbols"] == 17
    assert shown["embedding_dim"] == found["least PIP loss"]
    assert 1 <= shown["embedding_dim"] <= 3  # two kinds of words
    text = (planted / "text.txt").read_text()
    write(planted / "text.txt", text + "a0 a1\n")
    with pytest.raises(UserError, match=r"text\.txt: the content is not that of the run's train data"):
        pip_loss.run({"workdir": run, "format": "json"})
    write(planted / "text.txt", text)
    pip_loss.run({"workdir": run, "format": "table"})
    assert "judged by the 17 most frequent symbols" in capsys.readouterr().out
    for place in (tmp_path, tmp_path / "nothing"):  # a sweep may have several texts
        with pytest.raises(UserError, match="there is no run here; expected a run of word vectors, or a member of a sweep"):
            pip_loss.run({"workdir": place, "format": "table"})
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/config.json").write_text("{}")
    with pytest.raises(UserError, match=r"broken/config\.json: "):
        pip_loss.run({"workdir": tmp_path / "broken", "format": "table"})
    nothing = SizeEstimate(None, np.array([3.0]), np.array([]), 0.1, 17)
    monkeypatch.setattr(pip_loss, "estimated_size", lambda config, corpus: nothing)
    pip_loss.run({"workdir": run, "format": "table"})
    assert capsys.readouterr().out.startswith("There is no estimate: no singular value")
    assert as_json(nothing._replace(noise=0.0))["reason"].startswith("no two symbols are neighbours")
    largest = tmp_path / "embedding_dim=3,seed=0/pip_loss.json"
    assert largest.exists()
    largest.write_text(json.dumps(as_json(nothing)))
    compared = compare([str(tmp_path)])
    assert "least PIP loss" not in {row["rule"] for row in compared["rules_of_thumb"]}
