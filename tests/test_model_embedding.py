"""The table: scales that its width does not change, gradients that end in the rows read, zero padding of its columns, sharing and tying."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seq2seq_jax.config import ModelConfig
from seq2seq_jax.data.batches import PairBatch, TextBatch
from seq2seq_jax.model.build import embedding_tables, initial_params, table_names
from seq2seq_jax.model.embedding import INITIAL_STD, Embedding
from seq2seq_jax.model.output import Output
from seq2seq_jax.model.recurrent import LSTM
from seq2seq_jax.train.state import parameter_counts
from tests.model_fixture import Small, normal

WIDTHS = (2, 512)
SOURCE = jnp.array([[4, 5, 4, 2], [7, 2, 0, 0]])
TARGET = jnp.array([[6, 4, 2], [2, 0, 0]])
PAIRS = PairBatch(SOURCE, jnp.array([4, 2]), TARGET, jnp.array([3, 1]))
TEXT = TextBatch(SOURCE, SOURCE, jnp.ones((2, 4)), jnp.array([True, True]))


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["source_embedding", "target_embedding"]),
        ({"share_embeddings": True}, ["shared_embedding"]),
        ({"table": "frozen"}, ["source_embedding", "target_embedding"]),
        ({"table": "onehot"}, []),
        ({"kind": "language_model"}, ["target_embedding"]),
        ({"kind": "skip_gram"}, ["target_embedding"]),
    ],
)
def test_tables_are_told_from_other_parameters(settings, names):
    """Red if a table is skipped where parameters are counted or tables cut, or something else is taken for one."""
    model = Small(**settings)
    assert sorted(table_names(model.params)) == names
    learned = [model.params[name]["table"].size for name in names] if settings.get("table") != "frozen" else []
    assert parameter_counts(model.params, model.config)["embedding"] == sum(learned)


def test_preactivations_have_one_variance_whatever_the_width():
    """400 rows of 4 x 64 gates: the standard error of a variance is about 2 / sqrt(independent draws), at worst 2 % here."""
    for width in WIDTHS:
        table, layer = Embedding(20_000, width, jax.random.key(1)), LSTM(width, 400, jax.random.key(2))
        values = layer.preactivations(table(jnp.arange(400))) - layer.bias[...]
        assert values.std() == pytest.approx(INITIAL_STD, rel=0.05), width
        assert table.table[...].std() == pytest.approx(INITIAL_STD, rel=0.02), width


@pytest.mark.parametrize("tied", [False, True])
def test_logits_have_variance_1_whatever_the_width(tied):
    hidden = normal(400, 400)
    for width in WIDTHS:
        table = Embedding(400, width, jax.random.key(1))
        output = Output(400, 400, width if tied else None, jax.random.key(2))
        # With two columns the draws of kernel and table alone move it by 3.5 %; an unscaled product would be off by 41 %.
        assert output(hidden, table).std() == pytest.approx(1, rel=0.1), width


def gradient(model: Small, batch, params=None):
    def objective(params):
        module = model.merge(params)
        return module.loss(batch, () if isinstance(batch, PairBatch) else module.start(2), None, 0.0)[0].objective

    return jax.jit(jax.grad(objective))(model.params if params is None else params)


def nonzero_rows(table) -> list[int]:
    return np.flatnonzero(np.abs(np.asarray(table)).sum(1)).tolist()


@pytest.mark.parametrize("vocabulary", [9, 40])  # projected before the lookup, and after it
def test_untied_gradient_ends_in_the_rows_read(vocabulary):
    """EOS (2) is read by the encoder; by the decoder BOS (1) and all symbols but the last. PAD (0) has no gradient."""
    found = gradient(Small(sizes={"source": vocabulary, "target": vocabulary}), PAIRS)
    assert nonzero_rows(found["source_embedding"]["table"]) == [2, 4, 5, 7]
    assert nonzero_rows(found["target_embedding"]["table"]) == [1, 4, 6]
    found = gradient(Small(kind="language_model", sizes={"target": vocabulary}), TEXT)
    assert nonzero_rows(found["target_embedding"]["table"]) == [0, 2, 4, 5, 7]  # a text has no padding: 0 was read here


def test_tied_gradient_reaches_every_row():
    found = gradient(Small(tie_output=True), PAIRS)
    assert nonzero_rows(found["target_embedding"]["table"]) == list(range(8))
    assert nonzero_rows(found["source_embedding"]["table"]) == [2, 4, 5, 7]


def test_tied_equals_untied_with_the_table_copied_in():
    tied = Small(tie_output=True, hidden_dim=4, embedding_dim=3)
    untied = Small(hidden_dim=4, embedding_dim=3)
    output = tied.params["output"]
    kernel = output["kernel"] @ tied.params["target_embedding"]["table"].T / (INITIAL_STD * jnp.sqrt(3))
    params = {**tied.params, "output": {**output, "kernel": kernel}}
    measure = jax.jit(lambda model, params: model.merge(params).loss(PAIRS, (), None, 0.1)[0], static_argnums=0)
    np.testing.assert_allclose(measure(tied, tied.params), measure(untied, params), rtol=1e-5)


def test_a_shared_table_is_one_table_that_both_sides_read():
    """Its gradient is the sum of what the two separate ones get when they hold the same values."""
    sizes = {"source": 8, "target": 8}
    shared, separate = Small(share_embeddings=True, sizes=sizes), Small(sizes=sizes)
    table = shared.params["shared_embedding"]["table"]
    rest = {name: value for name, value in shared.params.items() if name != "shared_embedding"}
    found = gradient(shared, PAIRS)
    expected = gradient(separate, PAIRS, {**rest, "source_embedding": {"table": table}, "target_embedding": {"table": table}})
    total = expected["source_embedding"]["table"] + expected["target_embedding"]["table"]
    np.testing.assert_allclose(found["shared_embedding"]["table"], total, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["output"]["kernel"], expected["output"]["kernel"], rtol=1e-5, atol=1e-6)
    tables = embedding_tables(shared.params)
    assert tables["source"] is tables["target"] is table
    assert set(embedding_tables(Small(kind="language_model").params)) == {"target"}


@pytest.mark.parametrize("tied", [False, True])
def test_columns_of_zeros_stay_zeros(tied):
    """A table of 2 columns padded to 5, with the rows that read it: both gradients there are exactly 0, and nowhere else."""
    model = Small(embedding_dim=5, tie_output=tied)
    params = jax.tree.map(lambda leaf: leaf, model.params)
    for side in ("source", "target"):
        params[f"{side}_embedding"]["table"] = params[f"{side}_embedding"]["table"].at[:, 2:].set(0)
    readers = [params["encoder"]["layers"][0][0], params["encoder"]["layers"][0][1], params["decoder"]["stack"]["layers"][0]]
    for reader in readers:
        reader["input_kernel"] = reader["input_kernel"].at[2:].set(0)
    if tied:
        params["output"]["kernel"] = params["output"]["kernel"].at[:, 2:].set(0)
    found = gradient(model, PAIRS, params)
    parts = [(found[f"{side}_embedding"]["table"][:, 2:], found[f"{side}_embedding"]["table"][:, :2]) for side in ("source", "target")]
    layers = [found["encoder"]["layers"][0][0], found["encoder"]["layers"][0][1], found["decoder"]["stack"]["layers"][0]]
    parts += [(layer["input_kernel"][2:], layer["input_kernel"][:2]) for layer in layers]
    if tied:
        parts.append((found["output"]["kernel"][:, 2:], found["output"]["kernel"][:, :2]))
    for padded, used in parts:
        np.testing.assert_array_equal(padded, 0)
        assert np.abs(used).max() > 1e-3


def test_initial_values_depend_on_the_place_alone():
    """More layers, attention or another embedding size change no other parameter's draw; every parameter has its own, at any scale."""
    sizes = {"source": 9, "target": 8}
    plain = ModelConfig(hidden_dim=4, embedding_dim=3, attention="none")
    rich = ModelConfig(hidden_dim=4, embedding_dim=5, attention="additive", input_feeding=True, encoder_layers=2, decoder_layers=2)
    small, large = (initial_params(config, sizes, jax.random.key(0)) for config in (plain, rich))
    common = [
        lambda params: params["encoder"]["layers"][0][0]["recurrent_kernel"],
        lambda params: params["decoder"]["stack"]["layers"][0]["recurrent_kernel"],
        lambda params: params["decoder"]["bridges"][0],
        lambda params: params["output"]["kernel"],
    ]
    for get in common:
        np.testing.assert_array_equal(get(small), get(large))
    leaves = [np.asarray(leaf).ravel()[:8] for leaf in jax.tree.leaves(large) if np.asarray(leaf).std() > 0 and leaf.ndim == 2]
    assert len({tuple(np.round(leaf / leaf[0], 3)) for leaf in leaves}) == len(leaves)
