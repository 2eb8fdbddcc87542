"""Folding: a small table is multiplied into the kernels of the layers that read it, which then read one-hot vectors.

A lookup and then a product is a lookup in the product: (E W)[id] = E[id] W. A folded model is as large whatever the embedding size is. So
the programs that take longest to compile, those of the gradient, of scoring and of decoding, serve every size of a sweep; each size has
only the product and the optimizer to itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flax import nnx

from seq2seq_jax.config import ModelConfig
from seq2seq_jax.model.build import Model, Params, abstract_model
from seq2seq_jax.model.embedding import OneHotEmbedding
from seq2seq_jax.model.skip_gram import SkipGram

Merge = Callable[[Params], Any]  # to a model; which batches it takes depends on its kind


class Network(NamedTuple):
    """How parameters become a model.

    Attributes:
      merge: of the parameters that are trained and kept.
      fold: ``fold(params) -> folded``, to be differentiated too: a gradient by the folded ones is pulled back through it.
      merge_folded: of the folded ones, to a model that computes the same.
    """

    merge: Merge
    fold: Callable[[Params], Params]
    merge_folded: Merge


def make_network(config: ModelConfig, vocabulary_sizes: Mapping[str, int], reads: Mapping[str, int]) -> Network:
    """Returns the network of a configuration; ``reads``, by side: see ``fold_tables``."""
    model = abstract_model(config, vocabulary_sizes)
    merge = functools.partial(nnx.merge, nnx.graphdef(model))

    fold_own = functools.partial(fold_tables, reads=reads)

    def fold(params: Params) -> Params:
        return nnx.to_pure_dict(nnx.state(fold_own(merge(params))))

    return Network(merge, fold, functools.partial(nnx.merge, nnx.graphdef(nnx.eval_shape(fold_own, model))))


def fold_tables(model: Model, reads: Mapping[str, int]) -> Model:
    """Folds, in place, the tables with at most as many rows as a batch reads symbols (``reads``, by side); but none of a tied output."""
    if isinstance(model, SkipGram):  # no layer reads its table
        return model
    readers = model.readers
    tables = {side: model.embedding(side) for side in readers}

    def is_foldable(side: str) -> bool:
        sharing = [other for other in readers if tables[other] is tables[side]]
        return all(tables[side].is_projected_first(reads[other]) for other in sharing) and not ("target" in sharing and model.output.tied)

    folded = {}
    for side in filter(is_foldable, readers):
        for layer in readers[side]:
            layer.input_kernel = nnx.Param(tables[side].project(layer.input_kernel[...]))
        folded[side] = OneHotEmbedding(readers[side][0].input_kernel.shape[0], scale=1.0)
    model.replace_embeddings(folded)
    return model
