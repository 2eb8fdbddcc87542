"""A table that begins with vectors from a file: which rows it fills, how long they stay, and that resuming and sweeping hold."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config
from seq2seq_jax.data.batches import PairBatch, TextBatch
from seq2seq_jax.data.corpus import load_corpus, lookup_counts, training_batches
from seq2seq_jax.data.raw_splits import with_absolute_paths
from seq2seq_jax.data.vocabulary import PAD
from seq2seq_jax.data.windows import WindowBatch
from seq2seq_jax.embeddings.export import write_word2vec
from seq2seq_jax.embeddings.tables import read_tables
from seq2seq_jax.errors import UserError
from seq2seq_jax.inference.trace import trace_run
from seq2seq_jax.sweep.design import Design
from seq2seq_jax.sweep.members import make_members
from seq2seq_jax.sweep.plan import make_plan
from seq2seq_jax.sweep.same_data import check_same_data
from seq2seq_jax.sweep.sweep import SweepOptions, run_sweep
from seq2seq_jax.train.loop import train
from seq2seq_jax.train.optimizer import make_optimizer
from seq2seq_jax.train.pretrained import hold, load_pretrained, restarted
from seq2seq_jax.validation import validate
from tests.training_fixture import checkpoint_arrays, pair_config, result_of, text_config, vector_config, write_pairs, write_text

FEW = {"train__steps": 8, "train__eval_every": 4, "train__log_every": 4, "data__dev_fraction": 0.0, "data__test_fraction": 0.0}
TABLE = ".params['source_embedding']['table']"


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Config:
    """A translator of the letters a to f, with vectors for a, b, the word that no letter is, and EOS."""
    tmp_path = tmp_path_factory.mktemp("files")
    pairs = write_pairs(tmp_path / "a.tsv", 60)
    vectors = np.random.default_rng(0).normal(0, 0.1, (7, 6)).astype(np.float32)
    write_word2vec(tmp_path / "v.txt", ["<pad>", "<bos>", "<eos>", "<unk>", "a", "b", "absent"], vectors, binary=False)
    text = (tmp_path / "v.txt").read_text().split("\n")
    (tmp_path / "v.txt").write_text("\n".join(["4 6", text[3], *text[5:]]))
    return pair_config(pairs, **FEW, model__hidden_dim=8, model__pretrained=str(tmp_path / "v.txt"))


def frozen(config: Config, steps: int | None) -> Config:
    return config_lib.replace(config, {"model.pretrained_frozen_steps": steps})


def test_what_a_checkpoint_holds_does_not_depend_on_how_long_the_table_is_frozen(config):
    """Red if a run whose table is held for ever keeps no moments of it: the checkpoints of all such runs so far would be refused."""
    params = {"source_embedding": {"table": np.zeros((5, 3))}, "output": {"kernel": np.zeros((3, 2))}}
    free, held = (jax.tree.structure(make_optimizer(frozen(config, steps)).init(params)) for steps in (0, None))
    assert free == held


@pytest.mark.parametrize("frozen_steps", [1, 10, 1000])
def test_a_thawed_table_moves_like_one_that_was_never_frozen(frozen_steps):
    """Red if Adam counts the updates before: the first step would be half of the learning rate, or three times that."""
    model = dataclasses.replace(Config().model, kind="language_model", pretrained="v", pretrained_frozen_steps=frozen_steps)
    gradients = np.random.default_rng(0).normal(size=(5, 3, 2)).astype(np.float32)
    adam: Any = optax.scale_by_adam()

    def directions(before: int) -> list[np.ndarray]:
        state = adam.init({"target_embedding": {"table": np.zeros((3, 2), np.float32)}})._replace(count=np.int32(before))
        found = []
        for step, gradient in enumerate(gradients, before):
            moved, state = adam.update({"target_embedding": {"table": gradient}}, state)
            found.append(moved if before == 0 else restarted(model, moved, jnp.int32(step)))
        return [np.asarray(moved["target_embedding"]["table"]) for moved in found]

    np.testing.assert_allclose(directions(frozen_steps), directions(0), rtol=1e-3)


def of_table(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The table's moments, wherever Adam keeps them."""
    return [array for place, array in arrays.items() if ".opt_state" in place and "source_embedding" in place]


def test_frozen_for_some_steps_for_ever_and_not_at_all(config, tmp_path):
    """Red if a frozen row moves by a bit, Adam counts its gradient, the freeze ends early or late, or other rows are left unscaled."""
    given = load_pretrained(config, load_corpus(config).vocabularies)
    assert given is not None
    read = given.sentence("v.txt", np.where(given.mask(10), 3, 1))
    assert read.startswith("2 of 6 symbols of the source table have a vector in v.txt (33.3%)")
    assert read.endswith("they are 60.0% of what training reads.")
    train(frozen(config_lib.replace(config, {"train.steps": 4}), 4), str(tmp_path / "some"))
    before = checkpoint_arrays(frozen(config, 4), tmp_path / "some")
    np.testing.assert_array_equal(before[TABLE][given.rows], given.vectors)
    others = np.delete(before[TABLE], given.rows, axis=0)
    assert np.sqrt(np.mean(others**2)) == pytest.approx(np.sqrt(np.mean(given.vectors**2)), rel=0.4)
    assert all((moment == 0).all() for moment in of_table(before))
    assert len(of_table(before)) == 2
    assert np.abs(before[".params['output']['kernel']"]).sum() > 0
    train(frozen(config, 4), str(tmp_path / "some"))  # goes on
    after = checkpoint_arrays(frozen(config, 4), tmp_path / "some")
    assert (after[TABLE][4:] != before[TABLE][4:]).any(axis=1).all()
    train(frozen(config, 4), str(tmp_path / "whole"))
    whole = checkpoint_arrays(frozen(config, 4), tmp_path / "whole")
    for place, array in whole.items():
        np.testing.assert_array_equal(after[place], array, err_msg=place)
    train(frozen(config, None), str(tmp_path / "always"))
    always = checkpoint_arrays(frozen(config, None), tmp_path / "always")
    np.testing.assert_array_equal(always[TABLE], before[TABLE])
    assert result_of(tmp_path / "always")["parameters"]["embedding"] == result_of(tmp_path / "whole")["parameters"]["embedding"] - 10 * 6
    (kept, _) = read_tables(tmp_path / "always")
    np.testing.assert_array_equal(kept.moved, 0)
    assert kept.studied.sum() == 2  # those that were given; the others are random
    _check_what_is_left(given, tmp_path, pathlib.Path(str(config.model.pretrained)))


@pytest.mark.parametrize(("steps", "step", "moves"), [(4, 3, False), (4, 4, True), (None, 99, False)])
def test_a_frozen_table_moves_from_the_first_update_after(config, steps, step, moves):
    """Red if the freeze, of updates that are counted from 0, ends one too early or too late."""
    gradients = {name: {"table": np.ones((10, 6), np.float32)} for name in ("source_embedding", "target_embedding")}
    held = hold(frozen(config, steps).model, gradients, jnp.int32(step))
    assert (np.asarray(held["source_embedding"]["table"]) == moves).all()
    assert (np.asarray(held["target_embedding"]["table"]) == 1).all()


def _check_what_is_left(given, folder, file):
    """What a run says of its vectors: result.json, config.json, embedding.npz; and another file of that name is refused."""
    result = result_of(folder / "whole")["pretrained"]
    assert result == {"tables": ["source"], "found": 2, "vocabulary": 6, "share": 2 / 6, "sha256": given.sha256}
    record = json.loads((folder / "whole/config.json").read_text())
    assert record["data_sha256"]["pretrained"] == given.sha256
    table = read_tables(folder / "whole")[0]
    assert table.given is not None
    assert [table.symbols[row] for row in np.flatnonzero(table.given)] == ["<eos>", "a", "b"]
    assert table.counts is not None
    assert table.moved is not None
    np.testing.assert_array_equal(table.moved > 0, table.counts > 0)  # rows that are never read never move
    assert (table.counts == 0).sum() == 3
    before = file.read_text()
    file.write_text(before.replace("absent", "nobody"))
    with pytest.raises(UserError, match="the data has changed since the run began: pretrained"):
        train(frozen(config_lib.from_dict(record["config"]), 4), str(folder / "whole"))
    (member,) = make_members(frozen(config_lib.from_dict(record["config"]), 4), {"train.seed": (0,)})
    (folder / "sweep").mkdir()
    (folder / "sweep" / member.name).symlink_to(folder / "whole")
    with pytest.raises(UserError, match=r"the data has changed since the sweep began: pretrained \("):
        check_same_data([member], [], str(folder / "sweep"))
    file.write_text(before)
    check_same_data([member], [], str(folder / "sweep"))


def test_members_together_are_members_one_by_one(config, tmp_path, monkeypatch):
    """Two seeds with vectors, vectorized and in turn; a size that the vectors do not have is refused before anything is trained."""
    axes, config = {"train.seed": (0, 1)}, config_lib.replace(config, {"data.dev_fraction": 0.3})  # sizes are compared on dev
    for executor in ("serial", "vectorized"):
        run_sweep(make_plan(frozen(config, 4), axes, str(tmp_path / executor), Design()), SweepOptions(executor), "launch.py sweep")
    for seed in (0, 1):
        runs = (tmp_path / kind / f"seed={seed}" for kind in ("serial", "vectorized"))
        one, other = (checkpoint_arrays(with_absolute_paths(frozen(config, 4)), run) for run in runs)
        np.testing.assert_allclose(other[TABLE], one[TABLE], rtol=1e-3, atol=1e-6)
    monkeypatch.chdir(pathlib.Path(str(config.model.pretrained)).parent)
    begun = make_plan(config, {"model.pretrained": (None, "v.txt")}, str(tmp_path / "files"), Design()).members
    assert [member.config.model.pretrained for member in begun] == [None, config.model.pretrained]
    assert [member.name for member in begun] == ["pretrained=None,seed=0", "pretrained=v.txt,seed=0"]
    with pytest.raises(UserError, match=r"v.txt:1: vectors of 6 numbers for a source table of 12 columns; expected"):
        make_plan(config, {"model.embedding_dim": (6, 12)}, str(tmp_path / "sizes"), Design())
    assert not (tmp_path / "sizes").exists()


def test_a_language_model_takes_over_every_symbol_of_another(tmp_path, capsys):
    """Blanks and line ends too, by an exported file; the table then is that of the first run to the bit. Its gradient can be traced."""
    values = {**FEW, "train__steps": 2, "data__dev_fraction": 0.2, "model__tie_output": True}
    config = text_config(write_text(tmp_path / "a.txt", 600), **values, model__hidden_dim=8)
    train(config, str(tmp_path / "one"))
    (table,) = read_tables(tmp_path / "one")
    assert {" ", "\n"} <= set(table.symbols)
    write_word2vec(tmp_path / "v.bin", table.symbols, table.vectors, binary=True)
    config = config_lib.replace(config, {"model.pretrained": str(tmp_path / "v.bin"), "model.pretrained_frozen_steps": None})
    result = train(config, str(tmp_path / "two"))
    assert (result["pretrained"]["share"], result["pretrained"]["tables"]) == (1.0, ["target"])
    np.testing.assert_array_equal(read_tables(tmp_path / "two")[0].vectors, table.vectors)
    for text in (None, "to be\n"):
        trace_run(str(tmp_path / "one"), text, 1, 0, "table", None)
    out = capsys.readouterr().out
    assert "carry gradient through the lookup" in out
    assert "carry gradient through the softmax; 0 carry exactly none" in out.replace("\n", " ")
    assert "⏎" in out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "2 5\na 1 2 3 4 5\nb 1 2 3 4 5\n",
            ":1: vectors of 5 numbers for a source table of 6 columns; expected model.source_",
        ),
        ("2 6\na 1 2 3 4 5 6\nb 1 2 3 4 5\n", ":3: expected a name and 6 numbers with single blanks between them, found 5"),
        ("a 1 2 3 4 5 6\nz 1 2 x 4 5 6\n", ":2: 'x' is not a finite number"),
        ("z 1 2 3 4 5 6\n", ": none of the 6 source symbols has a vector"),
        ("", ":1: the file is empty"),
    ],
)
def test_a_broken_file_ends_training_before_it_begins(config, tmp_path, content, message):
    (tmp_path / "v.txt").write_text(content)
    config = config_lib.replace(config, {"model.pretrained": str(tmp_path / "v.txt")})
    with pytest.raises(UserError) as error:
        train(config, str(tmp_path / "run"))
    assert str(error.value).startswith(f"{tmp_path / 'v.txt'}{message}")
    assert not (tmp_path / "run/config.json").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model__pretrained_frozen_steps": 3}, "model.pretrained_frozen_steps=3: there is nothing to freeze"),
        ({"model__pretrained": "v", "model__table": "frozen"}, "model.pretrained=v: a frozen table has values of its own"),
    ],
)
def test_settings_that_make_no_sense_together(tmp_path, values, message):
    with pytest.raises(UserError, match=message):
        validate(pair_config(tmp_path / "a.tsv", **values))


def test_vectors_of_a_shared_table_are_those_of_both_sides(tmp_path):
    """Red if result.json, or what a study reads, has them on one side alone."""
    (tmp_path / "a.tsv").write_text("a b\tb\n" * 9)
    (tmp_path / "v.txt").write_text("a 1 2 3 4 5 6\n")
    values = {"data__source_unit": "word", "model__share_embeddings": True, "model__pretrained": str(tmp_path / "v.txt")}
    config = pair_config(tmp_path / "a.tsv", **FEW, **values)
    given = load_pretrained(config, load_corpus(config).vocabularies)
    assert given is not None
    assert given.sides == ("source", "target")


@pytest.mark.parametrize("shared", [False, True])
def test_reads_are_those_of_the_batches_of_an_epoch(tmp_path, shared):
    """Red if a row is counted that no batch looks up with weight, or the other way round."""
    (tmp_path / "a.tsv").write_text("ab\tc a\nba\tc\nb\tb b a\n" * 5)
    values = {"data__dev_fraction": 0.0, "data__test_fraction": 0.0, "train__batch_size": 4, "data__source_unit": "char"}
    if shared:
        values |= {"model__share_embeddings": True, "data__source_unit": "word"}
    config = pair_config(tmp_path / "a.tsv", **values)
    corpus = load_corpus(config)
    batches = training_batches(config, corpus)
    counts = {side: np.zeros(len(vocabulary), int) for side, vocabulary in corpus.vocabularies.items()}
    for step in range(batches.steps_per_epoch):
        batch = batches.batch_at(0, step)
        assert isinstance(batch, PairBatch)
        for row in np.flatnonzero(batch.target_lengths):
            np.add.at(counts["source"], batch.source[row, : batch.source_lengths[row]], 1)
            np.add.at(counts["target"], [1, *batch.target[row, : batch.target_lengths[row] - 1]], 1)
    found = lookup_counts(corpus)
    for side, expected in counts.items():
        np.testing.assert_array_equal(found[side], counts["source"] + counts["target"] if shared else expected)
    text = text_config(write_text(tmp_path / "a.txt", 300), data__dev_fraction=0.0)
    corpus = load_corpus(text)
    batches = training_batches(text, corpus)
    seen = np.zeros(len(corpus.vocabularies["target"]), int)
    for step in range(batches.steps_per_epoch):
        batch = batches.batch_at(0, step)
        assert isinstance(batch, TextBatch)
        np.add.at(seen, batch.inputs[batch.weights > 0], 1)
    np.testing.assert_array_equal(lookup_counts(corpus)["target"], seen)
    (tmp_path / "b.txt").write_text("a b a c\nb a rare b\n\nc d d a\n")
    words = vector_config(tmp_path / "b.txt", data__dev_fraction=0.0, data__subsample=0.0, data__min_count=2)
    corpus = load_corpus(words)
    batches, vocabulary = training_batches(words, corpus), corpus.vocabularies["target"]
    seen = np.zeros(len(vocabulary), int)
    for step in range(batches.steps_per_epoch):
        batch = batches.batch_at(0, step)
        assert isinstance(batch, WindowBatch)
        np.add.at(seen, batch.units[:, words.data.window : -words.data.window], 1)
    seen[PAD] = 0
    assert vocabulary.line_break is not None
    assert seen[vocabulary.line_break] == 0
    np.testing.assert_array_equal(lookup_counts(corpus)["target"], seen)
