"""Several sweeps pooled: data sets in place of seeds, and what is said of sizes and settings that not all of them have."""

import json
import pathlib
from typing import Any

import numpy as np
import pytest

from seq2seq_jax.errors import UserError
from tests.sweep_fixture import METRIC, change_record, compare, make_baseline, member_name, result, write_sweep

VALUES = {4: [0.50, 0.51, 0.52], 16: [0.30, 0.32, 0.31], 64: [0.30, 0.29, 0.31]}


def three_sweeps(root, scales=(1.0, 2.0, 0.5), values=VALUES):
    scaled = [{size: [value and scale * value for value in row] for size, row in values.items()} for scale in scales]
    return [write_sweep(root / f"language{index}", each) for index, each in enumerate(scaled)]


def test_pooling_takes_away_the_scale_of_a_data_set(tmp_path):
    found = compare(three_sweeps(tmp_path))
    means = np.array([0.51, 0.31, 0.30])
    assert [row["mean"] for row in found["sizes"]] == pytest.approx(list(means / means.mean()))
    answer = found["recommendation"]
    assert (answer["embedding_dim"], answer["verdict"], answer["data_sets"]) == (16, "decided", 3)
    assert answer["tolerance"] == pytest.approx(0.05 * (means / means.mean()).min())
    assert answer["more_seeds_needed"] is None
    assert answer["test"] is None
    assert all(row["runs"] == 9 and len(row["seeds"]) == 3 and row["bootstrap_ci95"] is None for row in found["sizes"])


def test_no_baseline_moves_a_pooled_answer(tmp_path):
    """Red if the mean that figures are divided by knows more than the sizes: a bad baseline would change it."""
    workdirs = three_sweeps(tmp_path, values=VALUES | {128: [0.9, 0.8, 0.1]})
    for workdir in workdirs:
        make_baseline(workdir, "frozen", 128)
    found, means = compare(workdirs), np.array([0.51, 0.31, 0.30])
    assert [row["table"] for row in found["sizes"]] == ["learned", "learned", "learned", "frozen"]
    assert [row["mean"] for row in found["sizes"]] == pytest.approx([*(means / means.mean()), 0.6 / means.mean()])
    assert "its mean relative word error rate of" in found["recommendation"]["reason"]


def test_a_pooled_failure_says_of_which_data_set_it_is(tmp_path):
    workdirs = three_sweeps(tmp_path)
    path = tmp_path / "language1" / member_name(4, 2) / "result.json"
    path.write_text(json.dumps(result(4, 2, None)))
    assert [failure["member"] for failure in compare(workdirs)["failed"]] == [str(path.parent)]


def test_pooled_intervals_are_over_data_sets(tmp_path):
    """Runs that agree within a data set do not narrow an interval where the data sets disagree."""
    workdirs = [write_sweep(tmp_path / f"language{index}", {4: [0.5] * 5, 16: [other] * 5}) for index, other in enumerate((0.3, 0.5, 0.7))]
    found = compare(workdirs, tolerance=0.2)
    assert found["recommendation"]["verdict"] == "undecided"
    ratio = np.array([0.5 / 0.4, 1.0, 0.5 / 0.6])
    row = found["sizes"][0]
    assert (row["ci95"][1] - row["ci95"][0]) / 2 == pytest.approx(4.302653 * ratio.std(ddof=1) / np.sqrt(3), rel=1e-5)
    assert "data set" in found["recommendation"]["reason"]


def test_pooling_leaves_out_sizes_that_were_not_tried_everywhere(tmp_path):
    """Red if one is compared over fewer data sets than the others, or if it is denied that it was tried at all."""
    workdirs = three_sweeps(tmp_path)
    workdirs.append(write_sweep(tmp_path / "language3", {2: [0.6, 0.6, 0.6], 4: [0.5, 0.5, 0.5], 16: [0.3, 0.3, 0.3]}))
    found = compare(workdirs)
    assert [row["embedding_dim"] for row in found["sizes"]] == [4, 16]
    assert "Left out, since it was not tried in every data set: size 2, 64." in found["recommendation"]["warnings"]
    edge = "The best size is the largest that was tried in every data set: larger sizes were not tried in every data set."
    assert edge in found["recommendation"]["warnings"]


def test_a_size_that_failed_in_one_data_set_is_not_left_out(tmp_path):
    """Red if the best size, once all of its runs in one data set have failed, is forgotten and another one decided for."""
    values = {4: [0.50, 0.51, 0.52], 16: [0.30, 0.32, 0.31], 64: [0.10, 0.12, 0.11]}
    workdirs = [*three_sweeps(tmp_path, values=values), write_sweep(tmp_path / "language3", values | {64: [None, None, None]})]
    found = compare(workdirs)
    assert [row["embedding_dim"] for row in found["sizes"]] == [4, 16, 64]
    assert [row["seeds"] for row in found["sizes"]] == [workdirs, workdirs, workdirs[:3]]
    scale = np.mean([0.51, 0.31])  # of the sizes that have results everywhere
    assert [row["mean"] for row in found["sizes"]] == pytest.approx([0.51 / scale, 0.31 / scale, 0.11 / scale])
    answer = found["recommendation"]
    assert (answer["embedding_dim"], answer["verdict"]) == (16, "undecided")
    assert "Size 64 would have been recommended" in answer["reason"]
    assert "the largest that was tried" not in answer["reason"]
    assert answer["going_on"] == [
        "No number of data sets up to 100 would decide it with these differences, which the missing runs may change."
    ]


def test_seeds_that_failed_within_a_data_set_favour_no_size(tmp_path):
    """Red if a size looks worse than it is, and another one is decided for, since its easy seed is the one that has failed."""
    hard = {4: [None, 0.414, 0.496], 32: [0.30, 0.45, 0.54]}  # 8 % better at both seeds that have finished, and a larger mean
    workdirs = three_sweeps(tmp_path, (1.0, 0.5, 1.2), hard)
    found = compare(workdirs)
    assert found["sizes"][0]["difference_to_best"] == pytest.approx(-0.04 / np.mean([0.39, 0.43]))
    answer = found["recommendation"]
    assert (answer["embedding_dim"], answer["verdict"]) == (32, "undecided")
    assert "Size 4 would have been recommended" in answer["reason"]
    assert found["pareto"]["parameters"] == [4]


def test_a_tolerance_in_per_cent_is_remarked(tmp_path):
    said = {tolerance: compare(three_sweeps(tmp_path / str(tolerance)), tolerance=tolerance) for tolerance in (5.0, 0.05)}
    assert any(text.startswith("The tolerance, 5, is as much as a data set's mean") for text in said[5.0]["recommendation"]["warnings"])
    assert not any(text.startswith("The tolerance") for text in said[0.05]["recommendation"]["warnings"])


def test_a_data_set_whose_dev_was_trained_on_is_named(tmp_path):
    """Red if pooling hides what compare warns of, each by itself."""
    dev = {"word_error_rate": 0.2, "loss_nats_per_token": 0.6, "examples": 450, "also_in_train": 7}
    workdirs = [*three_sweeps(tmp_path), write_sweep(tmp_path / "leak", {size: [0.2, 0.2, 0.2] for size in VALUES}, dev=dev)]
    warned = [text for text in compare(workdirs)["recommendation"]["warnings"] if "also in train" in text]
    assert [text.partition(": ")[0] for text in warned] == [workdirs[3]]


def test_a_data_set_of_which_nothing_was_learned_is_named(tmp_path):
    """Red if it counts as much as the others without a word."""
    workdirs = [*three_sweeps(tmp_path), write_sweep(tmp_path / "hard", {size: [0.999, 0.998, 0.999] for size in VALUES})]
    warned = [text for text in compare(workdirs)["recommendation"]["warnings"] if "No size has learned the task yet" in text]
    assert [text.partition(": ")[0] for text in warned] == [workdirs[3]]
    assert not compare(workdirs)["recommendation"]["answer"][0].startswith("No size has learned")
    useless = [write_sweep(tmp_path / f"useless{index}", {size: [0.999, 0.998, 0.999] for size in VALUES}) for index in range(3)]
    assert compare(useless)["recommendation"]["answer"][0].startswith("No size has learned the task of any data set yet")
    alone = [write_sweep(tmp_path / f"alone{index}", {4: [0.3, 0.31]}) for index in range(3)]  # whose relative figures are 1
    assert not any("No size has learned" in text for text in compare(alone)["recommendation"]["warnings"])


def test_pooling_says_which_settings_are_not_everywhere(tmp_path):
    """Red if a setting that one of the data sets lacks is dropped without a word."""
    workdirs = three_sweeps(tmp_path)
    write_sweep(tmp_path / "language0/wide", VALUES, grid=False)
    for path in (tmp_path / "language0/wide").glob("*/result.json"):
        found = json.loads(path.read_text())
        path.write_text(json.dumps(found | {"varied": found["varied"] | {"model.hidden_dim": 512}}))
        path.parent.rename(tmp_path / f"language0/wide,{path.parent.name}")
    (tmp_path / "language0/sweep.json").unlink()
    assert "Left out, since not every data set has it: model.hidden_dim=512." in compare(workdirs)["recommendation"]["warnings"]


def test_pooling_says_where_sweeps_are_not_of_data_sets_of_their_own(tmp_path):
    """Red if copies of one sweep, which only repeat each other, pass for so many data sets; or if sweeps made otherwise do."""
    workdirs = three_sweeps(tmp_path)
    for index, sha256 in enumerate(("a", "b", "a")):
        for path in (tmp_path / f"language{index}").glob("*/result.json"):
            (path.parent / "config.json").write_text(json.dumps({"config": {}, "data_sha256": {"train": sha256, "dev": "d"}}))
    (warning, *others) = compare(workdirs)["recommendation"]["warnings"]
    assert warning.startswith(f"{workdirs[0]} and {workdirs[2]} are of the same data and count as 2 data sets")
    assert not [text for text in others if "different ways" in text]
    change_record(workdirs[1], design={"budget": "parameters", "tune": {}})
    assert (
        "The sweeps were made in different ways: with other budgets, or with other tuning or none."
        in compare(workdirs)["recommendation"]["warnings"]
    )


def test_pooling_says_in_which_fields_the_sweeps_differ(tmp_path):
    """Red if a rate that differs goes unsaid, or if data, what is swept, tuned or made to fit, or what changes no result is named."""
    workdirs = three_sweeps(tmp_path)

    def warned(fields, design=None):
        """Returns what is said of sweeps of which the second and third have these fields."""
        for index, workdir in enumerate(workdirs):
            change_record(workdir, design=design or {})
            for path in pathlib.Path(workdir).glob("*/result.json"):
                config: Any = {"data": {"train": f"{index}.tsv", "name": str(index)}, "model": {}, "train": {"seed": 0, "log_every": index}}
                for field, values in fields.items():
                    section, name = field.split(".")
                    if values[index] is not ...:
                        config[section][name] = values[index]
                (path.parent / "config.json").write_text(json.dumps({"config": config}))
        return [text for text in compare(workdirs)["recommendation"]["warnings"] if "different ways" in text]

    older = "model.encoder_hidden_dim"  # than this field
    assert warned({older: (..., None, ...)}) == []
    assert warned({older: (..., 256, 256)}) == [f"The sweeps were made in different ways: with other values of {older} (None, 256)."]
    differing = {"train.learning_rate": (0.1, 0.2, 0.1), "train.eval_every": (None, 50, None), "data.min_count": (1, 1, 1)}
    said = "The sweeps were made in different ways: with other values of"
    assert warned(differing) == [f"{said} train.learning_rate (0.1, 0.2), train.eval_every (None, 50)."]
    assert warned(differing, {"tune": {"train.learning_rate": [0.1, 0.2]}}) == [f"{said} train.eval_every (None, 50)."]
    assert warned({"model.hidden_dim": (8, 9, 8), "model.encoder_hidden_dim": (4, 5, 4)}, {"budget": "parameters"}) == []
    assert warned({"model.hidden_dim": (8, 9, 8)}) == [f"{said} model.hidden_dim (8, 9)."]
    assert warned({"model.pretrained": ("a.vec", "b.vec", "c.vec"), "train.metric": (None, "word_error_rate", None)}) == []
    assert warned({"model.pretrained": ("a.vec", None, "c.vec")}) == [f"{said} model.pretrained (a file, None)."]


def test_pooling_says_why_there_is_no_one_hot_baseline(tmp_path):
    """Red if it is said not to have been tried: it was, in each data set at the size of the vocabulary."""
    sizes = (31, 40, 52)
    workdirs = [write_sweep(tmp_path / f"{rows}", {4: [0.5, 0.6], 16: [0.3, 0.35], rows: [0.3, 0.4]}) for rows in sizes]
    for workdir, rows in zip(workdirs, sizes, strict=True):
        make_baseline(workdir, "onehot", rows)
    warnings = compare(workdirs)["recommendation"]["warnings"]
    assert "Left out: the baseline onehot, whose size is that of each data set's vocabulary." in warnings
    assert not any("not tried in every data set: size" in warning for warning in warnings)


def test_pooling_names_a_sweep_without_a_result(tmp_path):
    """Red if nothing says which of several sweeps has to be trained, or if a baseline's result passes for that of a size."""
    workdirs = three_sweeps(tmp_path)
    empty = write_sweep(tmp_path / "empty", {4: [None, None]})
    with pytest.raises(UserError, match=f"^--workdir={empty}: none of its sizes has a result"):
        compare([*workdirs, empty])
    for size in VALUES:
        make_baseline(workdirs[1], "frozen", size)
    with pytest.raises(UserError, match=f"^--workdir={workdirs[1]}: none of its sizes has a result"):
        compare(workdirs)


def test_pooling_refuses_what_cannot_be_pooled(tmp_path):
    workdirs = three_sweeps(tmp_path)
    with pytest.raises(UserError, match="at least 3"):
        compare(workdirs[:2])
    with pytest.raises(UserError, match="1 different sweep; expected"):
        compare(workdirs[:1] * 3)
    with pytest.raises(UserError, match="2 different"):
        compare([workdirs[0], workdirs[1], workdirs[1] + "/"])
    negative = [write_sweep(tmp_path / f"negative{i}", {2: [-0.12, -0.12], 8: [-0.18, -0.18]}) for i in range(3)]
    with pytest.raises(UserError, match=r"mean over sizes is -0.15; expected one above 0"):
        compare(negative)
    other = write_sweep(tmp_path / "other", VALUES, metric=METRIC | {"name": "phone_error_rate"})
    with pytest.raises(UserError, match="phone_error_rate"):
        compare([*workdirs, other])
    with pytest.raises(UserError, match="no size"):
        compare([*workdirs, write_sweep(tmp_path / "apart", {3: [0.1, 0.2]})])
