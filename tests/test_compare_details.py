"""What stands beside the verdict: cost, equal time, resampled examples, rules of thumb, noise floor."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from seq2seq_jax.compare import bootstrap, cost, fairness, statistics
from seq2seq_jax.compare.grid import make_grid
from seq2seq_jax.compare.labels import cost_lines, design_lines, noise_lines
from seq2seq_jax.compare.main import run
from seq2seq_jax.compare.reading import read_sweep
from seq2seq_jax.embeddings.map import principal_components
from seq2seq_jax.embeddings.spectrum import directions
from seq2seq_jax.evaluate.metrics import ExampleScores
from tests.sweep_fixture import (
    METRIC,
    SYMBOLS,
    add_artifacts,
    change_record,
    compare,
    make_baseline,
    member_name,
    write_history,
    write_sweep,
)

VALUES = {4: [0.50, 0.51, 0.52], 16: [0.30, 0.32, 0.31], 64: [0.30, 0.29, 0.31]}
NAN = float("nan")


def sweep(path, values=VALUES, **changes):
    workdir = write_sweep(path, values, **changes)
    add_artifacts(path)
    return workdir


def test_pareto_front_by_hand():
    losses = np.array([0.5, 0.3, 0.3, 0.2, NAN])
    costs = np.array([1.0, 2.0, 3.0, 4.0, 0.5])
    assert cost.pareto_front(losses, costs).tolist() == [True, True, False, True, False]
    assert cost.pareto_front(np.array([1.0, 1.0]), np.array([2.0, 2.0])).tolist() == [True, True]  # equals do not beat each other


def test_equal_sums_in_another_order_are_a_tie(tmp_path):
    """Red if the last bit of a mean puts a size on the front, or makes it the best at equal time, beside a smaller as good."""
    found = compare([sweep(tmp_path / "s", {4: [0.1, 0.2, 0.3], 16: [0.3, 0.2, 0.1]})])
    means = [row["mean"] for row in found["sizes"]]
    assert means[1] < means[0] == pytest.approx(means[1])
    assert found["pareto"]["parameters"] == [4]
    assert [row["best"] for row in found["at_equal_time"]] == [4, 4, 4]
    assert "is the best, as is that of size 16" in found["recommendation"]["answer"][0]


def test_a_baseline_is_on_no_front_and_in_no_correlation(tmp_path):
    """Red if one is named as a size, or keeps off the front the sizes that it beats, or changes how far these vary alike."""
    fronts, correlations = [], []
    for name in ("learned", "frozen"):
        workdir = sweep(tmp_path / name, VALUES | ({2: [0.1, 0.14, 0.09]} if name == "frozen" else {}))
        make_baseline(workdir, "frozen", 2)
        found = compare([workdir])
        fronts.append(found["pareto"])
        correlations.append(found["seed_correlation"])
    assert correlations[0] == correlations[1]
    assert fronts[0] == fronts[1] == {"parameters": [4, 16, 64], "train_seconds": [4, 16, 64]}


def test_time_to_the_best_step_is_read_from_the_history(tmp_path):
    rows = compare([sweep(tmp_path / "s")])["sizes"]
    assert rows[0]["best_step_seconds_median"] == pytest.approx(0.75 * (60.0 + 0.4 + 1))  # step 1800 of 2400, the middle seed
    assert rows[0]["tokens_per_second_median"] == 41000


def test_a_short_budget_can_have_another_best_size(tmp_path):
    write_sweep(tmp_path / "s", {4: [0.5], 16: [0.3]})
    for size, quick in ((4, 0.55), (16, 0.9)):
        path = write_history(tmp_path / "s" / member_name(size, 0), [(100, 10.0, quick), (200, 20.0, 0.5 if size == 4 else 0.3)])
        path.write_text(path.read_text() + '{"step": 300, "split": "dev", "wo')
    found = compare([str(tmp_path / "s")])["at_equal_time"]
    assert [(row["train_seconds"], row["best"]) for row in found] == [(5.0, None), (10.0, 4), (20.0, 16)]
    assert [size["mean"] for size in found[1]["sizes"]] == [0.55, 0.9]


def test_no_size_is_the_best_of_those_that_happen_to_be_evaluated(tmp_path):
    """Red if a size wins at equal time over one that is not evaluated yet, or a size with a failed run does.

    Red too if equal time is a share of what the longest run took, at which the others have ended.
    """
    write_sweep(tmp_path / "s", {4: [0.5, 0.5], 16: [0.3, 0.3], 64: [0.1, None]})
    for size, seed, seconds in ((4, 0, 11.5), (4, 1, 11.5), (16, 0, 9.0), (16, 1, 9.0), (64, 0, 9.0)):
        evaluations = [(100, seconds, 0.6 if size == 4 else 0.4), (200, 20.0 if size == 4 else 40.0, 0.2)]
        write_history(tmp_path / "s" / member_name(size, seed), evaluations)
    found = compare([str(tmp_path / "s")])["at_equal_time"]
    assert [(row["train_seconds"], row["best"]) for row in found] == [(5.0, None), (10.0, None), (20.0, 4)]
    assert [size["mean"] for size in found[-1]["sizes"]] == [0.2, 0.4, 0.4]


def test_a_timer_makes_no_size_the_best_at_equal_time(tmp_path):
    """Red if a run that took a little longer for as many steps is judged by the evaluation before its last."""
    write_sweep(tmp_path / "s", {4: [0.9], 16: [0.7]})
    for size, seconds in ((4, 3.5), (16, 3.6)):
        write_history(tmp_path / "s" / member_name(size, 0), [(100, seconds / 2, 0.95), (200, seconds, 0.9 if size == 4 else 0.7)])
    assert compare([str(tmp_path / "s")])["at_equal_time"][-1]["best"] == 16


def test_what_is_broken_beside_a_result_is_as_good_as_none(tmp_path):
    """Red if a null, a text, infinity or a number beyond floats in a side file ends the comparison, or a figure of it is drawn."""
    workdir = sweep(tmp_path / "s", tokens_per_second=float("inf"), decoded_examples_per_second="fast")
    expected = compare([workdir])
    for directory in (tmp_path / "s").glob("embedding_dim=*"):
        with open(directory / "metrics.jsonl", "a", encoding="utf-8") as file:
            for value in ("null", '"x"', "NaN", "1e999", str(10**400)):
                file.write(f'{{"step": 2400, "split": "dev", "word_error_rate": {value}, "elapsed_seconds": 60}}\n')
                file.write(f'{{"step": 2400, "split": "dev", "word_error_rate": 0.1, "elapsed_seconds": {value}}}\n')
    points = [{"directions": 1}, {"directions": 2, "value": None}, 3, {"directions": 4, "value": 0.5}]
    (tmp_path / "s" / member_name(64, 0) / "truncated.json").write_text(json.dumps({"best_step": 1800, "points": points}))
    found = compare([workdir])
    assert found == expected | {"truncated_table": points[-1:]}
    assert {row["tokens_per_second_median"] for row in found["sizes"]} == {None}


def test_without_history_there_is_no_equal_time(tmp_path):
    found = compare([write_sweep(tmp_path / "s", VALUES)])
    assert found["at_equal_time"] == []
    assert found["sizes"][0]["best_step_seconds_median"] is None


def test_equal_shares_of_a_time_say_nothing_of_quality_by_time(tmp_path):
    """Red if a sweep that was trained as one program has every size on the front by time, or draws quality against it."""
    workdir = sweep(tmp_path / "s", train_seconds=60.0, trained_together=9)
    found = compare([workdir])
    assert (found["trained_together"], found["pareto"]["train_seconds"], found["at_equal_time"]) == (9, None, None)
    assert found["pareto"]["parameters"] == [4, 16, 64]
    lines = " ".join(cost_lines(found))
    assert "Up to 9 members were trained together: their times are equal shares" in lines
    assert "by training time 4" not in lines
    run([workdir], "csv")
    page = (tmp_path / "s" / "report.html").read_text(encoding="utf-8")
    assert '<figure class="learning_curves">' in page
    assert '<figure class="learning_curves_by_time">' not in page


def test_bootstrap_knows_seeds_and_examples():
    """Its spread is that of two independent sources: examples (binomial, shared by seeds) and seeds."""
    rng = np.random.default_rng(0)
    examples, seeds = 800, 40
    hard, level = rng.random(examples) < 0.3, np.linspace(0, 0.3, seeds)
    amounts = np.stack([(hard | (rng.random(examples) < share)).astype(float) for share in level])[None]
    means = bootstrap.resampled_means(ExampleScores(amounts, np.ones_like(amounts)), 2000)[:, 0]
    over_seeds = amounts[0].mean(1).std() / np.sqrt(seeds)
    over_examples = amounts[0].mean(0).std() / np.sqrt(examples)
    assert means.mean() == pytest.approx(amounts.mean(), abs=0.002)
    assert means.std() == pytest.approx(np.hypot(over_seeds, over_examples), rel=0.1)
    assert means.std() > 1.15 * max(over_seeds, over_examples)


def test_bootstrap_of_a_quotient_weighs_examples_by_their_size():
    amounts, sizes = np.array([[[1.0, 0.0]]]), np.array([[[1.0, 9.0]]])
    means = bootstrap.resampled_means(ExampleScores(amounts, sizes), 4000)[:, 0]
    values, counts = np.unique(means, return_counts=True)
    assert values.tolist() == [0.0, 0.1, 1.0]
    assert counts / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_a_resample_without_a_metric_gives_no_interval(tmp_path, capsys):
    """As one of nothing but empty references. Red if comparing ends in an error, or shows an interval without an end."""
    workdir = write_sweep(tmp_path / "s", {4: [0.5, 0.5, 0.5], 8: [0.5, 0.5, 0.5]})
    for folder in (tmp_path / "s").glob("*/"):
        np.savez(folder / "dev_scores.npz", amounts=[0.0, 1.0], sizes=[0.0, 2.0])
    assert [row["bootstrap_ci95"] for row in compare([workdir])["sizes"]] == [None, None]
    run([workdir], "table")
    assert "0.500" in capsys.readouterr().out


def test_standard_error_of_a_quotient_by_hand(tmp_path):
    """Red if examples that are larger count as the others do: a dev set would seem to tell more, or less, than it does."""
    grid = make_grid(read_sweep(write_sweep(tmp_path / "s", {4: [0.5]})).runs, [])
    np.savez(tmp_path / "s" / member_name(4, 0) / "dev_scores.npz", amounts=np.array([1.0, 0.0, 2.0]), sizes=np.array([1.0, 2.0, 3.0]))
    # quotient 1/2, residuals 1/2, -1, 1/2 with s^2 = 3/4: sqrt(3 * 3/4) / 6
    assert bootstrap.standard_error(grid, 0, 450) == pytest.approx(0.25)


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.7])
def test_standard_error_of_a_rank_correlation_is_its_spread(tmp_path, correlation):
    """Against Spearman's correlations of 4,000 drawn samples of 353 pairs. Red if it is that of a mean, or of no correlation at all."""
    draws = np.random.default_rng(0).normal(size=(2, 4000, 353))
    other = correlation * draws[0] + np.sqrt(1 - correlation**2) * draws[1]
    ranks = [values.argsort(1).argsort(1) - 176.0 for values in (draws[0], other)]
    found = (ranks[0] * ranks[1]).sum(1) / (ranks[0] ** 2).sum(1)
    metric = METRIC | {"name": "word_similarity", "unit": "rank correlation", "lower_is_better": False}
    grid = make_grid(read_sweep(write_sweep(tmp_path / "s", {4: [float(found.mean())]}, metric)).runs, [])
    assert bootstrap.standard_error(grid, 0, 353) == pytest.approx(found.std(), rel=0.05)


def test_bootstrap_differences_are_paired():
    """Two sizes that fail on the same examples differ by nothing, however the examples are drawn."""
    row = (np.arange(300) < 90).astype(float)
    amounts = np.stack([np.stack([row] * 3)] * 2)
    means = bootstrap.resampled_means(ExampleScores(amounts, np.ones_like(amounts)), 200)
    assert means[:, 0].std() > 0.02
    np.testing.assert_array_equal(means[:, 0], means[:, 1])


def test_bootstrap_stands_beside_the_t_interval(tmp_path):
    found = compare([sweep(tmp_path / "s")])
    for row in found["sizes"]:
        low, high = row["bootstrap_ci95"]
        assert low < row["mean"] < high
        assert 0.02 < (high - low) / 2 < 0.06  # one standard error of 450 words is about 0.022
    best = found["best"]["embedding_dim"]
    assert [row["embedding_dim"] for row in found["sizes"] if row["difference_bootstrap_ci95"] is None] == [best]


def test_scores_that_do_not_give_the_metric_are_not_used(tmp_path):
    workdir = sweep(tmp_path / "s")
    np.savez(tmp_path / "s" / member_name(4, 0) / "dev_scores.npz", amounts=np.ones(450), sizes=np.ones(450))
    rows = compare([workdir])["sizes"]
    assert rows[0]["bootstrap_ci95"] is None
    assert rows[1]["bootstrap_ci95"] is not None


def test_directions_of_a_table_by_hand():
    table = np.zeros((5, 4))
    for third, expected in ((1.0, 3), (0.7, 2)):  # of the squares 9, 4 and 1 or 0.49 the first two carry 93 or 96 %
        table[[0, 1, 2], [0, 1, 2]] = [3.0, 2.0, third]
        assert directions(table) == expected
    assert directions(np.zeros((3, 2))) == 0
    rng = np.random.default_rng(0)
    squares = np.linalg.svd(table := rng.normal(size=(50, 20)), compute_uv=False) ** 2
    assert directions(table) == np.argmax(np.cumsum(squares) / squares.sum() >= 0.95) + 1


def test_rules_of_thumb_read_the_largest_table(tmp_path):
    found = {(row["table"], row["rule"]): row["embedding_dim"] for row in compare([sweep(tmp_path / "s")])["rules_of_thumb"]}
    assert found["source", "V^0.25"] == pytest.approx(len(SYMBOLS) ** 0.25)
    assert found["target", "1.6 V^0.56"] == pytest.approx(1.6 * len(SYMBOLS) ** 0.56)
    assert 20 < found["source", "directions with 95% of the largest table"] <= len(SYMBOLS)


def test_rules_of_thumb_count_a_shared_table_once(tmp_path):
    """Red if they are said of source and target alike, where both are one table."""
    workdir = sweep(tmp_path / "s")
    for path in (tmp_path / "s").glob("*/config.json"):
        record = json.loads(path.read_text())
        record["config"]["model"]["share_embeddings"] = True
        path.write_text(json.dumps(record))
    found = compare([workdir])
    assert {row["table"] for row in found["rules_of_thumb"]} == {"shared"}
    (line,) = [line for line in cost_lines(found) if "Rules of thumb" in line]
    assert line.startswith(f"Rules of thumb for the shared table, {len(SYMBOLS)} symbols: V^0.25 ")
    assert line.count("V^0.25") == 1


def test_directions_are_those_of_trained_rows(tmp_path):
    workdir = sweep(tmp_path / "s")
    path = tmp_path / "s" / member_name(max(VALUES), 0) / "embedding.npz"
    arrays: Any = dict(np.load(path))
    trained = (np.arange(len(SYMBOLS)) >= 4) & (np.arange(len(SYMBOLS)) < 10)
    np.savez(path, **arrays, source_moved=np.where(trained, 1.0, 0.0))
    found = {(row["table"], row["rule"]): row["embedding_dim"] for row in compare([workdir])["rules_of_thumb"]}
    assert found["source", "directions with 95% of the largest table"] <= 6 < found["target", "directions with 95% of the largest table"]


def test_principal_components_keep_distances_and_name_their_share():
    rng = np.random.default_rng(3)
    flat = rng.normal(size=(30, 2)) @ np.linalg.qr(rng.normal(size=(8, 8)))[0][:2] + 5.0
    points, shares = principal_components(flat)
    assert sum(shares) == pytest.approx(1.0)
    assert np.linalg.norm(points[3] - points[17]) == pytest.approx(np.linalg.norm(flat[3] - flat[17]))
    single, shares = principal_components(np.array([[1.0], [3.0]]))
    assert np.abs(single[:, 0]).tolist() == [1.0, 1.0]
    assert shares == (1.0, 0.0)


def test_noise_floor_pools_variances(tmp_path):
    floor = compare([write_sweep(tmp_path / "s", {4: [0.1, 0.2, 0.3], 16: [0.5, 0.5, 0.5]})])["noise_floor"]
    assert floor["standard_deviation"] == pytest.approx(0.1 / np.sqrt(2))
    assert floor["standard_deviation_of_differences"] == pytest.approx(0.1)
    assert floor["detectable_difference"] == pytest.approx(statistics.detectable_difference(0.1, 3))


def test_nothing_is_known_of_seeds_that_make_no_difference(tmp_path):
    """Red if runs that are all alike, as where nothing was learned, let a sweep detect any difference."""
    part = compare([write_sweep(tmp_path / "s", {4: [1.0, 1.0, 1.0], 16: [1.0, 1.0, 1.0]})])
    assert part["noise_floor"]["detectable_difference"] is None
    assert "which may be chance" in noise_lines(part)[0]


def test_the_noise_floor_is_that_of_the_sizes_with_all_seeds(tmp_path):
    floor = compare([write_sweep(tmp_path / "s", {4: [0.1, 0.2, 0.3], 16: [0.5, 0.5, 0.5], 64: [0.4, 0.5, None]})])["noise_floor"]
    assert floor["seeds"] == 3


def test_the_noise_floor_of_a_size_needs_no_other_size(tmp_path):
    """Red if the spread over seeds, which is known, is withheld since there is no difference to tell it of."""
    (line,) = noise_lines(compare([write_sweep(tmp_path / "one", {16: [0.30, 0.31, 0.32]})]))
    assert "the standard deviation of a size is 0.0100; of differences none is known" in line
    assert noise_lines(compare([write_sweep(tmp_path / "lone", {4: [0.3], 16: [0.3]})])) == [
        "Noise floor: not known, since no size has two seeds."
    ]


def test_of_what_was_tuned_a_setting_has_its_own(tmp_path):
    """Red if what another setting was tuned to counts, or what stands in no row, as of a frozen table that was the largest once."""
    frozen = {"varied": {"model.embedding_dim": 4, "model.table": "frozen", "model.hidden_dim": 9}, "values": {"train.learning_rate": 1}}
    chosen = [frozen] + [
        {"varied": {"model.embedding_dim": size, "model.hidden_dim": hidden}, "values": {"train.learning_rate": size * hidden}}
        for size in (4, 16)
        for hidden in (8, 9)
    ]
    tuning = {"seed": 3, "runs": 8, "train_seconds": 1.0, "chosen": chosen}
    swept = dataclasses.replace(read_sweep(write_sweep(tmp_path / "s", VALUES)), tuning=tuning)
    found = fairness.tuning_of(swept, make_grid(swept.runs, []), {"model.hidden_dim": 9})
    assert found is not None
    assert [(row["embedding_dim"], row["values"]["train.learning_rate"]) for row in found["chosen"]] == [(4, 36), (16, 144)]


def test_a_budget_of_parameters_tells_its_hidden_sizes(tmp_path):
    """Red if a size is recommended without the hidden size that its figures belong to, also for the size that keeps the sweep's own."""
    workdir = write_sweep(tmp_path, {2: [0.5, 0.51], 8: [0.3, 0.31]})
    grid = json.loads((tmp_path / "sweep.json").read_text())
    for entry in grid["members"]:
        entry["adapted"] = {"model.hidden_dim": 97} if entry["varied"]["model.embedding_dim"] == 8 else {}
    own: dict[str, Any] = {"config": {"model": {"hidden_dim": 100}, "train": {}}}
    change_record(workdir, members=grid["members"], design={"budget": "parameters", "tune": {}}, **own)
    assert design_lines(compare([workdir])) == ["Hidden size, for equally many parameters: 100 at size 2, 97 at size 8."]
    own["config"]["model"]["encoder_hidden_dim"] = 50
    grid["members"][-1]["adapted"] |= {"model.encoder_hidden_dim": 48}
    grid["members"][-2]["adapted"] |= {"model.encoder_hidden_dim": 48}
    change_record(workdir, members=grid["members"], **own)
    wide = "Hidden size, for equally many parameters: 100 (encoder 50) at size 2, 97 (encoder 48) at size 8."
    assert design_lines(compare([workdir])) == [wide]
    for bidirectional, units in ((True, 200), (False, 100)):
        own["config"]["model"] |= {"encoder_hidden_dim": None, "bidirectional": bidirectional}
        change_record(workdir, **own)
        assert f"100 (encoder {units}) at size 2, 97 (encoder 48) at size 8" in design_lines(compare([workdir]))[0]
    change_record(workdir, design={"budget": "hidden", "tune": {}})
    assert design_lines(compare([workdir])) == []
