"""Which size is recommended, with which verdict and words, on sweeps small enough to follow by hand."""

import json
import math
import pathlib
import re
import shlex
from typing import Any

import pytest

from seq2seq_jax.errors import TrainingFailed, UserError
from tests.sweep_fixture import METRIC, add_artifacts, change_record, compare, make_baseline, member_name, result, write_sweep

CLEAR = {4: [0.50, 0.51, 0.52], 16: [0.300, 0.301, 0.302], 64: [0.298, 0.299, 0.300]}
BLEU = {"name": "bleu", "unit": "points", "lower_is_better": False, "tolerance": 0.5}


def recommend(tmp_path, values, tolerance=None, **changes):
    return compare([write_sweep(tmp_path / "s", values, **changes)], tolerance)


def by_size(comparison):
    return {row["embedding_dim"]: row for row in comparison["sizes"]}


def test_the_smallest_size_within_the_tolerance_is_taken(tmp_path):
    found = recommend(tmp_path, CLEAR)
    assert found["best"] == {"embedding_dim": 64}
    assert found["recommendation"]["embedding_dim"] == 16
    assert found["recommendation"]["verdict"] == "decided"
    assert found["recommendation"]["excess_bound"] == pytest.approx(0.002)  # the differences have no spread
    assert found["recommendation"]["more_seeds_needed"] is None
    assert by_size(found)[4]["difference_to_best"] == pytest.approx(0.211)


def test_a_smaller_tolerance_takes_the_best(tmp_path):
    found = recommend(tmp_path, CLEAR, tolerance=0.001)
    assert found["recommendation"]["embedding_dim"] == 64
    assert found["recommendation"]["tolerance"] == 0.001
    assert "is the best" in found["recommendation"]["reason"]


def test_higher_is_better_mirrors_lower_is_better(tmp_path):
    lower = recommend(tmp_path / "lower", {size: [100 * v for v in values] for size, values in CLEAR.items()}, 0.5)
    higher = recommend(tmp_path / "higher", {size: [-100 * v for v in values] for size, values in CLEAR.items()}, 0.5, metric=BLEU)
    for key in ("embedding_dim", "verdict", "more_seeds_needed"):
        assert lower["recommendation"][key] == higher["recommendation"][key]
    assert lower["recommendation"]["excess_bound"] == pytest.approx(higher["recommendation"]["excess_bound"])
    assert "its mean BLEU of" in higher["recommendation"]["reason"]
    assert by_size(higher)[4]["difference_to_best"] == pytest.approx(-by_size(lower)[4]["difference_to_best"])


def test_an_incomplete_size_within_the_tolerance_is_not_said_to_be_outside(tmp_path):
    """Red if the answer says that no smaller size is near, and then that one would have been taken."""
    near = {4: [0.50, 0.51, 0.52], 16: [0.300, None, 0.302]}
    for name, values in (("best", near | {64: CLEAR[64]}), ("within", near | {32: CLEAR[16], 64: CLEAR[64]})):
        reason = recommend(tmp_path / name, values)["recommendation"]["reason"]
        assert "no smaller size that has all its runs is" in reason
        assert "Size 16 would have been recommended" in reason
    assert "no smaller size is" in recommend(tmp_path, CLEAR)["recommendation"]["reason"]


def test_seeds_that_are_all_the_same_are_warned_of(tmp_path):
    """Red if a spread of nothing, as small dev sets have, passes for certainty without a word."""
    found = recommend(tmp_path, {4: [0.50, 0.51], 16: [0.045, 0.045], 64: [0.0, 0.0]})
    assert found["recommendation"]["warnings"][0].startswith("All seeds of size 64 have the same value")
    assert not any("same value" in warning for warning in recommend(tmp_path / "other", CLEAR)["recommendation"]["warnings"])


def test_without_a_tolerance_it_is_a_twentieth_of_the_best_mean(tmp_path):
    found = recommend(tmp_path, CLEAR, metric=METRIC | {"tolerance": None})
    assert found["recommendation"]["tolerance"] == pytest.approx(0.05 * 0.299)


@pytest.mark.parametrize(("tolerance", "warned"), [(None, True), (0.7, False)])
def test_a_tolerance_that_covers_every_size_and_that_nobody_chose_is_warned_of(tmp_path, tolerance, warned):
    """As 5 % of the loss of word vectors does. Red if the smallest size is taken without a word on why."""
    loss = METRIC | {"name": "nats_per_word", "unit": "nats", "tolerance": None}
    values = {25: [13.905, 13.904, 13.906], 100: [13.824, 13.823, 13.825], 200: [13.815, 13.814, 13.816]}
    found = recommend(tmp_path, values, tolerance, metric=loss)["recommendation"]
    assert found["embedding_dim"] == 25
    said = (
        "No two sizes differ by more than 0.090, and the tolerance, 5 % of the best mean, is 0.691: with --tolerance say which difference"
    )
    assert any(warning.startswith(said) for warning in found["warnings"]) == warned
    other = recommend(tmp_path / "other", CLEAR, metric=METRIC | {"tolerance": None})["recommendation"]
    assert not any(warning.startswith("No two sizes") for warning in other["warnings"])


def test_noise_leaves_it_undecided_and_says_how_to_go_on(tmp_path):
    noisy = {4: [0.50, 0.51, 0.52], 16: [0.30, 0.31, 0.305], 64: [0.307, 0.30, 0.298]}
    answer = recommend(tmp_path, noisy)["recommendation"]
    assert answer["verdict"] == "undecided"
    assert answer["excess_bound"] > answer["tolerance"]
    # differences -.007 .010 .007: mean .003333, s = .009074; t(.95; n - 1) s / sqrt(n) <= .006667 first at n = 7
    assert answer["more_seeds_needed"] == 4
    assert answer["reason"].endswith(answer["command"])
    assert shlex.split(answer["command"])[-1] == "--seeds=0..6"
    assert answer["command"].count("--seeds") == 1


@pytest.mark.parametrize(("given", "who", "seeds"), [(7, "the missing runs", "0..6"), (5, "the missing runs and 2 more seeds", "0..6")])
def test_missing_runs_are_completed_before_seeds_are_added(tmp_path, given, who, seeds):
    """Red if the command adds to all seeds what the size with the fewest lacks: of seven, seven decide."""
    losses = [0.307, 0.300, 0.298]  # of the size of which the rest is missing; seven seeds decide, as in the test above
    others = [0.300, 0.310, 0.305, 0.305, 0.300, 0.310, 0.305][:given]
    values = {16: others, 64: losses + [None] * (given - 3)}
    answer = recommend(tmp_path, values)["recommendation"]
    assert answer["more_seeds_needed"] == 4  # from the three that both have
    (sentence,) = compare([str(tmp_path / "s")])["recommendation"]["going_on"]
    assert f"If differences and spread stay as they are, {who} decide it: " in sentence
    assert f"--seeds={seeds}" in shlex.split(answer["command"])


def test_what_is_missing_is_counted_from_the_size_with_the_fewest_seeds(tmp_path):
    """Red if it is counted from another: of five seeds in all, size 4 has three, size 64 all."""
    values = {4: [0.50, 0.51, 0.52, None, None], 16: [0.300, 0.310, 0.305, 0.300, 0.310], 64: [0.307, 0.300, 0.298, 0.307, 0.300]}
    complete = recommend(tmp_path / "complete", values | {4: [0.50, 0.51, 0.52, 0.51, 0.50]})["recommendation"]
    assert complete["verdict"] == "undecided"
    assert recommend(tmp_path, values)["recommendation"]["more_seeds_needed"] == complete["more_seeds_needed"] + 2


def test_the_command_that_goes_on_keeps_seeds_that_have_not_run(tmp_path):
    """Red if it asks for fewer seeds than the sweep had: two of five have run so far."""
    answer = recommend(tmp_path, {4: [0.5, 0.5], 16: [0.3, 0.3]}, not_run=3)["recommendation"]
    assert answer["command"].endswith("--seeds=0..4")


@pytest.mark.parametrize("seeds", ["--seeds 0,1,2", "--axis train.seed=0,1,2", "--axis=train.seed=0,1,2", "--config.train.seed 1"])
def test_the_command_that_goes_on_is_that_of_the_whole_sweep(tmp_path, seeds):
    """Red if it names only the sizes of the last call, compares with the seed that settings were tuned with, or gives an axis twice.

    Red too if it has values that no flag can hold, or a field as an axis and by itself.
    """
    path = write_sweep(tmp_path / "s", {4: [0.50, 0.51, 0.52], 16: [0.30, 0.31, 0.305], 64: [0.307, 0.30, 0.298]})
    axes = {"model.embedding_dim": [4, 16, 64], "train.seed": [0, 1, 2], "model.bidirectional": [True], "data.train": ["a,b"]}
    command = f"launch.py sweep --config=e.py --workdir={path} --embedding_dims 64 {seeds}"
    change_record(path, command=command, axes=axes, tuning={"seed": 3, "runs": 0, "train_seconds": 0.0, "chosen": []})
    words = shlex.split(compare([path])["recommendation"]["command"])
    expected = ["--embedding_dims=4,16,64", "--axis=model.bidirectional=true", "--seeds=0,1,2,4,5,6,7"]
    assert words == ["launch.py", "sweep", "--config=e.py", f"--workdir={path}", *expected]


def test_the_command_that_goes_on_is_given_where_the_sweep_was(tmp_path, monkeypatch):
    """Red if its paths, which are those of another directory, are looked for in the current one."""
    (tmp_path / "a b").mkdir()
    (tmp_path / "c").mkdir()
    monkeypatch.chdir(tmp_path / "a b")
    path = write_sweep(pathlib.Path("s"), {4: [0.50, 0.51, 0.52], 16: [0.30, 0.31, 0.305], 64: [0.307, 0.30, 0.298]})
    change_record(path, directory=str(tmp_path / "a b"))
    here = compare(["s"])["recommendation"]["command"]
    assert here.startswith("launch.py sweep ")
    monkeypatch.chdir(tmp_path / "c")
    assert compare(["../a b/s"])["recommendation"]["command"] == f"cd '{tmp_path / 'a b'}' && {here}"
    (tmp_path / "a b" / "s").rename(tmp_path / "c" / "t")
    moved = here.replace("--workdir=s", f"--workdir={tmp_path / 'c' / 't'}")
    assert compare(["t"])["recommendation"]["command"] == f"cd '{tmp_path / 'a b'}' && {moved}"
    (tmp_path / "a b").rmdir()
    assert compare(["t"])["recommendation"]["command"] == here.replace("--workdir=s", "--workdir=t")


@pytest.mark.parametrize(("seed", "warned"), [(2, True), (3, False)])
def test_a_seed_that_tuned_and_is_compared_is_warned_of(tmp_path, seed, warned):
    """Red if a script that reads the verdict never learns of it."""
    path = write_sweep(tmp_path / "s", {4: [0.50, 0.51, 0.52], 16: [0.30, 0.31, 0.305]})
    change_record(path, tuning={"seed": seed, "runs": 0, "train_seconds": 0.0, "chosen": []})
    reason = compare([path])["recommendation"]["reason"]
    assert (f"Seed {seed}, which is compared, also chose the tuned values" in reason) == warned


@pytest.mark.parametrize("recorded", ["", " --tolerance 0.5", " --tolerance=0.5", " -tolerance 0.5 -seeds=0..2"])
def test_the_command_that_goes_on_has_the_tolerance_that_was_used(tmp_path, recorded):
    """Red if it would answer another question than the one that was asked, as with the sweep's tolerance where compare was given none."""
    path = write_sweep(tmp_path / "s", {4: [0.50, 0.51, 0.52], 16: [0.30, 0.31, 0.305], 64: [0.307, 0.30, 0.298]})
    grid = json.loads((tmp_path / "s/sweep.json").read_text())
    (tmp_path / "s/sweep.json").write_text(json.dumps(grid | {"command": grid["command"] + recorded}))
    words = shlex.split(compare([path], tolerance=0.011)["recommendation"]["command"])
    assert [word for word in words if "tolerance" in word or word == "0.5"] == ["--tolerance=0.011"]
    assert sum("seeds" in word for word in words) == 1
    found = compare([path])["recommendation"]
    assert found["tolerance"] == 0.01
    assert not any("tolerance" in word or word == "0.5" for word in shlex.split(found["command"]))


def test_without_sweep_json_the_command_names_workdir_and_grid(tmp_path):
    """Red if it leaves out the sizes or what else was varied, for which the experiment's own would stand."""
    path = write_sweep(tmp_path / "s", {4: [None, 0.31], 16: [0.31, 0.30]}, grid=False)
    expected = ["launch.py", "sweep", "--config=EXPERIMENT", f"--workdir={path}", "--embedding_dims=4,16"]
    found = compare([path])["recommendation"]
    assert shlex.split(found["command"])[:-2] == expected
    assert found["warnings"][-1].endswith("the one that goes on wants the experiment's file and all other flags.")
    for file in (tmp_path / "s").glob("*/result.json"):
        found = json.loads(file.read_text())
        file.write_text(json.dumps(found | {"varied": found["varied"] | {"model.hidden_dim": 64}}))
    (part,) = compare([path])["comparisons"]
    assert shlex.split(part["recommendation"]["command"])[:-2] == [*expected, "--axis=model.hidden_dim=64"]


def test_without_sweep_json_the_command_asks_for_no_baseline_as_a_size(tmp_path):
    path = write_sweep(tmp_path / "s", {4: [0.30, 0.31], 16: [0.31, 0.30], 99: [0.9, 0.9]}, grid=False)
    for file in (tmp_path / "s").glob("embedding_dim=99,*/result.json"):
        found = json.loads(file.read_text())
        file.write_text(json.dumps(found | {"varied": found["varied"] | {"model.table": "onehot"}}))
    assert "--embedding_dims=4,16" in shlex.split(compare([path])["recommendation"]["command"])


def test_no_number_of_seeds_decides_a_mean_at_the_tolerance(tmp_path):
    answer = recommend(tmp_path, {4: [0.31, 0.321, 0.309], 16: [0.30, 0.31, 0.30]}, tolerance=0.0101)["recommendation"]
    assert answer["embedding_dim"] == 4
    assert answer["more_seeds_needed"] is None
    assert "No number of seeds" in answer["reason"]
    assert answer["command"].endswith("--seeds=0..5 --tolerance=0.0101")  # twice as many, for who goes on nevertheless


def test_ties_go_to_the_smaller_size(tmp_path):
    found = recommend(tmp_path, {4: [0.1, 0.2, 0.3], 16: [0.3, 0.2, 0.1]})
    assert found["best"] == {"embedding_dim": 4}
    assert found["recommendation"]["embedding_dim"] == 4


def test_a_failed_member_makes_its_size_ineligible_and_is_said(tmp_path):
    found = recommend(tmp_path, CLEAR | {16: [0.300, None, 0.302], 64: [0.298, 0.299, 0.300]})
    assert found["recommendation"]["embedding_dim"] == 64
    assert "Size 16 would have been recommended" in found["recommendation"]["reason"]
    assert found["failed"] == [{"member": "embedding_dim=16,seed=1", "error": "out of memory at step 3"}]
    assert (by_size(found)[16]["runs"], by_size(found)[16]["failed"]) == (2, 1)
    assert by_size(found)[16]["seeds"] == [0, 2]


def test_a_better_size_that_failed_can_undo_the_verdict(tmp_path):
    found = recommend(tmp_path, CLEAR | {256: [0.20, 0.21, None]})
    assert found["best"] == {"embedding_dim": 64}
    assert found["recommendation"]["verdict"] == "undecided"
    assert "Size 256 would have been recommended" in found["recommendation"]["reason"]


def test_where_no_size_is_complete_it_is_said_what_would_have_been_recommended(tmp_path):
    """Red if only the best is named, which need not be the one to take."""
    found = recommend(tmp_path, {4: [0.5, None], 16: [0.301, None], 64: [None, 0.300]})["recommendation"]
    assert found["embedding_dim"] is None
    assert "Size 16 would have been recommended, had" in found["reason"]
    assert "Size 64 would have been the best, had" in found["reason"]


def test_a_size_is_called_the_best_only_where_its_mean_is(tmp_path):
    """Seeds that only one of two sizes has can give the other the better mean, though it loses on every seed that both have."""
    found = recommend(tmp_path, {4: [0.304, 0.305, 0.309], 16: [0.305, 0.306, 0.310, 0.290, 0.291]}, grid=False)
    assert (found["recommendation"]["embedding_dim"], found["best"]["embedding_dim"]) == (4, 16)
    assert found["recommendation"]["excess_bound"] < 0
    assert "Decided: it is no worse than any other of the sizes tried" in found["recommendation"]["reason"]


def test_what_is_said_of_the_best_holds_for_incomplete_sizes_too(tmp_path):
    """Red if a size is called the best beside a better one that lacks runs; the command then makes those runs and no others."""
    found = recommend(tmp_path, {2: [0.40, 0.41, 0.40], 4: [0.30, 0.31, None], 8: [0.35, 0.36, None]})["recommendation"]
    assert found["answer"][0].endswith("0.403 is the best of the sizes that have all their runs.")
    never = "No number of seeds up to 100 would decide it with these differences, which the missing runs may change"
    assert found["going_on"] == [f"{never}; to make them: {found['command']}"]
    assert found["more_seeds_needed"] is None
    assert "--seeds=0..2 " in found["command"]


def test_a_smaller_size_that_lacks_runs_is_not_said_to_be_worse(tmp_path):
    """Red if that is judged by a best size that lacks runs itself, or not at all where nothing is known of the smaller one."""
    reason = recommend(tmp_path / "a", {2: [0.305, 0.306, None], 4: [0.301] * 3, 8: [0.28, 0.281, None]})["recommendation"]["reason"]
    assert "no smaller size that has all its runs is within 0.01 of it" in reason
    reason = recommend(tmp_path / "b", {2: [None] * 3, 4: [0.301] * 3, 8: [0.35, 0.36, 0.35]})["recommendation"]["reason"]
    assert "no smaller size that has all its runs is within 0.01 of it" in reason


def test_a_bound_is_rounded_up(tmp_path):
    """Red if the answer names an amount that the bound exceeds."""
    for number, values in enumerate(({2: [0.3, 0.31, 0.302], 4: [0.301, 0.307, 0.31]}, {2: [0.3, 0.3, 0.3], 4: [0.2902, 0.2898, 0.2899]})):
        found = recommend(tmp_path / str(number), values, tolerance=0.05)["recommendation"]
        (said,) = re.findall(r"at most ([0-9.]+) ", found["reason"])
        assert found["excess_bound"] <= float(said) < found["excess_bound"] + 0.001
    narrow = recommend(tmp_path / "narrow", {2: [0.3, 0.31, 0.302], 4: [0.301, 0.307, 0.31]}, tolerance=0.0075)["recommendation"]
    assert 0.00738 < narrow["excess_bound"] < 0.00745
    assert "at most 0.0074 " in narrow["reason"]
    narrow = recommend(tmp_path / "narrower", {2: [0.3, 0.31, 0.302], 4: [0.301, 0.307, 0.31]}, tolerance=0.00739)["recommendation"]
    assert "at most 0.00739 " in narrow["reason"]  # and not 0.0074, which is above the tolerance that it is within


def test_a_size_of_which_nothing_finished_is_named(tmp_path):
    """Red if it is passed over: it may be the truly best, as far as anyone knows."""
    found = recommend(tmp_path, CLEAR | {4096: [None, None, None]})
    assert found["recommendation"]["embedding_dim"] == 16
    assert found["recommendation"]["verdict"] == "undecided"
    assert found["recommendation"]["excess_bound"] is None
    assert "Nothing is known of size 4096" in found["recommendation"]["reason"]
    assert by_size(found)[4096]["mean"] is None


def test_no_command_trains_again_what_has_diverged(tmp_path):
    """Red if it does: every draw and batch would be the same, and so would the end. What failed for another reason is retried."""
    path = write_sweep(tmp_path / "s", CLEAR | {64: [0.3, 0.31, None]})
    assert "--retry_failed" in compare([path])["recommendation"]["command"]
    error = str(TrainingFailed("loss is not finite at step 3", "train.learning_rate=9"))
    (file,) = (tmp_path / "s").glob("embedding_dim=64,seed=2/result.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"error": error}))
    found = compare([path])["recommendation"]
    assert (found["command"], found["going_on"]) == (None, [])
    assert found["warnings"][0].startswith("1 member has diverged: tried again as it was, training would end so again.")


def write_configs(workdir: str, **train: Any) -> None:
    """Writes the configuration beside every result, with these values of the section train."""
    for file in pathlib.Path(workdir).glob("*/result.json"):
        (file.parent / "config.json").write_text(json.dumps({"config": {"train": {"steps": None, "epochs": None} | train}}))


def diverge(workdir: str, name: str) -> None:
    """Lets the loss of a member no longer be finite."""
    file = pathlib.Path(workdir, name, "result.json")
    failed = {"status": "failed", "dev": None, "test": None, "error": str(TrainingFailed("loss is not finite at step 3", "train.steps=9"))}
    file.write_text(json.dumps(json.loads(file.read_text()) | failed))


UNLEARNED = {4: [1.0, 1.0, 0.98], 16: [0.99, 1.0, 1.0], 64: [1.0, 1.0, 1.0]}


@pytest.mark.parametrize(
    ("train", "longer"), [({"steps": 100}, "--config.train.steps=400"), ({"epochs": 3}, "--config.train.epochs=12"), ({}, None)]
)
def test_what_has_not_learned_yet_is_trained_longer(tmp_path, train, longer):
    """Red if an undecided answer ends without a command, or with seeds that are as useless as those at hand, or in the same workdir."""
    path = write_sweep(tmp_path / "s", UNLEARNED)
    write_configs(path, **train)
    change_record(path, command=f"launch.py sweep --config=e.py -config.train.steps 100 --config.train.epochs 3 --workdir={path}")
    found = compare([path], tolerance=0.005)["recommendation"]
    assert (found["verdict"], found["command"] is None) == ("undecided", longer is None)
    if longer is not None:
        words = shlex.split(found["command"])
        assert {longer, f"--workdir={path}_anew", "--seeds=0..2", "--embedding_dims=4,16,64", "--tolerance=0.005"} <= set(words)
        assert [word.startswith(longer.partition("=")[0]) for word in words].count(True) == 1  # in place of what was typed, as two words
        assert found["reason"].endswith(f"To train all of them anew four times as long, in another workdir: {found['command']}")


def test_what_has_not_learned_yet_is_trained_longer_whatever_the_verdict(tmp_path):
    """Red if an answer that is decided by sizes equally useless leaves its reader without a next step."""
    path = write_sweep(tmp_path / "s", {4: [1.0, 1.0, 0.999], 16: [1.0, 0.999, 1.0]})
    write_configs(path, steps=100)
    found = compare([path])["recommendation"]
    assert found["verdict"] == "decided"
    assert "--config.train.steps=400" in shlex.split(found["command"])
    assert found["reason"].endswith(found["command"])


def test_no_command_trains_longer_where_that_is_not_known_or_no_use(tmp_path):
    """Red if a command gives one length to members that have several, or to a swept length, or learns what no output can be right for."""
    path = write_sweep(tmp_path / "s", UNLEARNED)
    write_configs(path, steps=100)
    assert compare([path], 0.005)["recommendation"]["command"] is not None
    change_record(path, axes={"model.embedding_dim": [4, 16, 64], "train.steps": [100]})
    assert compare([path], 0.005)["recommendation"]["command"] is None
    change_record(path, axes={})
    (pathlib.Path(path) / member_name(64, 2) / "config.json").write_text(json.dumps({"config": {"train": {"epochs": 9}}}))
    assert compare([path], 0.005)["recommendation"]["command"] is None
    dev = {"word_error_rate": 1.0, "loss_nats_per_token": 0.6, "examples": 450, "out_of_reach": 400}
    useless = write_sweep(tmp_path / "useless", {4: [1.0], 16: [1.0]}, dev=dev)
    write_configs(useless, steps=100)
    assert compare([useless])["recommendation"]["command"] is None


def test_what_is_learned_by_heart_is_not_trained_longer(tmp_path):
    """Red if runs whose loss on dev rises are told to train longer, or if one that only wavers is taken for such."""
    path = write_sweep(tmp_path / "s", UNLEARNED)
    write_configs(path, steps=100)
    for last, advice in ((1.9, "Train longer."), (2.9, "more data help, and longer training does not.")):
        for run in pathlib.Path(path).glob("embedding_dim=*"):
            lines = [{"step": s, "split": "dev", "loss_nats_per_token": v, "elapsed_seconds": s} for s, v in ((50, 1.8), (100, last))]
            (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        found = compare([path], 0.005)["recommendation"]
        assert advice in found["answer"][0]
        assert (found["command"] is None) == (last == 2.9)


def test_a_longer_training_that_was_begun_goes_on_where_it_is(tmp_path):
    """Red if members that have not learned yet are to be trained anew although the sweep asks for more updates already."""
    path = write_sweep(tmp_path / "s", UNLEARNED, length={"steps": 2400, "epochs": None, "updates": 2400})
    write_configs(path, steps=4000)
    change_record(path, config={"train": {"steps": 4000, "epochs": None}}, axes={"model.embedding_dim": [4, 16, 64]})
    assert f"--workdir={path}" in shlex.split(compare([path], 0.005)["recommendation"]["command"])


def test_one_seed_of_one_size_is_trained_longer_with_others(tmp_path):
    """Red if the command can only lead to one that is undecided again."""
    path = write_sweep(tmp_path / "s", {4: [1.0]})
    write_configs(path, steps=100)
    change_record(path, axes={"model.embedding_dim": [4], "train.seed": [0]})
    words = shlex.split(compare([path])["recommendation"]["command"])
    assert {"--seeds=0..2", "--embedding_dims=1,4,16"} <= set(words)


def test_what_has_diverged_is_trained_anew_at_a_lower_rate(tmp_path):
    """Red if the answer ends without a command, or with one that repeats what has failed, or that gives one value to what is tuned."""
    path = write_sweep(tmp_path / "s", CLEAR | {64: [0.3, 0.31, 0.3]})
    write_configs(path, learning_rate=0.006)
    diverge(path, member_name(64, 2))
    found = compare([path])["recommendation"]
    words = shlex.split(found["command"])
    assert {"--config.train.learning_rate=0.002", f"--workdir={path}_anew", "--seeds=0..2"} <= set(words)
    assert "--retry_failed" not in words
    assert found["going_on"] == [f"To train all of them anew at a third of the learning rate, in another workdir: {found['command']}"]
    for name in [member_name(size, seed) for size in CLEAR for seed in range(3)]:
        diverge(path, name)
    assert "--config.train.learning_rate=0.002" in shlex.split(compare([path])["recommendation"]["command"])
    change_record(path, design={"baselines": [], "budget": "hidden", "tune": {"train.learning_rate": [0.006, 0.01]}})
    assert compare([path])["recommendation"]["command"] is None


def test_a_baseline_that_has_diverged_changes_no_command(tmp_path):
    """Red if all sizes are to be trained anew for its sake, or if it is tried again as it was."""
    path = write_sweep(tmp_path / "s", {4: [0.5, 0.31], 16: [0.3, 0.5], 64: [0.4, 0.4]})
    write_configs(path, learning_rate=0.006)
    make_baseline(path, "frozen", 64)
    for seed in range(2):
        diverge(path, member_name(64, seed))
    found = compare([path])["recommendation"]
    words = shlex.split(found["command"])
    assert f"--workdir={path}" in words
    assert not {"--retry_failed", "--config.train.learning_rate=0.002"} & set(words)
    assert found["warnings"][0].startswith("2 members have diverged")
    lengthened = write_sweep(tmp_path / "lengthened", {4: [0.5, 0.31], 16: [0.3, 0.5], 64: [0.4, 0.4]}, rescheduled_at=[100])
    unlearned = write_sweep(tmp_path / "unlearned", UNLEARNED)
    for workdir, said in ((lengthened, "trains all of them anew"), (unlearned, "four times as long")):
        write_configs(workdir, steps=100)
        make_baseline(workdir, "frozen", 64)
        diverge(workdir, member_name(64, 0))
        found = compare([workdir], 0.005)["recommendation"]
        assert said in found["going_on"][0]
        assert f"--workdir={workdir}_anew" in shlex.split(found["command"])


def test_members_without_a_result_are_failed(tmp_path):
    found = recommend(tmp_path, {4: [0.5, 0.5], 16: [0.3, 0.3]}, not_run=1)
    assert found["failed"] == [{"member": f"embedding_dim={size},seed=2", "error": "not run"} for size in (4, 16)]
    assert found["best"] == {"embedding_dim": None}
    assert found["recommendation"]["verdict"] == "undecided"
    assert found["recommendation"]["command"].endswith("--seeds=0..2")


def test_one_seed_decides_nothing(tmp_path):
    found = recommend(tmp_path, {4: [0.5], 16: [0.3]})
    assert found["recommendation"] | {"embedding_dim": 16, "verdict": "undecided", "excess_bound": None} == found["recommendation"]
    assert all(row["ci95"] is None and row["difference_ci95"] is None and row["p_value_holm"] is None for row in found["sizes"])
    assert found["seed_correlation"] is None


def test_one_size_alone_is_undecided(tmp_path):
    answer = recommend(tmp_path, {16: [0.3, 0.31, 0.3]})["recommendation"]
    assert (answer["embedding_dim"], answer["verdict"], answer["excess_bound"]) == (16, "undecided", None)
    assert "--embedding_dims=4,16,64" in answer["command"]


def test_one_column_alone_has_no_smaller_size_to_go_on_with(tmp_path):
    """Red if the command names size 1 twice, which a sweep refuses."""
    assert "--embedding_dims=1,4 " in recommend(tmp_path, {1: [0.3, 0.31]})["recommendation"]["command"]


@pytest.mark.parametrize(
    ("model", "axes", "command"),
    [
        ({"pretrained": "v.txt"}, {}, None),
        ({}, {"model.pretrained": ["v.txt", None]}, None),
        ({"pretrained": "v.txt", "source_embedding_dim": 50}, {}, "--embedding_dims=4,16,64"),  # the vectors are the source's
    ],
)
def test_a_size_that_a_file_of_vectors_settles_is_not_grown(tmp_path, model, axes, command):
    """Red if the command that goes on asks for sizes that the vectors do not have, which every member would refuse."""
    workdir = write_sweep(tmp_path, {16: [0.3, 0.31]})
    change_record(workdir, config={"model": model}, axes={"model.embedding_dim": [16], **axes, "train.seed": [0, 1]})
    found = compare([workdir])["recommendation"]["command"]
    assert found is None if command is None else command in found


def test_a_budget_of_parameters_grows_to_larger_sizes_alone(tmp_path):
    """Red if the command names a smaller size, to which the sweep has not matched the hidden sizes, and which it refuses."""
    workdir = write_sweep(tmp_path, {16: [0.3, 0.31]})
    change_record(workdir, design={"budget": "parameters", "tune": {}})
    assert "--embedding_dims=16,64 " in compare([workdir])["recommendation"]["command"]


def test_a_baseline_is_no_size_to_compare_the_only_one_with(tmp_path):
    """Red if its seeds are said to be too few, or the command that goes on asks for nothing new."""
    workdir = write_sweep(tmp_path / "s", {16: [0.3, 0.31]}, grid=False)
    for seed in (0, 1):
        varied = {"model.table": "frozen", "model.embedding_dim": 16, "train.seed": seed}
        member = tmp_path / "s" / f"table=frozen,embedding_dim=16,seed={seed}"
        member.mkdir()
        (member / "result.json").write_text(json.dumps(result(16, seed, 0.5, varied=varied)))
    answer = compare([workdir])["recommendation"]
    assert "a single size was tried" in answer["reason"]
    assert "--embedding_dims=4,16,64" in answer["command"]


def test_equal_values_everywhere_are_decided_for_the_smallest(tmp_path):
    found = recommend(tmp_path, {4: [0.3] * 3, 16: [0.3] * 3, 64: [0.3] * 3})
    assert (found["recommendation"]["embedding_dim"], found["recommendation"]["verdict"]) == (4, "decided")
    assert found["seed_correlation"] is None
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(("metric", "values", "warned"), [
    (METRIC, {4: [0.995, 0.996], 16: [0.994, 0.992]}, True),
    (METRIC, {4: [0.995, 0.996], 16: [0.984, 0.982]}, False),
    (BLEU, {4: [0.07, 0.09], 16: [0.1, 0.2]}, True),
    (BLEU, {4: [0.07, 0.09], 16: [0.7, 0.8]}, False),
    (METRIC | {"name": "bits_per_character"}, {4: [0.995, 0.996], 16: [0.994, 0.992]}, False),
])  # fmt: skip
def test_models_that_have_learned_nothing_are_warned_of(tmp_path, metric, values, warned):
    """Red if sizes that are equally useless are decided between without a word, which comes first, or more seeds of them are advised."""
    found = recommend(tmp_path, values, metric=metric)["recommendation"]
    assert found["answer"][0].startswith("No size has learned the task yet: the best mean") == warned
    assert found["has_learned"] is not warned
    assert (found["command"] is None and found["going_on"] == []) == (warned or found["verdict"] == "decided")
    lacking = recommend(tmp_path / "lacking", {size: [*row, None] for size, row in values.items()}, metric=metric)["recommendation"]
    assert "--retry_failed" in lacking["command"]


@pytest.mark.parametrize(("unigram", "untrained"), [(2.0, "4.000"), (3.0, None), (None, None), ("many", None)])
def test_a_language_model_has_learned_more_than_how_often_units_occur(tmp_path, unigram, untrained):
    """Red if the entropy of dev's units is not held against the metric, in its own unit, or a result without it is refused."""
    dev = {"bits_per_character": 4.1, "loss_nats_per_token": 2.05, "unigram_nats_per_token": unigram, "examples": 450}
    answer = recommend(tmp_path, {4: [4.1, 4.1]}, metric=METRIC | {"name": "bits_per_character"}, dev=dev)["recommendation"]["answer"]
    says = f"the best mean bits per character is 4.100, and how often each unit occurs in training gives {untrained} by itself."
    assert (says in answer[0]) == (untrained is not None)


def test_runs_are_the_same_only_where_there_are_several_sizes(tmp_path):
    """Red if the first run of a sweep that has just begun passes for a metric that tells nothing, or rounding for a difference."""
    for values in ({4: [0.3], 16: [None], 64: [None]}, {4: [0.3, 0.3, 0.3]}):
        begun = recommend(tmp_path / str(len(values)), values)["recommendation"]["warnings"]
        assert not any("tells no size from another" in warning for warning in begun)
    rounded = recommend(tmp_path / "rounded", {4: [0.3, 0.3], 16: [0.1 + 0.2, 0.3]})["recommendation"]
    assert rounded["warnings"][0].startswith("All runs have the same value")
    assert "Decided: it is no worse than any other of the sizes tried" in rounded["reason"]


def test_a_size_that_lacks_a_run_is_not_called_as_good_as_the_best(tmp_path):
    """Red if a size that the rule passes over, since a run of it has failed, is named beside the best one."""
    answer = recommend(tmp_path, {2: [0.3, 0.3], 8: [0.3, None], 16: [0.3, 0.3]})["recommendation"]["answer"]
    assert any(sentence.endswith("is the best, as is that of size 16.") for sentence in answer), answer


def test_runs_that_are_all_the_same_are_not_called_the_best(tmp_path):
    """Red if what has learned nothing is sold as the best size, or its dev set as known to the last digit."""
    found = recommend(tmp_path, {2: [1.0, 1.0], 8: [1.0, 1.0]})["recommendation"]
    assert found["answer"] == [
        "No size has learned the task yet: the best mean word error rate is 1.000, and 1 needs no learning. Train longer.",
        "The rule takes size 2 all the same: its mean word error rate of 1.000 is the best, as is that of size 8.",
        "Decided: it is no worse than any other of the sizes tried (95 % confidence).",
    ]
    assert found["warnings"][0].startswith("All runs have the same value")
    assert found["warnings"][0].endswith("Train longer, or use another metric.")
    faultless = recommend(tmp_path / "faultless", {2: [0.0, 0.0], 8: [0.0, 0.0]})["recommendation"]
    assert faultless["warnings"][0].endswith("Use another metric, or harder data.")  # training longer makes nothing better
    phones = METRIC | {"name": "phone_error_rate"}  # no mean of zeros and ones
    faultless = recommend(tmp_path / "phones", {2: [0.0, 0.0], 8: [0.0, 0.0]}, metric=phones)["recommendation"]
    assert faultless["warnings"][0].endswith("Use another metric, or harder data.")
    assert found["warnings"][-1].endswith("one standard error of it is not known.")
    other = compare([write_sweep(tmp_path / "other", {2: [0.5, 0.5], 8: [0.4, 0.4]})])["recommendation"]
    assert not any(warning.startswith("All runs") for warning in other["warnings"])


def test_where_no_output_can_be_right_training_longer_is_not_advised(tmp_path):
    """Red if it is, or if nothing but the log of training tells why; a few such sources are no cause."""
    for name, count, advice in (("most", 300, "For most of dev no output can be right: see below."), ("few", 3, "Train longer.")):
        dev = {"word_error_rate": 1.0, "loss_nats_per_token": 0.6, "examples": 450, "out_of_reach": count}
        found = compare([write_sweep(tmp_path / name, {2: [1.0, 1.0], 8: [1.0, 1.0]}, dev=dev)])["recommendation"]
        assert found["answer"][0].endswith(advice)
        assert any(warning.startswith(f"For {count} of the dev sources no output can be right") for warning in found["warnings"])
        assert any(warning.endswith("Use other data, or use another metric.") for warning in found["warnings"]) == (name == "most")


def test_a_tolerance_in_per_cent_is_remarked(tmp_path):
    path = write_sweep(tmp_path / "s", {2: [0.5, 0.52], 8: [0.4, 0.41]})
    said = {tolerance: compare([path], tolerance=tolerance)["recommendation"]["warnings"][0] for tolerance in (1.0, 0.05)}
    assert said[1.0].startswith("The tolerance, 1, is more than any two fractions differ by")
    assert not said[0.05].startswith("The tolerance")


def test_a_size_that_lacks_runs_is_judged_by_the_seeds_that_it_has(tmp_path):
    """Red if it is by its own mean: a size whose hard seed has failed would be called better than one that beats it at every other."""
    values = {2: [0.332, 0.480, None], 32: [0.30, 0.45, 0.54]}  # 2 has the smaller mean and is worse at both of its seeds
    found = compare([write_sweep(tmp_path / "worse", values)])
    assert found["sizes"][0]["mean"] < found["sizes"][1]["mean"]
    assert "would have been" not in found["recommendation"]["reason"]
    assert "that have all their runs" not in found["recommendation"]["reason"]
    assert found["pareto"]["parameters"] == [2, 32]
    found = compare([write_sweep(tmp_path / "better", {2: [None, 0.44, 0.53], 32: [0.30, 0.45, 0.54]})])
    assert found["sizes"][0]["mean"] > found["sizes"][1]["mean"]
    assert "Size 2 would have been recommended" in found["recommendation"]["reason"]
    assert "the best of the sizes that have all their runs" in found["recommendation"]["reason"]


def test_a_baseline_that_lacks_runs_is_judged_by_the_seeds_that_it_has(tmp_path):
    """Red if it is called as good as the sizes by an easy seed, at which it is worse than they are."""
    workdir = write_sweep(tmp_path / "s", {4: [0.32, 0.45, 0.56], 16: [0.31, 0.44, 0.54], 64: [0.33, None, None]})
    grid = json.loads((tmp_path / "s" / "sweep.json").read_text())
    members = [member | ({"table": "frozen"} if member["varied"]["model.embedding_dim"] == 64 else {}) for member in grid["members"]]
    (tmp_path / "s" / "sweep.json").write_text(json.dumps(grid | {"members": members}))
    found = compare([workdir])
    assert found["sizes"][2]["table"] == "frozen"
    assert found["sizes"][2]["mean"] < found["sizes"][1]["mean"]
    assert not any("baseline" in text for text in found["recommendation"]["warnings"])


def test_what_dev_has_in_common_with_train_is_said(tmp_path):
    """Red if an answer that rests on what was trained on is given without a word."""
    dev = {"word_error_rate": 0.2, "loss_nats_per_token": 0.6, "examples": 450}
    for name, more, said in (("apart", {}, False), ("leak", {"also_in_train": 1234}, True), ("foreign", {"also_in_train": -5}, False)):
        found = compare([write_sweep(tmp_path / name, {2: [0.5, 0.5], 8: [0.4, 0.4]}, dev=dev | more)])["recommendation"]
        assert not any("-" in warning for warning in found["warnings"])
        assert any("1,234 of the sources, lines or units of dev are also in train" in warning for warning in found["warnings"]) == said


def test_what_of_dev_is_longer_than_what_was_trained_on_is_said(tmp_path):
    """Red if errors of lengths that data.max_length kept from training pass for the model's without a word."""
    dev = {"word_error_rate": 0.2, "loss_nats_per_token": 0.6, "examples": 450, "longer_than_trained": 120}
    found = compare([write_sweep(tmp_path / "s", {2: [0.5, 0.5], 8: [0.4, 0.4]}, dev=dev)])["recommendation"]
    assert any(warning.startswith("120 of the dev sources, or all their references, are longer") for warning in found["warnings"])


def test_runs_with_another_course_of_the_learning_rate_do_not_compare(tmp_path):
    """Red if a size whose runs were lengthened is judged, without a word, against one that had its learning rate for the whole length.

    Red too if the command adds new seeds to runs that were all lengthened alike.
    """
    path = write_sweep(tmp_path / "s", {4: [0.50, 0.51, 0.52], 16: [0.30, 0.31, 0.305], 64: [0.307, 0.30, 0.298]})
    files = sorted((tmp_path / "s").glob("*/result.json"))
    assert f"--workdir={path}" in compare([path])["recommendation"]["command"].split()
    for file in files[:3]:
        file.write_text(json.dumps(json.loads(file.read_text()) | {"rescheduled_at": [150]}))
    mixed = compare([path])["recommendation"]
    assert mixed["answer"][0].startswith("3 of 9 runs were lengthened on the way and the others not")
    for file in files:
        file.write_text(json.dumps(json.loads(file.read_text()) | {"rescheduled_at": [150]}))
    alike = compare([path])["recommendation"]
    assert not any("lengthened" in sentence for sentence in [*alike["answer"], *alike["warnings"]])
    assert alike["going_on"][0].startswith("Lengthened runs do not compare with new ones")
    assert f"--workdir={path}_anew" in alike["command"].split()
    files[0].write_text(json.dumps(json.loads(files[0].read_text()) | {"rescheduled_at": [100]}))
    assert compare([path])["recommendation"]["answer"][0].startswith("9 of 9 runs were lengthened on the way at different steps")
    files[3].write_text(json.dumps(result(4, 0, None)))
    missing = compare([path])["recommendation"]["command"].split()
    assert {f"--workdir={path}", "--seeds=0..2", "--retry_failed"} <= set(missing)
    (going_on,) = compare([path])["recommendation"]["going_on"]  # and no word of further seeds, which the command does not add
    assert going_on.startswith("Lengthened runs do not compare with new ones, so the command makes the missing runs only: launch.py sweep")


def test_a_sweep_that_was_moved_goes_on_where_it_is(tmp_path):
    """Red if the command that goes on would train everything anew in the old place."""
    write_sweep(tmp_path / "old", {4: [0.3, 0.5], 16: [0.35, 0.31]})
    (tmp_path / "old").rename(tmp_path / "new place")
    command = compare([str(tmp_path / "new place")])["recommendation"]["command"]
    assert f"--workdir={tmp_path / 'new place'}" in shlex.split(command)
    assert str(tmp_path / "old") not in command


def test_what_was_interrupted_is_gone_on_with_as_it_was_asked_for(tmp_path):
    """Red if seeds are added that nobody asked for, or if a member that was stopped counts as failed."""
    write_sweep(tmp_path / "s", {4: [0.3, 0.5], 16: [0.35, None]})
    path = tmp_path / "s/embedding_dim=16,seed=1/result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "interrupted", "error": None}))
    words = shlex.split(compare([str(tmp_path / "s")])["recommendation"]["command"])
    assert "--seeds=0..1" in words
    assert "--retry_failed" not in words


@pytest.mark.parametrize(
    ("evaluations", "rising", "worse", "warned"),
    [(12, True, 0.0, True), (2, True, 0.0, False), (12, False, 0.0, False), (12, False, 0.1, True)],
)
def test_runs_that_only_got_worse_are_warned_of(tmp_path, evaluations, rising, worse, warned):
    """Red if runs that diverge without a number that is not finite are compared without a word, or if two evaluations settle it.

    Red too if a metric that stays where it was is taken for divergence while the loss on dev falls.
    """
    root = tmp_path / "s"
    workdir = write_sweep(root, {4: [0.5, 0.5], 16: [0.3, 0.3]})
    add_artifacts(root, evaluations=evaluations)
    for seed in (0, 1):
        path = root / f"embedding_dim=16,seed={seed}/result.json"
        found = json.loads(path.read_text())
        path.write_text(json.dumps(found | {"best_step": found["steps"] // evaluations}))
        history = [json.loads(line) for line in path.with_name("metrics.jsonl").read_text().splitlines()]
        risen = [record | ({"loss_nats_per_token": record["step"] / 1000} if rising else {}) for record in history]
        risen = [record | ({"word_error_rate": 0.3 + worse * (record["step"] > 1000)} if worse else {}) for record in risen]
        path.with_name("metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in risen))
    reason = compare([workdir])["recommendation"]["reason"]
    assert ("2 of 4 runs were best at the first evaluation" in reason) == ("first evaluation" in reason) == warned


def test_warnings_name_the_edges_and_the_budget(tmp_path):
    edge = recommend(tmp_path / "edge", {4: [0.5, 0.5, 0.5], 16: [0.3, 0.3, 0.3]}, best_step=2400)["recommendation"]["reason"]
    assert "larger sizes were not tried" in edge
    assert "6 of 6 runs were still improving" in edge
    inner = write_sweep(tmp_path / "inner", {4: [0.5] * 3, 16: [0.3] * 3, 64: [0.32] * 3})
    for improving, said in ((4, False), (5, True)):  # said of more than half
        for path in sorted((tmp_path / "inner").glob("*/result.json"))[:improving]:
            path.write_text(json.dumps(json.loads(path.read_text()) | {"best_step": 2400}))
        reason = compare([inner])["recommendation"]["reason"]
        assert "not tried" not in reason
        assert (f"{improving} of 9 runs were still improving" in reason) == ("still improving" in reason) == said


@pytest.mark.parametrize(("history", "value", "said"), [
    ([0.5, 0.4], 0.4, "2 of 2 runs were still improving"),
    ([0.4, 0.4], 0.4, None),  # the loss alone got better
    ([0.4], 0.4, "2 of 2 runs were evaluated once"),
    ([0.5, 0.0], 0.0, None),  # nothing can be better
    ([], 0.4, "2 of 2 runs were still improving"),  # all that is known is that the last step was the best
])  # fmt: skip
def test_runs_improve_by_their_metric_and_history(tmp_path, history, value, said):
    """Red if runs are called improving whose metric stood still, or was taken once, or is as good as it can be."""
    workdir = write_sweep(tmp_path / "s", {4: [value], 16: [value]}, best_step=2400)
    for path in (tmp_path / "s").glob("*/result.json"):
        steps = range(2400 // max(1, len(history)), 2401, 2400 // max(1, len(history)))
        records = [
            {"step": step, "split": "dev", "word_error_rate": figure, "elapsed_seconds": step / 100}
            for step, figure in zip(steps, history, strict=False)
        ]
        path.with_name("metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    warnings = compare([workdir])["recommendation"]["warnings"]
    found = [text for text in warnings if "improving" in text]
    assert len(found) == (said is not None)
    assert all(text.startswith(said) for text in found)


def test_a_small_dev_set_says_its_standard_error(tmp_path):
    small = recommend(tmp_path / "small", CLEAR)["recommendation"]
    assert f"one standard error of it is {math.sqrt(0.301 * 0.699 / 450):.3f}" in small["reason"]
    figures = {"word_error_rate": 0.3, "examples": 2000}
    large = recommend(tmp_path / "large", CLEAR, dev=figures)["recommendation"]["reason"]
    assert "dev set of 2,000 examples" in large
    assert "standard error" not in large
    assert "a single one" not in small["reason"]
    tiny = recommend(tmp_path / "tiny", CLEAR, dev=figures | {"examples": 23})["recommendation"]["reason"]
    assert "this dev set of 23 examples, of which a single one counts 0.043, more than the tolerance; one standard error" in tiny


@pytest.mark.parametrize("metric", [BLEU, METRIC | {"name": "phone_error_rate"}])
def test_a_small_dev_set_of_unknown_error_says_so(tmp_path, metric):
    """Red if a metric that is no sum over examples, or whose scores are not there, passes over that 450 examples are few."""
    reason = recommend(tmp_path, CLEAR, metric=metric)["recommendation"]["reason"]
    assert "this dev set of 450 examples; one standard error of it is not known." in reason


def test_test_is_reported_for_the_recommended_size(tmp_path):
    test = recommend(tmp_path, CLEAR)["recommendation"]["test"]
    assert test["mean"] == pytest.approx(0.321)
    assert (test["runs"], test["examples"]) == (3, 450)
    assert recommend(tmp_path / "none", CLEAR, test=None)["recommendation"]["test"] is None


def test_baselines_are_shown_but_never_recommended(tmp_path):
    workdir = write_sweep(tmp_path / "s", CLEAR)
    make_baseline(workdir, "onehot", 64)
    found = compare([workdir])
    assert found["best"] == {"embedding_dim": 16}
    assert found["sizes"][-1]["table"] == "onehot"
    assert "The baseline onehot 64 is at least as good" in found["recommendation"]["reason"]
    write_result(tmp_path / "s", 4, 0, 0.2)  # of size 4 one run is missing, and the mean of the others is better than the baseline's
    write_result(tmp_path / "s", 4, 1, 0.2)
    write_result(tmp_path / "s", 4, 2, None)
    assert "onehot" not in compare([workdir])["recommendation"]["reason"]
    for size in CLEAR:
        make_baseline(workdir, "frozen", size)
    assert "No size can be recommended: only baselines were tried." in compare([workdir])["recommendation"]["reason"]


def write_result(root: pathlib.Path, size: int, seed: int, value: float | None) -> None:
    (root / member_name(size, seed) / "result.json").write_text(json.dumps(result(size, seed, value)))


def test_a_size_that_has_all_its_runs_lacks_none(tmp_path):
    """Red if it is said to have failed, since it would be chosen if the best size, which lacks a run, were there to be compared with."""
    answer = recommend(tmp_path, {4: [0.320, 0.318, 0.316], 8: [0.309, 0.311, 0.310], 16: [0.301, 0.303, None]})["recommendation"]
    assert answer["embedding_dim"] == 4
    assert "Size 16 would have been the best, had none of its runs failed" in answer["reason"]
    assert "would have been recommended" not in answer["reason"]


def test_a_difference_that_no_seed_changes_is_warned_of(tmp_path):
    """Errors counted over few examples. Red if an interval without width decides and nothing says so."""
    answer = recommend(tmp_path, {2: [0.3144, 0.3211], 4: [0.3022, 0.3089]})["recommendation"]
    assert "Size 4 differs from size 2 by the same at every seed: that interval is too narrow." in answer["warnings"]
    varying = recommend(tmp_path / "b", {2: [0.3144, 0.3211], 4: [0.3022, 0.3088]})["recommendation"]
    assert not any("at every seed" in warning for warning in varying["warnings"])


def test_sizes_with_different_seeds_are_warned_of(tmp_path):
    """Red if runs from several places are compared by means over different seeds without a word; a failed run is told of elsewhere."""
    values = {2: [0.30, 0.31], 4: [0.28, 0.29, 0.35, 0.36, 0.37]}
    apart = compare([write_sweep(tmp_path / "a", values, grid=False)])["recommendation"]["warnings"]
    assert any("Sizes have different seeds" in warning for warning in apart)
    failed = recommend(tmp_path / "b", {2: [0.30, 0.31, None], 4: [0.28, 0.29, 0.35]})["recommendation"]["warnings"]
    assert not any("different seeds" in warning for warning in failed)


def test_further_axes_give_a_comparison_each(tmp_path):
    workdir = write_sweep(tmp_path / "s", CLEAR, grid=False)
    for path in list((tmp_path / "s").glob("*/result.json")):
        result = json.loads(path.read_text())
        for hidden in (64, 128):
            copy = path.parent.with_name(f"{path.parent.name},hidden_dim={hidden}")
            copy.mkdir()
            varied = result["varied"] | {"model.hidden_dim": hidden}
            (copy / "result.json").write_text(json.dumps(result | {"varied": varied}))
        path.unlink()
    found = compare([workdir])["comparisons"]
    assert [part["setting"] for part in found] == [{"model.hidden_dim": 128}, {"model.hidden_dim": 64}]
    assert all(row["setting"] == part["setting"] for part in found for row in part["sizes"])
    assert all(part["recommendation"]["embedding_dim"] == 16 for part in found)


def test_a_swept_side_is_not_taken_for_the_size_that_stands_alone(tmp_path):
    """Red if "Take embedding size 32" is all that one reads, or the command gives a sweep sizes that it refuses as another field."""
    root = tmp_path / "s"
    members = []
    for source in (8, 16):
        for seed in (0, 1, 2):
            varied = {"model.source_embedding_dim": source, "train.seed": seed}
            member = root / f"source_embedding_dim={source},seed={seed}"
            member.mkdir(parents=True)
            (member / "result.json").write_text(json.dumps(result(32, seed, 0.3, varied=varied)))
            (member / "config.json").write_text(json.dumps({"format": 1, "config": {"model": {"embedding_dim": 32}}}))
            members.append({"name": member.name, "varied": varied})
    axes = {"model.source_embedding_dim": [8, 16], "train.seed": [0, 1, 2]}
    (root / "sweep.json").write_text(json.dumps({"format": 1, "axes": axes, "members": members, "command": "launch.py sweep"}))
    first, second = compare([str(root)])["comparisons"]
    assert "what was swept is model.source_embedding_dim=8," in first["recommendation"]["warnings"][0]
    assert "what was swept is model.source_embedding_dim=16," in second["recommendation"]["warnings"][0]
    assert first["recommendation"]["answer"][-1].startswith("Undecided: a single size was tried")
    assert (first["recommendation"]["command"], first["recommendation"]["going_on"]) == (None, [])


def test_a_single_value_of_a_further_axis_is_a_setting_too(tmp_path):
    """Red if scripts that read "comparisons" find none in a sweep with --axis=model.hidden_dim=128."""
    varied = {"model.embedding_dim": 4, "train.seed": 0, "model.hidden_dim": 128}
    workdir = write_sweep(tmp_path / "s", {4: [0.5]}, grid=False, varied=varied)
    found = compare([workdir])
    assert list(found) == ["comparisons"]
    assert [part["setting"] for part in found["comparisons"]] == [{"model.hidden_dim": 128}]


@pytest.mark.parametrize(
    ("field", "counts", "warned"),
    [
        ("data.min_count", (2, 20), True),
        ("data.min_count", (2,), False),
        ("model.hidden_dim", (2, 20), False),
        ("data.bpe_size", (2, 20), False),
        ("data.max_length", (2, 20), False),
    ],
)
def test_settings_that_are_scored_differently_are_said_not_to_compare(tmp_path, field, counts, warned):
    """Red if bits a character with 2 and with 20 occurrences a word stand below each other without a word."""
    for count in counts:
        write_sweep(tmp_path / str(count), {4: [0.5, 0.6]}, grid=False, varied={"model.embedding_dim": 4, field: count})
        for path in (tmp_path / str(count)).glob("*/result.json"):
            found = json.loads(path.read_text())
            found["varied"]["train.seed"] = int(path.parent.name[-1])
            (tmp_path / "s" / f"{path.parent.name},{count}").mkdir(parents=True)
            (tmp_path / "s" / f"{path.parent.name},{count}" / "result.json").write_text(json.dumps(found))
    for part in compare([str(tmp_path / "s")])["comparisons"]:
        assert any("do not compare their figures" in warning for warning in part["recommendation"]["warnings"]) == warned


@pytest.mark.parametrize("tolerance", [-0.1, math.nan, math.inf])
def test_a_senseless_tolerance_is_refused(tmp_path, tolerance):
    with pytest.raises(UserError, match="--tolerance"):
        recommend(tmp_path, CLEAR, tolerance)


def test_the_keys_are_those_that_scripts_rely_on(tmp_path):
    found = recommend(tmp_path, CLEAR)
    assert {"metric", "split", "seed_correlation", "sizes", "best", "recommendation", "failed"} <= set(found)
    assert found["metric"] == METRIC
    row = {"embedding_dim", "table", "setting", "runs", "failed", "seeds", "mean", "ci95", "difference_to_best", "difference_ci95"}
    row |= {"p_value_holm", "parameters", "train_seconds_median"}
    answer = {"embedding_dim", "verdict", "tolerance", "excess_bound", "more_seeds_needed", "reason", "test"}
    assert row <= set(found["sizes"][0])
    assert answer <= set(found["recommendation"])
