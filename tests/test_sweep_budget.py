"""Equal numbers of parameters: the hidden size that pays for a larger table."""

from __future__ import annotations

import dataclasses
import json

import pytest

from seq2seq_jax import config as config_lib
from seq2seq_jax.errors import UserError
from seq2seq_jax.sweep.budget import count_parameters
from seq2seq_jax.sweep.design import Design
from seq2seq_jax.sweep.plan import make_plan
from tests.training_fixture import pair_config, vector_config, write_pairs, write_text

EQUAL = Design(("onehot", "frozen"), "parameters")


def planned(config, folder, sizes, design=EQUAL, seeds=(0,)):
    plan = make_plan(config, {"model.embedding_dim": sizes, "train.seed": seeds}, str(folder), design)
    return {member.name: member for member in plan.members}


@pytest.fixture
def config(tmp_path):
    return pair_config(write_pairs(tmp_path / "a.tsv", 100), model__hidden_dim=128)


def test_totals_are_equal_within_one_percent(config, tmp_path):
    """Red if the hidden size stays, grows with the table, or is matched to another size than the smallest."""
    members = planned(config, tmp_path / "s", (64, 4, 16))
    totals = {name: count_parameters(member.config)["total"] for name, member in members.items()}
    smallest = members["embedding_dim=4,seed=0"]
    assert smallest.config.model.hidden_dim == 128
    assert smallest.adapted == {}
    for name, total in totals.items():
        assert total == pytest.approx(totals[smallest.name], rel=0.01), name
    hidden = [members[f"embedding_dim={size},seed=0"].config.model.hidden_dim for size in (4, 16, 64)]
    assert hidden == sorted(hidden, reverse=True)
    assert len(set(hidden)) == 3
    assert {member.config.model.hidden_dim for member in planned(config, tmp_path / "s", (64, 4), Design()).values()} == {128}


@pytest.mark.parametrize("encoder", [None, 48])
def test_any_two_sizes_are_equal_within_one_percent(config, tmp_path, encoder):
    """Red if one may be a per cent above the smallest and another one below, or a small network, of coarse steps, is refused."""
    small = config_lib.replace(config, {"model.hidden_dim": 32, "model.encoder_hidden_dim": encoder})
    members = planned(small, tmp_path / "s", (2, 4, 8, 16, 32, 64), Design((), "parameters")).values()
    totals = [count_parameters(member.config)["total"] for member in members]
    assert max(totals) <= 1.01 * min(totals)


def test_an_encoder_departs_from_its_share_only_where_that_is_needed(config, tmp_path):
    """Red if it does for a gain that nobody needs."""
    members = planned(config, tmp_path / "s", (4, 8, 32, 64), Design((), "parameters"))
    assert [name for name, member in members.items() if "model.encoder_hidden_dim" in member.adapted] == []


def test_dot_attention_keeps_the_encoder_as_wide_as_the_decoder(config, tmp_path):
    alike = config_lib.replace(config, {"model.attention": "dot", "model.encoder_hidden_dim": 128})
    models = [member.config.model for member in planned(alike, tmp_path / "s", (4, 64), Design((), "parameters")).values()]
    assert all(model.encoder_hidden_dim == model.hidden_dim for model in models)


def test_a_size_of_one_side_is_paid_for_too(config, tmp_path):
    """Red if members with other sizes of one side alone are taken for members with another budget."""
    axes = {"model.source_embedding_dim": (64, 4), "train.seed": (0,)}
    large, small = make_plan(config, axes, str(tmp_path / "s"), Design((), "parameters")).members
    assert large.config.model.hidden_dim < small.config.model.hidden_dim == 128
    assert count_parameters(large.config)["total"] == pytest.approx(count_parameters(small.config)["total"], rel=0.01)


def test_an_encoder_of_its_own_width_shrinks_in_proportion(config, tmp_path):
    """Red if the decoder alone pays for the table: then it is another network that is compared."""
    members = planned(config_lib.replace(config, {"model.encoder_hidden_dim": 64}), tmp_path / "s", (64, 4), Design((), "parameters"))
    small, large = (members[f"embedding_dim={size},seed=0"].config for size in (4, 64))
    assert large.model.encoder_hidden_dim == pytest.approx(large.model.hidden_dim / 2, abs=4.5)
    assert large.model.encoder_hidden_dim < 64
    assert count_parameters(large)["total"] == pytest.approx(count_parameters(small)["total"], rel=0.01)


def test_a_budget_that_cannot_be_met_is_refused(config, tmp_path):
    with pytest.raises(UserError, match=r"--budget=parameters: model.embedding_dim=5000 comes no nearer to [\d,]+ parameters"):
        planned(config, tmp_path / "s", (4, 5000))
    alike = config_lib.replace(config, {"model.attention": "dot", "model.encoder_hidden_dim": 128})  # which must stay as wide
    with pytest.raises(UserError, match=r"--budget=parameters: model.embedding_dim=5000 comes no nearer to [\d,]+ parameters"):
        planned(alike, tmp_path / "s", (4, 5000))
    tiny = config_lib.replace(config, {"model.hidden_dim": 8})  # of which one unit more or less is more than 1 %
    with pytest.raises(UserError, match=r"the baseline onehot, of size \d+, comes no nearer .* without this baseline"):
        planned(tiny, tmp_path / "s", (2,), Design(("onehot",), "parameters"))
    with pytest.raises(UserError, match=r"--tune=model.decoder_layers: 2 makes [\d,]+ parameters of"):
        planned(config, tmp_path / "s", (4, 8), Design((), "parameters", {"model.decoder_layers": (1, 2)}))
    planned(config, tmp_path / "s", (4, 8), Design((), "parameters", {"train.learning_rate": (1e-3, 2e-3)}))
    for path in ("model.hidden_dim", "model.encoder_hidden_dim"):
        with pytest.raises(UserError, match=f"--axis={path}: --budget=parameters chooses"):
            make_plan(config, {"model.embedding_dim": (4, 8), path: (8, 9)}, str(tmp_path / "s"), EQUAL)


def test_a_smaller_size_cannot_join_a_sweep_that_was_matched_to_another(config, tmp_path):
    """Red if members that are trained already would silently be asked for with another hidden size."""
    members = planned(config, tmp_path, (16, 64))
    entries = [{"name": member.name, "varied": member.varied, "adapted": member.adapted} for member in members.values()]
    record = {"format": 1, "axes": {"model.embedding_dim": [16, 64], "train.seed": [0]}, "members": entries, "design": EQUAL.to_json()}
    (tmp_path / "sweep.json").write_text(json.dumps(record | {"config": dataclasses.asdict(config)}))
    grown = planned(config, tmp_path, (16, 32), seeds=(0, 1))
    assert grown["embedding_dim=64,seed=0"].adapted == members["embedding_dim=64,seed=0"].adapted
    with pytest.raises(UserError, match=r"--budget=parameters: .* were matched to the parameters of the smallest, embedding_dim=16"):
        planned(config, tmp_path, (4, 16))
    narrow = config_lib.replace(config, {"model.hidden_dim": 4})  # with which no hidden size of the others comes near enough
    (tmp_path / "sweep.json").write_text(json.dumps(record | {"config": dataclasses.asdict(narrow)}))
    with pytest.raises(UserError, match="were matched to the parameters of the smallest"):
        planned(narrow, tmp_path, (4, 16))


def test_word_vectors_have_nothing_to_pay_with(tmp_path):
    """Red if the search for a hidden size begins, which would never end."""
    with pytest.raises(UserError, match="--budget=parameters: word vectors have no hidden size"):
        planned(vector_config(write_text(tmp_path / "a.txt", 500)), tmp_path / "s", (4, 8), Design((), "parameters"))
