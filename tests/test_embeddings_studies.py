"""Studies of tables made by hand, against oracles, and the command that shows them: words, characters, blanks and subwords."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
from gensim.models import KeyedVectors

import launch as launch_module
from seq2seq_jax.command import program
from seq2seq_jax.compare import stability as stability_module
from seq2seq_jax.compare.stability import stability
from seq2seq_jax.data.spelling import bpe_symbol
from seq2seq_jax.data.vocabulary import SPECIALS, Vocabulary
from seq2seq_jax.embeddings.analogy import analogy
from seq2seq_jax.embeddings.map import symbol_map
from seq2seq_jax.embeddings.neighbours import neighbours, warn_of_untrained
from seq2seq_jax.embeddings.norms import bands
from seq2seq_jax.embeddings.spectrum import effective_rank
from seq2seq_jax.embeddings.tables import TrainedTable, read_tables
from seq2seq_jax.errors import UserError
from seq2seq_jax.show.picture import apart
from tests import sweep_fixture
from tests.training_fixture import ROOT, environment

CHARACTERS = [*SPECIALS, *"ab \n\\", "\u0301", "👩‍👩‍👧", "\u00a0", "\u2028", *"cdefghijklmnop"]
BYTES = Vocabulary.build([], "byte", 1, 0).symbols
SUBWORDS = [*SPECIALS, "Ġthe", "the", "Ċ", "Ġ", "Ã©", "æĹ", "Ġcat"]


def write_run(folder: pathlib.Path, symbols: list[str], unit: str = "char", seed: int = 0, vectors=None, **result) -> pathlib.Path:
    """A run directory with what the studies read: the first row after the specials was never read and has never moved."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(len(symbols), 6)).astype(np.float32) if vectors is None else vectors
    counts = np.array([0, 0, 9, 0, *(90 * i for i in range(len(symbols) - 4))])
    moved = np.where(counts > 0, 0.5, 0.0)
    arrays = {"source_table": table, "source_symbols": np.array(json.dumps(symbols)), "source_unit": np.array(unit)}
    np.savez(folder / "embedding.npz", **arrays, source_counts=counts, source_moved=moved)
    (folder / "result.json").write_text(json.dumps(sweep_fixture.result(6, seed, 0.3, **result)))
    return folder


def run(capsys, *arguments: str) -> tuple[object, str, str]:
    """Runs the command in this process."""
    try:
        code = launch_module.main(["launch.py", "embeddings", *arguments])
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    return code, out, err


def answer(capsys, *arguments: str):
    code, out, err = run(capsys, *arguments, "--format=json")
    assert code == 0, err
    return json.loads(out)


def test_neighbours_and_analogies_are_those_of_gensim(tmp_path):
    """Also through each file that gensim can read. Red if the symbols asked for are found again, or untrained rows are."""
    symbols = [*SPECIALS, *(f"word{i}" for i in range(60))]
    vectors = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    table = TrainedTable("source", symbols, vectors.astype(float), moved=np.where(np.arange(64) == 9, 0.0, 1.0))
    for form in ("word2vec", "word2vec-binary"):
        output = tmp_path / form
        folder = write_run(tmp_path / "run", symbols, "word", vectors=vectors)
        assert launch_module.main(["l", "embeddings", "export", f"--workdir={folder}", f"--format={form}", f"--output={output}"]) == 0
        loaded = KeyedVectors.load_word2vec_format(str(output), binary=form == "word2vec-binary")
        known = {symbol for row, symbol in enumerate(symbols) if table.studied[row]}
        for row in (10, 33):
            nearest = [symbols[near.row] for near in neighbours(table, row, 5)]
            assert nearest == [word for word, _ in loaded.most_similar(symbols[row], topn=20) if word in known][:5]
            a, b, c = row, row + 1, row + 2
            found = analogy(table, a, b, c, 5)
            expected = loaded.most_similar(positive=[symbols[b], symbols[c]], negative=[symbols[a]], topn=20)
            assert [symbols[near.row] for near in found] == [word for word, _ in expected if word in known][:5]
            assert found[0].cosine == pytest.approx(next(cosine for word, cosine in expected if word in known), rel=1e-5)


def test_random_rows_beside_vectors_that_were_given_are_left_out(tmp_path, capsys):
    """Red if a table that stays as given passes rows without a vector for learned ones."""
    folder = write_run(tmp_path / "run", CHARACTERS)
    with np.load(folder / "embedding.npz") as file:
        arrays = dict(file)
    given = np.arange(len(CHARACTERS)) < 8
    np.savez(folder / "embedding.npz", **arrays | {"source_moved": 0 * arrays["source_moved"], "source_given": given})
    near = answer(capsys, "neighbours", f"--workdir={folder}", "--symbol=a", "-k=20")["neighbours"]
    assert {row["symbol"] for row in near} == set(CHARACTERS[5:8])
    assert answer(capsys, "spectrum", f"--workdir={folder}")["rows"] == 4
    assert "is a random draw" in run(capsys, "neighbours", f"--workdir={folder}", f"--symbol={CHARACTERS[9]}")[2]


def test_tables_are_exported_with_the_counts_of_their_rows(tmp_path, capsys):
    """Red if they are left out of one of the forms that have a place for them."""
    folder = write_run(tmp_path / "run", CHARACTERS)
    counts = np.load(folder / "embedding.npz")["source_counts"]
    for form, output in (("projector", tmp_path / "projector"), ("npz", tmp_path / "table.npz")):
        assert run(capsys, "export", f"--workdir={folder}", f"--format={form}", f"--output={output}")[0] == 0
    heading, *rows = (tmp_path / "projector/metadata.tsv").read_text(encoding="utf-8").splitlines()
    assert heading == "symbol\tcount"
    assert [row.split("\t")[1] for row in rows] == [str(count) for count in counts]
    np.testing.assert_array_equal(np.load(tmp_path / "table.npz")["counts"], counts)


@pytest.mark.parametrize(
    ("symbols", "unit", "typed", "row"),
    [
        (CHARACTERS, "char", "a", 4),
        (CHARACTERS, "char", " ", 6),
        (CHARACTERS, "char", "\\u0020", 6),
        (CHARACTERS, "char", "\n", 7),
        (CHARACTERS, "char", "\\n", 7),
        (CHARACTERS, "char", "\\", 8),
        (CHARACTERS, "char", "\\\\", 8),
        (CHARACTERS, "char", "\u0301", 9),
        (CHARACTERS, "char", "👩‍👩‍👧", 10),
        (CHARACTERS, "char", "\u2028", 12),
        (CHARACTERS, "char", "<eos>", 2),
        (SUBWORDS, "bpe", "the", 5),
        (SUBWORDS, "bpe", " the", 4),
        (SUBWORDS, "bpe", "Ġthe", 4),
        (SUBWORDS, "bpe", "\\n", 6),
        (SUBWORDS, "bpe", " ", 7),
        (SUBWORDS, "bpe", "é", 8),
        (SUBWORDS, "bpe", "æĹ", 9),
        (SUBWORDS, "bpe", "0xe697", 9),
        (BYTES, "byte", "a", 4 + 0x61),
        (BYTES, "byte", " ", 4 + 0x20),
        (BYTES, "byte", "0x20", 4 + 0x20),
        (BYTES, "byte", "\\u0020", 4 + 0x20),
        (BYTES, "byte", "\n", 4 + 0x0A),
        (BYTES, "byte", "\\n", 4 + 0x0A),
        (BYTES, "byte", "\\", 4 + 0x5C),
        (BYTES, "byte", "0xc3", 4 + 0xC3),
        ([*SPECIALS, "new york", "<eos>", "x"], "word", "<eos>", 5),  # a word of the text that reads like a special
    ],
)
def test_every_symbol_can_be_asked_for(tmp_path, capsys, symbols, unit, typed, row):
    folder = write_run(tmp_path / "run", symbols, unit)
    table = read_tables(folder)[0]
    assert table.row_of(typed, "--symbol") == row
    assert table.row_of(table.label(row), "--symbol") == row  # as it is shown
    found = answer(capsys, "neighbours", f"--workdir={folder}", f"--symbol={typed}", "--k=3")
    assert found["symbol"] == symbols[row]
    assert [near["symbol"] for near in found["neighbours"]] == [symbols[near.row] for near in neighbours(table, row, 3)]
    assert symbols[4] not in [near["symbol"] for near in found["neighbours"]]  # it was never trained
    warn_of_untrained(table, [row])
    assert ("never trained" in capsys.readouterr().err) == (row == 4)
    assert table.label(row).strip() == table.label(row) != ""


def test_a_letter_is_not_the_byte_that_is_named_like_it(tmp_path):
    """Red if the name that a subword of half a character has in files, a letter by chance, is asked for or shown as that letter."""
    (table,) = read_tables(write_run(tmp_path / "run", [*SPECIALS, *bpe_symbol("\u0928")], "bpe"))
    with pytest.raises(UserError, match=r"no such symbol; expected one of its 7, such as 0xe0, 0xa4, 0xa8"):
        table.row_of("à", "--symbol")
    assert table.code_points(4) == ""


@pytest.mark.parametrize(
    ("symbols", "unit", "points"),
    [
        (CHARACTERS, "char", {9: "U+0301"}),
        (SUBWORDS, "bpe", {8: "U+00E9", 9: ""}),
        (BYTES, "byte", {4 + 0x61: "U+0061", 4 + 0x20: "U+0020", 4 + 0xC3: "", 2: ""}),
        ([*SPECIALS, "abcdefghi"], "word", {4: "U+0061, U+0062, U+0063, U+0064, U+0065, U+0066, U+0067, U+0068, …"}),
    ],
)
def test_code_points_are_those_of_the_text(tmp_path, symbols, unit, points):
    """Red if they are those of the name that a vocabulary has for it."""
    (table,) = read_tables(write_run(tmp_path / "run", symbols, unit))
    assert {row: table.code_points(row) for row in points} == points


def test_a_symbol_is_found_in_another_unicode_form(tmp_path):
    """Red if a word that looks the same as one of the table is refused, and that one offered."""
    (table,) = read_tables(write_run(tmp_path / "run", [*SPECIALS, "\u092c\u095c\u093e", "cafe\u0301", "x"], "word"))
    assert [table.row_of(typed, "--symbol") for typed in ("\u092c\u0921\u093c\u093e", "caf\u00e9")] == [4, 5]


def test_bytes_are_labelled_by_what_they_write():
    table = TrainedTable("source", BYTES, np.zeros((260, 1)), "byte")
    assert [table.label(4 + byte) for byte in (0x20, 0x0A, 0x00, 0x61, 0xC3)] == ["␣", "⏎", "0x00", "a", "0xc3"]


def test_the_spectrum_counts_directions(tmp_path, capsys):
    values = np.array([4.0, 4.0, 4.0, 0.0, 0.0])
    assert effective_rank(np.linalg.qr(np.random.default_rng(0).normal(size=(9, 5)))[0] * values) == pytest.approx(3)
    assert effective_rank(np.zeros((3, 2))) == 0
    folder = write_run(tmp_path / "run", CHARACTERS)
    found = answer(capsys, "spectrum", f"--workdir={folder}")
    table = read_tables(folder)[0]
    assert found["rows"] == table.studied.sum() == len(CHARACTERS) - 5
    np.testing.assert_allclose(found["singular_values"], np.linalg.svd(table.vectors[table.studied], compute_uv=False), rtol=1e-6)
    shares = np.cumsum(np.square(found["singular_values"])) / np.square(found["singular_values"]).sum()
    assert found["learned"]["directions"] == np.argmax(shares >= 0.95) + 1
    out = run(capsys, "spectrum", f"--workdir={folder}")[1]
    assert f"{found['learned']['directions']} of 6 directions carry 95%" in out
    assert max(map(len, out.splitlines())) <= 80
    assert "22 trained rows" in out
    arrays = dict(np.load(folder / "embedding.npz"))
    np.savez(folder / "embedding.npz", **arrays | {"source_moved": np.zeros(27)})  # as of a frozen table
    assert "23 rows without the specials" in run(capsys, "spectrum", f"--workdir={folder}")[1]


def test_norms_by_frequency_and_rows_never_updated(tmp_path, capsys):
    folder = write_run(tmp_path / "run", CHARACTERS)
    table = read_tables(folder)[0]
    found = answer(capsys, "norms", f"--workdir={folder}")
    assert found["never_updated"] == ["<pad>", "<bos>", "<unk>", "a"]
    assert [row["symbol"] for row in found["rows"]] == CHARACTERS
    np.testing.assert_allclose([row["norm"] for row in found["rows"]], np.linalg.norm(table.vectors, axis=1))
    assert [(band.low, band.high) for band in bands(table)][:3] == [(0, 0), (1, 9), (10, 99)]
    assert sum(len(band.rows) for band in bands(table)) == len(CHARACTERS)
    assert [row for band in bands(table)[2:] for row in band.rows] == [5, *range(15, 5, -1), *range(26, 15, -1)]  # the most read first
    counts, norms = (np.array([row[key] for row in found["rows"]]) for key in ("count", "norm"))
    assert found["rank_correlation"]["norm"] == pytest.approx(scipy.stats.spearmanr(counts[counts > 0], norms[counts > 0]).statistic)
    assert "4 of 27 rows were never updated" in run(capsys, "norms", f"--workdir={folder}")[1]


def test_stability_is_1_for_equal_tables_and_chance_for_random_ones(tmp_path, capsys):
    """A rotated and scaled table has the same neighbours; tables of independent draws have those of chance."""
    symbols = [*SPECIALS, *(f"w{i}" for i in range(200))]
    rng = np.random.default_rng(1)
    same, turn = rng.normal(size=(204, 6)), np.linalg.qr(rng.normal(size=(6, 6)))[0]
    for seed in range(3):
        varied = {"model.embedding_dim": 6, "train.seed": seed}
        write_run(tmp_path / f"s/6-{seed}", symbols, "word", vectors=same @ (turn if seed else np.eye(6)) * (seed + 1), varied=varied)
        varied = {"model.embedding_dim": 12, "train.seed": seed}
        write_run(tmp_path / f"s/12-{seed}", symbols, "word", vectors=rng.normal(size=(204, 12)), varied=varied)
    (tmp_path / "s/unfinished").mkdir()
    (equal, random), _ = stability(str(tmp_path / "s"), 10)
    assert (equal.setting, random.setting) == ({"model.embedding_dim": 6}, {"model.embedding_dim": 12})
    assert equal.overlap == 1
    assert equal.chance == pytest.approx(10 / 198)  # of 199 trained rows, the others
    assert random.overlap == pytest.approx(random.chance, abs=0.02)
    found = answer(capsys, "stability", f"--workdir={tmp_path / 's'}")["groups"]
    assert [group["overlap"] for group in found] == [equal.overlap, random.overlap]
    assert run(capsys, "stability", f"--workdir={tmp_path / 's/6-0'}")[0] == 2


def test_stability_compares_each_seed_with_each(tmp_path):
    """Of three tables the first is the last. Red if a table is compared with the next one alone."""
    symbols, tables = [*SPECIALS, *(f"w{i}" for i in range(60))], np.random.default_rng(0).normal(size=(2, 64, 6))
    found = []
    for seed in range(3):
        write_run(tmp_path / f"{seed}", symbols, vectors=tables[seed % 2], varied={"model.embedding_dim": 6, "train.seed": seed})
        found += stability(str(tmp_path), 10)[0] if seed else []
    two, three = found
    assert two.overlap < 0.5
    assert two.deviation is None
    assert three.overlap == pytest.approx((1 + 2 * two.overlap) / 3)
    assert three.deviation == pytest.approx((1 - two.overlap) / np.sqrt(3))


def test_stability_asks_for_the_most_read_rows_that_all_seeds_have_trained(tmp_path, monkeypatch):
    """Red if a row counts that one seed has never moved, or more neighbours than half of the other rows; one table may be asked for."""
    symbols, asked, search = [*SPECIALS, *(f"w{i}" for i in range(12))], [], stability_module.neighbour_sets

    def recorded(vectors, queries, k):
        asked.append(queries.tolist())
        return search(vectors, queries, k)

    monkeypatch.setattr(stability_module, "neighbour_sets", recorded)
    monkeypatch.setattr(stability_module, "MOST_QUERIES", 3)
    for seed in range(2):
        folder = write_run(tmp_path / f"{seed}", symbols, seed=seed, varied={"model.embedding_dim": 6, "train.seed": seed})
        with np.load(folder / "embedding.npz") as file:
            arrays = dict(file)
        arrays |= {name.replace("source", "target"): array for name, array in arrays.items()}
        arrays["target_moved"] = np.where(np.arange(16) == 10 + seed, 0.0, arrays["source_moved"])
        np.savez(folder / "embedding.npz", **arrays)
    ((found,), _) = stability(str(tmp_path), 10, "target")
    assert (found.table, found.rows, found.k, found.chance) == ("target", 3, 4, 4 / 8)  # nine rows are left of eleven
    assert asked == [[8, 7, 6]] * 2
    assert [result.table for result in stability(str(tmp_path), 10)[0]] == ["source", "target"]


def test_stability_of_other_symbols_is_refused(tmp_path):
    """Red if rows are compared that stand for different symbols."""
    for seed in range(2):
        symbols = [*SPECIALS, *(f"w{i * (-1) ** seed}" for i in range(12))]
        write_run(tmp_path / f"{seed}", symbols, seed=seed, varied={"model.embedding_dim": 6, "train.seed": seed})
    with pytest.raises(UserError, match=r"the source vocabularies of .* differ; expected one sweep on one set of data"):
        stability(str(tmp_path), 10)


def test_stability_compares_what_compare_does(tmp_path, capsys):
    """Red if what is no member counts, or a copy of one, or a run that a longer sweep has not reached, or if that goes unsaid."""
    symbols = [*SPECIALS, *(f"w{i}" for i in range(20))]
    members = [{"name": f"seed={seed}", "varied": {"model.embedding_dim": 6, "train.seed": seed}} for seed in range(4)]
    for seed, member in enumerate(members):
        folder = write_run(tmp_path / member["name"], symbols, seed=seed, varied=member["varied"])
        if seed:  # the first does not say its length
            found = json.loads((folder / "result.json").read_text())
            length = {"steps": 10 if seed == 2 else 20, "epochs": None, "updates": None}
            (folder / "result.json").write_text(json.dumps(found | {"length": length}))
    write_run(tmp_path / "broken", symbols, varied=members[0]["varied"], steps="many")

    def compared() -> tuple[list[int], list[str]]:
        found = answer(capsys, "stability", f"--workdir={tmp_path}")
        return found["groups"][0]["seeds"], found["left_out"]

    assert compared() == ([0, 1, 2, 3], [])
    table = (tmp_path / "seed=3/embedding.npz").rename(tmp_path / "elsewhere")
    assert compared() == ([0, 1, 2], ["seed=3"])
    table.rename(tmp_path / "seed=3/embedding.npz")
    asked = {"train": {"steps": 20, "epochs": None}}
    grid = {"format": 1, "members": members[:3], "config": asked}
    (tmp_path / "sweep.json").write_text(json.dumps(grid))
    assert compared() == ([0, 1], ["seed=2"])
    shown = run(capsys, "stability", f"--workdir={tmp_path}")[1].replace("\n", " ")
    assert "Left out, without a table or trained for other steps or epochs than the sweep asks for now: seed=2." in shown
    (tmp_path / "sweep.json").write_text(json.dumps({**grid, "members": members[1:3], "config": {"train": {"steps": 40}}}))
    assert compared() == ([1, 2], [])  # nothing is that long yet
    copied = {"name": "seed=3", "varied": members[3]["varied"] | {"train.seed": 9}}  # what lies there is another member's
    (tmp_path / "sweep.json").write_text(json.dumps({**grid, "members": [*members[1:3], copied], "config": {"train": {"steps": 40}}}))
    assert compared() == ([1, 2], [])


def test_the_map_names_every_symbol(tmp_path, capsys):
    folder = write_run(tmp_path / "run", SUBWORDS, "bpe")
    assert run(capsys, "map", f"--workdir={folder}", f"--figure={tmp_path / 'map.svg'}")[:2] == (0, f"{tmp_path / 'map.svg'}\n")
    text = (tmp_path / "map.svg").read_text()
    assert all(f">{label}<" in text for label in ("the", "⏎", "␣", "é", "␣cat"))


def test_names_on_the_map_lie_apart():
    """Red if two boxes that are written meet, or one is left out that meets none before it."""
    draw = np.random.default_rng(0)
    places, sizes = draw.uniform(0, 100, (300, 2)), draw.uniform(5, 20, (300, 2))
    taken = set(apart(places, sizes))

    def meets(a, b):
        return all(abs(places[a, axis] - places[b, axis]) < (sizes[a, axis] + sizes[b, axis]) / 2 for axis in (0, 1))

    for index in range(300):
        assert (index in taken) != any(meets(index, other) for other in taken if other < index)


def test_the_map_shows_what_was_trained_the_most_read_first(tmp_path, capsys):
    """Red if rows that have stayed where they were drawn are in it, or if the first symbols of a large vocabulary are named."""
    folder = write_run(tmp_path / "run", [*SPECIALS, *(f"w{i}" for i in range(200))])
    assert run(capsys, "map", f"--workdir={folder}", f"--figure={tmp_path / 'map.svg'}")[0] == 0
    named = re.findall(r">(w\d+)<", (tmp_path / "map.svg").read_text())
    assert named[0] == "w199"
    assert 20 < len(named) < 150  # as many as can be told apart
    dots = sum(len(np.atleast_1d(line.get_xdata())) for line in symbol_map(read_tables(folder)[0]).axes.lines)
    assert len(named) + dots == 199  # each once, and no dot under a name
    untrained = write_run(tmp_path / "untrained", [*SPECIALS, "a"])
    assert run(capsys, "map", f"--workdir={untrained}", "--figure=map.svg")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["neighbours"], "--symbol: launch.py embeddings neighbours needs it"),
        (["neighbours", "--symbol=Z"], "--symbol=Z: the source table has no such symbol; expected one of its 27, such as a, b, ␣, ⏎"),
        (["neighbours", "--symbol=a", "--k=0"], "k"),
        (["neighbours", "--symbol=a", "--table=target"], "--table=target: the run has no such table; expected --table=source"),
        (["analogy", "a", "b"], "--c: launch.py embeddings analogy needs it"),
        (["analogy", "a", "b", "c", "d"], "d: launch.py embeddings analogy takes no more than a b c"),
        (["analogy", "a", "b", "Z"], "--c=Z: the source table has no such symbol"),
        (["export", "--format=csv", "--output=x"], "csv"),
        (["export"], "--output: launch.py embeddings export needs it"),
        (["export", "--output=nowhere/x"], "--output=nowhere/x: cannot be written"),
        (["map", "--figure=nowhere/x.svg"], "--figure=nowhere/x.svg: cannot be written"),
        (["map", "--figure=m.png"], "error: --figure=m.png: expected a name that ends in .svg\n"),
        (["trace", "--figure=nowhere/x.svg"], "--figure=nowhere/x.svg: cannot be written"),
        (["trace", "--figure=m.png"], "error: --figure=m.png: expected a name that ends in .svg\n"),
        (["neighbors", "--symbol=a"], "embeddings neighbors: expected one of trace, neighbours"),
    ],
)
def test_a_mistake_ends_with_2_and_one_line(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run", CHARACTERS)
    code, out, err = run(capsys, arguments[0], "--workdir=run", *arguments[1:])
    assert (code, out) == (2, ""), err
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("content", [None, b"", b"no archive", "one-hot"])
def test_a_run_without_a_table_is_a_mistake(tmp_path, capsys, content):
    if content == "one-hot":
        np.savez(tmp_path / "embedding.npz")
    elif content is not None:
        (tmp_path / "embedding.npz").write_bytes(content)
    code, out, err = run(capsys, "spectrum", f"--workdir={tmp_path}")
    assert (code, out, err.count("\n")) == (2, "", 1), err


@pytest.mark.parametrize("study", [None, *launch_module.STUDIES])
def test_every_study_has_help_with_an_example(capsys, study):
    code, out, err = run(capsys, *([] if study is None else [study]), "--help")
    assert (code, err) == (0, "")
    assert f"For example: {program()} embeddings {study or ''}" in out
    assert "--workdir" in out
    assert study != "export" or "also specials and rows never trained" in out  # which neighbours leaves out
    assert study is not None or all(f"\n  embeddings {name} " in out for name in launch_module.STUDIES)


def test_studies_import_no_jax(tmp_path):
    """Red if one of them waits for JAX: each in a second and a half."""
    folder = write_run(tmp_path / "run", CHARACTERS)
    code = (
        "import sys, launch; flags = ['--workdir=" + str(folder) + "']; "
        "[launch.main(['l', 'embeddings', *c.split(), *flags]) for c in "
        "('neighbours --symbol=a', 'analogy a b c', 'spectrum', 'norms', 'export --output=" + str(tmp_path / "v") + "')]; "
        "print([name for name in ('jax', 'flax', 'optax', 'orbax', 'matplotlib') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_a_run_without_its_tables_is_told_from_a_place_without_a_run(tmp_path):
    """Red if who has misspelt a workdir is sent to mend a run, or who has an unfinished one to begin it."""
    with pytest.raises(UserError, match=r"there is no run here \(no config\.json\); train one first$"):
        read_tables(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"there is no embedding\.npz; expected the directory of a finished run\. \(Of a"):
        read_tables(tmp_path)
