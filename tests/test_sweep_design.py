"""One small sweep with baselines and tuned learning rates, from its members to its comparison, and what it keeps."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seq2seq_jax import config as config_lib
from seq2seq_jax.compare.labels import design_lines
from seq2seq_jax.config import ModelConfig
from seq2seq_jax.errors import UserError
from seq2seq_jax.inference.evaluate import evaluate
from seq2seq_jax.kinds import METRICS
from seq2seq_jax.model.build import embedding_tables, initial_params, structure
from seq2seq_jax.model.embedding import INITIAL_STD, OneHotEmbedding
from seq2seq_jax.model.keys import named
from seq2seq_jax.model.recurrent import LSTM
from seq2seq_jax.records import RunRecord
from seq2seq_jax.sweep import largest, tuning
from seq2seq_jax.sweep import sweep as sweep_module
from seq2seq_jax.sweep.design import Design, parse_baselines, parse_tune
from seq2seq_jax.sweep.dry_run import print_dry_run
from seq2seq_jax.sweep.largest import cut_tables, decomposed, largest_runs, truncated
from seq2seq_jax.sweep.members import make_members
from seq2seq_jax.sweep.outcomes import thin
from seq2seq_jax.sweep.plan import make_plan
from seq2seq_jax.sweep.shared_corpus import vocabulary_sizes
from seq2seq_jax.sweep.sweep import SweepOptions, check_members, run_sweep
from seq2seq_jax.train.loop import train
from seq2seq_jax.train.programs import initial_state
from seq2seq_jax.train.state import root_key
from tests import sweep_fixture
from tests.sweep_fixture import compare
from tests.training_fixture import pair_config, result_of, write_pairs

AXES = {"model.embedding_dim": (2, 6), "train.seed": (0,)}
DESIGN = Design(("onehot", "frozen"), "hidden", {"train.learning_rate": (1e-3, 2e-2)})
NAMES = ["embedding_dim=2,seed=0", "embedding_dim=6,seed=0", "table=onehot,seed=0", "table=frozen,embedding_dim=6,seed=0"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The configuration and directory of a finished sweep, which tests only read or copy."""
    folder = tmp_path_factory.mktemp("design")
    config = pair_config(write_pairs(folder / "a.tsv", 200), train__steps=8, train__eval_every=4, train__metric="loss_nats_per_token")
    sweep(config, folder / "sweep")
    return config, folder / "sweep"


def sweep(config, folder: pathlib.Path, axes=AXES, **options):
    outcomes = run_sweep(make_plan(config, axes, str(folder), DESIGN), SweepOptions("serial", **options), "test")
    return {outcome.member: outcome.status for outcome in outcomes}


def initial_tables(config):
    key = named(root_key(config.train.seed), "params")
    return embedding_tables(initial_params(config.model, vocabulary_sizes(config), key))


def test_a_frozen_table_stays_and_a_learned_one_moves(swept):
    """Red if a gradient or the optimizer reaches a frozen table, or if a learned one is not trained, or how far is not told."""
    config, folder = swept
    for name, table, moves in ((NAMES[1], "learned", True), (NAMES[3], "frozen", False)):
        initial = initial_tables(config_lib.replace(config, {"model.table": table, "model.embedding_dim": 6}))
        for side in ("source", "target"):
            arrays = np.load(folder / name / "embedding.npz")
            trained = arrays[f"{side}_table"]
            assert (trained == np.asarray(initial[side])).all() != moves, (name, side)
            np.testing.assert_allclose(arrays[f"{side}_moved"], np.linalg.norm(trained - initial[side], axis=1), rtol=1e-4)


def test_what_is_not_learned_is_not_counted_and_has_no_moments(swept):
    config, folder = swept
    total = {name: result_of(folder / name)["parameters"]["total"] for name in NAMES}
    tables = {name: result_of(folder / name)["parameters"]["embedding"] for name in NAMES}
    assert [tables[name] for name in NAMES] == [2 * 20, 6 * 20, 0, 0]  # ten symbols on each side
    assert total[NAMES[3]] == total[NAMES[1]] - 6 * 20
    frozen, sizes = config_lib.replace(config, {"model.table": "frozen"}), vocabulary_sizes(config)
    state = initial_state(frozen, structure(frozen.model, sizes), initial_params(frozen.model, sizes, root_key(0)))
    moments = sum(leaf.size for leaf in jax.tree.leaves(state.opt_state))
    assert moments == 2 * total[NAMES[3]] + 1


def test_one_hot_rows_give_the_variance_of_drawn_ones_and_are_read_without_a_product():
    """Red if reading a one-hot table is not a product with its rows, or if its pre-activations have not the variance of drawn tables."""
    embedding, layer = OneHotEmbedding(400), LSTM(400, 100, jax.random.key(2))
    ids = jnp.arange(400)
    product = layer.preactivations(embedding.table)
    np.testing.assert_allclose(product, layer.preactivations(embedding(ids)), rtol=1e-5, atol=1e-7)
    for reads in (10, 1000):
        read = layer.reader(embedding, reads)(ids[None])
        np.testing.assert_allclose(read[0], product, rtol=1e-5, atol=1e-7)
    assert (product - layer.bias[...]).std() == pytest.approx(INITIAL_STD, rel=0.05)


def test_baselines_stand_beside_vectors_from_a_file_too(tmp_path):
    """Red if they are to begin with the file's vectors, which a table that is not learned refuses."""
    (tmp_path / "v.txt").write_text("a 1 2 3 4 5 6\n")
    values = {"model__pretrained": str(tmp_path / "v.txt"), "model__pretrained_frozen_steps": None}
    config = pair_config(write_pairs(tmp_path / "a.tsv", 60), **values)
    members = make_plan(config, {"train.seed": (0,)}, str(tmp_path / "s"), Design(("onehot", "frozen"))).members
    pretrained = [(member.table, member.config.model.pretrained is None) for member in members]
    assert pretrained == [("learned", False), ("onehot", True), ("frozen", True)]


def test_a_one_hot_table_is_as_wide_as_the_vocabulary_of_its_own_data(tmp_path):
    """Red if the data that the sweep's own configuration names, here none, count for all."""
    few, many = tmp_path / "few.tsv", tmp_path / "many.tsv"
    for path, letters in ((few, "ab"), (many, "abcdefgh")):  # each word is its own target, with its letters in every order
        words = ["".join(letters[(start + i) % len(letters)] for i in range(length)) for start in range(8) for length in range(4, 10)]
        path.write_text("".join(f"{word}\t{' '.join(word)}\n" for word in words))
    config = config_lib.replace(pair_config(few), {"data.train": None})
    axes = {"model.embedding_dim": (2,), "data.train": (str(few), str(many)), "train.seed": (0,)}
    members = make_plan(config, axes, str(tmp_path / "s"), Design(("onehot",))).members
    widths = {member.config.data.train: member.config.model.embedding_dim for member in members if member.table == "onehot"}
    assert widths == {str(few): 2 + 4, str(many): 8 + 4}  # with <pad>, <bos>, <eos> and <unk>


def test_a_one_hot_run_is_a_run_like_any_other(swept):
    _, folder = swept
    scored = evaluate([str(folder / NAMES[2])], "dev")
    assert scored["loss_nats_per_token"] == pytest.approx(result_of(folder / NAMES[2])["dev"]["loss_nats_per_token"], rel=1e-5)


@pytest.mark.parametrize("grid", [True, False])  # without sweep.json the result files alone decide
def test_baselines_are_compared_and_never_recommended(swept, tmp_path, grid):
    """Red if a baseline counts as a size or a setting of its own, or is taken where it is the best of all."""
    folder = shutil.copytree(swept[1], tmp_path / "copy")
    for name in NAMES[2:]:
        result = json.loads((folder / name / "result.json").read_text())
        result["dev"]["loss_nats_per_token"] = 0.001
        (folder / name / "result.json").write_text(json.dumps(result))
    if not grid:
        (folder / "sweep.json").unlink()
    found = compare([str(folder)])
    assert [(row["table"], row["embedding_dim"]) for row in found["sizes"]] == [
        ("learned", 2),
        ("learned", 6),
        ("frozen", 6),
        ("onehot", 10),
    ]
    assert found["best"]["embedding_dim"] in (2, 6)
    assert found["recommendation"]["answer"][0].startswith(
        f"Take embedding size {found['recommendation']['embedding_dim']} "
    )  # no baseline
    assert any("onehot" in sentence for sentence in found["recommendation"]["warnings"])


def test_each_size_gets_its_best_setting_from_a_seed_outside_the_comparison(swept):
    """Red if the worse setting is taken, if tuning uses a compared seed, or if its cost is not told."""
    _config, folder = swept
    recorded = json.loads((folder / "sweep.json").read_text())
    found = recorded["tuning"]
    assert (found["seed"], found["runs"]) == (1, 8)
    for entry in found["chosen"]:
        values = {tried["values"]["train.learning_rate"]: tried["loss_nats_per_token"] for tried in entry["tried"]}
        assert entry["values"]["train.learning_rate"] == min(values, key=lambda rate: values[rate])
        assert len(values) == 2
    seconds = [json.loads(path.read_text())["train_seconds"] for path in folder.glob("tuning/*/result.json")]
    assert found["train_seconds"] == pytest.approx(sum(seconds))
    told = compare([str(folder)])
    assert told["tuning"]["tried"] == {"train.learning_rate": [0.001, 0.02]}
    chosen = {entry["values"]["train.learning_rate"] for entry in found["chosen"]}
    for value, end in ((0.02, "0.02 is the largest tried, and a larger one"), (0.001, "0.001 is the smallest tried, and a smaller one")):
        assert (end in design_lines(told)[0]) == (value in chosen)
    assert told["tuning"]["chosen"][0] == {"embedding_dim": 2, "table": "learned", "values": found["chosen"][0]["values"]}
    assert all(told["tuning"][key] == found[key] for key in ("seed", "runs", "train_seconds"))
    assert design_lines(told)[-1].startswith("Tuning took 8 runs, ")
    assert "with seed 1, which is not compared" in design_lines(told)[-1]
    for name, entry in zip(NAMES, found["chosen"], strict=True):
        used = json.loads((folder / name / "config.json").read_text())["config"]["train"]
        assert (used["learning_rate"], used["seed"]) == (entry["values"]["train.learning_rate"], 0)
    assert not list(folder.glob("tuning/*/checkpoints/*"))


def test_a_finished_sweep_trains_and_tunes_nothing_again_and_grows_with_what_was_chosen(swept, capsys):
    """Red if a choice is made anew for more seeds, or a new size goes without one."""
    config, folder = swept
    assert sweep(config, folder) == {}
    assert "no member any more" not in capsys.readouterr().err
    plan = make_plan(config, {"model.embedding_dim": (2, 6), "train.seed": (0,)}, str(folder), DESIGN)
    plan = dataclasses.replace(plan, recorded=plan.recorded | {"table=frozen,embedding_dim=4,seed=0"})
    assert run_sweep(plan, SweepOptions("serial"), "test") == []
    assert "sweep: table=frozen,embedding_dim=4,seed=0: no member any more, since a larger size takes its place" in capsys.readouterr().err
    grown = make_plan(config, {"model.embedding_dim": (2, 4), "train.seed": (0, 1)}, str(folder), DESIGN)
    chosen = json.loads((folder / "sweep.json").read_text())["tuning"]["chosen"][0]["values"]
    assert {member.name: member.adapted for member in grown.members}["embedding_dim=2,seed=1"] == chosen
    assert "embedding_dim=6,seed=0" in {member.name for member in grown.members}
    assert [run.name for run in grown.tuning_runs] == [f"embedding_dim=4,learning_rate={rate},seed=1" for rate in (0.001, 0.02)]
    without = make_plan(config, {"model.embedding_dim": (2,), "train.seed": (1,)}, str(folder), Design(tune=DESIGN.tune)).members
    assert {"table=onehot,seed=1", "table=frozen,embedding_dim=6,seed=1"} <= {member.name for member in without}  # they grow with the rest
    larger = make_plan(config, {"model.embedding_dim": (2, 8), "train.seed": (0,)}, str(folder), DESIGN)
    frozen = [member.name for member in larger.members if member.table == "frozen"]
    assert frozen == ["table=frozen,embedding_dim=8,seed=0"]  # of the largest
    larger.check_current()  # and nobody else has given the one of before its name
    other = [{"name": "a", "varied": {}}]
    before = (folder / "sweep.json").read_text()
    (folder / "sweep.json").write_text(json.dumps(json.loads(before) | {"members": other}))
    with pytest.raises(UserError, match="another process has worked on this sweep meanwhile"):
        larger.check_current()
    (folder / "sweep.json").write_text(before)
    for other in (Design(DESIGN.baselines), Design(DESIGN.baselines, "parameters", DESIGN.tune)):
        with pytest.raises(UserError, match="expected the same"):
            make_plan(config, AXES, str(folder), other)


def test_a_tuned_sweep_grows_by_a_baseline_alone(swept, tmp_path):
    """Red if only the new tuning runs are recorded: without a size among them there are no axes, and the earlier ones are forgotten."""
    config, folder = swept
    shutil.copytree(folder, tmp_path / "sweep")
    for record in (tmp_path / "sweep/sweep.json", tmp_path / "sweep/tuning/sweep.json"):
        text = json.loads(record.read_text())
        text["members"] = [member for member in text["members"] if member["table"] != "onehot"]
        if text["tuning"]:
            text["tuning"]["chosen"] = [entry for entry in text["tuning"]["chosen"] if entry["varied"].get("model.table") != "onehot"]
        record.write_text(json.dumps(text))
    for run in tmp_path.glob("sweep/**/table=onehot*"):
        shutil.rmtree(run)
    assert sweep(config, tmp_path / "sweep") == {NAMES[2]: "finished"}
    for record in ("sweep.json", "tuning/sweep.json"):
        before, after = (json.loads((root / record).read_text()) for root in (folder, tmp_path / "sweep"))
        assert [member["name"] for member in after["members"]] == [member["name"] for member in before["members"]]
        assert after["axes"] == before["axes"]
        assert [member["adapted"] for member in after["members"]] == [member["adapted"] for member in before["members"]]


def test_a_sweep_that_another_process_has_worked_on_meanwhile_is_left_as_it_is(tmp_path):
    """Red if what was tuned, or the members that were added, between the plan and the lock are lost."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 40))
    plan = make_plan(config, AXES, str(tmp_path / "sweep"), Design(tune=DESIGN.tune))
    (tmp_path / "sweep").mkdir()
    grown = make_plan(config, {**AXES, "train.seed": (0, 1)}, str(tmp_path / "sweep"), Design(tune=DESIGN.tune))
    for other in (dataclasses.replace(plan, tuning=tuning.Tuning(1, 0, 0.0, [])), grown):
        other.write("test")
        before = (tmp_path / "sweep/sweep.json").read_text()
        with pytest.raises(UserError, match="meanwhile"):
            run_sweep(plan, SweepOptions("serial"), "test")
        assert (tmp_path / "sweep/sweep.json").read_text() == before


def test_a_size_whose_tuning_failed_is_tuned_again_and_not_trained_before(tmp_path):
    """Red if a size without a finished setting counts as tuned, or is trained with the configuration's."""
    config = pair_config(tmp_path / "a.tsv")
    members = make_plan(config, AXES, str(tmp_path), Design()).members
    (member, *others) = tuning.new_runs(members, DESIGN.tune, None)
    (tmp_path / "tuning" / member.name).mkdir(parents=True)
    (tmp_path / "tuning" / member.name / "result.json").write_text(json.dumps(sweep_fixture.result(4, 1, None, train_seconds=None)))
    found = tuning.choose(tmp_path, [member], DESIGN.tune, None)
    assert found == tuning.Tuning(seed=1, runs=1, train_seconds=0.0, chosen=[])
    assert tuning.without_choice(members, found) == [one.name for one in members]
    assert tuning.new_runs(members, DESIGN.tune, found) == [member, *others]


@pytest.mark.parametrize(
    ("metric", "values", "losses"), [("word_error_rate", (1.0, 1.0), (2.6, 2.1)), ("exact_match", (0.2, 0.7), (2.1, 2.6))]
)
def test_the_better_setting_is_chosen_and_of_equal_ones_that_with_less_loss(tmp_path, metric, values, losses):
    """Red if the first is: where all are still wrong everywhere, a size would be compared with the worse of its settings.

    Red too if more of a metric is taken for worse where it is better, or if a result counts that is of a shorter training than the others.
    """
    members = make_plan(pair_config(tmp_path / "a.tsv", train__metric=metric), AXES, str(tmp_path), Design()).members
    tried = tuning.new_runs(members, DESIGN.tune, None)[:2]
    for member, value, loss in zip(tried, values, losses, strict=True):
        (tmp_path / "tuning" / member.name).mkdir(parents=True)
        found = sweep_fixture.result(4, 1, value, METRICS[metric].to_json())
        found["dev"]["loss_nats_per_token"] = loss
        (tmp_path / "tuning" / member.name / "result.json").write_text(json.dumps(found))
        (tmp_path / "tuning" / member.name / "config.json").write_text(json.dumps(RunRecord(member.config, 30, {}, 9, ()).to_json()))
    for better, shorter in ((1, ()), (0, (1,))):
        for place in shorter:
            path = tmp_path / "tuning" / tried[place].name / "result.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"length": {"steps": 15, "epochs": None, "updates": 15}}))
        (chosen,) = tuning.choose(tmp_path, tried, DESIGN.tune, None).chosen
        assert chosen["values"] == {path: tried[better].varied[path] for path in DESIGN.tune}


def test_a_sweep_is_not_lengthened_in_the_middle_of_tuning(tmp_path):
    """Red if what is tried then chooses beside what was tried before with fewer updates, whose checkpoints are gone."""
    config = pair_config(write_pairs(tmp_path / "a.tsv", 40))
    plan = make_plan(config, AXES, str(tmp_path / "sweep"), Design(tune=DESIGN.tune))
    tried = tmp_path / "sweep/tuning" / plan.tuning_runs[0].name
    tried.mkdir(parents=True)
    own, steps = plan.tuning_runs[0].config, config.train.steps
    assert steps is not None
    length = {"steps": steps, "epochs": None, "updates": steps}
    (tried / "result.json").write_text(json.dumps(sweep_fixture.result(4, 1, 1.0, steps=steps, length=length)))
    (tried / "config.json").write_text(json.dumps(RunRecord(own, steps, {}, 9, ()).to_json()))
    check_members(plan, retry_failed=False)
    longer = [dataclasses.replace(member, config=config_lib.replace(member.config, {"train.steps": 99})) for member in plan.members]
    with pytest.raises(UserError, match="its best checkpoint was not kept"):
        check_members(dataclasses.replace(plan, members=longer), retry_failed=False)


def test_the_largest_table_is_cut_and_scored(swept):
    """Red if another run is cut, if directions are not the first ones, or if the whole table does not give the run's own figure."""
    _, folder = swept
    assert [path.parent.name for path in folder.glob("*/truncated.json")] == [NAMES[1]]
    points = json.loads((folder / NAMES[1] / "truncated.json").read_text())["points"]
    assert [point["directions"] for point in points] == [1, 2, 4, 6]
    assert points[-1]["value"] == pytest.approx(result_of(folder / NAMES[1])["dev"]["loss_nats_per_token"], rel=1e-4)
    assert points[0]["value"] != points[-1]["value"]
    assert compare([str(folder)])["truncated_table"] == points
    table = np.outer([3, 0, 0], [1, 0]) + np.outer([0, 2, 0], [0, 1])
    params = {"source_embedding": {"table": table}, "output": {}}
    cut = truncated(params, decomposed(params), 1)["source_embedding"]["table"]
    assert cut == pytest.approx(np.outer([3, 0, 0], [1, 0]), abs=1e-6)


def test_the_largest_table_is_cut_anew_where_another_checkpoint_is_the_best(swept, tmp_path, monkeypatch):
    """Red if a sweep that was lengthened keeps the figures of the shorter training, or each call makes them again."""
    config, cut = swept[0], []
    folder = shutil.copytree(swept[1], tmp_path / "sweep")
    members = make_plan(config, AXES, str(folder), DESIGN).members
    monkeypatch.setattr(largest, "_cut", lambda run, best_step, stopped: cut.append(best_step))
    cut_tables(members, folder)
    assert cut == []
    file = folder / NAMES[1] / "truncated.json"
    found = json.loads(file.read_text())
    file.write_text(json.dumps(found | {"best_step": found["best_step"] - 1}))
    cut_tables(members, folder)
    assert cut == [found["best_step"]]


def test_a_seed_that_chose_and_is_compared_now_is_warned_of(swept, capsys):
    """Red if seeds are added, that of the tuning runs among them, and nothing is said before they are trained."""
    config, folder = swept
    for seeds, warned in (((0,), False), ((0, 1), True)):
        plan = make_plan(config, {**AXES, "train.seed": seeds}, str(folder), DESIGN)
        assert sweep_module._tune(plan, SweepOptions("serial"), "test") == plan.tuning
        assert ("warning: seed 1 chose the tuned values and is also compared" in capsys.readouterr().err) == warned
        print_dry_run(plan, retry_failed=False)
        assert ("warning: seed 1 chose the tuned values and is also compared" in capsys.readouterr().err) == warned


@pytest.mark.parametrize(
    ("axes", "cut"),
    [
        ({"model.embedding_dim": (2, 4)}, ["embedding_dim=4"]),
        ({"model.source_embedding_dim": (2, 4)}, ["source_embedding_dim=2", "source_embedding_dim=4"]),
        ({"model.embedding_dim": (2, 4), "model.hidden_dim": (5, 6)}, ["embedding_dim=4,hidden_dim=5", "embedding_dim=4,hidden_dim=6"]),
    ],
)
def test_a_table_is_cut_for_every_comparison(tmp_path, axes, cut):
    """Red if members are told apart by other fields than compare does, which then finds no cut table for some of its comparisons.

    Red too if it is that of the seed which was named first, and not the lowest.
    """
    config = pair_config(write_pairs(tmp_path / "a.tsv", 50))
    members = make_members(config, {**axes, "train.seed": (1, 0)})
    for member in members:
        (tmp_path / member.name).mkdir()
        found = sweep_fixture.result(2, 0, 0.5, varied=member.varied)
        (tmp_path / member.name / "result.json").write_text(json.dumps(found))
        (tmp_path / member.name / "config.json").write_text(json.dumps({"config": dataclasses.asdict(member.config)}))
    chosen = largest_runs(members, tmp_path)
    assert chosen == [f"{name},seed=0" for name in cut]
    for name in chosen:
        (tmp_path / name / "truncated.json").write_text(json.dumps({"best_step": 1800, "points": [{"directions": 1, "value": 0.5}]}))
    compared = compare([str(tmp_path)])
    assert all(part["truncated_table"] for part in compared.get("comparisons", [compared]))


def test_checkpoints_are_kept_as_asked(swept, tmp_path):
    """Red if a finished run keeps more than asked for, is trained again for lack of a checkpoint, or fails without saying why."""
    config, folder = swept
    run = shutil.copytree(folder / NAMES[0], tmp_path / "run")
    result = json.loads((run / "result.json").read_text())
    recorded = config_lib.from_dict(json.loads((run / "config.json").read_text())["config"])
    (run / "result.json").write_text(json.dumps(result | {"best_step": 4}))
    if not (run / "checkpoints/4").exists():
        shutil.copytree(run / "checkpoints/8", run / "checkpoints/4")
    thin(shutil.copytree(run, tmp_path / "best"), "best")
    with pytest.raises(UserError, match="has made 8 updates already"):  # and does not begin anew from 4, to end at 6
        train(config_lib.replace(recorded, {"train.steps": 6}), str(tmp_path / "best"))
    for keep, left in ((None, ["4", "8"]), ("last", ["8"]), ("none", [])):
        thin(run, keep)
        assert sorted(path.name for path in (run / "checkpoints").iterdir()) == left
        assert train(recorded, str(run))["best_step"] == 4
    with pytest.raises(UserError, match="not kept"):
        evaluate([str(run)], "dev")
    with pytest.raises(UserError, match=r"not kept.*cannot go on to 12"):
        train(config_lib.replace(recorded, {"train.steps": 12}), str(run))
    assert result_of(run)["steps"] == 8
    assert sweep(config, shutil.copytree(folder, tmp_path / "sweep"), keep="best") == {}
    for name in NAMES:
        best = str(result_of(tmp_path / "sweep" / name)["best_step"])
        assert [path.name for path in (tmp_path / "sweep" / name / "checkpoints").iterdir()] == [best]


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: parse_baselines("onehot,random"), "--baselines=onehot,random: expected onehot"),
        (lambda: parse_baselines("frozen,frozen"), "--baselines=frozen,frozen: expected onehot"),
        (lambda: parse_tune(["train.batch_size=1", "train.batch_size=2"]), "--tune=train.batch_size=2: train.batch_size is given twice"),
        (lambda: parse_tune(["train.seed=1,2"]), "--tune=train.seed=1,2: train.seed is what the sweep compares"),
        (lambda: parse_tune(["model.kind=translator,skip_gram"]), "--tune=model.kind=translator,skip_gram: kinds of models do not compare"),
        (lambda: parse_tune(["train.learning_rate"]), "--tune=train.learning_rate: expected field=value"),
        (lambda: checked(Design(tune={"model.hidden_dim": (1,)}, budget="parameters")), "--tune=model.hidden_dim"),
        (lambda: checked(Design(tune={"train.batch_size": (1,)}), {"train.batch_size": (2,)}), "--tune=train.batch_size"),
        (lambda: checked(Design(), {"model.table": ("onehot",)}), "--axis=model.table"),
        (lambda: checked(Design(), {"train.devices": (1, 2)}), "--axis=train.devices: it changes no result"),
        (lambda: checked(Design(tune={"train.log_every": (1, 2)})), "--tune=train.log_every: it changes no result"),
        (lambda: Design(("frozen",)).check(config_lib.Config(model=ModelConfig(kind="skip_gram")), {}), "--baselines=frozen: word"),
        (lambda: Design().check(config_lib.Config(model=ModelConfig(table="frozen")), {}), "--config.model.table=frozen"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused(read, message):
    with pytest.raises(UserError, match=message):
        read()


def checked(asked: Design, axes=AXES):
    asked.check(config_lib.Config(), axes)
