"""What --dry_run says before anything is trained."""

from __future__ import annotations

import dataclasses
import json
import types

import jax
import numpy as np
import pytest

from seq2seq_jax import config as config_lib
from seq2seq_jax.model.build import abstract_params
from seq2seq_jax.sweep import forecast
from seq2seq_jax.sweep.budget import count_parameters
from seq2seq_jax.sweep.design import Design
from seq2seq_jax.sweep.dry_run import print_dry_run, print_forecasts
from seq2seq_jax.sweep.plan import make_plan
from seq2seq_jax.sweep.shared_corpus import vocabulary_sizes
from seq2seq_jax.train.devices import Devices
from seq2seq_jax.train.programs import initial_state, programs
from tests import sweep_fixture
from tests.training_fixture import pair_config, text_config, write_pairs, write_text

AXES = {"model.embedding_dim": (2, 6), "train.seed": (0, 1)}


@pytest.mark.parametrize(("symbols", "hidden_dim"), [(6, 64), (1500, 16)])
def test_memory_is_near_what_the_compiler_needs(tmp_path, symbols, hidden_dim):
    """Red if moments, gradients, what the backward pass needs or, where there are many symbols, the gradient of the logits is left out."""
    text = "".join(map(chr, np.random.default_rng(0).integers(1000, 1000 + symbols, 20_000)))
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    config = text_config(tmp_path / "a.txt", model__hidden_dim=hidden_dim, train__batch_size=32)
    sizes = vocabulary_sizes(config)
    compiled, params = programs(config, sizes, 1, Devices(1), 1, forecast._batches(config).shapes), abstract_params(config.model, sizes)
    state = jax.eval_shape(lambda params: initial_state(config, compiled.structure, params), params)
    step: jax.stages.Wrapped = compiled.train_step  # type: ignore[bad-assignment]
    used = step.lower(state, forecast._largest_batch(config)).compile().memory_analysis()
    assert used is not None
    whole = used.argument_size_in_bytes + used.output_size_in_bytes + used.temp_size_in_bytes - used.alias_size_in_bytes
    assert 0.9 * whole < forecast.update_bytes(config) < 1.4 * whole


def test_a_large_table_counts_whole(tmp_path):
    """Red if what a checkpoint holds is left out, or parameters are taken off that the backward pass does not keep."""
    (tmp_path / "a.txt").write_text("".join(map(chr, range(1000, 1600))) * 4)
    config = text_config(tmp_path / "a.txt", model__embedding_dim=512, train__batch_size=2, data__segment_length=8)
    params = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(abstract_params(config.model, vocabulary_sizes(config))))
    assert 10 * params < forecast.update_bytes(config) < 11 * params
    averaged = config_lib.replace(config, {"train.average_decay": 0.9})
    assert 13 * params < forecast.update_bytes(averaged) < 14 * params


def test_a_plan_shows_members_and_warns_of_those_that_do_not_fit(tmp_path, monkeypatch, capsys):
    """Red if a member is missing, if anything is written, or if the warning comes for a member that fits."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 100), train__steps=4)
    members = make_plan(config, AXES, str(tmp_path / "s"), Design()).members
    small, large = (forecast.update_bytes(member.config) for member in (members[0], members[-1]))
    assert small < large
    monkeypatch.setattr(forecast, "available_bytes", lambda: (small + large) // 2)
    monkeypatch.setattr(forecast, "_timed", lambda config: 0.5)
    found, basis = forecast.forecast(members, tmp_path / "s")
    print_forecasts({member.name: "to train" for member in members}, found, basis)
    printed = capsys.readouterr()
    for member in members:
        (line,) = (line for line in printed.out.splitlines() if line.startswith(member.name))
        assert f"{count_parameters(member.config)['total']:,}" in line
        assert (" !" in line) == ("embedding_dim=6" in line)
    assert [line.split()[1] for line in printed.err.splitlines()] == ["embedding_dim=6,seed=0", "embedding_dim=6,seed=1"]
    assert found[members[0].name].seconds == pytest.approx(4 * 0.5)
    assert "updates of embedding_dim=2,seed=0" in printed.out
    assert not (tmp_path / "s").exists()
    monkeypatch.setattr(forecast, "available_bytes", lambda: small // 2)
    monkeypatch.setattr(forecast, "_timed", lambda config: pytest.fail("an update is tried that will not fit"))
    found, basis = forecast.forecast(members, tmp_path / "s")
    print_forecasts({member.name: "to train" for member in members}, found, basis)
    printed = capsys.readouterr()
    assert "4 members. Forecast: time: not known, since no member fits into memory" in printed.out
    assert printed.err.count("will not fit") == 4


def test_tuning_runs_have_a_forecast_of_their_own(tmp_path, monkeypatch, capsys):
    """Red if what the members' times rest on is said of the tuning runs too, which are timed by themselves."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 100), train__steps=4)
    plan = make_plan(config, AXES, str(tmp_path / "s"), Design(tune={"train.learning_rate": (0.1, 0.2)}))
    monkeypatch.setattr(forecast, "_timed", lambda config: 0.5)
    print_dry_run(plan, retry_failed=False)
    printed = capsys.readouterr().out
    assert "Forecast: tuning/: time: from 3 updates of embedding_dim=2,learning_rate=0.1,seed=2 with" in printed
    assert "; members: time: from 3 updates of embedding_dim=2,seed=0 with" in printed


def test_finished_members_tell_the_time_of_the_others(tmp_path):
    """Red if the seconds of a finished member are not used for its own size, or not scaled for another by what multiplies."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 100), train__steps=4)
    members = make_plan(config, AXES, str(tmp_path / "s"), Design()).members
    folder = tmp_path / "s" / members[0].name
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(sweep_fixture.result(4, 0, 0.5, train_seconds=30.0, steps=10)))
    found, basis = forecast.forecast(members, tmp_path / "s")
    assert basis.startswith("time: from 1 finished members of this sweep, without compiling and evaluations;")
    assert found[members[1].name].seconds == pytest.approx(4 * 3.0)
    small, large = (counts["total"] - counts["embedding"] for counts in (count_parameters(members[place].config) for place in (0, 2)))
    assert small < large
    assert found[members[2].name].seconds == pytest.approx(4 * 3.0 * large / small)


def test_a_member_that_has_begun_needs_the_updates_that_are_left(tmp_path, monkeypatch, capsys):
    """Red if updates that a checkpoint holds are counted again, if the oldest one counts, or if a member has less than nothing left."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 100), train__steps=10)
    plan = make_plan(config, AXES, str(tmp_path / "s"), Design())
    monkeypatch.setattr(forecast, "_timed", lambda config: 0.5)
    monkeypatch.setattr(forecast, "_operations", lambda config: 1.0)
    for member, steps in zip(plan.members, ((2, 8), (), (4,), (12,)), strict=True):
        for step in steps:
            (tmp_path / "s" / member.name / "checkpoints" / str(step)).mkdir(parents=True)
    found, _ = forecast.forecast(plan.members, plan.folder)
    assert [found[member.name].seconds for member in plan.members] == [1, 5, 3, 0]
    print_dry_run(plan, retry_failed=False)
    said = capsys.readouterr().out
    assert "4 members, 9 s of training left" in said
    assert "may take longer to compile than to train" in said
    monkeypatch.setattr(forecast, "_timed", lambda config: 50.0)
    print_dry_run(plan, retry_failed=False)
    assert "longer to compile" not in capsys.readouterr().out


def test_a_larger_batch_takes_longer(tmp_path, monkeypatch):
    """Red if the time of an update is carried over to other batches as it is, or taken for theirs since the model is the same."""
    config = text_config(write_text(tmp_path / "a.txt", 20_000), train__steps=4)
    axes = {"train.batch_size": (16, 64), "model.embedding_dim": (6,), "train.seed": (0,)}
    members = make_plan(config, axes, str(tmp_path / "s"), Design()).members
    monkeypatch.setattr(forecast, "_timed", lambda config: 0.5)
    found, _ = forecast.forecast(members, tmp_path / "s")
    assert [found[member.name].seconds for member in members] == [pytest.approx(4 * 0.5), pytest.approx(4 * 4 * 0.5)]


def test_what_a_container_has_cached_of_files_is_free(tmp_path, monkeypatch):
    """Red if the page cache counts as used: after a large file was read, hardly anything would seem to fit."""
    for name, text in {"memory.max": "3000", "memory.current": "2800", "memory.stat": "anon 700\ninactive_file 2000\n"}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(forecast, "CONTROL_GROUP", tmp_path)
    assert forecast.available_bytes() == 3000 - 800
    (tmp_path / "memory.max").write_text("max\n")
    assert forecast.available_bytes() > 2**20


def test_a_few_updates_are_timed_where_nothing_is_finished(tmp_path, monkeypatch):
    """Red if the update that compiles is timed too, or if the time of several is taken for that of one."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 100), train__steps=4)
    updates, make = [], forecast.programs

    def counted(*arguments):
        made = make(*arguments)
        return dataclasses.replace(made, train_step=lambda *given: (updates.append(1), made.train_step(*given))[1])

    monkeypatch.setattr(forecast, "programs", counted)
    monkeypatch.setattr(forecast, "time", types.SimpleNamespace(monotonic=lambda: 2.0 * len(updates)))  # an update takes 2 seconds
    assert forecast._timed(config) == 2.0
    assert forecast._steps(config_lib.replace(config, {"train.steps": None, "train.epochs": 2})) == 2 * 5
