"""What is printed: the table, JSON and CSV, and what one waits for."""

import csv
import io
import json
import subprocess
import sys

import pytest

from seq2seq_jax.compare import labels
from seq2seq_jax.compare.examples import print_examples, recommended_run
from seq2seq_jax.compare.main import print_answer, run
from seq2seq_jax.compare.reading import read_sweep
from seq2seq_jax.compare.table import print_comparison, to_csv
from seq2seq_jax.show.labels import counted
from tests.sweep_fixture import add_artifacts, change_record, compare, make_baseline, member_name, write_sweep

VALUES = {4: [0.50, 0.51, 0.52], 16: [0.30, 0.32, 0.31], 64: [0.30, None, 0.31], 256: [0.30, 0.29, 0.31]}


@pytest.fixture(name="printed")
def fixture_printed(capsys):
    """Returns a function that prints a table and returns what stood on standard output."""

    def printed(comparison, **options):
        print_comparison([comparison], **options)
        return capsys.readouterr().out

    return printed


def test_the_table_says_all_that_matters_within_80_columns(printed, tmp_path):
    found = compare([write_sweep(tmp_path / "s", VALUES)])
    text = printed(found, noise_floor=True)
    for row in found["sizes"]:
        (line,) = [line for line in text.splitlines() if line.split()[:1] == [str(row["embedding_dim"])]]
        assert f"{row['mean']:.3f} ± {(row['ci95'][1] - row['ci95'][0]) / 2:.3f}" in line
        assert f"{row['difference_to_best']:+.3f}" in line
    assert "2/3" in text
    assert "take" in next(line for line in text.splitlines() if line.split()[:1] == [str(found["recommendation"]["embedding_dim"])])
    flowing = " ".join(text.split())
    for sentence in (*found["recommendation"]["answer"], *found["recommendation"]["warnings"], "out of memory at step 3", "Noise floor"):
        assert sentence in flowing
    assert found["recommendation"]["command"] in text  # on one line, to be copied
    copied = [*found["recommendation"]["going_on"], *[line for line in text.splitlines() if "out of memory" in line]]
    assert all(len(line) <= 80 for line in text.splitlines() if line not in copied)


def test_a_correlation_of_two_points_is_not_printed(printed, tmp_path):
    """Red if what is 1 or -1 whatever was measured is shown as a finding."""
    assert "Correlation" not in printed(compare([write_sweep(tmp_path / "two", {4: [0.5, 0.6], 16: [0.3, 0.2]})]))
    three = {4: [0.5, 0.6, 0.6], 16: [0.3, 0.4, 0.4], 64: [0.3, 0.2, 0.2]}
    assert "Correlation" not in printed(compare([write_sweep(tmp_path / "three of two", {size: row[:2] for size, row in three.items()})]))
    said = " ".join(printed(compare([write_sweep(tmp_path / "three", three)])).split())
    assert "Correlation of sizes over seeds: -0.33, so differences by seed scatter 15 % more than those of unrelated runs." in said
    partly = {4: [0.5, 0.6], 16: [0.3, 0.2, 0.3]}
    assert "Correlation" not in printed(compare([write_sweep(tmp_path / "partly", partly)]))
    shared = {4: [0.5, 0.6, 0.7], 16: [0.3, 0.4, 0.5]}
    said = " ".join(printed(compare([write_sweep(tmp_path / "shared", shared)])).split())
    assert "Correlation of sizes over seeds: 1.00, so differences by seed scatter 100 % less than those of unrelated runs." in said
    pooled = compare([write_sweep(tmp_path / f"pooled {index}", three) for index in range(3)])
    assert pooled["seed_correlation"] is None  # dividing by a data set's mean makes it negative, whatever the data


def test_a_narrow_terminal_cuts_no_figure(printed, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    text = printed(compare([write_sweep(tmp_path / "s", VALUES)]))
    assert "0.510 ± 0.025" in text
    assert "…" not in text


def test_intervals_over_examples_are_shown_where_there_is_room(printed, tmp_path, monkeypatch):
    workdir = write_sweep(tmp_path / "s", VALUES)
    add_artifacts(tmp_path / "s")
    found = compare([workdir])
    assert "with examples" not in printed(found)
    monkeypatch.setenv("COLUMNS", "110")
    assert "with examples" in printed(found)


def test_text_of_the_data_is_no_markup(printed, tmp_path):
    workdir = write_sweep(tmp_path / "s", VALUES)
    path = next((tmp_path / "s").glob("embedding_dim=64,seed=1/result.json"))
    path.write_text(path.read_text().replace("out of memory at step 3", r"[bold]:smile: [/nothing]\udc80"))
    found = compare([workdir])
    assert "[bold]:smile: [/nothing]U+DC80" in printed(found)
    json.dumps(found, ensure_ascii=False).encode()


def test_outputs_are_shown_as_they_are(capsys, tmp_path):
    """Red if a line end of Unicode in a text ends the table, if a broken line does, or if a terminal obeys what the data say."""
    workdir = write_sweep(tmp_path / "s", VALUES)
    rows = [{"source": ":cat: \x1b[31m", "references": ["a\u2028b"], "output": "c\x85d"}, {"source": 1}]
    for path in (tmp_path / "s").glob("*/result.json"):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (path.parent / "samples.jsonl").write_text(text + '{"source": "ha', encoding="utf-8")
    sweep = read_sweep(workdir)
    print_examples(sweep, compare([workdir]), 5)
    shown = capsys.readouterr().out
    assert ":cat: U+001B[31m" in shown
    assert "cU+0085d" in shown
    assert "\x1b" not in shown


def test_outputs_are_those_of_the_recommended_size_in_its_setting(tmp_path):
    """Red if they are of another setting, another size, or of whichever seed comes last."""
    for hidden in (64, 128):
        varied = {"model.hidden_dim": hidden}
        write_sweep(tmp_path / f"{hidden}", {4: [0.5, 0.5, 0.5], 16: [0.3, 0.3, 0.3]}, grid=False)
        for path in list(tmp_path.glob(f"{hidden}/*/result.json")):
            found = json.loads(path.read_text())
            path.write_text(json.dumps(found | {"varied": found["varied"] | varied}))
            path.parent.rename(tmp_path / f"{path.parent.name},hidden_dim={hidden}")
        (tmp_path / f"{hidden}").rmdir()
    sweep = read_sweep(str(tmp_path))
    found = [recommended_run(sweep, part) for part in compare([str(tmp_path)])["comparisons"]]
    assert [run.directory.name for run in found if run] == [f"embedding_dim=16,seed=0,hidden_dim={hidden}" for hidden in (128, 64)]


def test_an_answer_needs_no_place_for_the_report(capsys, tmp_path):
    """Red if a report that cannot be written ends in an error, since the answer is there."""
    workdir = write_sweep(tmp_path / "s", VALUES)
    (tmp_path / "s" / "report.html").mkdir()
    run([workdir], "json")
    out, err = capsys.readouterr()
    assert json.loads(out) == compare([workdir])
    assert err.startswith("warning: no report: ")
    assert err.count("\n") == 1
    assert not list((tmp_path / "s").glob(".report*"))


def test_json_is_the_comparison_and_nothing_else(tmp_path, capsys):
    workdir = write_sweep(tmp_path / "s", VALUES)
    run([workdir], "json")
    out = capsys.readouterr().out

    def refuse(constant):
        raise AssertionError(constant)

    assert json.loads(out, parse_constant=refuse) == compare([workdir])


def test_csv_has_a_line_for_each_size(tmp_path):
    found = compare([write_sweep(tmp_path / "s", VALUES)])
    rows = list(csv.DictReader(io.StringIO(to_csv([found]))))
    assert [int(row["embedding_dim"]) for row in rows] == [4, 16, 64, 256]
    assert [float(row["mean"]) for row in rows] == [row["mean"] for row in found["sizes"]]
    assert [row["role"] for row in rows].count("take") == 1


def test_a_baseline_has_one_name(printed, tmp_path):
    """Red if the table calls it otherwise than the sentence that warns of it."""
    workdir = write_sweep(tmp_path / "s", {4: [0.5, 0.5], 16: [0.3, 0.3], 64: [0.3, 0.3]})
    make_baseline(workdir, "frozen", 64)
    text = printed(compare([workdir]))
    assert "The baseline frozen 64 is" in " ".join(text.split())
    assert [line.split()[:2] for line in text.splitlines()].count(["frozen", "64"]) == 1
    assert "64 frozen" not in text


def test_members_that_all_failed_still_make_a_table(printed, tmp_path):
    found = compare([write_sweep(tmp_path / "s", {4: [None, None], 16: [None, None]})])
    text = printed(found, noise_floor=True)
    assert "No size can be recommended" in " ".join(text.split())
    assert text.count("out of memory") == 4
    assert "word error rate on dev (fraction, lower is better)" in text  # as the failed members say
    json.dumps(found, allow_nan=False)


def sweep_without_results(root, metric="bits_per_character", tuning=None):
    workdir = write_sweep(root, {4: [], 16: []}, not_run=2)
    change_record(workdir, config={"model": {"kind": "language_model"}, "train": {"metric": metric}}, tuning=tuning)
    return workdir


def test_a_sweep_without_any_result_still_has_an_answer(capsys, tmp_path):
    """Red if it is called none of the reader's sweeps, or nothing says what its members are and how to go on."""
    workdir = sweep_without_results(tmp_path / "s")
    failed = [member_name(size, seed) for size in (4, 16) for seed in (0, 1)]
    assert [failure.name for failure in print_answer(workdir, None).failures] == failed  # for which the sweep ends with exit code 1
    text = capsys.readouterr().out
    assert "bits per character on dev (bits, lower is better)" in text
    assert "No size can be recommended: no member has finished." in " ".join(text.split())
    assert "\nTo go on: launch.py sweep " in text
    assert text.count(": not run") == 4
    page = (tmp_path / "s" / "report.html").read_text()
    assert "no member has finished" in page
    assert "Device: ." not in page
    run([workdir], "csv")
    assert [line.split(",")[:2] for line in capsys.readouterr().out.splitlines()[1:]] == [["4", "learned"], ["16", "learned"]]


def test_json_of_a_sweep_without_any_result_has_nulls(capsys, tmp_path):
    """Red if a figure is made up of nothing, such as a tolerance of 0 where it is a share of the best mean."""
    run([sweep_without_results(tmp_path / "s", metric="loss_nats_per_token")], "json")
    found = json.loads(capsys.readouterr().out)
    assert found["metric"] == {"name": "loss_nats_per_token", "unit": "nats", "lower_is_better": True, "tolerance": None}
    assert [entry["error"] for entry in found["failed"]] == ["not run"] * 4
    answer = found["recommendation"]
    assert found["best"] == {"embedding_dim": None}
    assert [answer[key] for key in ("embedding_dim", "tolerance", "excess_bound", "more_seeds_needed", "test")] == [None] * 5
    assert answer["verdict"] == "undecided"
    assert [(row["runs"], row["failed"], row["seeds"], row["mean"]) for row in found["sizes"]] == [(0, 2, [], None)] * 2
    assert answer["reason"].endswith("--embedding_dims=4,16 --seeds=0..1")  # what was asked for


@pytest.mark.parametrize("change", [{"members": []}, {"config": {"x": {}}}, {"config": {"train": {"metric": "new"}}}])
def test_a_sweep_of_which_little_is_known_has_an_answer_too(capsys, tmp_path, change):
    """Red if a traceback ends it where not even members or metric are known."""
    workdir = sweep_without_results(tmp_path / "s")
    change_record(workdir, **change)
    for format in ("json", "csv", "table"):
        run([workdir], format, noise_floor=True)
    assert "no member has finished" in capsys.readouterr().out


def test_where_tuning_has_failed_the_command_tries_it_again(tmp_path):
    """Red if it is a command that trains nothing: without --retry_failed a sweep leaves out the sizes whose tuning failed."""
    chosen = [{"varied": {"model.embedding_dim": size}, "values": {"train.learning_rate": 0.1}} for size in (4, 16)]
    tuning = {"seed": 2, "runs": 2, "train_seconds": 1.0}
    for number, expected in ((0, True), (1, True), (2, False)):
        workdir = sweep_without_results(tmp_path / str(number), tuning=tuning | {"chosen": chosen[:number]})
        assert ("--retry_failed" in compare([workdir])["recommendation"]["command"]) == expected


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (labels.count_label(812345), "812k"),
        (labels.count_label(999.0), "999"),
        (labels.count_label(999_700), "1M"),
        (labels.seconds_label(61.2), "61.2 s"),
        (labels.seconds_label(7200), "2 h"),
        (labels.p_label(0.0001), "<.001"),
        (labels.p_label(0.05), ".050"),
        (labels.p_label(1.0), "1"),
        (labels.p_label(None), "-"),
        (labels.with_interval(0.31, [0.3, 0.32], 3), "0.310 ± 0.010"),
        (labels.with_interval(0.31, None, 2, "+"), "+0.31"),
        (counted(1, "run"), "1 run"),
        (counted(3, "run"), "3 runs"),
    ],
)
def test_labels(label, expected):
    assert label == expected


WAITING = """
import collections, sys
from seq2seq_jax.compare.comparison import compare_sweeps
from seq2seq_jax.compare.reading import read_sweep
from seq2seq_jax.compare.table import print_comparison
import launch, seq2seq_jax.compare.main
opened = collections.Counter()
sys.addaudithook(lambda event, found: opened.update([str(found[0])]) if event == "open" else None)
print_comparison(compare_sweeps([read_sweep(sys.argv[1])]))
heavy = {"jax", "flax", "optax", "orbax", "matplotlib", "scipy.stats", "jinja2"} & set(sys.modules)
assert not heavy, heavy
read = {path: times for path, times in opened.items() if path.startswith(sys.argv[1])}
assert len(read) > 15, read
assert set(read.values()) == {1}, read
"""


def test_one_waits_for_the_table_of_15_members_for_nothing_but_their_files(tmp_path):
    """Nothing heavy is imported and no file read twice before the table is out; ``make bench`` says how long that takes."""
    values = {size: [0.3 + 0.2 / size + 0.004 * seed for seed in range(3)] for size in (2, 8, 32, 128, 512)}
    workdir = write_sweep(tmp_path / "s", values)
    add_artifacts(tmp_path / "s", evaluations=100)
    done = subprocess.run([sys.executable, "-c", WAITING, workdir], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
