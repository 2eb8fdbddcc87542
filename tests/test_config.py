"""The configuration: text in, typed values out, and what makes two experiments the same."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import typing
from typing import Any

import numpy as np
import pytest

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config
from seq2seq_jax.errors import UserError, nearest
from seq2seq_jax.experiment import load_experiment, override, parse
from seq2seq_jax.kinds import KINDS
from seq2seq_jax.validation import validate

PAIRS = config_lib.replace(Config(), {"data.train": "a.tsv", "train.steps": 5})


def test_every_field_says_what_it_means():
    for path, field in config_lib.fields().items():
        assert len(field.doc.split()) >= 2, path


def another(field: config_lib.Field) -> Any:
    """Returns a value of a setting that is not its default."""
    choices = {bool: [True, False], int: [3], float: [0.1], str: ["a.txt"], type(None): [None]}
    given = typing.get_args(field.type) or (field.type,)
    values = [value for choice in given for value in (choices[choice] if isinstance(choice, type) else [choice])]
    return next(value for value in values if value is not None and value != field.default)


@pytest.mark.parametrize("path", [path for path, field in config_lib.fields().items() if field.kinds])
def test_a_setting_that_a_kind_does_not_read_is_refused(path):
    """Red if a setting could be asked for, or swept, that changes nothing."""
    field = config_lib.fields()[path]
    value = another(field)
    for kind in sorted(KINDS.keys() - set(field.kinds)):
        fitting = config_lib.replace(PAIRS, {"model.kind": kind, "train.clip_norm": None})
        validate(fitting)
        with pytest.raises(UserError, match=rf"^{path}={value}: only a .* reads it, and this is a {kind}; expected "):
            validate(config_lib.replace(fitting, {path: value}))


def test_another_kind_of_model_drops_what_it_does_not_read():
    """Red if an experiment's attention stands in the way of a language model, or what was typed is dropped in silence."""
    pairs = config_lib.replace(PAIRS, {"model.attention": "additive", "model.dropout": 0.2, "data.max_length": 24})
    text = override(pairs, [("model.kind", "language_model")])
    assert (text.model.attention, text.model.dropout, text.data.max_length) == ("general", 0.2, 64)
    typed = override(pairs, [("data.max_length", "30"), ("model.kind", "language_model")])
    with pytest.raises(UserError, match=r"^data\.max_length=30: only a translator reads it"):
        validate(typed)


def test_an_experiment_file_is_a_module_and_its_whole_numbers_are_numbers(tmp_path):
    """Red if 0 and 0.0 have members, and hashes, of their own: the command that grows a sweep writes 0.0."""
    path = tmp_path / "experiment.py"
    (tmp_path / "beside_it.py").write_text("RATE = 0\n")
    path.write_text(
        """from __future__ import annotations
import dataclasses
import beside_it
from seq2seq_jax.config import Config, ModelConfig
SWEEP = {"model.dropout": (0, 0.2), "model.embedding_dim": (2, 4), "train.clip_norm": (None, 1)}

@dataclasses.dataclass
class Setting:
    rate: int = beside_it.RATE

def get_config() -> Config:
    return Config(model=ModelConfig(dropout=Setting().rate))
"""
    )
    experiment = load_experiment(str(path))
    values = {"dropout": [experiment.config.model.dropout, *experiment.sweep["model.dropout"]], **experiment.sweep}
    assert list(map(repr, values["dropout"])) == ["0.0", "0.0", "0.2"]
    assert list(map(repr, values["train.clip_norm"])) == ["None", "1.0"]
    assert list(map(repr, values["model.embedding_dim"])) == ["2", "4"]


def test_a_configuration_survives_json():
    assert config_lib.from_dict(json.loads(json.dumps(dataclasses.asdict(PAIRS)))) == PAIRS


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("model.embedding_dim", "16", 16),
        ("model.source_embedding_dim", "null", None),
        ("train.learning_rate", "1e-3", 1e-3),
        ("model.bidirectional", "false", False),
        ("data.source_unit", "byte", "byte"),
        ("data.train", "a,b", "a,b"),
    ],
)
def test_text_becomes_a_value_of_the_fields_type(path, text, value):
    assert parse(path, text) == value
    assert type(parse(path, text)) is type(value)


def test_null_excludes_nothing():
    config = override(PAIRS, [("data.name", "null"), ("data.train", "b.tsv"), ("train.steps", "null"), ("train.epochs", "3")])
    assert (config.data.train, config.data.name, config.train.steps, config.train.epochs) == ("b.tsv", None, None, 3)


def test_one_of_an_exclusive_pair_clears_the_other():
    config = override(PAIRS, [("train.epochs", "3"), ("data.name", "cmudict")])
    assert (config.train.steps, config.train.epochs) == (None, 3)
    assert (config.data.train, config.data.name) == (None, "cmudict")
    back = override(config, [("data.train", "b.tsv"), ("data.dev", "c.tsv")])
    assert (back.data.train, back.data.dev, back.data.name) == ("b.tsv", "c.tsv", None)


@pytest.mark.parametrize(
    "values",
    [
        {"train.steps": None},
        {"train.epochs": 3},
        {"data.train": None},
        {"data.name": "cmudict"},
        {"data.train": None, "data.name": "cmudict", "data.dev": "b.tsv"},
        {"data.dev_fraction": 0.5, "data.test_fraction": 0.5},
        {"train.learning_rate": 0.0},
        {"train.clip_norm": 0.0},
        {"model.dropout": 1.0},
        {"train.metric": "bits_per_character"},
        {"model.kind": "language_model", "train.metric": "bleu"},
    ],
)
def test_senseless_values_are_refused_by_name(values):
    with pytest.raises(UserError, match="|".join(map(re.escape, values))):
        validate(config_lib.replace(PAIRS, values))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.table", "onehotx"),
        ("data.target_unit", "bpex"),
        ("model.bidirectional", "false"),
        ("train.steps", True),
        ("model.hidden_dim", 24.0),
        ("model.embedding_dim", np.int64(4)),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(path, value):
    """Red if what only Python can give is trained as something else, such as a table of an unknown kind as a learned one."""
    config = copy.deepcopy(PAIRS)
    section, name = path.split(".")
    object.__setattr__(getattr(config, section), name, value)  # tests check the types of arguments, users do not
    with pytest.raises(UserError, match=re.escape(f"{path}={value!r}: expected ")):
        validate(config)


def test_the_identity_leaves_out_steps_paths_and_devices():
    same = config_lib.replace(PAIRS, {"train.steps": 9, "data.train": "/elsewhere/a.tsv", "train.devices": 4})
    assert config_lib.config_sha256(same) == config_lib.config_sha256(PAIRS)
    for path in ("model.embedding_dim", "train.seed", "data.max_length", "train.log_every"):
        other = config_lib.replace(PAIRS, {path: config_lib.get(PAIRS, path) + 1})
        assert config_lib.config_sha256(other) != config_lib.config_sha256(PAIRS)
        assert config_lib.differences(PAIRS, other) == [path]


def test_configurations_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PAIRS.train.seed = 3  # type: ignore[misc]


SET = "def with_value(c, name, value): object.__setattr__(c.model, name, value); return c\n"  # past the type checker of the tests
IMPORT = "from seq2seq_jax.config import Config, ModelConfig\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1\ny = ", r": SyntaxError.*line 2\)$"),
        ("\n1 / 0", ": line 2: ZeroDivisionError"),
        ("", "a function get_config"),
        ("def get_config(): return 3", "get_config"),
        ("def get_config():\n  return half(0)\ndef half(x):\n  return x / 0\n", ": line 4: ZeroDivisionError"),
        (f"{IMPORT}def get_config(): return Config(model=ModelConfig(nope=1))", ": line 2: TypeError.*nope"),
        ("import json\ndef get_config():\n  return json.loads('{')", ": line 3: JSONDecodeError"),  # raised elsewhere
        (f"{SET}{IMPORT}get_config = lambda: with_value(Config(), 'dropout', 'x')", "model.dropout='x': expected a number"),
        (f"{SET}{IMPORT}get_config = lambda: with_value(Config(), 'hidden_dim', 1.5)", "model.hidden_dim=1.5: expected a whole number"),
        (f"{SET}{IMPORT}get_config = lambda: with_value(Config(), 'attention', 'x')", "model.attention='x': expected one of none"),
        (f"{IMPORT}get_config = Config\nSWEEP = [1]", "SWEEP: expected fields with their values"),
        (f"{IMPORT}get_config = Config\nSWEEP = {{'model.embedding_dim': 5}}", "SWEEP: expected fields with their values"),
        (f"{IMPORT}get_config = Config\nSWEEP = {{'model.embeding_dim': (5,)}}", "SWEEP: .*did you mean model.embedding_dim"),
        (f"{IMPORT}get_config = Config\nSWEEP = {{'train.seed': (True,)}}", "SWEEP: train.seed=True: expected a whole number"),
    ],
)
def test_a_broken_experiment_file_is_named(tmp_path, content, message):
    """Red too if the line is not that of the file where the mistake is, but that of the caller, or of a library."""
    path = tmp_path / "experiment.py"
    path.write_text(content)
    with pytest.raises(UserError, match=f"{path}.*{message}"):
        load_experiment(str(path))


@pytest.mark.parametrize(
    ("given", "known", "near"),
    [
        ("model.hiden_dim", ["model.hidden_dim", "model.kind"], "model.hidden_dim"),
        ("train.hidden_dim", ["model.hidden_dim", "train.seed"], "model.hidden_dim"),
        ("config.train.sed", ["seed", "config.train.seed"], "config.train.seed"),
        ("model.foo", ["model.cbow", "model.kind"], None),  # the dots and what stands before them are no likeness
        ("seedz", ["seeds"], "seeds"),
    ],
)
def test_what_was_meant_is_named_where_it_can_be_told(given, known, near):
    assert nearest(given, known) == near
