"""Settings of the model that make no sense together are refused, by name; widths are those of their side."""

import jax
import numpy as np
import pytest

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config
from seq2seq_jax.data.batches import PairBatch
from seq2seq_jax.errors import UserError
from seq2seq_jax.validation import validate
from tests.model_fixture import Small, ids

VALID = {"data.train": "a.tsv", "train.steps": 1}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"model.kind": "language_model", "model.input_feeding": True}, "model.input_feeding"),
        ({"model.kind": "language_model", "model.share_embeddings": True}, "model.share_embeddings"),
        ({"model.attention": "none", "model.input_feeding": True}, "model.input_feeding"),
        ({"data.target_unit": "word", "model.share_embeddings": True}, "model.share_embeddings"),
        ({"model.source_embedding_dim": 3, "model.share_embeddings": True}, "source_embedding_dim"),
        ({"model.attention": "dot"}, "model.encoder_hidden_dim=256"),
        ({"model.encoder_hidden_dim": 1}, "model.encoder_hidden_dim=1"),
    ],
)
def test_senseless_combinations_are_refused(values, named):
    with pytest.raises(UserError, match=named):
        validate(config_lib.replace(Config(), {**VALID, **values}))


def test_sensible_combinations_pass():
    for values in ({"model.input_feeding": True}, {"model.share_embeddings": True}, {"model.residual": True, "model.decoder_layers": 2}):
        assert validate(config_lib.replace(Config(), {**VALID, **values})) is None
    both = {"model.source_embedding_dim": 3, "model.target_embedding_dim": 3, "model.share_embeddings": True}
    assert validate(config_lib.replace(Config(), {**VALID, **both})) is None


def test_sides_have_their_own_widths():
    model = Small(embedding_dim=3, source_embedding_dim=5)
    shapes = jax.tree.map(np.shape, model.params)
    assert shapes["source_embedding"]["table"] == (9, 5)
    assert shapes["target_embedding"]["table"] == (8, 3)
    batch = PairBatch(ids(2, 3, 9), np.array([3, 2]), ids(2, 2, 8), np.array([2, 1]))
    loss, _ = model.run(lambda module: module.loss(batch, (), None, 0.0))
    assert loss.count == 3
