"""What is printed: the table, JSON and CSV, and how long one waits for it."""

import csv
import io
import json
import subprocess
import sys

import pytest

from seq2seq_jax.compare import labels
from seq2seq_jax.compare.comparison import compare
from seq2seq_jax.compare.examples import print_examples
from seq2seq_jax.compare.main import run
from seq2seq_jax.compare.results import read_sweep
from seq2seq_jax.compare.table import print_table, to_csv
from tests.sweep_fixture import add_artifacts, write_sweep

VALUES = {4: [0.50, 0.51, 0.52], 16: [0.30, 0.32, 0.31], 64: [0.30, None, 0.31], 256: [0.30, 0.29, 0.31]}


@pytest.fixture(name="printed")
def fixture_printed(capsys):
    """Returns a function that prints a table and returns what stood on standard output."""

    def printed(comparison, **options):
        print_table(comparison, **options)
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
    rows = list(csv.DictReader(io.StringIO(to_csv(found))))
    assert [int(row["embedding_dim"]) for row in rows] == [4, 16, 64, 256]
    assert [float(row["mean"]) for row in rows] == [row["mean"] for row in found["sizes"]]
    assert [row["role"] for row in rows].count("take") == 1


def test_a_baseline_has_one_name(printed, tmp_path):
    """Red if the table calls it otherwise than the sentence that warns of it."""
    path = tmp_path / "s" / "sweep.json"
    workdir = write_sweep(tmp_path / "s", {4: [0.5, 0.5], 16: [0.3, 0.3], 64: [0.3, 0.3]})
    grid = json.loads(path.read_text())
    for member in grid["members"][-2:]:
        member["table"] = "frozen"
    path.write_text(json.dumps(grid))
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
        (labels.runs_label(1), "1 run"),
        (labels.runs_label(3), "3 runs"),
    ],
)
def test_labels(label, expected):
    assert label == expected


WAITING = """
import sys, time
from seq2seq_jax.compare.comparison import compare
from seq2seq_jax.compare.table import print_table
print_table(compare([sys.argv[1]]))
heavy = {"jax", "flax", "matplotlib", "scipy.stats", "jinja2"} & set(sys.modules)
assert not heavy, heavy
print(time.process_time(), file=sys.stderr)
"""


def test_a_sweep_of_15_members_is_printed_within_a_second_and_a_half(tmp_path):
    """In processor time, so that a busy machine fails nobody; nothing heavy is imported before the table is out."""
    values = {size: [0.3 + 0.2 / size + 0.004 * seed for seed in range(3)] for size in (2, 8, 32, 128, 512)}
    workdir = write_sweep(tmp_path / "s", values)
    add_artifacts(tmp_path / "s", evaluations=100)
    done = subprocess.run([sys.executable, "-c", WAITING, workdir], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0 < float(done.stderr) < 1.5
