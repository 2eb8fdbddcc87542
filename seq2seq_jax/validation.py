"""Whether a configuration makes sense: each value in its range, and the combinations that exclude each other."""

from __future__ import annotations

import math
from typing import Any

from seq2seq_jax.config import Config, Field, fields, get
from seq2seq_jax.errors import UserError
from seq2seq_jax.kinds import KINDS

TYPES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def check_type(field: Field, value: Any, where: str) -> None:
    """Raises UserError, beginning with ``where``, for a value that is not of the field's type."""
    if value is None and field.optional:
        return
    if field.choices:
        if value not in field.choices:
            raise UserError(f"{where}: expected one of {', '.join(field.choices)}")
        return
    accepted = (float, int) if field.value_type is float else (field.value_type,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and field.value_type is not bool):
        raise UserError(f"{where}: expected {TYPES[field.value_type]}")


def check_range(field: Field, value: Any, where: str) -> None:
    """Raises UserError, beginning with ``where``, for a value that is not finite or outside its range."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{where}: expected a finite number")
    bounds = []
    if field.low is not None:
        bounds.append((value >= field.low, f"at least {field.low}"))
    if field.high is not None:
        bounds.append((value <= field.high, f"at most {field.high}"))
    if field.above is not None:
        bounds.append((value > field.above, f"above {field.above}"))
    if field.below is not None:
        bounds.append((value < field.below, f"below {field.below}"))
    if not all(holds for holds, _ in bounds):
        null = ", or null" if field.optional else ""
        raise UserError(f"{where}: expected a value {' and '.join(text for _, text in bounds)}{null}")


def validate(config: Config) -> None:
    """Raises UserError, naming the field, where a value or a combination of values makes no sense."""
    for path, field in fields().items():
        value = get(config, path)
        check_type(field, value, f"{path}={value!r}")  # one of a file has been checked with where it stands
        if value is not None:
            check_range(field, value, f"{path}={value}")
        if not field.read_by(config.model.kind) and value != field.default:
            only, default = " or a ".join(field.kinds), "null" if field.default is None else field.default
            raise UserError(f"{path}={value}: only a {only} reads it, and this is a {config.model.kind}; expected {default}")
    data, model, train = config.data, config.model, config.train
    if (train.steps is None) == (train.epochs is None):
        raise UserError("train.steps, train.epochs: give one of them, and null for the other")
    if (data.name is None) == (data.train is None):
        raise UserError("data.name, data.train: give one of them: the name of a data set, or a file")
    for split in ("dev", "test"):
        if data.name is not None and get(config, f"data.{split}") is not None:
            raise UserError(f"data.{split}: the data set data.name={data.name} brings its own files; expected one of the two")
    if data.dev_fraction + data.test_fraction >= 1:
        raise UserError("data.dev_fraction, data.test_fraction: together they leave nothing to train on; expected a sum below 1")
    metrics = KINDS[model.kind].metrics
    if train.metric is not None and train.metric not in metrics:
        raise UserError(f"train.metric={train.metric}: expected one of {', '.join(metrics)} for a {model.kind}")
    if model.kind == "skip_gram":
        _check_skip_gram(config)
    _check_translator_options(config)
    _check_pretrained(config)


def _check_skip_gram(config: Config) -> None:
    """Refuses what a kind whose rows are moved one by one cannot do, and a metric without what it is measured on."""
    metric = config.train.metric or ""
    for path, needed in (("data.analogies", metric.endswith("analogy_accuracy")), ("data.similarity", metric == "word_similarity")):
        if needed and get(config, path) is None:
            raise UserError(f"train.metric={metric}: needs {path}; expected a file there")
    if config.train.clip_norm is not None:
        raise UserError(f"train.clip_norm={config.train.clip_norm}: a skip_gram does without; expected null")


def _check_pretrained(config: Config) -> None:
    model = config.model
    if model.pretrained is None:
        if model.pretrained_frozen_steps != 0:
            given = f"model.pretrained_frozen_steps={model.pretrained_frozen_steps}"
            raise UserError(f"{given}: there is nothing to freeze; expected a file of vectors in model.pretrained")
        return
    if model.table != "learned":
        raise UserError(
            f"model.pretrained={model.pretrained}: a {model.table} table has values of its own; expected model.table=learned, "
            "with model.pretrained_frozen_steps=null where it is not to be trained"
        )


def _check_translator_options(config: Config) -> None:
    data, model = config.data, config.model
    if model.input_feeding and model.attention == "none":
        raise UserError(
            "model.input_feeding=True: there is no attentional vector without attention; expected model.attention other than none"
        )
    if model.attention_wants_equal_widths and model.encoder_dim != model.hidden_dim:
        raise UserError(
            f"model.attention={model.attention}: needs encoder outputs as wide as the decoder's state; expected general, or "
            f"model.encoder_hidden_dim={model.hidden_dim}"
        )
    if model.bidirectional and model.encoder_hidden_dim == 1:
        raise UserError("model.encoder_hidden_dim=1: each of the two directions needs a unit; expected at least 2")
    if model.share_embeddings and data.source_unit != data.target_unit:
        raise UserError("model.share_embeddings=True: needs one vocabulary; expected data.source_unit and data.target_unit to be the same")
    if model.share_embeddings and model.source_embedding_dim != model.target_embedding_dim:
        raise UserError("model.share_embeddings=True: there is one table; expected the same source_embedding_dim and target_embedding_dim")
