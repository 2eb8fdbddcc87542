"""The loop: learning, stopping, failing, and what it leaves behind."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import pathlib
import random
import re
import shutil
import signal
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import replace
from seq2seq_jax.data.corpus import load_corpus, training_batches
from seq2seq_jax.data.examples import PairSplit, TextSplit
from seq2seq_jax.data.vocabulary import BOS, UNK, Vocabulary, words_of
from seq2seq_jax.errors import Interrupted, TrainingFailed, UserError, without_configuration
from seq2seq_jax.evaluate.metrics import PER_CORPUS, ExampleScores
from seq2seq_jax.inference import sample
from seq2seq_jax.inference.evaluate import evaluate
from seq2seq_jax.inference.sample import sample_texts
from seq2seq_jax.inference.translate import open_translators, translations
from seq2seq_jax.length import has_checkpoint
from seq2seq_jax.model.build import initial_params, structure
from seq2seq_jax.model.loss import Loss
from seq2seq_jax.show import progress
from seq2seq_jax.sweep.outcomes import thin
from seq2seq_jax.sweep.view import SweepView
from seq2seq_jax.train import artifacts, evaluation
from seq2seq_jax.train.artifacts import SAMPLES, write_outputs
from seq2seq_jax.train.checkpoints import Checkpoints
from seq2seq_jax.train.devices import Devices
from seq2seq_jax.train.engine import OneRun
from seq2seq_jax.train.evaluation import FEWEST_BLOCKS, Evaluation, Evaluator, Measured, TranslatorEvaluator, make_evaluator, output_limit
from seq2seq_jax.train.loop import train
from seq2seq_jax.train.programs import programs
from seq2seq_jax.train.run import Run
from seq2seq_jax.train.run_directory import RunDirectory
from seq2seq_jax.train.state import root_key
from seq2seq_jax.train.view import Reporter
from tests.training_fixture import (
    Terminal,
    after_saving,
    checkpoint_arrays,
    metrics_of,
    pair_config,
    result_of,
    text_config,
    write_pairs,
    write_text,
)


@pytest.mark.parametrize("task", ["copy", "reverse"])
def test_copy_and_reverse_are_learned_to_the_last_word(tmp_path, task):
    """Red if attention, teacher forcing, the shift of the target, greedy decoding or Adam is wrong."""
    config = pair_config(
        write_pairs(tmp_path / "a.tsv", 900, task, shortest=3),
        model__hidden_dim=48,
        model__embedding_dim=8,
        train__steps=200,
        train__batch_size=32,
        train__learning_rate=1.5e-2,
        train__schedule="linear",
        train__eval_every=100,
        train__log_every=100,
    )
    result = train(config, str(tmp_path / "run"))
    assert result["dev"]["word_error_rate"] == 0.0
    assert result["test"]["word_error_rate"] == 0.0
    assert translations(open_translators([str(tmp_path / "run")]), ["", "ab?"])[0][0].text == ""  # nothing for nothing


def test_a_language_model_learns_and_samples_the_same_text_for_the_same_seed(tmp_path):
    config = text_config(
        write_text(tmp_path / "a.txt", 6000), model__hidden_dim=48, train__steps=150, train__eval_every=75, train__learning_rate=1e-2
    )
    result = train(config, str(tmp_path / "run"))
    assert result["dev"]["bits_per_character"] < 1.6
    assert result["dev"]["unigram_nats_per_token"] / np.log(2) == pytest.approx(3.308, abs=1e-3)
    assert result["metric"]["name"] == "bits_per_character"
    texts = ["".join(next(iter(sample_texts(str(tmp_path / "run"), "to be", 65, 1.0, seed)))) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0]) == 70
    with pytest.raises(UserError, match="'#', 'Z', '◌\u0301'"):
        sample_texts(str(tmp_path / "run"), "Z#\u0301", 5, 1.0, 0)


def test_frequencies_say_nothing_of_units_that_training_has_not(tmp_path):
    """Red if a model that has learned to expect none of them is held against a count of one for each."""
    for unseen, known in ((1, True), (9, False)):
        (tmp_path / "dev.txt").write_text("to be " * 50 + "z" * unseen)
        config = text_config(write_text(tmp_path / "a.txt", 1500), data__dev=str(tmp_path / "dev.txt"), train__steps=1)
        assert ("unigram_nats_per_token" in train(config, str(tmp_path / f"run{unseen}"))["dev"]) == known


def test_a_run_directory_holds_what_is_promised(tmp_path):
    config = pair_config(write_pairs(tmp_path / "a.tsv", 120), train__seed=3)
    result = train(config, str(tmp_path / "run"))
    run = tmp_path / "run"
    assert result == json.loads((run / "result.json").read_text())
    assert {
        "format",
        "status",
        "error",
        "varied",
        "metric",
        "dev",
        "test",
        "best_step",
        "steps",
        "train_seconds",
        "tokens_per_second",
    } < set(result)
    assert result["varied"] == {"model.embedding_dim": 6, "train.seed": 3}
    assert result["decoded_examples_per_second"] > 0
    assert result["parameters"]["embedding"] == 6 * (10 + 10)  # six letters and four specials on each side
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["split"] == "train"] == [5, 10, 15, 20, 25, 30]
    assert [line["step"] for line in lines if line["split"] == "dev"] == [10, 20, 30]
    rates = [line["learning_rate"] for line in lines if line["split"] == "train"]
    assert rates == [config.train.learning_rate] * 6
    assert all(key.endswith(("_seconds", "_per_second")) or "second" not in key for line in lines for key in line)
    tables = np.load(run / "embedding.npz")
    assert tables["source_table"].shape == (10, 6)
    scores = np.load(run / "dev_scores.npz")
    assert scores["amounts"].sum() / scores["sizes"].sum() == pytest.approx(result["dev"]["word_error_rate"])
    kept = {int(path.name) for path in (run / "checkpoints").iterdir()}
    assert kept == {30, result["best_step"]}
    record = json.loads((run / "config.json").read_text())
    assert config_lib.from_dict(record["config"]) == config
    assert record["batch_shapes"] == [list(shape) for shape in training_batches(config, load_corpus(config)).shapes]
    evaluated = evaluate([str(run)], "dev")
    corpus_metrics = {key for name in PER_CORPUS for key in (name, f"{name}_signature")}  # which are not the run's own
    assert corpus_metrics <= evaluated.keys() - result["dev"].keys()
    own = {name: value for name, value in evaluated.items() if name not in corpus_metrics}
    assert own == {"workdir": str(run), "split": "dev", "data": None, **result["dev"]}


def scripted(values, metric="word_error_rate"):
    """Returns an ``Evaluator.evaluate`` that gives these values of a metric in turn, each with outputs of its own."""

    def evaluate(self, params, split, watch):
        value = values.pop(0)
        scores = ExampleScores(np.full(len(split.sources), value), np.ones(len(split.sources)))
        return Evaluation({metric: value}, [str(value)] * len(split.sources), scores, decoded_per_second=1.0)

    return evaluate


def test_the_best_checkpoint_is_scored_when_it_is_found_and_no_second_time(tmp_path, monkeypatch):
    """Red if the last evaluation is kept in its place, or a resumed run does not score what it has not seen.

    Red too if what is scored, or exported, is not of the best checkpoint.
    """
    values = [0.3, 0.1, 0.2, 0.1]
    score, tables = scripted(values), []

    def evaluate(self, params, split, watch):
        tables.append(np.array(params["source_embedding"]["table"]))
        return score(self, params, split, watch)

    monkeypatch.setattr(Evaluator, "evaluate", evaluate)
    config = pair_config(write_pairs(tmp_path / "a.tsv", 60), train__steps=6, train__eval_every=2, data__test_fraction=0.0)

    def outputs(run):
        return {json.loads(line)["output"] for line in (tmp_path / run / "samples.jsonl").read_text().splitlines()}

    result = train(config, str(tmp_path / "run"))
    assert (result["best_step"], result["dev"]["word_error_rate"], outputs("run"), values) == (4, 0.1, {"0.1"}, [0.1])
    values[:] = [0.3, 0.1, 0.2, 0.1]
    train(config_lib.replace(config, {"train.steps": 4}), str(tmp_path / "resumed"))
    assert values == [0.2, 0.1]
    resumed = train(config, str(tmp_path / "resumed"))
    assert (resumed["best_step"], resumed["dev"], outputs("resumed"), values) == (4, result["dev"], {"0.1"}, [])
    assert (tables[2] != tables[1]).any()
    np.testing.assert_array_equal(tables[-1], tables[1])  # what a resumed run scores again
    for run in ("run", "resumed"):
        np.testing.assert_array_equal(np.load(tmp_path / run / "embedding.npz")["source_table"], tables[1])


def test_scoring_uses_shapes_of_training_only(tmp_path):
    """Red if a pair that fits into a batch of training gets a shape of its own, which would have to be compiled."""
    draw = random.Random(0)
    words = {"".join(draw.choices("abcdef", k=length)) for length in range(2, 20) for _ in range(20)}
    (tmp_path / "a.tsv").write_text("".join(f"{word}\t{' '.join(word)}\n" for word in sorted(words)))
    config = pair_config(tmp_path / "a.tsv", train__batch_size=8, train__steps=1)
    corpus = load_corpus(config)
    assert isinstance(corpus.dev, PairSplit)
    shapes = training_batches(config, corpus).shapes
    assert len(shapes) > 2
    compiled = programs(config, {"source": 9, "target": 9}, 1, Devices(1), 9, shapes)
    evaluator = TranslatorEvaluator(config, compiled, corpus.vocabularies, shapes)
    used = {batch.source.shape[1] for _, batch in evaluator.source_batches(corpus.dev.sources, 8)}
    assert used <= {source for source, _ in shapes}
    assert len(used) <= (len(shapes) + 1) // 2


def test_sources_are_scored_as_training_reads_them(tmp_path):
    """Red if a letter that is spelled in two characters is unknown to a model that has read it as one."""
    (tmp_path / "a.tsv").write_text("e\u0301a\tx\n", encoding="utf-8")
    config = pair_config(tmp_path / "a.tsv", data__normalize_nfc=True, data__dev_fraction=0.0, data__test_fraction=0.0)
    corpus = load_corpus(config)
    shapes = training_batches(config, corpus).shapes
    compiled = programs(config, corpus.vocabulary_sizes, 1, Devices(1), 9, shapes)
    evaluator = TranslatorEvaluator(config, compiled, corpus.vocabularies, shapes)
    ((_, batch),) = evaluator.source_batches(["éa", "e\u0301a"], 2)
    np.testing.assert_array_equal(batch.source[0], batch.source[1])
    assert UNK not in batch.source


def test_threads_score_what_one_scores(tmp_path, monkeypatch):
    """Red if outputs or losses come in the order in which threads have made them. Of several batches the first takes longest."""
    monkeypatch.setattr(evaluation, "DECODE_ROWS", 8)
    config = pair_config(write_pairs(tmp_path / "a.tsv", 300))
    corpus = load_corpus(config)
    sizes = corpus.vocabulary_sizes
    shapes = training_batches(config, corpus).shapes
    scoring = programs(config, sizes, 1, Devices(1), 9, shapes)
    evaluator = TranslatorEvaluator(config, scoring, corpus.vocabularies, shapes)
    params = jax.tree.map(lambda leaf: 3 * leaf, initial_params(config.model, sizes, root_key(0)))
    assert isinstance(corpus.dev, PairSplit)
    found = []
    for threads in (1, 3):
        evaluator._threads.count = threads
        measured = evaluator.measure(params, corpus.dev)
        measured = measured._replace(values=jax.device_get(measured.values))
        found.append((measured, evaluator.score(corpus.dev, measured).outputs))
    (alone, outputs), (together, same) = found
    assert len(alone.sources) > 2
    assert len(set(outputs)) > 2
    assert outputs == same
    jax.tree.map(np.testing.assert_array_equal, alone.values, together.values)


def test_a_source_without_units_is_not_decoded(tmp_path):
    """Red if blanks, between which there is no word, get an output that the model makes up."""
    (tmp_path / "a.tsv").write_text("a b\tx\n", encoding="utf-8")
    config = pair_config(tmp_path / "a.tsv", data__source_unit="word", data__dev_fraction=0.0, data__test_fraction=0.0)
    corpus = load_corpus(config)
    shapes = training_batches(config, corpus).shapes
    compiled = programs(config, corpus.vocabulary_sizes, 1, Devices(1), 9, shapes)
    evaluator = TranslatorEvaluator(config, compiled, corpus.vocabularies, shapes)
    found = [index for indices, _ in evaluator.source_batches(["  ", "b", "", "a"], 2) for index in indices.tolist() if index >= 0]
    assert sorted(found) == [1, 3]
    assert list(evaluator.source_batches([" "], 2)) == []


@pytest.mark.parametrize(
    ("unit", "metric"), [("word", "bits_per_character"), ("bpe", "bits_per_character"), ("bpe", "loss_nats_per_token")]
)
def test_a_uniform_model_has_the_bits_of_its_vocabulary(tmp_path, unit, metric):
    """Red if a unit is scored twice or not at all, or characters are counted as something else than code points, in all or by batch."""
    path = write_text(tmp_path / "a.txt", 20_000)
    config = text_config(path, data__target_unit=unit, data__bpe_size=260, data__dev_fraction=0.5, train__metric=metric)
    corpus = load_corpus(config)
    assert isinstance(corpus.dev, TextSplit)
    vocabulary = corpus.vocabularies["target"]
    shapes = training_batches(config, corpus).shapes
    compiled = programs(config, {"target": len(vocabulary)}, 1, Devices(1), 0, shapes)
    params = jax.tree.map(jnp.zeros_like, initial_params(config.model, {"target": len(vocabulary)}, jax.random.key(0)))
    evaluation = make_evaluator(config, compiled, corpus.vocabularies, shapes).evaluate(params, corpus.dev)
    found, scores = evaluation.metrics, evaluation.scores
    units, characters = len(vocabulary.encode(corpus.dev.text)), len(corpus.dev.text)
    assert found["examples"] == units
    assert found["bits_per_character"] == pytest.approx(np.log2(len(vocabulary)) * units / characters, rel=1e-5)
    assert scores is not None
    assert len(scores[0]) > 1
    assert found[metric] == pytest.approx(scores[0].sum() / scores[1].sum(), rel=1e-9)
    assert scores[1].sum() == pytest.approx(characters if metric == "bits_per_character" else units)


def test_a_text_is_scored_with_all_of_it_before_in_mind(tmp_path):
    """Red if a dev score depends on the length of training's segments, or on how the text is cut to be scored faster."""
    path = write_text(tmp_path / "a.txt", 8000)
    scores = []
    for length, fraction in ((4, 0.2), (64, 0.2), (16, 0.6)):
        config = text_config(path, data__segment_length=length, data__dev_fraction=fraction)
        corpus = load_corpus(config)
        shapes = training_batches(config, corpus).shapes
        compiled = programs(config, corpus.vocabulary_sizes, 1, Devices(1), 0, shapes)
        params = initial_params(config.model, corpus.vocabulary_sizes, jax.random.key(0))
        params["stack"]["layers"][0]["recurrent_kernel"] *= 3  # so that the state matters
        assert isinstance(corpus.dev, TextSplit)
        ids = jnp.asarray(corpus.dev.ids)[None]
        model = nnx.merge(compiled.structure, params)
        _, logits = model.decode(model.start(1), jnp.concatenate([jnp.full((1, 1), BOS), ids[:, :-1]], axis=1))
        whole = -jnp.take_along_axis(jax.nn.log_softmax(logits), ids[..., None], axis=-1).mean()
        evaluation = make_evaluator(config, compiled, corpus.vocabularies, shapes).evaluate(params, corpus.dev)
        scores.append(evaluation.metrics["loss_nats_per_token"])
        assert scores[-1] == pytest.approx(float(whole), rel=1e-4)
    assert scores[0] == scores[1]


@pytest.mark.parametrize("unit", ["byte", "word", "bpe"])
def test_the_pieces_of_a_text_are_the_text(tmp_path, monkeypatch, unit):
    """Red if what is spelled anew for a piece begins in the middle of a word or a character, or something is said twice or lost."""
    path = tmp_path / "a.txt"
    path.write_text("zwölf Boxkämpfer jagen\nViktor quer über den großen Sylter Deich 🙂 und zurück\n" * 40)
    train(text_config(path, data__target_unit=unit, data__bpe_size=300, data__dev_fraction=0.2, train__steps=2), str(tmp_path / "run"))
    texts = []
    for context in (7, 10_000):
        monkeypatch.setattr(sample, "CONTEXT", context)
        texts.append("".join(sample_texts(str(tmp_path / "run"), "", 200, 1.0, 3)[0]))
    assert len(set(texts)) == 1


def test_a_sample_of_lines_begins_a_line(tmp_path):
    """Red if it goes on from the beginning of the training text, which is read once an epoch, and so as in the middle of a line."""
    path = tmp_path / "a.txt"
    path.write_text("".join(f"{'xyz'[place % 3]}abcdefgh{place}\n" for place in range(300)))
    config = text_config(path, data__lines=True, train__steps=400, train__learning_rate=0.02)
    train(config, str(tmp_path / "run"))
    texts = ["".join(text) for text in sample_texts(str(tmp_path / "run"), "", 4, 0.3, 0, number=20)]
    assert {text[0] for text in texts} <= set("xyz")


def test_a_text_goes_on_from_its_prompt_as_the_units_are_spelled(tmp_path):
    """Red if a word is glued to the prompt, or if a text, or what one visit of the host draws of it, repeats the draws of another."""
    train(text_config(write_text(tmp_path / "a.txt", 3000), data__target_unit="word", train__steps=2), str(tmp_path / "run"))
    texts, alone = (
        ["".join(pieces) for pieces in sample_texts(str(tmp_path / "run"), "to  be", 64, 1.0, 0, number=number)] for number in (2, 1)
    )
    assert texts[:1] == alone  # whatever the number of texts
    for text in texts:
        assert re.match(r"to be[ \n]\w", text)
        assert len(list(words_of(text))) == 66
    visits = np.array([list(words_of(text))[2:] for text in texts]).reshape(4, sample.SAMPLE_CHUNK)
    assert all((one == other).mean() < 0.5 for one, other in itertools.combinations(visits, 2))


def test_what_is_kept_is_the_average(tmp_path):
    """Red if the parameters are scored or exported in the place of their moving average."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 120), train__steps=10, train__average_decay=0.99, train__metric="bleu")
    train(config, str(tmp_path / "run"))
    arrays = checkpoint_arrays(config, tmp_path / "run")
    table = np.load(tmp_path / "run/embedding.npz")["source_table"]
    np.testing.assert_array_equal(table, arrays[".average['source_embedding']['table']"])
    assert np.abs(table - arrays[".params['source_embedding']['table']"]).max() > 1e-4
    kept = json.loads((tmp_path / "run/result.json").read_text())["dev"]
    assert {"bleu", "bleu_signature", "chrf", "chrf_signature"} < set(kept)
    assert evaluate([str(tmp_path / "run")], "dev").items() >= kept.items()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Pairs, a run of 20 updates of them, which tests copy, and one of 30, which they compare with."""
    folder = tmp_path_factory.mktemp("trained")
    path = write_pairs(folder / "a.tsv", 120)
    for steps in (20, 30):
        train(pair_config(path, train__steps=steps), str(folder / str(steps)))
    return path, folder / "20", folder / "30"


def test_more_steps_go_on_from_the_last_one(trained, tmp_path):
    """Red if a longer run starts again, its log repeats a step, or a constant learning rate is said to have taken another course."""
    path, twenty, thirty = trained
    train(pair_config(path, train__steps=30), str(shutil.copytree(twenty, tmp_path / "grown")))
    assert result_of(tmp_path / "grown") == result_of(thirty)
    assert (tmp_path / "grown/metrics.jsonl").read_text().count('"split": "train"') == 6
    recorded = (tmp_path / "grown/config.json").read_text()
    with pytest.raises(UserError, match="made 30 updates already"):
        train(pair_config(path, train__steps=10), str(tmp_path / "grown"))
    assert (tmp_path / "grown/config.json").read_text() == recorded  # what is refused writes nothing


def test_a_learning_rate_scheduled_anew_is_told_after_a_stop(tmp_path, monkeypatch):
    """Red if a stop on the way to more updates, before or after the first checkpoint, makes a run forget that it was lengthened."""
    path, run, save = write_pairs(tmp_path / "a.tsv", 120), tmp_path / "run", Checkpoints.save

    def save_and_stop(own, state, progress):
        if int(state.step) == before:
            raise OSError("killed")
        save(own, state, progress)
        if int(state.step) == after:
            signal.raise_signal(signal.SIGINT)

    def asked_for(steps):
        with contextlib.suppress(Interrupted, OSError):
            train(pair_config(path, train__steps=steps, train__schedule="linear", train__eval_every=5), str(run))

    monkeypatch.setattr(Checkpoints, "save", save_and_stop)
    before, after = None, None
    asked_for(20)
    before, after = 25, None
    asked_for(30)
    before, after = None, 25
    asked_for(30)
    monkeypatch.setattr(Checkpoints, "save", save)
    asked_for(30)
    assert result_of(run)["steps"] == 30
    assert result_of(run)["rescheduled_at"] == [20]


def test_a_result_holds_until_there_is_one_of_a_longer_training(trained, tmp_path):
    """Red if a longer training that is stopped takes away what was found, if its best checkpoint goes, or if it cannot go on.

    Red too if the shorter result then counts as that of the longer training, which config.json asks for.
    """
    path, twenty, _ = trained
    run = shutil.copytree(twenty, tmp_path / "run")
    first = json.loads((run / "result.json").read_text())

    def stop(own):
        if own.step == 40:
            signal.raise_signal(signal.SIGINT)

    with after_saving(stop), pytest.raises(Interrupted):
        train(pair_config(path, train__steps=60), str(run))
    assert json.loads((run / "result.json").read_text()) == first
    assert first["length"] == {"steps": 20, "epochs": None, "updates": 20}
    assert has_checkpoint(run, first["best_step"])
    assert train(pair_config(path, train__steps=20), str(run)) == first  # and what was begun stays
    with pytest.raises(UserError, match=r"made 4\d updates already, and 30 are asked for"):
        train(pair_config(path, train__steps=30), str(run))
    train(pair_config(path, train__steps=60), str(run))
    train(pair_config(path, train__steps=60), str(tmp_path / "whole"))
    assert result_of(run) == result_of(tmp_path / "whole")
    assert {found.name for found in (run / "checkpoints").iterdir()} == {str(step) for step in {60, result_of(run)["best_step"]}}


def test_a_damaged_result_is_named_and_made_again(trained, tmp_path, capsys):
    """Red if a run that has finished is trained again and nobody learns why."""
    path, _, thirty = trained
    run = shutil.copytree(thirty, tmp_path / "run")
    (run / "result.json").write_text((run / "result.json").read_text()[:100])
    train(pair_config(path, train__steps=30), str(run))
    assert "train: result.json is damaged and is made again\n" in capsys.readouterr().err
    assert result_of(run) == result_of(thirty)


def test_a_result_holds_where_a_longer_training_fails(trained, tmp_path):
    """Red if a full disk on the way to more updates takes away what was found, or if the run cannot go on once there is room again."""
    path, twenty, _ = trained
    run = shutil.copytree(twenty, tmp_path / "run")
    first = json.loads((run / "result.json").read_text())

    def fail(own):
        if own.step == 40:
            raise OSError("No space left on device")

    with after_saving(fail), pytest.raises(OSError, match="No space left"):
        train(pair_config(path, train__steps=60), str(run))
    kept = json.loads((run / "result.json").read_text())
    assert kept.pop("failed_longer") == {"steps": 60, "epochs": None, "error": "OSError: No space left on device"}
    assert kept == first
    longer = train(pair_config(path, train__steps=60), str(run))
    assert (longer["steps"], "failed_longer" in longer) == (60, False)


def test_how_often_it_is_logged_and_saved_may_change(trained, tmp_path):
    """Red if a run is refused, or scored otherwise, for what has no effect on it."""
    path, twenty, thirty = trained
    run = shutil.copytree(twenty, tmp_path / "run")
    train(pair_config(path, train__steps=30, train__log_every=3, train__checkpoint_every=15), str(run))
    found, whole = result_of(run), result_of(thirty)
    assert found.pop("config_sha256") != whole.pop("config_sha256")
    assert found == whole
    with pytest.raises(UserError, match=r"another configuration: train.batch_size \("):
        train(pair_config(path, train__steps=30, train__batch_size=4), str(run))


@pytest.mark.parametrize("place", ["Run.finish", "write_outputs"])
def test_all_updates_are_no_result(trained, tmp_path, monkeypatch, place):
    """Red if a longer training that is killed at its very end, while dev is scored, leaves the shorter result for good.

    Red too if one that is killed while it writes what it leaves behind has its result already, and never writes the rest.
    """

    def killed(*_):
        raise KeyboardInterrupt

    path, twenty, thirty = trained
    run = shutil.copytree(twenty, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(f"seq2seq_jax.train.run.{place}", killed)
        with pytest.raises(KeyboardInterrupt):
            train(pair_config(path, train__steps=30), str(run))
    assert result_of(run)["steps"] == 20
    train(pair_config(path, train__steps=30), str(run))
    assert result_of(run) == result_of(thirty)


def test_a_training_can_end_where_it_was_stopped(tmp_path, monkeypatch):
    """Red if it was stopped between evaluations, is asked for just the updates that it has made, and its last step is never scored."""
    path, run, log = write_pairs(tmp_path / "a.tsv", 120), tmp_path / "run", Run.log

    def stopped_at(step: int) -> None:
        def log_and_stop(own, *arguments):
            log(own, *arguments)
            if own.step == step - 1:
                signal.raise_signal(signal.SIGTERM)

        with monkeypatch.context() as patch:
            patch.setattr(Run, "log", log_and_stop)
            with pytest.raises(Interrupted, match=f"at step {step};"):
                train(pair_config(path, train__steps=40, train__log_every=step - 1), str(run))

    stopped_at(6)
    assert train(pair_config(path, train__steps=6), str(run))["best_step"] == 6  # no other was scored
    stopped_at(14)
    train(pair_config(path, train__steps=14), str(run))
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records if record["split"] == "dev"] == [6, 10, 14]


def test_a_length_said_in_the_other_unit_is_reached(tmp_path, monkeypatch):
    """Red if the result keeps the former unit, and the run counts as shorter than what is asked for, for ever."""
    path, run = write_pairs(tmp_path / "a.tsv", 120), tmp_path / "run"
    made = train(pair_config(path, train__steps=None, train__epochs=2), str(run))
    again = train(pair_config(path, train__steps=made["steps"]), str(run))
    assert again == made | {"length": {"steps": made["steps"], "epochs": None, "updates": made["steps"]}}
    assert json.loads((run / "result.json").read_text()) == again
    shutil.copytree(run / f"checkpoints/{made['steps']}", run / f"checkpoints/{made['steps'] + 5}")
    monkeypatch.setattr(Run, "resume", lambda own, structure: setattr(own, "step", made["steps"] + 5))  # a longer one was begun
    assert train(pair_config(path, train__steps=None, train__epochs=2), str(run)) == made


def test_a_damaged_best_checkpoint_of_a_shorter_result_is_made_again(trained, tmp_path):
    """Red if the result stays, says that its best checkpoint was not kept, and the run can never go on."""
    path, twenty, thirty = trained
    run = shutil.copytree(twenty, tmp_path / "run")
    for file in run.glob("checkpoints/*/files.json"):
        file.write_text("{}")
    train(pair_config(path, train__steps=30), str(run))
    assert result_of(run) == result_of(thirty)


def test_each_update_sees_the_batch_of_its_step_also_after_a_resume(tmp_path, monkeypatch):
    """Red if what is read ahead is given to another step, or once more, or if every run has the batches of one seed."""
    seen, advance = [], OneRun.advance
    monkeypatch.setattr(OneRun, "advance", lambda engine, batches: (seen.extend(batches), advance(engine, batches)))
    config = text_config(write_text(tmp_path / "text.txt", 2000), train__seed=3)
    for steps in (3, 7):
        train(replace(config, {"train.steps": steps, "train.schedule": "constant"}), str(tmp_path / "run"))
    batches = training_batches(config, load_corpus(config))
    expected = [batches.batch_at(config.train.seed, step) for step in range(7)]
    assert len(seen) == 7
    jax.tree.map(np.testing.assert_array_equal, seen, expected)


def test_initial_values_and_draws_are_those_of_the_seed(tmp_path):
    """Red if runs of several seeds begin from one network, or drop the same units: their spread would be too small."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 60))
    corpus, states = load_corpus(config), []
    for seed in (0, 3):
        own = replace(config, {"train.seed": seed})
        run = Run(own, RunDirectory(tmp_path / "run"), corpus, training_batches(own, corpus), Reporter("test"), {})
        states.append(run.resume(structure(config.model, corpus.vocabulary_sizes)))
    assert [int(state.seed) for state in states] == [0, 3]
    kernels = [np.asarray(state.params["output"]["kernel"]) for state in states]
    assert (kernels[0] != kernels[1]).all()


def test_a_finished_result_survives_a_rerun_that_fails_before_it_begins(tmp_path, monkeypatch):
    """Red if an error of the machine, such as a full GPU, takes away what a run has found."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 120), train__steps=10)
    result = train(config, str(tmp_path / "run"))

    def full(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("seq2seq_jax.train.loop.programs", full)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(config, str(tmp_path / "run"))
    assert json.loads((tmp_path / "run/result.json").read_text()) == result
    with pytest.raises(RuntimeError, match="out of memory"):
        train(config, str(tmp_path / "new"))
    assert json.loads((tmp_path / "new/result.json").read_text())["status"] == "failed"


def test_every_token_counts_wherever_the_log_ends(tmp_path):
    """Red if what was trained on after the last line of the log is left out, as where patience ends a run between two lines."""
    lost = {"train__learning_rate": 1e-12, "train__patience": 1, "train__steps": 100}
    path = write_pairs(tmp_path / "a.tsv", 120)
    results = [train(pair_config(path, **lost, train__log_every=every), str(tmp_path / f"{every}")) for every in (4, 50)]
    assert [result["steps"] for result in results] == [20, 20]
    tokens = [result["tokens_per_second"] * result["train_seconds"] for result in results]
    np.testing.assert_allclose(tokens, tokens[0])
    assert tokens[0] > 0


def test_training_stops_when_patience_is_lost(tmp_path, capsys):
    """Red if evaluations without improvement are not counted. A learning rate of nothing improves once, then never."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 120), train__learning_rate=1e-12, train__patience=2, train__steps=100)
    result = train(config, str(tmp_path / "run"))
    assert (result["best_step"], result["steps"], result["status"]) == (10, 30, "finished")
    assert "ends at step 30 of 100: no better for 2 evaluations (train.patience)" in capsys.readouterr().err
    assert train(config, str(tmp_path / "run")) == result


def test_patience_begins_anew_with_every_better_evaluation(tmp_path, monkeypatch):
    """Red if evaluations before the best one count, or if more of a metric is taken for worse where it is better."""
    values = [0.7, 0.6, 0.8, 0.7, 0.9, 0.8, 0.8]
    monkeypatch.setattr(Evaluator, "evaluate", scripted(values, "exact_match"))
    config = pair_config(
        write_pairs(tmp_path / "a.tsv", 60), train__metric="exact_match", train__patience=2, train__eval_every=2, data__test_fraction=0.0
    )
    result = train(config, str(tmp_path / "run"))
    assert (result["best_step"], result["steps"], result["dev"], values) == (10, 14, {"exact_match": 0.9}, [])


def test_where_patience_is_lost_between_two_checkpoints_there_is_one(tmp_path):
    """Red if the last step is not saved: a sweep that keeps the last checkpoint would keep none."""
    config = pair_config(
        write_pairs(tmp_path / "a.tsv", 120), train__learning_rate=1e-12, train__patience=2, train__steps=100, train__checkpoint_every=50
    )
    assert train(config, str(tmp_path / "run"))["steps"] == 30
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps() == [10, 30]
    thin(tmp_path / "run", "last")
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps() == [30]


@pytest.mark.parametrize(
    ("ended_at", "values"), [(8, {"train__log_every": 4}), (8, {"train__log_every": 7, "train__patience": 1, "train__learning_rate": 5.0})]
)
def test_the_last_line_has_the_metric_of_the_result(tmp_path, capsys, ended_at, values):
    """Red if it is the best before the last evaluation, or none where no line of the log falls on it; or if nothing is said at first."""
    steps = 16 if "train__patience" in values else 8
    config = text_config(write_text(tmp_path / "a.txt", 2000), train__steps=steps, train__eval_every=4, **values)
    result = train(config, str(tmp_path / "run"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "train: compiling ..."
    best = f"best bits_per_character {result['dev']['bits_per_character']:.4f}"
    assert lines[-1] == f"train: finished at step {ended_at}, {best}"
    assert steps != ended_at or (lines[-2].startswith("train: step 8/8  ") and lines[-2].endswith(best))


@pytest.mark.parametrize(("width", "figures"), [(80, "best 0.2500"), (140, "loss 1.500  4,000 tokens/s  best error 0.2500")])
def test_in_a_terminal_progress_is_live(monkeypatch, width, figures):
    """Red if the bars, which only a terminal shows, end a training in an error, or a line that stays is lost beside them."""
    for name, value in {"COLUMNS": str(width), "TERM": "xterm", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    reporter, member = Reporter("train"), "embedding_dim=128,hidden_dim=256,learning_rate=0.001,seed=0"
    reporter.start(20, 100, "error")
    reporter.update(60, 1.5, 4000.0, 0.25)
    assert reporter._bar is not None
    reporter._bar.refresh()
    reporter.note("words.tsv: 3 pairs dropped")
    reporter.stop()
    with SweepView(2, [member, "b"], lambda name: None) as view:
        view.member(member).start(0, 100, "error")
        view.member(member).update(50, 1.5, 4000.0, 0.25)
        assert view._live is not None
        view._live.refresh()
        view.member(member).finish(100, 0.2)
        view.ended(member, "finished", None)
        view._live.refresh()
    shown = screen.getvalue()
    for said in (
        "60/100",
        "50/100",
        "1/2",
        figures,
        "train: words.tsv: 3 pairs dropped\n",
        f"[1/2] {member} finished, best error 0.2000\n",
    ):
        assert said in shown
    assert (f"  {member}" in shown) == (width > 120)  # else its end


@pytest.mark.parametrize("live", [True, False])
def test_what_takes_long_is_shown(monkeypatch, live):
    """Red if it is not, if what is soon done is, or if what is shown live stays on the screen."""
    monkeypatch.setattr(sys, "stderr", screen := (Terminal() if live else io.StringIO()))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with progress.shown("soon done"):
        pass
    monkeypatch.setattr(progress, "SECONDS_UNSHOWN", 0.0)
    with progress.shown("decoding", 20) as done:
        time.sleep(0.2)
        done(5)
        time.sleep(0.2)
    said = screen.getvalue()
    assert "soon done" not in said
    if live:
        assert "decoding" in said
        assert "5/20" in said
        assert "\x1b[?25h" in said  # the cursor is back
    else:
        assert said == "decoding ...\ndecoding: 5 of 20\n"


def test_what_is_said_is_shown_as_it_is(capsys):
    """Red if the number of a line becomes a picture, or what stands in brackets a style."""
    Reporter("train").note("words.tsv:100: expected [red]two[/red] columns :smile:")
    assert capsys.readouterr().err == "train: words.tsv:100: expected [red]two[/red] columns :smile:\n"


def test_the_time_left_begins_with_the_first_line(monkeypatch, capsys):
    """Red if compiling, which comes before it, is taken for the pace of all updates."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    reporter = Reporter("train")
    reporter.start(0, 100, "error")
    for seconds, step in ((50, 10), (6, 20)):
        now[0] += seconds
        reporter.update(step, 1.0, 1.0, 0.5)
    first, second = capsys.readouterr().err.splitlines()[1:]
    assert first.endswith("best error 0.5000")
    assert second.endswith("best error 0.5000  48 s left")


def test_of_equal_metrics_the_one_with_less_loss_is_better(tmp_path, monkeypatch):
    """Red if a run that is still wrong everywhere keeps what it was at first, or loses patience while it learns."""
    losses = [2.5, 2.0, 2.2, 1.5, 1.7, 1.6]
    scored = scripted([1.0] * len(losses))

    def evaluate(self, params, split, watch):
        evaluation = scored(self, params, split, watch)
        return dataclasses.replace(evaluation, metrics={**evaluation.metrics, "loss_nats_per_token": losses.pop(0)})

    monkeypatch.setattr(Evaluator, "evaluate", evaluate)
    config = pair_config(write_pairs(tmp_path / "a.tsv", 60), train__patience=2, train__eval_every=2, data__test_fraction=0.0)
    result = train(config, str(tmp_path / "run"))
    assert (result["best_step"], result["steps"], result["dev"]["loss_nats_per_token"], losses) == (8, 12, 1.5, [])


def clock(monkeypatch):
    """Stops the clock of training; returns what makes a function take given seconds, call by call."""
    now = [0.0]

    def taking(seconds, function):
        def slow(*arguments):
            now[0] += next(seconds)
            return function(*arguments)

        return slow

    monkeypatch.setattr("seq2seq_jax.train.loop.time", types.SimpleNamespace(monotonic=lambda: now[0]))
    return taking


def test_the_time_of_training_is_that_of_updates_alone(tmp_path, monkeypatch):
    """Red if compiling, evaluations or checkpoints count: speeds, and quality at equal time, would compare these."""
    taking = clock(monkeypatch)
    monkeypatch.setattr(OneRun, "advance", taking(iter([50.0, *[1.0] * 7]), OneRun.advance))  # the first one compiles
    monkeypatch.setattr(Evaluator, "evaluate", taking(itertools.repeat(100.0), Evaluator.evaluate))
    monkeypatch.setattr(Checkpoints, "save", taking(itertools.repeat(1000.0), Checkpoints.save))
    config = text_config(write_text(tmp_path / "a.txt", 2000), train__steps=8, train__eval_every=4, train__log_every=4)
    assert train(config, str(tmp_path / "run"))["train_seconds"] == 7.0


def test_the_speed_is_that_of_the_updates_whose_time_counts(tmp_path, monkeypatch):
    """Red if the tokens of an update that compiles count and its time does not: the speed would be too high, at first without bound."""
    taking, advance = clock(monkeypatch), OneRun.advance
    config = text_config(write_text(tmp_path / "a.txt", 2000), train__log_every=1, train__schedule="constant")
    for steps in (3, 5):  # the second time it goes on, and compiles again
        monkeypatch.setattr(OneRun, "advance", taking(itertools.chain([50.0], itertools.repeat(1.0)), advance))
        result = train(replace(config, {"train.steps": steps}), str(tmp_path / "run"))
    assert result["train_seconds"] == 3.0
    tokens = config.train.batch_size * config.data.segment_length
    records = map(json.loads, (tmp_path / "run/metrics.jsonl").read_text().splitlines())
    logged = [record["tokens_per_second"] for record in records if record["split"] == "train"]
    assert [*logged, result["tokens_per_second"]] == [None, *[tokens] * 5]


def test_the_speed_of_decoding_is_that_without_compiling(monkeypatch):
    """Red if the time of a shape that had to be compiled counts."""
    now = [0.0]
    programs_of = types.SimpleNamespace(fold=lambda params: params)
    asked: Any = types.SimpleNamespace(_scoring=programs_of, _losses=lambda *_: [], _decoded_shapes=set())

    def decode(folded, sources, watch):
        now[0] += 2.0
        asked._decoded_shapes.add((2, 4))
        return [], []

    asked._decode = decode
    monkeypatch.setattr("seq2seq_jax.train.evaluation.time", types.SimpleNamespace(monotonic=lambda: now[0]))
    split = PairSplit(list("abcd"), [["x"]] * 4)
    speeds = [TranslatorEvaluator.measure(asked, {}, split).decoded_per_second for _ in range(2)]
    assert speeds == [None, 2.0]


@pytest.mark.parametrize("batches", [FEWEST_BLOCKS - 1, FEWEST_BLOCKS])
def test_the_loss_of_a_translator_is_that_of_its_units(tmp_path, batches):
    """Red if it is a mean over batches, which are not of one size, or if intervals are made of too few of these, or of none."""
    asked: Any = types.SimpleNamespace(_metric="loss_nats_per_token", _config=pair_config(tmp_path / "a.tsv"), _texts=lambda *_: ["x"])
    sums = np.arange(1.0, 1 + 2 * batches).reshape(batches, 2)
    losses = [Loss(*map(jnp.asarray, (nats, nats, units))) for nats, units in sums]
    found = TranslatorEvaluator.score(asked, PairSplit(["a"], [["x"]]), Measured((losses, [])))
    assert found.metrics["loss_nats_per_token"] == pytest.approx(sums[:, 0].sum() / sums[:, 1].sum())
    assert (found.scores is not None) == (batches == FEWEST_BLOCKS)


def test_outputs_may_be_a_quarter_longer_than_any_in_training(tmp_path):
    """Red if a long answer of dev is cut off."""
    (tmp_path / "a.tsv").write_text(f"a\t{'x ' * 40}\nb\tx\n")
    assert output_limit(load_corpus(pair_config(tmp_path / "a.tsv", data__dev_fraction=0.0, data__test_fraction=0.0))) == 54


def test_samples_are_spread_over_dev(tmp_path):
    """Red if they are its first examples: of a sorted file, those of one letter."""
    split = PairSplit([str(number) for number in range(200)], [["x"]] * 200)
    write_outputs(tmp_path, split, Evaluation({}, split.sources, None))
    rows = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    places = [int(row["source"]) for row in rows]
    assert [row["output"] for row in rows] == [row["source"] for row in rows]
    assert (places[0], places[-1], len(places)) == (0, 199, SAMPLES)
    assert np.ptp(np.diff(places)) <= 1


def test_a_failure_is_written_without_a_device(monkeypatch):
    """Red if the process of a sweep, whose members fail in processes of their own, opens a device to write that down."""

    def no_device() -> None:
        raise RuntimeError("no device")

    monkeypatch.setattr(jax, "devices", no_device)
    assert artifacts.result_of("failed", config_lib.Config(), {}, error="killed")["device"] is None


def test_a_run_that_is_stopped_says_where_and_not_that(tmp_path, monkeypatch):
    """Red if the command, which begins the line with "stopped: ", says it twice."""
    monkeypatch.setattr(OneRun, "advance", lambda self, batches: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Interrupted, match=r"^at step 1; the same command goes on from there$"):
        train(text_config(write_text(tmp_path / "a.txt", 2000)), str(tmp_path / "run"))


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    config = pair_config(write_pairs(tmp_path / "a.tsv", 120), train__learning_rate=3e38, train__clip_norm=None)
    with pytest.raises(TrainingFailed, match=r"not finite at step \d+; configuration: .*train.learning_rate=3e\+38"):
        train(config, str(tmp_path / "run"))
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["status"] == "failed"
    assert "; configuration: data.train=" in result["error"]
    assert "train.clip_norm=null" in result["error"]  # which may be why
    assert "data.dev=" not in result["error"]
    assert re.fullmatch(r"loss is not finite at step \d+", without_configuration(result["error"]))  # as lists of errors have it
    assert result["dev"] is None


def test_parameters_that_are_not_finite_stop_the_run_when_they_are_scored(tmp_path):
    """The loss that an update was made from is finite, and what it has made is not. Steps count from 1, as in every file."""
    config = text_config(write_text(tmp_path / "a.txt", 2000), train__steps=1, train__learning_rate=1e38, train__clip_norm=None)
    with pytest.raises(TrainingFailed, match=r"loss_nats_per_token on dev is not finite at step 1; configuration: "):
        train(config, str(tmp_path / "run"))
    longer = replace(config, {"train.steps": 3, "train.log_every": 1})
    with pytest.raises(TrainingFailed, match=r"loss is not finite at step 2; "):
        train(longer, str(tmp_path / "other"))
    assert [record["step"] for record in metrics_of(tmp_path / "other")] == [1]


def test_the_directory_of_a_sweep_is_none_of_a_run(tmp_path):
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(UserError, match="this is the directory of a sweep"):
        train(text_config(write_text(tmp_path / "a.txt", 2000)), str(tmp_path))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model__hidden_dim": 13}, r"model.hidden_dim \(12 -> 13\)"),
        ({"data__max_length": 60, "train__learning_rate": 0.5}, "data.max_length .*train.learning_rate"),
    ],
)
def test_another_configuration_is_refused_by_its_fields(trained, tmp_path, values, message):
    path, twenty, _ = trained
    with pytest.raises(UserError, match=message):
        train(pair_config(path, train__steps=20, **values), str(shutil.copytree(twenty, tmp_path / "run")))


def test_changed_data_is_refused(trained, tmp_path):
    path, twenty, _ = trained
    changed = tmp_path / "a.tsv"
    changed.write_text(path.read_text() + "ab\tb a\n")
    with pytest.raises(UserError, match="data has changed"):
        train(pair_config(changed, train__steps=30), str(shutil.copytree(twenty, tmp_path / "run")))


def test_another_vocabulary_is_refused(trained, tmp_path):
    """Red if the rows of a table are given to other symbols, as another version of a library may cut the same text; or if a lost one is."""
    path, twenty, thirty = trained
    for side in ("source", "target"):
        run = pathlib.Path(shutil.copytree(twenty, tmp_path / side))
        file = run / f"vocabulary/{side}.json"
        content = json.loads(file.read_text())
        content["symbols"][-2:] = reversed(content["symbols"][-2:])
        file.write_text(json.dumps(content))
        with pytest.raises(UserError, match=f"the {side} vocabulary is not the one that the run began with"):
            train(pair_config(path, train__steps=30), str(run))
        assert json.loads(file.read_text()) == content
        assert result_of(run) == result_of(twenty)
        assert not Vocabulary.load(run, side).reads_like(Vocabulary.load(twenty, side))
        file.unlink()
        train(pair_config(path, train__steps=30), str(run))
        assert file.read_text() == (thirty / f"vocabulary/{side}.json").read_text()


def test_where_an_error_came_from_is_kept_until_the_run_goes_on(tmp_path, monkeypatch):
    """Red if of a fault of the program a line is all that is left, or if an error that explains itself gets a traceback too."""
    config, run = pair_config(write_pairs(tmp_path / "a.tsv", 60), train__steps=10), tmp_path / "run"

    def fail(own, state):
        return [][1]

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", fail)
        with pytest.raises(IndexError):
            train(config, str(run))
    assert json.loads((run / "result.json").read_text())["error"].startswith("IndexError: list index out of range (in traceback.txt")
    assert "in fail\n" in (run / "traceback.txt").read_text()
    for error in (OSError("No space left on device"), TrainingFailed("loss is not finite", "x"), None):
        with monkeypatch.context() as patch:
            if error is not None:
                patch.setattr(Run, "save", lambda own, state, error=error: (_ for _ in ()).throw(error))
            with pytest.raises(type(error)) if error is not None else contextlib.nullcontext():
                train(config, str(run))
        assert not (run / "traceback.txt").exists()


def test_a_run_can_be_trained_from_a_script(tmp_path, capsys):
    """Red if what makes no sense is trained, or if a thread, which gets no signals, cannot train. It warns of a warm-up too."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 60), train__steps=10, train__warmup_steps=10)
    with pytest.raises(UserError, match=r"^train\.steps, train\.epochs"):
        train(config_lib.replace(config, {"train.steps": None}), str(tmp_path / "run"))
    with pytest.raises(UserError, match=r"^train\.patience=3: there is no dev split"):
        train(config_lib.replace(config, {"data.dev_fraction": 0.0, "train.patience": 3}), str(tmp_path / "run"))
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(train, config, str(tmp_path / "run")).result()
    assert result["status"] == "finished"
    assert "train.warmup_steps=10 of 10 updates: the learning rate stays below its highest\n" in capsys.readouterr().err
    train(config_lib.replace(config, {"train.warmup_steps": 5}), str(tmp_path / "half"))
    assert "train.warmup_steps=5 of 10 updates: the learning rate is at its highest in the second half only\n" in capsys.readouterr().err
    train(config_lib.replace(config, {"train.warmup_steps": 4}), str(tmp_path / "less"))
    assert "warmup_steps" not in capsys.readouterr().err


def test_a_run_without_dev_keeps_its_last_checkpoint(tmp_path, capsys):
    """Red too if it does not say what of the data it leaves out."""
    path = write_pairs(tmp_path / "a.tsv", 120)
    path.write_text(path.read_text() + f"{'a' * 65}\tb\n")
    result = train(pair_config(path, data__dev_fraction=0.0, data__test_fraction=0.0), str(tmp_path / "run"))
    assert (result["best_step"], result["dev"], result["test"]) == (30, None, None)
    assert "train: 1 of 121 training pairs dropped: longer than data.max_length=64 units, the longest 65.\n" in capsys.readouterr().err


def test_dev_is_scored_once_an_epoch_unless_told_otherwise(tmp_path):
    """Red if it is scored at the end alone, so that no best checkpoint is found on the way."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 60), train__eval_every=None, train__steps=None, train__epochs=3)
    corpus = load_corpus(config)
    batches = training_batches(config, corpus)
    made, due = Run(config, RunDirectory(tmp_path / "run"), corpus, batches, Reporter("test"), {}), {}
    for step in range(1, made.total + 1):
        made.step = step
        due[step] = made.due()
    expected = [batches.steps_per_epoch * epoch for epoch in (1, 2, 3)]
    assert [step for step in due if due[step].evaluates] == [step for step in due if due[step].saves] == expected
