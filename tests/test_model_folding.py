"""Folding: a model whose tables are folded into kernels computes the same, and is as large whatever the embedding size is."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from seq2seq_jax.data.batches import PairBatch, TextBatch
from seq2seq_jax.model.folding import make_network
from tests.model_fixture import Small, ids

SHARED = {"source": 8, "target": 8}
MANY = {"source": 100, "target": 100}
PAIRS = PairBatch(ids(3, 5, 8), np.array([5, 2, 4]), ids(3, 4, 8, seed=1), np.array([4, 4, 1]))
TEXT = TextBatch(ids(3, 5, 8), ids(3, 5, 8, seed=1), np.ones((3, 5), np.float32), np.zeros(3, bool))


def gradient(model: Small, merge: Any, params: Any) -> Any:
    """Returns the loss of a batch and its gradient by ``params``, which ``merge`` makes a model of."""
    batch = TEXT if model.config.kind == "language_model" else PAIRS

    def loss(params, batch):
        made = merge(params)
        return made.loss(batch, made.start(3), None, 0.1)[0].objective

    return jax.jit(jax.value_and_grad(loss))(params, batch)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bidirectional": False, "input_feeding": True},
        {"share_embeddings": True},
        {"share_embeddings": True, "tie_output": True},
        {"tie_output": True},
        {"source_embedding_dim": 5},
        {"table": "frozen"},
        {"table": "onehot"},
        {"kind": "language_model"},
        {"kind": "language_model", "tie_output": True},
    ],
    ids=str,
)
def test_folding_changes_neither_loss_nor_gradient(settings):
    """Red if a layer reads another's product, a bias is counted twice, or the gradient of a table or of a kernel is lost on the way."""
    model = Small(sizes=SHARED, **settings)
    network = make_network(model.config, model.sizes, MANY)
    loss, expected = gradient(model, network.merge, model.params)
    folded, pull_back = jax.vjp(network.fold, model.params)
    found, by_folded = gradient(model, network.merge_folded, folded)
    np.testing.assert_allclose(found, loss, rtol=1e-6)
    (pulled,) = pull_back(by_folded)
    assert jax.tree.structure(pulled) == jax.tree.structure(expected)
    jax.tree.map(lambda ours, plain: np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-6), pulled, expected)


@pytest.mark.parametrize(
    ("settings", "reads", "folded"),
    [
        ({}, {"source": 9, "target": 8}, {"source_embedding", "target_embedding"}),
        ({}, {"source": 8, "target": 8}, {"target_embedding"}),
        ({}, {"source": 0, "target": 0}, set()),
        ({"tie_output": True}, MANY, {"source_embedding"}),
        ({"sizes": SHARED, "share_embeddings": True}, MANY, {"shared_embedding"}),
        ({"sizes": SHARED, "share_embeddings": True}, {"source": 7, "target": 8}, set()),
        ({"sizes": SHARED, "share_embeddings": True, "tie_output": True}, MANY, set()),
        ({"kind": "skip_gram"}, MANY, set()),
    ],
)
def test_what_is_folded(settings, reads, folded):
    """Red if a table is multiplied that has more rows than are read, or goes although the output or the other side still needs it."""
    model = Small(**settings)
    after = make_network(model.config, model.sizes, reads).fold(model.params)
    assert set(model.params) - set(after) == folded


@pytest.mark.parametrize("kind", ["translator", "language_model"])
def test_folded_models_of_all_sizes_are_alike(kind):
    """Red if a size is left in what programs are compiled for: each would be compiled again for each size of a sweep."""
    forms = []
    for size in (2, 7):
        model = Small(kind=kind, embedding_dim=size)
        network = make_network(model.config, model.sizes, MANY)
        merge: Any = network.merge_folded
        forms.append((merge.args, jax.tree.map(np.shape, network.fold(model.params))))
    assert forms[0] == forms[1]
