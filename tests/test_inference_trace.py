"""Where the gradient goes: into the rows that are read, nowhere else, through the output apart, and not into the ids."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seq2seq_jax.config import Config
from seq2seq_jax.data.batches import PairBatch, TextBatch
from seq2seq_jax.data.vocabulary import SPECIALS, UNK, Vocabulary
from seq2seq_jax.inference import trace
from seq2seq_jax.inference.flow import Flow, Side, print_flow, to_json
from seq2seq_jax.inference.flow_picture import flow_svg
from seq2seq_jax.inference.gradient_flow import gradient_flow
from seq2seq_jax.inference.trained_run import TrainedRun
from seq2seq_jax.model.embedding import Embedding, OneHotEmbedding
from tests.model_fixture import Small, normal

SOURCE, TARGET = np.array([4, 5, 4, 7, 2], np.int32), np.array([6, 4, 6, 2], np.int32)  # both end in EOS
READ = {"source": SOURCE, "target": np.array([1, 6, 4, 6], np.int32)}  # the decoder reads BOS and all targets but the last
LANGUAGE_MODEL = {"kind": "language_model"}
KINDS: dict[str, dict[str, Any]] = {
    "translator": {},
    "deep, shared and tied": {
        "share_embeddings": True,
        "tie_output": True,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "residual": True,
        "sizes": {"source": 8, "target": 8},
    },
    "input feeding, tied, one direction": {"input_feeding": True, "tie_output": True, "decoder_layers": 2, "bidirectional": False},
    "language model": LANGUAGE_MODEL,
    "tied language model": {**LANGUAGE_MODEL, "tie_output": True},
    "frozen": {**LANGUAGE_MODEL, "table": "frozen"},
    "onehot": {**LANGUAGE_MODEL, "table": "onehot"},
}


@functools.cache
def traced(kind: str) -> tuple[Small, Flow]:
    model = Small(**KINDS[kind])
    return model, gradient_flow(model.merge, read_by(model), TARGET)


def read_by(model: Small) -> dict[str, np.ndarray]:
    return READ if model.config.kind == "translator" else {"target": READ["target"]}


def test_what_is_typed_is_read_in_the_form_that_training_had():
    """Red if a letter typed in one piece is traced as unknown, or only on one side; what stands in dev is traced as it is scored."""
    decomposed = Vocabulary.build(["e\u0301 a"], "char", 1, 0)
    run = object.__new__(TrainedRun)  # of which only this much is read
    run.vocabularies, run.config = {"source": decomposed, "target": decomposed}, Config()
    assert trace._typed_pair(run, "\u00e9a\ta\u00e9") == ("e\u0301a", "ae\u0301")
    assert trace._encode(run, "source", "\u00e9") == [UNK]


@functools.cache
def of_model(kind: str) -> tuple[Any, dict[str, np.ndarray]]:
    """The model's own loss, its mean over the four targets, and its gradient by the tables."""
    model, _ = traced(kind)
    if model.config.kind == "translator":
        batch = PairBatch(jnp.array(SOURCE[None]), jnp.array([5]), jnp.array(TARGET[None]), jnp.array([4]))
    else:
        batch = TextBatch(jnp.array(READ["target"][None]), jnp.array(TARGET[None]), jnp.ones((1, 4)), jnp.array([True]))

    def objective(params):
        module = model.merge(params)
        return module.loss(batch, () if isinstance(batch, PairBatch) else module.start(1), None, 0.0)[0].objective / 4

    loss, found = jax.jit(jax.value_and_grad(objective))(model.params)
    return loss, {name: np.asarray(value["table"]) for name, value in found.items() if name.endswith("_embedding") and "table" in value}


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_reaches_the_rows_read_and_no_others(kind):
    """Red if a row that is not read gets gradient through the lookup, a read one gets none, or an id gets any."""
    model, flow = traced(kind)
    assert not flow.ids_have_gradient
    _, own = of_model(kind)
    for rows in flow.rows:
        if not rows.learned:
            assert own == {}
            assert not any(norms.any() for norms in rows.lookups.values())
            continue
        for side, norms in rows.lookups.items():
            assert np.flatnonzero(norms).tolist() == sorted(set(READ[side].tolist()))
        total = np.linalg.norm(own["shared_embedding" if len(rows.sides) > 1 else f"{rows.sides[0]}_embedding"], axis=1)
        assert (rows.softmax is not None) == (model.config.tie_output and "target" in rows.sides)
        if rows.softmax is not None:
            assert (rows.softmax > 0).all()
            assert (total > 0).all()
        elif len(rows.sides) == 1:  # all of it comes through the lookup
            np.testing.assert_allclose(rows.lookups[rows.sides[0]], total, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_those_of_the_model_and_every_layer_is_there(kind):
    _, flow = traced(kind)
    assert flow.losses.mean() == pytest.approx(float(of_model(kind)[0]), rel=1e-5)
    layers = {side.name: list(side.layers) for side in flow.sides}
    assert layers["target"][0] == "lookup"
    if kind.startswith("deep"):
        assert layers == {
            "source": ["lookup", "layer 0 →", "layer 0 ←", "layer 1 →", "layer 1 ←"],
            "target": ["lookup", "layer 0", "layer 1", "logits"],
        }
    for side in flow.sides:
        assert all(norms.shape == side.ids.shape for norms in side.layers.values())
        assert all((norms > 0).all() for norms in side.layers.values())


def test_json_has_the_text_of_subwords():
    """Red if a reader sees the letters that stand for bytes."""
    symbols = [*SPECIALS, "Ġa", "Ã©", "Ċ", "æĹ", "b"]
    vocabularies = {side: Vocabulary(symbols, "bpe") for side in ("source", "target")}
    found = to_json(traced("translator")[1], vocabularies)
    assert found["sequences"]["source"]["symbols"] == [" a", "é", " a", "0xe697", "<eos>"]
    assert [row["symbol"] for row in found["outputs"]] == ["\n", " a", "\n", "<eos>"]
    assert [row["symbol"] for row in found["tables"][1]["gradient_norms"]] == ["<bos>", " a", "\n"]


@pytest.mark.parametrize(
    ("position", "said"), [(2, "the loss of output symbol 2, 2.000 nats"), (0, "the mean loss of the 3 output symbols, 2.333 nats")]
)
def test_the_loss_that_is_followed_is_named(capsys, position, said):
    """Red if output symbols are counted from 1 in one place and from 0 in another."""
    reads = Side("target", np.array([1, 5, 6]), {"lookup": np.ones(3)})
    flow = Flow(np.array([5, 6, 2]), np.array([1.0, 2.0, 4.0]), position, [reads], [], False)
    print_flow(flow, {"target": Vocabulary([*SPECIALS, *"abc"], "char")})
    assert said in capsys.readouterr().out.replace("\n", " ")


def test_a_table_that_is_never_trained_is_not_called_learned():
    """As of pretrained vectors that stay. Red if the trace says that its rows carry gradient."""
    model = Small()
    flow = gradient_flow(model.merge, read_by(model), TARGET, held="source_embedding")
    assert [rows.learned for rows in flow.rows] == [False, True]
    symbols = [*SPECIALS, *map(str, range(len(flow.rows[0].lookups["source"]) - len(SPECIALS)))]
    found = to_json(flow, {side: Vocabulary(symbols, "word") for side in ("source", "target")})["tables"][0]
    assert found["rows_without_gradient"] == {"lookup": len(symbols)}
    assert found["gradient_norms"] == []


def test_an_error_goes_back_and_never_forward():
    """Of the second output symbol: nothing reaches what is read after it. Red if time steps are mixed up."""
    model = Small(**LANGUAGE_MODEL)
    flow = gradient_flow(model.merge, read_by(model), TARGET, position=2)
    layers = flow.sides[-1].layers
    assert all((norms[2:] == 0).all() and norms[1] > 0 for norms in layers.values())
    assert layers["lookup"][0] > 0
    assert layers["logits"][0] == 0


def test_a_step_that_reads_a_symbol_alone_has_all_of_its_rows_gradient():
    """Symbol 5 is read at step 1 only, symbol 4 at steps 0 and 2, whose gradients add up and may cancel."""
    _, flow = traced("translator")
    lookups, total = flow.sides[0].layers["lookup"], of_model("translator")[1]["source_embedding"]
    assert lookups[1] == pytest.approx(np.linalg.norm(total[5]), rel=1e-4)
    assert abs(lookups[0] - lookups[2]) < np.linalg.norm(total[4]) < lookups[0] + lookups[2]


def test_looking_up_a_row_is_multiplying_by_a_one_hot_vector():
    """And the two gradients are the same: the lookup is the product, without the multiplications by zero."""
    ids = jnp.array([[4, 0, 4], [7, 2, 1]])
    table = Embedding(8, 5, jax.random.key(3))
    weights = normal(2, 3, 5)
    onehot = jax.nn.one_hot(ids, 8)
    np.testing.assert_array_equal(table(ids), onehot @ table.table[...])

    def through_lookup(values):
        own = Embedding(8, 5, jax.random.key(3))
        own.table = nnx.Param(values)
        return (weights * own(ids)).sum()

    by_lookup = jax.grad(through_lookup)(jnp.asarray(normal(8, 5, seed=1)))
    by_product = jax.grad(lambda values: (weights * (onehot @ values)).sum())(jnp.asarray(normal(8, 5, seed=1)))
    np.testing.assert_allclose(by_lookup, by_product, rtol=1e-6)
    assert np.flatnonzero(np.abs(by_lookup).sum(1)).tolist() == [0, 1, 2, 4, 7]
    identity = OneHotEmbedding(8)
    np.testing.assert_allclose(identity(ids) @ table.table[...] / identity.scale, table(ids), rtol=1e-5)


def test_symbols_below_the_picture_do_not_run_into_each_other():
    """They are turned where two neighbours are too long, also at few characters each, or wide ones."""
    for text, turned in (("abcd efg <b> i", False), ("<unk> <unk> a", True), ("a abcdefg b", False), ("日本 日本語 a", True)):
        words = text.split()
        reads = Side("target", np.arange(4, 4 + len(words)), {"lookup": np.ones(len(words))})
        flow = Flow(reads.ids, np.ones(len(words)), 0, [reads], [], False)
        svg = flow_svg(flow, {"target": Vocabulary([*SPECIALS, *words], "word")})
        assert ("rotate(-60" in svg) == turned, text
