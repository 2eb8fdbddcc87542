"""Files of vectors: every symbol survives the trip, gensim reads and writes them too, and what is broken names its line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from gensim.models import KeyedVectors

from seq2seq_jax.data import vectors
from seq2seq_jax.data.spelling import bpe_symbol, bpe_text, escape, spellings, unescape
from seq2seq_jax.data.vocabulary import SPECIALS, Vocabulary
from seq2seq_jax.embeddings import export
from seq2seq_jax.errors import UserError

AWKWARD = [
    *" \n\t\r\v\f\x00\x1c\x85\u00a0\u2028\u2029\u3000\ufeff\\<#%_'\"",
    *["a", "é", "e\u0301", "\u0301", "ß", "日本", "עב", "👩‍👩‍👧", "🇮🇸", "\u200d", "\U0001d11e", "\udc80"],
    *["a b", "a\n", "\\n", "\\\\n", "\\u0020", "\\e", "", "new york", "</s>", "1", "1.5", "3 4", "nan", "-"],
    *SPECIALS,  # words of the text that read like a special
]
SYMBOLS = [*SPECIALS, *AWKWARD]


def random_table(rows: int, width: int = 5) -> np.ndarray:
    return (10.0 ** np.random.default_rng(0).uniform(-30, 30, (rows, width)) * [1, -1, 1, -1, 1][:width]).astype(np.float32)


def test_escapes_are_reversible_distinct_and_hold_no_blank():
    names = spellings(SYMBOLS)
    assert len(set(names)) == len(SYMBOLS)
    assert [unescape(name) for name in names] == SYMBOLS
    for name in names:
        assert name.split() == [name]
        assert name.encode().decode() == name
        assert name.splitlines() == [name]
    assert escape(" \n\\é") == "\\u0020\\n\\\\é"
    for broken in ("\\", "a\\b", "\\u12"):
        with pytest.raises(ValueError, match="no escape"):
            unescape(broken)


def test_every_character_is_escaped_reversibly():
    characters = [chr(code) for code in [*range(0x3000), *range(0xD7F0, 0x11000), *range(0x1F000, 0x1FB00)]]
    names = [escape(character) for character in characters]
    assert [unescape(name) for name in names] == characters
    assert not [name for name in names if name.split() != [name]]


@pytest.mark.parametrize("binary", [False, True])
def test_every_symbol_survives_the_trip_to_the_bit(tmp_path, binary):
    table = random_table(len(SYMBOLS))
    path = tmp_path / "v.txt"
    export.write_word2vec(path, SYMBOLS, table, binary)
    found = vectors.read_vectors(path)
    assert [unescape(name) for name in found.names] == SYMBOLS
    np.testing.assert_array_equal(found.table, table)
    assert vectors.width_of(path) == 5
    rows = [next(found.names.index(name) for name in names if name in found.names) for names in vectors.names_of(SYMBOLS)]
    assert rows == list(range(len(SYMBOLS)))
    some = vectors.read_vectors(path, {found.names[7], found.names[9], "absent"})
    np.testing.assert_array_equal(some.table, table[[7, 9]])


@pytest.mark.parametrize("binary", [False, True])
def test_gensim_reads_every_symbol_and_finds_the_same_neighbours(tmp_path, binary):
    table = np.random.default_rng(1).normal(size=(len(SYMBOLS), 8)).astype(np.float32)
    export.write_word2vec(tmp_path / "v", SYMBOLS, table, binary)
    loaded = KeyedVectors.load_word2vec_format(str(tmp_path / "v"), binary=binary)
    assert [unescape(name) for name in loaded.index_to_key] == SYMBOLS
    np.testing.assert_array_equal(loaded.vectors, table)


@pytest.mark.parametrize(("binary", "header"), [(False, True), (False, False), (True, True)])
def test_what_gensim_saves_is_read(tmp_path, binary, header):
    """Without the header it is GloVe's form."""
    words = ["the", "of", "日本", "a\\b", "#", "3", "\u00a0x"]
    made = KeyedVectors(4)
    made.add_vectors(words, random_table(len(words), 4))
    made.save_word2vec_format(str(tmp_path / "v"), binary=binary, write_header=header)
    found = vectors.read_vectors(tmp_path / "v")
    assert found.names == words
    np.testing.assert_array_equal(found.table, made.vectors)
    assert [names[-1] for names in vectors.names_of([*SPECIALS, *words])[4:]] == words


def test_a_word_takes_the_vector_of_its_other_unicode_form():
    """Red if a word that a file spells in another normalization form has none, or takes that of another word of the vocabulary."""
    (alone,) = vectors.names_of([*SPECIALS, "caf\u00e9"])[4:]
    assert alone == ("caf\u00e9", "cafe\u0301")
    both = vectors.names_of([*SPECIALS, "caf\u00e9", "cafe\u0301"])[4:]
    assert both == [("caf\u00e9",), ("cafe\u0301",)]


def test_words_with_a_backslash_are_found_as_other_tools_write_them():
    """Red if a word of LaTeX is not, since it begins like an escape; or if it is where it would be taken for the line end."""
    words = ["\\nabla", "\\text", "\\frac", "C:\\new", "\\n"]
    assert [names[-1] for names in vectors.names_of([*SPECIALS, *words])[4:]] == words
    *others, line_end = vectors.names_of([*SPECIALS, "\n", *words])[5:]
    assert [names[-1] for names in others] == words[:-1]
    assert line_end == ("\\\\n",)


def test_the_forms_of_other_tools(tmp_path):
    """fastText's lines end in a blank, GloVe's 840B has words of dots and blanks, and the C tool ends binary vectors with a line end."""
    path = tmp_path / "v"
    path.write_bytes(b"2 3\n</s> 1 2 3 \nthe 0.5 -1e-3 2 \n")
    assert vectors.read_vectors(path).names == ["</s>", "the"]
    path.write_bytes(b"the 1 2 3\n. . . 3 2 1\nthe 9 9 9\n")
    found = vectors.read_vectors(path)
    assert found.names == ["the", ". . ."]
    assert found.table.tolist() == [[1, 2, 3], [3, 2, 1]]
    path.write_bytes(b"a 8\n9 10\n")  # vectors of one number, no header
    assert vectors.read_vectors(path).names == ["a", "9"]
    path.write_bytes(b"1 1\n9 10\n")
    assert vectors.read_vectors(path).names == ["9"]
    path.write_bytes(b"a 1 2 3\nb 1 2 3\n\n\n")
    assert vectors.read_vectors(path).names == ["a", "b"]


def test_a_text_is_none_the_less_for_a_control_character_and_bytes_are_none_for_lack_of_one(tmp_path):
    path = tmp_path / "v"
    path.write_bytes(b"2 4\na 0.5 0.5 0.5 0.5\nx\x1fy 0.5 0.5 0.5 0.5\n")
    assert vectors.read_vectors(path).table.tolist() == [[0.5] * 4] * 2
    row = np.array([0.1, 0.2, 0.3, 0.4], "<f4")  # without a byte below 32
    path.write_bytes(b"2 4\na " + row.tobytes() + b"\nb " + row.tobytes() + b"\n")
    assert vectors.read_vectors(path).table.tolist() == [row.tolist()] * 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ":1: the file is empty"),
        (b"\n", ":1: expected COUNT WIDTH"),
        (b"word\n", ":1: expected COUNT WIDTH"),
        (b"0 3\n", ":1: expected COUNT WIDTH"),
        (b"2 3\na 1 2 3\nb 1 2\n", ":3: expected a name and 3 numbers with single blanks between them, found 2 after the name"),
        (b"2 3\na 1 2 3\nb 1 2 3 4\n", ":3: expected a name and 3 numbers with single blanks between them, found 4 after the name"),
        (b"2 3\na 1 2 3\nb 1 x 3\n", ":3: 'x' is not a finite number"),
        (b"2 3\na 1 2 3\nb 1 nan 3\n", ":3: 'nan' is not a finite number"),
        (b"2 3\na 1 2 3\nb 1 2_0 3\n", ":3: '2_0' is not a finite number"),
        ("2 3\na 1 2 3\nb 1 ２ 3\n".encode(), ":3: '２' is not a finite number"),  # noqa: RUF001  a digit that no such file has
        (b"2 3\na 1 2 3\n\nb 1 2 3\n", ":3: expected a name and 3 numbers"),
        (b"2 3\na 1 2 3\nb 1 1.2.3 3\n", ":3: '1.2.3' is not a finite number"),
        (b"2 3\na 1 2 3\nb 1  3\n", ":3: expected a name and 3 numbers with single blanks between them, found blanks side by side"),
        (b"2 3\na 1 2 3\nb\t1\t2\t3\n", ":3: expected a name and 3 numbers with single blanks between them, found tabs"),
        (b"2 3\na 1 2 3\nb 1 1-2 3\n", ":3: '1-2' is not a finite number"),
        (b"2 3\na 1 2 3\nb 1 -. 3\n", ":3: '-.' is not a finite number"),
        (b"2 3\na 1 2 3\nb 1 1e39 3\n", ":3: '1e39' is not a finite number"),
        (b"\x1f\x8b\x08\x00\n", ": compressed by gzip"),
        (b"PK\x03\x04\x14 1\n", ": a zip archive, as .npz files are; expected word2vec"),
        (b"2 3\na 1 2 3\nb  1 2 3\n", ":3: expected a name and 3 numbers with single blanks between them, found blanks side by side"),
        (b"2 3\na 1 2 3\n 1 2 3\n", ":3: expected a name and 3 numbers"),
        (b"2 3\na 1 2 3\n\xff 1 2 3\n", ":3: not UTF-8"),
        (b"3 3\na 1 2 3\nb 1 2 3\n", ":4: the file ends; expected 3 vectors"),
        (b"1 3\na 1 2 3\nb 1 2 3\n", ":3: a vector more than the 1"),
        (b"a 1 2 3\nb 1 2 3\nc 1 2\n", ":3: expected a name and 3 numbers"),
        (b"2 1\na \x00\x00\x80\x3fb \x00\x00", ": vector 2 of 2: the file ends within it"),
        (b"1 1\na \x00\x00\xc0\x7f", ": vector 1 of 1: holds a number that is not finite"),
        (b"1 1\na \x00\x00\x80\x3fmore", ": more follows after the 1 vectors"),
        (b"1 1\n\xff \x00\x00\x80\x3f", ": vector 1 of 1: expected its name in UTF-8"),
    ],
)
@pytest.mark.parametrize("wanted", [None, {"nothing of it"}])
def test_a_broken_file_names_its_line(tmp_path, content, message, wanted):
    """Red if lines whose vectors are not wanted go unchecked."""
    path = tmp_path / "v"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        vectors.read_vectors(path, wanted)
    assert str(error.value).startswith(f"{path}{message}")


def test_files_for_the_projector_and_for_numpy(tmp_path):
    table = random_table(len(SYMBOLS))
    counts = list(range(len(SYMBOLS)))
    export.write_projector(tmp_path / "p", SYMBOLS, table, counts)
    rows = (tmp_path / "p/metadata.tsv").read_text().split("\n")
    assert rows[0] == "symbol\tcount"
    assert [unescape(row.split("\t")[0]) for row in rows[1:-1]] == SYMBOLS
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "p/vectors.tsv", np.float32, delimiter="\t"), table)
    assert "vectors.tsv" in (tmp_path / "p/projector_config.pbtxt").read_text()
    export.write_npz(tmp_path / "any.name", SYMBOLS, table, None)
    with np.load(tmp_path / "any.name") as archive:
        assert json.loads(str(archive["symbols"])) == SYMBOLS
        np.testing.assert_array_equal(archive["table"], table)


def test_subwords_are_text():
    vocabulary = Vocabulary.build(["the thé the\n日本"], "bpe", 2, 300)
    assert bpe_text("Ġthe") == " the"
    assert bpe_symbol(" thé\n日本") == "ĠthÃ©ĊæĹ¥æľ¬"
    assert bpe_text(bpe_symbol(" thé\n日本")) == " thé\n日本"
    assert bpe_text("æĹ") is None
    for symbol, row in zip(vocabulary.symbols[4:], range(4, 300), strict=False):
        text = bpe_text(symbol)
        assert text is None or vocabulary.decode([row]) == text
