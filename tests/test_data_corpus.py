"""A run's data: what is held out, counted, dropped and checked again."""

import gc
import hashlib
import math
import unicodedata
from typing import Any

import numpy as np
import pytest

from seq2seq_jax import config as configuration
from seq2seq_jax.data import corpus, coverage, mistakes, raw_splits
from seq2seq_jax.data.vocabulary import UNK
from seq2seq_jax.errors import UserError


def _config(tmp_path, kind="translator", **data):
    values = {"model.kind": kind, **{f"data.{name}": value for name, value in data.items()}}
    for side in ("train", "dev", "test"):
        if side in data:
            path = tmp_path / f"{side}.txt"
            path.write_text(data[side], encoding="utf-8", newline="")
            values[f"data.{side}"] = str(path)
    return configuration.replace(configuration.Config(), values)


def _load(config) -> Any:
    return corpus.load_corpus(config)


def _texts(ragged, vocabulary):
    return [vocabulary.decode(row) for row in np.split(ragged.flat, np.cumsum(ragged.lengths)[:-1])]


PAIRS = "".join(f"word{number % 150}\t{number // 150} x\n" for number in range(300))


def test_dev_and_test_are_cut_from_train_and_hold_all_answers_of_a_source(tmp_path):
    loaded = _load(_config(tmp_path, train=PAIRS, dev_fraction=0.2, test_fraction=0.1, target_unit="word"))
    trained = set(_texts(loaded.train.sources, loaded.vocabularies["source"]))
    for split in (loaded.dev, loaded.test):
        assert isinstance(split, corpus.PairSplit)
        assert not trained & set(split.sources)
        assert all(len(answers) == 2 for answers in split.targets)
    assert len(trained) + len(loaded.dev) + len(loaded.test) == 150
    assert (len(loaded.train), set(loaded.sha256), loaded.notes) == (2 * len(trained), {"train"}, [])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("train",), {"train", "dev", "test"}),
        (("train", "dev"), {"train", "dev"}),
        (("train", "test"), {"train", "dev", "test"}),
        (("train", "dev", "test"), {"train", "dev", "test"}),
    ],
)
@pytest.mark.parametrize("kind", ["translator", "language_model"])
def test_only_what_is_missing_is_cut(tmp_path, given, expected, kind):
    config = _config(tmp_path, kind, **dict.fromkeys(given, PAIRS), dev_fraction=0.2, test_fraction=0.2)
    loaded = _load(config)
    assert {split for split in ("train", "dev", "test") if getattr(loaded, split) is not None} == expected
    assert set(loaded.sha256) == set(loaded.paths) == set(given)
    assert raw_splits.data_sha256(config) == loaded.sha256
    if "test" in given:
        assert len(loaded.test) == (150 if kind == "translator" else len(PAIRS))


def test_a_share_of_0_gives_no_split(tmp_path):
    loaded = _load(_config(tmp_path, train=PAIRS, dev_fraction=0.0, test_fraction=0.0))
    assert (loaded.dev, loaded.test, len(loaded.train)) == (None, None, 300)


def test_only_training_pairs_are_dropped_and_it_is_said(tmp_path):
    text = "ab\tx\nab\tx\n\tuvwxyzzz\nab\t\nabcdef\tx\nab\tuvwxyz\nabcde\ty\n"
    loaded = _load(_config(tmp_path, train=text, dev=text + "q\tx\n", max_length=5))
    assert sorted(_texts(loaded.train.sources, loaded.vocabularies["source"])) == ["ab", "ab", "abcde"]
    assert loaded.notes == [
        "2 of 7 training pairs dropped: an empty source or target.",
        "2 of 7 training pairs dropped: longer than data.max_length=5 units, the longest 6.",
        "1 exact repetition of training pairs kept.",
        "dev: 4 of 5 sources are also in train.",
        "dev: 1 of 5 sources have a unit that the vocabulary has not.",
        "dev: 1 of 5 sources have an empty target, as no pair that is trained on.",
        "dev: 2 of 5 sources are longer than data.max_length=5 units, or all their references: no such pair is trained on.",
    ]
    assert loaded.coverage == {"dev": {"also_in_train": 4, "longer_than_trained": 2}}
    assert loaded.dev == corpus.PairSplit(["ab", "", "abcdef", "abcde", "q"], [["x", "", "uvwxyz"], ["uvwxyzzz"], ["x"], ["y"], ["x"]])
    with pytest.raises(UserError, match=r"data\.min_count=9: no char of the training text is that frequent"):
        _load(_config(tmp_path, train="ab\tab\n", dev="a\tb\n", min_count=9))
    with pytest.raises(UserError, match=r"data\.max_length=1: no training pair is left"):
        _load(_config(tmp_path, train="ab\tab\n", dev="a\tb\n", max_length=1))


def test_words_are_the_same_source_whatever_blanks_stand_between_them(tmp_path):
    """Red if what the model reads alike stands on two sides of a split, or is scored twice; blanks between characters are units."""
    words = [f"a{number} b" for number in range(40)]
    text = "".join(f"{source}\tx\n{source.replace(' ', blanks)} \ty\n" for source in words for blanks in ("  ", "\u00a0"))
    loaded = _load(_config(tmp_path, train=text, source_unit="word", dev_fraction=0.3, test_fraction=0.2))
    assert not any("also in train" in note for note in loaded.notes)
    assert set(loaded.dev.sources) <= set(words)
    assert all(answers == ["x", "y"] for answers in loaded.dev.targets)
    assert len(_load(_config(tmp_path, train=text, dev_fraction=0.3, test_fraction=0.2)).dev.sources) > len(loaded.dev.sources)
    lines = _config(tmp_path, "language_model", train="a b\na  b\n b\n", dev="b \n", lines=True, target_unit="word")
    assert [note.split(": ")[1] for note in _load(lines).notes] == ["1 repeated lines dropped.", "1 of 1 lines are also in train."]


def test_the_loss_of_frequencies_alone_is_that_of_training():
    """Red if it is fitted to the text that is scored, which no model can be, or a unit that training has not seen is impossible."""

    def loss(train, dev):
        return coverage.unigram_loss(*(corpus.TextSplit("", np.array(ids)) for ids in (train, dev)), rows=8)

    assert loss([4, 5, 6, 7], [4, 4, 4]) == {"unigram_nats_per_token": pytest.approx(-math.log(2 / 12))}
    rare = -(199 * math.log(4 / 12) + math.log(1 / 12)) / 200
    assert loss([4, 4, 4, 5], [*[4] * 199, 7]) == {"unigram_nats_per_token": pytest.approx(rare)}
    assert loss([4, 4, 4, 5], [4, 7]) == {}


def test_of_a_list_of_lines_it_is_said_too_what_is_also_in_train(tmp_path):
    """Red if not, or of a running text, whose lines are no items; or if lines that end in CR alone, or are all empty, are one item."""
    config = _config(tmp_path, "language_model", train="anna\nbob\ncarl\n", dev="anna\nbob\nabba\n", lines=True)
    assert _load(config).notes == ["dev: 2 of 3 lines are also in train."]
    assert _load(configuration.replace(config, {"data.lines": False})).notes == []
    part = _load(_config(tmp_path, "language_model", train="anna\nbob\ncarl\n", dev="bob\nca"))
    assert (part.notes, part.coverage["dev"]["also_in_train"]) == (["dev: all of it is also in train."], 6)
    alone = ":1: lines end in a carriage return alone"
    for content, lines, message in (("anna\rbob\n", True, alone), ("anna\rbob\n", False, alone), ("\n\n", True, ": all lines are empty")):
        with pytest.raises(UserError, match=rf"train\.txt{message}"):
            _load(_config(tmp_path, "language_model", train=content, lines=lines))


def test_sources_whose_references_cannot_be_written_are_counted(tmp_path):
    """Red if one reference out of reach is enough (of q), if a source without references counts, or if train's own units do."""
    dev = "a\tx new\nb\tnew\nb\tx newer\nq\ty\nq\tnew\nab\ty x\n"
    config = _config(tmp_path, train="abq\tx y\n", dev=dev, target_unit="word")
    loaded = _load(config)
    lost = "dev: 2 of 4 sources have a unit that the vocabulary has not in every reference, so their outputs cannot be right."
    assert loaded.notes == [lost]
    assert loaded.coverage == {"dev": {"out_of_reach": 2}}
    asked = corpus.PairSplit(loaded.dev.sources, [[] for _ in loaded.dev.sources])
    assert coverage.unknown_units("standard input", asked, loaded.vocabularies, normalized=False) == (0, [])
    assert _load(configuration.replace(config, {"data.target_unit": "byte"})).notes == []
    single = _load(_config(tmp_path, train="1\t2\n2\t4\n", dev="12\t24\n", target_unit="word"))
    assert single.notes[-1] == "dev: targets are read by word, and most are a single one; --config.data.target_unit=char reads characters."


def test_the_loss_is_scored_against_the_first_answer(tmp_path):
    loaded = _load(_config(tmp_path, train=PAIRS, dev="word1\t1 x\nword1\t2 x\n"))
    source, target = corpus.encode_pairs(loaded.dev, loaded.vocabularies)
    assert loaded.vocabularies["source"].decode(source.flat) == "word1"
    assert loaded.vocabularies["target"].decode(target.flat) == "1 x"


def test_vocabularies_come_from_the_training_side_alone(tmp_path):
    loaded = _load(_config(tmp_path, train="ab\txy\n", dev="q\tz\n"))
    assert sorted(loaded.vocabularies["source"].symbols[4:] + loaded.vocabularies["target"].symbols[4:]) == ["a", "b", "x", "y"]
    text = _load(_config(tmp_path, "language_model", train="abab", dev="abq"))
    assert set(text.vocabularies) == {"target"}
    assert text.dev.ids.tolist()[-1] == UNK
    note, advice = text.notes
    assert "--config.data.min_count=2" in advice
    rare = _load(_config(tmp_path, "language_model", train="ababc", dev="abq", min_count=2)).notes
    assert not any("min_count" in said for said in rare)  # there is an <unk> to learn from
    assert note.startswith("dev: 1 of 3 units are not in the vocabulary; each costs no more than one <unk>")
    assert coverage.unknown_units("dev", text.dev, text.vocabularies, normalized=False) == (1, [note])
    assert coverage.unknown_units("train", text.train, text.vocabularies, normalized=False) == (0, [])
    (note,) = _load(_config(tmp_path, "skip_gram", train="a b\n" * 9, dev="a b q\n", target_unit="word", subsample=0.0)).notes
    assert note.startswith("dev: 1 of 4 units are not in the vocabulary; they are left out, so losses compare")


def test_text_is_normalized_before_anything_else(tmp_path):
    text = "e\u0301\t1\né\t2\n"
    config = _config(tmp_path, train="a\tb\n", dev=text)
    assert len(_load(config).dev) == 2
    assert _load(configuration.replace(config, {"data.normalize_nfc": True})).dev == corpus.PairSplit(["é"], [["1", "2"]])


def _mixed(composed, marks, ascii_lines=3):
    """Lines that end in an accent which is part of its letter, or stands behind it, or have none."""
    return ["caf\u00e9"] * composed + ["cafe\u0301"] * marks + ["cafe"] * ascii_lines


@pytest.mark.parametrize("kind", ["translator", "language_model"])
def test_a_file_that_spells_accents_in_two_ways_is_remarked(tmp_path, kind):
    """Red if a file in one form alone is remarked (the CJK letter is the same in both), or one that is normalized anyway."""

    def noted(*lines, **data):
        text = "".join(f"{line}\n" for line in ([f"{number}\t{line}" for number, line in enumerate(lines)]))
        return _load(_config(tmp_path, kind, train=text, dev_fraction=0.0, test_fraction=0.0, **data)).notes

    (note,) = noted(*_mixed(composed=4, marks=2))
    assert note.startswith(
        f"{tmp_path}/train.txt: of the letters in 9 lines looked at 1 stand there in several Unicode normalization forms"
    )
    assert "as U+0065 U+0301 and as U+00E9" in note
    assert "--config.data.normalize_nfc=true" in note
    assert noted(*_mixed(composed=4, marks=2), normalize_nfc=True) == []
    assert noted(*_mixed(composed=4, marks=0)) == noted(*_mixed(composed=0, marks=4), "\u65e5") == []
    assert noted("\u00ea e\u0302 \u1ec7"), "both in one line"
    assert noted("\u095c", "\u0921\u093c"), "a Hindi letter that composition takes apart"
    assert noted("\ud55c", "\u1112\u1161\u11ab"), "a Korean syllable and its parts"
    assert noted("\u00ea\u0323 \u00ea", "\u0921\u093c") == [], "one way for each letter, as of Windows-1258"


@pytest.mark.parametrize(("train_form", "dev_form"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_files_in_different_forms_are_remarked(tmp_path, train_form, dev_form):
    """Red if every reference is out of reach, and no word is said of why or how to mend it; or if it is said of what is merely unknown."""
    train = unicodedata.normalize(train_form, "ou\tcafé ü\nla\tthé ô\n")
    dev = unicodedata.normalize(dev_form, "ou\tcafé\nla\tthé\n")
    said = "dev: of {} texts looked at 2 have fewer such units in another Unicode normalization form"
    config = _config(tmp_path, train=train, dev=dev)
    for unit in ("char", "word"):
        found = _load(configuration.replace(config, {"data.target_unit": unit})).notes
        assert any("in every reference" in note for note in found)
        assert found[-1].startswith(said.format(4))
        assert "--config.data.normalize_nfc=true" in found[-1]
    assert not any("another Unicode" in note for note in _load(configuration.replace(config, {"data.normalize_nfc": True})).notes)
    assert _load(_config(tmp_path, "language_model", train=train, dev=dev)).notes[1].startswith(said.format(2))
    hindi = _config(tmp_path, train="a\t\u095c\n", dev="a\t\u0921\u093c\n")  # what is in form C is the one taken apart
    assert any("another Unicode" in note for note in _load(hindi).notes)
    for known, asked in (("b", "é"), ("kpɛ\u0301te è", "ké")):  # ɛ with an accent has no composed form, so this is all form C
        alike = _config(tmp_path, train=f"a\t{known}\n", dev=f"a\t{asked}\n")
        assert not any("another Unicode" in note for note in _load(alike).notes)


def test_of_a_long_file_some_lines_are_looked_at_whatever_their_order(tmp_path, monkeypatch):
    """Red if every so-manieth line is looked at, which here would be of one kind, or others each time."""
    monkeypatch.setattr(mistakes, "MOST_LINES", 50)
    text = "".join(f"{line}\n" for _ in range(50) for line in _mixed(composed=1, marks=1, ascii_lines=0))
    config = _config(tmp_path, "language_model", train=text, dev_fraction=0.0, test_fraction=0.0)
    first, second = _load(config).notes, _load(config).notes
    assert first == second
    assert "in 50 lines looked at" in first[0]


def test_a_pair_too_long_to_score_is_remarked(tmp_path, monkeypatch):
    """Red if only a lack of memory tells of it, after the updates until dev is scored; or if one side alone decides."""
    monkeypatch.setattr(coverage, "LONG_PAIR", 50)
    for dev, said in (("a\tab\n", False), (f"{'a' * 40}\tb\n", False), (f"{'a' * 10}\tbaaaab\na\tb\n", True)):
        notes = _load(_config(tmp_path, train="ab\tab\n", dev=dev)).notes
        assert any(note.startswith("dev: its longest pair has 10 and 6 characters") for note in notes) == said


def test_blanks_at_the_ends_of_fields_are_remarked(tmp_path):
    """Red if not, since an output that looks right is wrong then, or where they only part words."""
    config = _config(tmp_path, train="ab\tx \nc \ty\nd\tz\n", dev_fraction=0.0, test_fraction=0.0)
    for units, count in ((("char", "char"), 2), (("word", "char"), 1), (("word", "word"), 0)):
        notes = _load(configuration.replace(config, {"data.source_unit": units[0], "data.target_unit": units[1]})).notes
        expected = (
            f": of 3 lines looked at {count} have a field that begins or ends with a blank; the blanks are taken as part of the text."
        )
        assert [note.removeprefix(f"{tmp_path}/train.txt") for note in notes] == ([expected] if count else [])


def test_rows_in_quotes_are_remarked(tmp_path):
    """Red if fewer than half of the lines, a quote at one end, a single quote or two aligned files are remarked."""
    rows = ['"a, b"\tc', '"\td', 'a\t"b"', 'a "b"\tc']

    def noted(*lines):
        return _load(_config(tmp_path, train="".join(f"{line}\n" for line in lines), dev_fraction=0.0, test_fraction=0.0)).notes

    assert noted(*rows) == [
        f"{tmp_path}/train.txt: of 4 lines looked at 2 have a field that begins and ends with a double quote;"
        " the quotes are taken as part of the text."
    ]
    assert noted(*rows, "a\tb") == []
    for side in ("src", "tgt"):
        (tmp_path / f"a.{side}").write_text('"a"\n')
    config = configuration.replace(
        _config(tmp_path, dev_fraction=0.0, test_fraction=0.0), {"data.train": f"{tmp_path}/a.src,{tmp_path}/a.tgt"}
    )
    assert _load(config).notes == []


def test_a_language_model_reads_any_file_as_one_text(tmp_path):
    config = _config(tmp_path, "language_model", train=PAIRS, dev_fraction=0.1, test_fraction=0.1)
    path = tmp_path / "a.src,a.tgt"
    path.write_text(PAIRS)
    loaded = _load(configuration.replace(config, {"data.train": str(path)}))
    assert loaded.train.text + loaded.dev.text + loaded.test.text == PAIRS
    assert loaded.vocabularies["target"].decode(loaded.train.ids) == loaded.train.text


@pytest.mark.parametrize(("unit", "torn"), [("word", False), ("bpe", False), ("char", True), ("byte", True)])
def test_a_text_of_words_is_cut_between_them(tmp_path, unit, torn):
    """Red if the first unit of dev is half a word; or if a text of characters, of any kind, is not cut where it is asked for."""
    text = "abcdefghij " * 90
    loaded = _load(_config(tmp_path, "language_model", train=text, target_unit=unit, dev_fraction=0.135, test_fraction=0.0))
    assert loaded.train.text + loaded.dev.text == text
    assert (len(loaded.train.text) == round(len(text) * (1 - 0.135))) == torn
    assert loaded.dev.text[0].isspace() != torn


def test_a_list_of_lines_is_split_by_distinct_line(tmp_path):
    text = "".join(f"name{number % 200}\n" for number in range(300)) + "\n"
    loaded = _load(_config(tmp_path, "language_model", train=text, lines=True, dev_fraction=0.2, test_fraction=0.1))
    lines = [line for split in (loaded.train, loaded.dev, loaded.test) for line in split.text.splitlines()]
    assert sorted(lines) == sorted({f"name{number}" for number in range(200)})
    assert [note.split(": ")[1] for note in loaded.notes] == ["1 empty lines dropped.", "100 repeated lines dropped."]


def test_a_text_with_nothing_to_score_is_refused(tmp_path):
    """Red if its loss is 0, the best there can be."""
    with pytest.raises(UserError, match=r"dev.txt: all lines are empty"):
        _load(_config(tmp_path, "language_model", train="a b\nc\n", dev="\n\n", lines=True))


def test_words_without_neighbours_are_refused(tmp_path):
    """Red if a dev text of which thinning leaves nothing is scored 0, the best there can be, or training on such a text does nothing."""
    text = "a b c d\n" * 200
    with pytest.raises(UserError, match=r"dev.txt: no unit has a neighbour on its line"):
        _load(_config(tmp_path, "skip_gram", train=text, dev="a\nb\n", target_unit="word"))
    with pytest.raises(UserError, match=r"dev_fraction: no unit has a neighbour"):
        _load(_config(tmp_path, "skip_gram", train="a " * 800, dev_fraction=0.1, target_unit="word"))
    for min_count, said in ((1, "train.txt: no unit has a neighbour"), (900, "data.min_count=900: no word of the training text")):
        shares = {"dev_fraction": 0.0, "test_fraction": 0.0}
        config = _config(tmp_path, "skip_gram", train="a\n" * 400, target_unit="word", subsample=0.0, min_count=min_count, **shares)
        with pytest.raises(UserError, match=said):
            corpus.training_batches(config, _load(config))


def test_a_script_without_blanks_is_told_of_characters(tmp_path):
    """Red if another cause is named, or where the line end counts as a frequent word; or if a text whose lines have words is remarked."""
    text = "".join(f"{chr(0x3042 + number % 60)}いろは\n" for number in range(240))
    shares = {"dev_fraction": 0.0, "test_fraction": 0.0, "target_unit": "word"}
    for min_count, said in ((1, "or data.target_unit=char where no blanks part them"), (9, "where there are none, data.target_unit=char")):
        config = _config(tmp_path, "skip_gram", train=text, subsample=1e-4, min_count=min_count, **shares)
        with pytest.raises(UserError, match=said):
            corpus.training_batches(config, _load(config))
    (note,) = _load(_config(tmp_path, "language_model", train=text, **shares)).notes
    assert "of 240 lines looked at 240 are a single word" in note
    assert _load(_config(tmp_path, "language_model", train="a b\n\nc\n\n\n", **shares)).notes == []


@pytest.mark.parametrize("kind", ["translator", "language_model"])
def test_a_split_is_read_again_and_a_changed_file_is_named(tmp_path, kind):
    config = _config(tmp_path, kind, train=PAIRS, dev_fraction=0.2, test_fraction=0.1)
    loaded = _load(config)
    again = corpus.load_split(config, "test", vocabularies=loaded.vocabularies, recorded=loaded.sha256)
    if isinstance(again, corpus.TextSplit):
        assert again.text == loaded.test.text
        np.testing.assert_array_equal(again.ids, loaded.test.ids)
    else:
        assert again == loaded.test
    assert loaded.sha256 == {"train": hashlib.sha256(PAIRS.encode()).hexdigest()}
    (tmp_path / "train.txt").write_text(PAIRS + "a\tb\n")
    with pytest.raises(UserError, match=r"train\.txt: the content is not that of the run's train data"):
        corpus.load_split(config, "test", vocabularies=loaded.vocabularies, recorded=loaded.sha256)


def test_reading_a_split_touches_no_other_file(tmp_path):
    tmp_path = tmp_path / "hidden_dim=8,embedding_dim=16,seed=0"
    tmp_path.mkdir()
    config = _config(tmp_path, train=PAIRS, dev="word1\tx\n")
    loaded = _load(config)
    (tmp_path / "train.txt").unlink()
    assert corpus.load_split(config, "dev", vocabularies=loaded.vocabularies, recorded=loaded.sha256) == loaded.dev
    with pytest.raises(UserError, match="--split=test: the run's data has no test split"):
        corpus.load_split(config, "test", vocabularies=loaded.vocabularies, recorded=loaded.sha256)


def test_cutting_a_split_reads_the_training_file_only(tmp_path):
    config = _config(tmp_path, train=PAIRS, test="word1\tx\n", dev_fraction=0.2)
    loaded = _load(config)
    (tmp_path / "test.txt").unlink()
    assert corpus.load_split(config, "dev", vocabularies=loaded.vocabularies, recorded=loaded.sha256) == loaded.dev


def test_another_file_is_scored_in_place_of_a_split(tmp_path):
    config = _config(tmp_path, train=PAIRS)
    loaded = _load(config)
    other = tmp_path / "other.tsv"
    other.write_text("new\t1\nnew\t2\n")
    split = corpus.load_split(config, "dev", str(other), vocabularies=loaded.vocabularies, recorded=loaded.sha256)
    assert split == corpus.PairSplit(["new"], [["1", "2"]])


def test_paths_become_absolute(tmp_path, monkeypatch):
    config = _config(tmp_path, train=PAIRS)
    monkeypatch.chdir(tmp_path)
    relative = configuration.replace(config, {"data.train": "train.txt", "data.dev": "a.src,a.tgt"})
    found = raw_splits.with_absolute_paths(relative).data
    assert (found.train, found.dev, found.test) == (str(tmp_path / "train.txt"), f"{tmp_path}/a.src,{tmp_path}/a.tgt", None)


@pytest.mark.parametrize("content", ["a\tb\n", "no tab\n"])
def test_garbage_is_collected_again_after_loading(tmp_path, content):
    """Red if a mistake in the data leaves Python without its garbage collection, or if what was off before is on after."""
    path = tmp_path / "a.tsv"
    path.write_text(content)
    config = configuration.replace(configuration.Config(), {"data.train": str(path), "data.dev_fraction": 0.0, "data.test_fraction": 0.0})
    for enabled in (False, True):
        (gc.enable if enabled else gc.disable)()
        try:
            corpus.load_corpus(config)
        except UserError:
            assert "no tab" in content
        assert gc.isenabled() == enabled
