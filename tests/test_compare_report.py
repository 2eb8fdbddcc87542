"""The report: one page that opens offline, escapes what the data says, and agrees with the JSON; looked at by a real browser."""

import html
import itertools
import json
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.image import imread

from seq2seq_jax.compare import pictures
from seq2seq_jax.compare.examples import output_label
from seq2seq_jax.compare.main import run
from seq2seq_jax.compare.reading import read_sweep
from seq2seq_jax.data.vocabulary import SPECIALS
from seq2seq_jax.errors import UserError
from seq2seq_jax.show import picture
from seq2seq_jax.show import symbols as text
from tests.sweep_fixture import METRIC, SYMBOLS, add_artifacts, compare, make_baseline, member_name, write_sweep

VALUES = {4: [0.50, 0.51, 0.52], 16: [0.30, 0.32, 0.31], 64: [0.30, None, 0.31], 256: [0.30, 0.29, 0.31]}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync --enable-logging=stderr --hide-scrollbars"


@pytest.fixture(name="report", scope="module")
def fixture_report(tmp_path_factory):
    """A sweep with all that a sweep can have, its report and its pictures."""
    root = tmp_path_factory.mktemp("sweeps") / "s"
    workdir = write_sweep(root, VALUES)
    add_artifacts(root)
    points = [{"directions": k, "value": 0.3 + 0.2 / k} for k in (1, 4, 16, 64, 256)]
    (root / member_name(256, 0) / "truncated.json").write_text(json.dumps({"best_step": 1800, "points": points}))
    run([workdir], "json", figures=str(root / "figures"))
    return root


def page_of(root, name="report.html"):
    return (root / name).read_text(encoding="utf-8")


def test_the_answer_is_that_of_the_json(report):
    recommendation = compare([str(report)])["recommendation"]
    page = html.unescape(page_of(report))
    assert re.findall(r'<h1 class="sentence">(.*?)</h1>', page) == recommendation["answer"][:1]
    for sentence in (*recommendation["answer"], *recommendation["warnings"], recommendation["command"]):
        assert sentence in page
    assert f"<pre>{recommendation['command']}</pre>" in page
    assert f'class="verdict {recommendation["verdict"]}"' in page


def test_the_page_is_one_small_file_without_script_or_network(report):
    page = page_of(report)
    assert len(page.encode()) < 2_000_000
    assert "<script" not in page.lower()
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", page)
    assert not re.search(r"url\((?!#)", page)
    assert {address.split("/")[2] for address in re.findall(r"https?://[^\s\"'<]+", page)} <= {"www.w3.org"}  # names of XML, not fetched


def test_text_of_the_data_is_escaped(report):
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page_of(report)  # a symbol, and a source
    assert "out of memory at step 3" in page_of(report)


def test_examples_are_right_as_the_metric_has_it(tmp_path):
    """Where words are the units, blanks between them are no part of an output. Red if what the table counts as right is crossed out."""
    workdir = write_sweep(tmp_path / "s", {4: [0.5], 16: [0.4]})
    add_artifacts(tmp_path / "s")
    for size, unit in ((4, "word"), (16, "char")):
        member = tmp_path / "s" / member_name(size, 0)
        rows = ({"source": said, "references": ["no", "a  b"], "output": said} for said in ("a b", "a c"))
        (member / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        record = json.loads((member / "config.json").read_text())
        record["config"]["data"]["target_unit"] = unit
        (member / "config.json").write_text(json.dumps(record))
    run([workdir], "csv")
    marks = re.findall(r"([✓✗]) <bdi>(.*?)</bdi>", page_of(tmp_path / "s"))
    assert marks == [("✓", "a b"), ("✗", "a b"), ("✗", "a c"), ("✗", "a c")]


def test_every_id_on_the_page_is_unique(report):
    ids = re.findall(r'\bid="([^"]+)"', page_of(report))
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", page_of(report))) | set(re.findall(r'href="#([^"]+)"', page_of(report))) <= set(ids)


def test_pictures_are_there_on_the_page_and_as_files(report):
    names = {"size_curve", "pareto", "parameters", "truncation", "learning_curves", "learning_curves_by_time", "map_source", "map_target"}
    assert {path.stem for path in (report / "figures").glob("*.svg")} == names
    for path in (report / "figures").glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("svg")
        assert "var(--" not in path.read_text(encoding="utf-8")  # other programs than browsers know no variables
    assert {name for name in names if f'<figure class="{name}">' in page_of(report)} == names


def test_marks_have_names_on_hover(report):
    titles = {element.text for element in ET.parse(report / "figures" / "size_curve.svg").iter(f"{{{picture.SVG}}}title")}
    assert {f"size {row['embedding_dim']}, seed 0: {row['values'][0]:.3f}" for row in compare([str(report)])["sizes"]} <= titles
    assert "within 0.01 of the best mean" in titles
    named = {element.text for element in ET.parse(report / "figures" / "map_source.svg").iter(f"{{{picture.SVG}}}title")}
    assert {"a (U+0061)", "あ (U+3042)", "⏎ (U+000A)", "␣ (U+0020)"} <= named
    assert len(named) == len(SYMBOLS) - len(SPECIALS)


def test_many_sizes_and_curves_can_be_read(tmp_path):
    """Red if the names of near sizes run into each other, or the legend of many curves covers them."""
    dims = (1, 2, 4, 8, 16, 32, 64, 100, 128, 200, 256, 300, 400, 512)
    workdir = write_sweep(tmp_path / "s", {dim: [0.3 + 0.5 / dim] * 2 for dim in dims})
    add_artifacts(tmp_path / "s")
    part = compare([workdir])
    for drawn in (pictures.size_curve(part), pictures.parameters(part)):
        assert drawn is not None
        drawn.axes.get_tightbbox()  # places the names
        names = [label for label in drawn.axes.get_xticklabels() if label.get_text()]
        assert len(names) > 6
        boxes = [label.get_window_extent() for label in names]
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    curves = pictures.learning_curves(part, read_sweep(workdir).runs, by_seconds=False)
    assert curves is not None
    legend = curves.axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent().x0 >= curves.axes.get_window_extent().x1
    add_artifacts(tmp_path / "s", evaluations=1000)
    curves = pictures.learning_curves(part, read_sweep(workdir).runs, by_seconds=False)
    assert curves is not None
    for line in curves.axes.get_lines():  # or a page of long runs has megabytes of points
        at = np.asarray(line.get_xdata())
        assert (len(at), line.get_marker(), at[-1]) == (200, "None", 2400)
    add_artifacts(tmp_path / "s", evaluations=1)
    assert pictures.learning_curves(part, read_sweep(workdir).runs, by_seconds=False) is None  # one evaluation is no curve


def test_the_page_explains_the_columns_that_it_has(report, tmp_path):
    """Red if what stands below the table is of a column that is not there, or one is not explained."""
    bare = write_sweep(tmp_path / "bare", {1: [0.3, 0.31], 2: [0.3, 0.29]})
    run([bare], "csv")
    shown = {('under "with examples"' in page, "± with examples" in page) for page in (page_of(report), page_of(tmp_path / "bare"))}
    assert shown == {(True, True), (False, False)}


def test_colours_follow_the_page(report):
    drawn = "".join(re.findall(r"<svg.*?</svg>", page_of(report), re.S))
    assert drawn.count("var(--ink)") > 10
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawn)) <= {"#ffffff", "#000000"}  # of a page in neither light nor dark
    variables = set(re.findall(r"var\(--(\w+)\)", page_of(report)))
    for dark in (False, True):
        declared = set(re.findall(r"--(\w+):", picture.css_variables(dark)))
        assert variables - {"page", "card", "good", "warn"} <= declared


def test_characters_that_no_page_may_hold_are_spelled_out():
    assert text.visible("a b\n") == "a␣b⏎"
    assert [text.legible(each) for each in (" a b  ", "a", "", "  ")] == ["␣a b␣␣", "a", "", "␣␣"]
    assert [text.legible(each) for each in ("ka\u200bta", "a\u202eb", "क्\u200dष", "a\tb")] == ["kaU+200Bta", "aU+202Eb", "क्\u200dष", "a⇥b"]
    assert [output_label(each, ["caf\u00e9"]) for each in ("cafe\u0301", "caf\u00e9", "cafe")] == [
        "cafe\u0301 (in another Unicode form)",
        "caf\u00e9",
        "cafe",
    ]
    assert [text.visible(symbol) for symbol in ("\u200c", "\u200d", "👩\u200d👧")] == ["U+200C", "U+200D", "👩\u200d👧"]
    assert text.printable("\x00\x1b\ud800\uffffok\n") == "U+0000U+001BU+D800U+FFFFok\n"


def test_any_symbol_can_be_drawn(tmp_path):
    symbols = ["\x00", "\ud800", "$a$", "]]>", "&", "'", '"', "مرحبا"]
    workdir = write_sweep(tmp_path / "s", {1: [0.3, 0.31], 2: [0.3, 0.29]})
    add_artifacts(tmp_path / "s", symbols=[*SPECIALS, *symbols])
    run([workdir], "csv", figures=str(tmp_path / "figures"))
    labels = "".join(ET.parse(tmp_path / "figures" / "map_source.svg").getroot().itertext())
    assert all(text.visible(symbol) in labels for symbol in symbols)


def test_pooled_failed_and_bare_sweeps_have_a_report_too(tmp_path):
    bare = [write_sweep(tmp_path / f"language{index}", VALUES | {64: [0.3, 0.3, 0.3]}) for index in range(3)]
    failed = write_sweep(tmp_path / "failed", {4: [None], 16: [None]})
    higher = write_sweep(tmp_path / "higher", {4: [30.0, 31.0]}, metric=METRIC | {"name": "bleu", "lower_is_better": False})
    huge = write_sweep(tmp_path / "huge", {4: [1e200, 2e200], 16: [3e200, 5e200]}, metric=METRIC | {"tolerance": None}, test=None)
    assert [row["ci95"] for row in compare([huge])["sizes"]] == [None, None]  # their squares are no numbers
    unmeasured = write_sweep(tmp_path / "unmeasured", VALUES, parameters={})
    lone = write_sweep(tmp_path / "lone", {4: [None], 16: [0.3]})  # of a baseline alone there is a result
    make_baseline(lone, "frozen", 16)
    for workdirs in (bare, bare[:1], [failed], [higher], [huge], [unmeasured], [lone]):
        run(workdirs, "csv")
        page = page_of(pathlib.Path(workdirs[0]), "report.html" if len(workdirs) == 1 else "report_pooled.html")
        assert compare(workdirs)["recommendation"]["answer"][0] in html.unescape(page)


def test_a_single_setting_is_named(tmp_path, capsys):
    """Red if table or page leave out the one value of a further field that the answer holds for."""
    varied = {"model.embedding_dim": 4, "train.seed": 0, "model.hidden_dim": 128}
    run([write_sweep(tmp_path / "s", {4: [0.5]}, grid=False, varied=varied)])
    assert capsys.readouterr().out.startswith("\nmodel.hidden_dim=128\n")
    assert "<h2>model.hidden_dim=128</h2>" in page_of(tmp_path / "s")


def test_the_answers_of_several_settings_stand_together(tmp_path, capsys):
    """Red if one has to look for them between the tables, or one setting's size is said of another."""
    for hidden, values in ((64, {4: [0.5, 0.5, 0.5], 16: [0.3, 0.3, 0.3]}), (128, {4: [0.3, 0.31], 16: [0.31, 0.32]}), (256, {4: [None]})):
        write_sweep(tmp_path / f"{hidden}", values, grid=False)
        for path in list(tmp_path.glob(f"{hidden}/*/result.json")):
            found = json.loads(path.read_text())
            path.write_text(json.dumps(found | {"varied": found["varied"] | {"model.hidden_dim": hidden}}))
            path.parent.rename(tmp_path / f"{path.parent.name},hidden_dim={hidden}")
        (tmp_path / f"{hidden}").rmdir()
    run([str(tmp_path)])
    verdict = {part["setting"]["model.hidden_dim"]: part["recommendation"]["verdict"] for part in compare([str(tmp_path)])["comparisons"]}
    said = [
        f"model.hidden_dim=128: size 4, 0.305, {verdict[128]}",
        "model.hidden_dim=64: size 16, 0.300, decided",
        "model.hidden_dim=256: no size",
    ]
    assert capsys.readouterr().out.endswith("\nBy setting:\n" + "".join(f"  {line}\n" for line in said))
    page = page_of(tmp_path)
    assert "".join(f"<li>{line}</li>" for line in said) in page
    run([write_sweep(tmp_path / "one", VALUES)])
    assert "By setting" not in capsys.readouterr().out + page_of(tmp_path / "one")


def test_pictures_need_a_folder(tmp_path):
    workdir = write_sweep(tmp_path / "s", VALUES)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--figures=.*file: File exists; expected a folder"):
        run([workdir], "json", figures=str(tmp_path / "file"))


def browse(arguments, page, profile):
    command = [CHROMIUM or "chromium", *FLAGS.split(), f"--user-data-dir={profile}", *arguments, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")
def test_a_browser_shows_it_without_complaint(report, tmp_path):
    shown = browse(["--dump-dom"], report / "report.html", tmp_path / "profile")
    assert "CONSOLE" not in shown.stderr
    sentence = compare([str(report)])["recommendation"]["answer"][0]
    assert sentence in html.unescape(shown.stdout)
    assert len(re.findall(r"<svg", shown.stdout)) == 8


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")
@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 500)])
def test_a_browser_draws_the_pictures_in_light_and_dark(report, tmp_path, dark, width):
    path = tmp_path / "page.png"
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    browse([f"--screenshot={path}", f"--window-size={width},2400", *scheme], report / "report.html", tmp_path / "profile")
    pixels = imread(path)[..., :3]
    accent = picture.DARK_ROLES["accent"] if dark else picture.ACCENT
    red_green_blue = [int(accent[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    assert (abs(pixels - red_green_blue).max(-1) < 0.02).sum() > 200  # the recommended size, the front
    assert (pixels.mean() < 0.4) == dark
