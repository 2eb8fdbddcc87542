"""From a configuration to a model: its structure (static) and its parameters (a pytree)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Key

from seq2seq_jax.arrays import Table
from seq2seq_jax.config import ModelConfig
from seq2seq_jax.kinds import KINDS
from seq2seq_jax.model.language_model import LanguageModel
from seq2seq_jax.model.skip_gram import SkipGram
from seq2seq_jax.model.translator import Translator

Model = Translator | LanguageModel | SkipGram
Params = dict[str, Any]
_MODELS: dict[str, Callable[..., Model]] = {"translator": Translator, "language_model": LanguageModel, "skip_gram": SkipGram}


def build_model(config: ModelConfig, vocabulary_sizes: Mapping[str, int], key: Key[Array, ""]) -> Model:
    """Builds the model that ``config`` describes; ``vocabulary_sizes`` has an entry for each side, source and target."""
    return _MODELS[config.kind](config, *(vocabulary_sizes[side] for side in KINDS[config.kind].sides), key)


def abstract_model(config: ModelConfig, vocabulary_sizes: Mapping[str, int]) -> Model:
    """Returns the model with the shapes of its parameters in their place."""
    return nnx.eval_shape(lambda: build_model(config, vocabulary_sizes, jax.random.key(0)))


def abstract_params(config: ModelConfig, vocabulary_sizes: Mapping[str, int]) -> Params:
    """Returns the shapes of the parameters in their place, without drawing or allocating any."""
    return nnx.to_pure_dict(nnx.state(abstract_model(config, vocabulary_sizes)))


def structure(config: ModelConfig, vocabulary_sizes: Mapping[str, int]) -> nnx.GraphDef:
    """Returns the static part of the model, in which no embedding size is; ``nnx.merge(structure, params)`` gives the module back."""
    return nnx.graphdef(abstract_model(config, vocabulary_sizes))


def initial_params(config: ModelConfig, vocabulary_sizes: Mapping[str, int], key: Key[Array, ""]) -> Params:
    """Draws the initial parameters, as nested dictionaries of arrays.

    Outside of any jit: ``initial.py`` draws in programs of its own, which serve every shape.
    """
    return nnx.to_pure_dict(nnx.state(build_model(config, vocabulary_sizes, key)))


def pretrained_table(config: ModelConfig) -> tuple[str, str]:
    """Returns the side of the table that pretrained vectors fill, and its name in the parameters."""
    if config.share_embeddings:
        return "target", "shared_embedding"
    side = "source" if config.kind == "translator" else "target"
    return side, f"{side}_embedding"


def held_tables(config: ModelConfig) -> set[str]:
    """Returns the names in the parameters of the tables that are never trained: as drawn (``frozen``), or as a file has filled them."""
    if config.table == "frozen":
        return {"shared_embedding"} if config.share_embeddings else {f"{side}_embedding" for side in KINDS[config.kind].sides}
    return {pretrained_table(config)[1]} if config.pretrained is not None and config.pretrained_frozen_steps is None else set()


def table_names(params: Params) -> list[str]:
    """Returns which of the parameters are embedding tables, learned or frozen; the context table of word vectors is not one."""
    return [name for name in params if name.endswith("_embedding")]


def embedding_tables(params: Params) -> dict[str, Table]:
    """Returns the stored tables by side, learned or frozen; source and target have the same one where they share it."""
    stored = {name: params[name]["table"] for name in table_names(params)}
    if "shared_embedding" in stored:
        return dict.fromkeys(("source", "target"), stored["shared_embedding"])
    return {side: stored[f"{side}_embedding"] for side in ("source", "target") if f"{side}_embedding" in stored}
