"""Files of text: lines end at LF only, and every malformed file is named with its line."""

import codecs
import gzip

import pytest

from seq2seq_jax.data import readers
from seq2seq_jax.errors import UserError

OTHER_LINE_ENDS = "a\u2028b\u2029c\x0bd\x0ce\x85f\x1cg\rh"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_end_at_lf_or_crlf_only(tmp_path, mark, end):
    path = tmp_path / "a.anything"
    path.write_bytes(mark + f"{OTHER_LINE_ENDS}\tx y{end}ß\t日本{end}".encode())
    assert readers.read_pairs(str(path)) == [(OTHER_LINE_ENDS, "x y"), ("ß", "日本")]
    assert readers.read_text(path) == f"{OTHER_LINE_ENDS}\tx y\nß\t日本\n"


def test_two_aligned_files_are_two_columns(tmp_path):
    (tmp_path / "a.src").write_text("one\n\nthree", newline="")
    (tmp_path / "a.tgt").write_text("1\t1\r\n2\r\n\r\n", newline="")
    spec = f"{tmp_path}/a.src,{tmp_path}/a.tgt"
    assert readers.read_pairs(spec) == [("one", "1\t1"), ("", "2"), ("three", "")]
    (tmp_path / "with,comma.tsv").write_text("a\tb\n")
    assert readers.read_pairs(f"{tmp_path}/with,comma.tsv") == [("a", "b")]


def test_files_are_found_in_folders_whose_names_have_commas(tmp_path, monkeypatch):
    """Members of a sweep have such names. Red if a comma of a path is taken for the one between two files."""
    folder = tmp_path / "embedding_dim=16,seed=0"
    folder.mkdir()
    (folder / "a,b.src").write_text("one\n")
    (folder / "a.tgt").write_text("1\n")
    monkeypatch.chdir(folder)
    relative = "a,b.src,a.tgt"
    absolute = readers.absolute(relative)
    assert absolute == f"{folder}/a,b.src,{folder}/a.tgt"
    assert readers.read_pairs(absolute) == readers.read_pairs(relative) == [("one", "1")]
    assert readers.spec_sha256(absolute) == readers.spec_sha256(relative)
    (folder / "a.tgt").unlink()
    with pytest.raises(UserError, match=r"a\.tgt: expected one file of two columns, or two aligned files"):
        readers.read_pairs(absolute)


@pytest.mark.parametrize(
    ("content", "line", "expected"),
    [
        (b"a\tb\nc\n", 2, "no tab"),
        (b"a\tb\nc\td\te\n", 2, "3 columns; cut -f1,2 keeps the first two"),
        (b"a\tb\n\nc\td\n", 2, "an empty line"),
        (b"a\tb\nc\t\xff\n", 2, "0xff is not UTF-8"),
        (b"\xef\xbb\xbfa\tb\nc\td\n\xc3", 3, "0xc3 is not UTF-8"),
        (b"a\tb\rc\td\r", 1, "expected lines that end in a line feed"),
        (b"", 1, "empty"),
        (b"\xef\xbb\xbf", 1, "empty"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(tmp_path, content, line, expected):
    path = tmp_path / "a.tsv"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        readers.read_pairs(str(path))
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (gzip.compress(b"a\tb\n", mtime=0), "compressed by gzip"),
        ("a\tb\n".encode("utf-16"), "UTF-16 or UTF-32"),
        (codecs.BOM_UTF16_BE + b"\x00a", "UTF-16"),
    ],
)
def test_a_file_of_another_form_is_told_by_its_beginning(tmp_path, content, form):
    """Red if only a byte is named, which says little to who has forgotten to unpack a file."""
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.tsv: this is .*{form}; expected text in UTF-8"):
        readers.read_pairs(f"{tmp_path}/a.tsv")


def test_misaligned_files_are_named_with_the_first_line_that_has_no_partner(tmp_path):
    (tmp_path / "a.src").write_text("1\n2\n")
    (tmp_path / "a.tgt").write_text("1\n2\n3\n")
    with pytest.raises(UserError, match=r"a\.tgt:3: no such line in .*a\.src; .*3 and 2 lines"):
        readers.read_pairs(f"{tmp_path}/a.src,{tmp_path}/a.tgt")


def test_aligned_files_whose_lines_end_in_a_carriage_return_are_refused(tmp_path):
    """Red if two such files are one pair, the whole of both. A carriage return within a line is text, one that has lost its LF is none."""
    for content in (b"1\r2\r", b"1\r2\n"):
        (tmp_path / "a.src").write_bytes(content)
        (tmp_path / "a.tgt").write_bytes(content)
        with pytest.raises(UserError, match=r"a\.src:1: lines end in a carriage return alone"):
            readers.read_pairs(f"{tmp_path}/a.src,{tmp_path}/a.tgt")
    for text, pairs in ((b"x\ty\na\rb\tc\n", [("x", "y"), ("a\rb", "c")]), (b"x\ty\r\na\tb\r", [("x", "y"), ("a", "b")])):
        (tmp_path / "a.tsv").write_bytes(text)
        assert readers.read_pairs(str(tmp_path / "a.tsv")) == pairs


def test_what_is_no_file_is_said(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such file; expected a text file"):
        readers.read_text(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is a directory"):
        readers.read_pairs(str(tmp_path))
    with pytest.raises(UserError, match=r"a,b,c: expected one file"):
        readers.read_pairs("a,b,c")


def test_the_hash_is_of_the_content(tmp_path):
    for name, text in (("a", "x"), ("b", "y"), ("c", "x")):
        (tmp_path / name).write_text(text)
    a, b, c = (str(tmp_path / name) for name in "abc")
    assert readers.spec_sha256(a) == readers.spec_sha256(c) != readers.spec_sha256(b)
    assert readers.spec_sha256(f"{a},{b}") == readers.spec_sha256(f"{c},{b}") != readers.spec_sha256(f"{b},{a}")


def test_normalization_is_asked_for():
    assert readers.normalize("e\u0301", nfc=True) == "é"
    assert readers.normalize("e\u0301", nfc=False) == "e\u0301"
    assert readers.normalize("ﬁ²", nfc=True) == "ﬁ²"  # compatible with "fi2", and not the same
