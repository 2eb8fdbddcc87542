"""Vocabularies: text comes back as it went in, in any script; ids depend on the text alone; specials are never reached from text."""

import random
import signal
import threading
import time

import numpy as np
import pytest

from seq2seq_jax.data import vocabulary as vocabulary_module
from seq2seq_jax.data.vocabulary import BOS, EOS, PAD, SPECIALS, UNK, Vocabulary, words_of
from seq2seq_jax.errors import UserError

TEXTS = ["naïve cafe\u0301 <eos> 👩‍👩‍👧 日本語", "हिन्दी <pad> \u2028 cafe", "a a a b b <eos>"]
UNITS = ("char", "byte", "word", "bpe")


def _build(unit, texts=TEXTS, min_count=1):
    return Vocabulary.build(texts, unit, min_count, bpe_size=300)


def _random_texts(count):
    rng = random.Random(0)
    ranges = [(0, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000)]
    return ["".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randrange(0, 30))) for _ in range(count)]


@pytest.mark.parametrize("unit", ["byte", "bpe"])
def test_any_unicode_text_comes_back_through_bytes_and_subwords(unit):
    vocabulary = _build(unit)
    for text in [*_random_texts(300), *TEXTS, "", " leading", "two  blanks\r\n", "\x00", "<eos><pad> <unk>"]:
        ids = vocabulary.encode(text)
        assert vocabulary.decode(ids) == text
        assert all(UNK < row < len(vocabulary) for row in ids)
        assert vocabulary.unknown(text) == []


@pytest.mark.parametrize("unit", UNITS)
def test_training_text_comes_back(unit):
    vocabulary = _build(unit)
    for text in TEXTS:
        expected = " ".join(text.split()) if unit == "word" else text
        assert vocabulary.decode(vocabulary.encode(text)) == expected


@pytest.mark.parametrize("unit", UNITS)
def test_specials_have_rows_0_to_3_that_no_text_reaches(unit):
    vocabulary = _build(unit, [*TEXTS, *["<eos> <bos> <pad> <unk>"] * 50])
    assert (PAD, BOS, EOS, UNK) == (0, 1, 2, 3)
    assert tuple(vocabulary.symbols[:4]) == SPECIALS
    for special in SPECIALS:
        ids = vocabulary.encode(special)
        assert min(ids) > UNK
        assert vocabulary.decode([PAD, BOS, *ids, PAD, EOS, *ids]) == special
    assert _build("word").symbols.count("<eos>") == 2
    assert _build("word", ["a"]).encode("<eos> a <pad>") == [UNK, 4, UNK]


@pytest.mark.parametrize("unit", UNITS)
def test_decoding_stops_at_eos_and_takes_arrays(unit):
    vocabulary = _build(unit)
    ids = vocabulary.encode("a")
    assert vocabulary.decode(np.array([BOS, *ids, EOS, *ids, PAD], np.int32)) == "a"
    assert vocabulary.decode([EOS]) == vocabulary.decode([]) == ""


def test_a_combining_mark_is_a_unit_of_its_own():
    vocabulary = _build("char")
    assert len(vocabulary.encode("e\u0301")) == 2
    assert vocabulary.unknown("é") == ["é"]  # only its decomposed form was trained on
    assert len(vocabulary.encode("👩‍👩‍👧")) == 5


def test_a_text_takes_the_form_that_is_known():
    """Red if a letter typed in one piece is unknown where training had it in two, or one that is known is taken apart."""
    vocabulary = Vocabulary.build(["e\u0301 e a \u00fc"], "char", 1, 0)
    assert vocabulary.in_known_form("\u00e9a") == "e\u0301a"
    assert vocabulary.in_known_form("\u00fca") == "\u00fca"
    assert vocabulary.in_known_form("u\u0308") == "\u00fc"
    for unit in ("char", "word"):  # a letter that composition (NFC) takes apart
        hindi = Vocabulary.build(["\u092c\u095c\u093e a"], unit, 1, 0)
        assert hindi.in_known_form("a \u092c\u0921\u093c\u093e") == "a \u092c\u095c\u093e"
    assert vocabulary.in_known_form("\u00e9\u00fc") == "\u00e9\u00fc"  # in neither form are all of its units known


@pytest.mark.parametrize("unit", ["char", "byte", "word", "bpe"])
def test_many_texts_are_encoded_like_each(unit, monkeypatch):
    """Red if a unit is counted twice or left out, or if one text ends where another does."""
    monkeypatch.setattr(vocabulary_module, "_TEXTS_AT_A_TIME", 7)
    vocabulary, texts = _build(unit), [*TEXTS, "", "zebra Ж", "\udcff", *_random_texts(20)]
    found = vocabulary.encode_all(texts)
    assert np.split(found.flat, np.cumsum(found.lengths)[:-1])[0].dtype == np.int32
    assert [ids.tolist() for ids in np.split(found.flat, np.cumsum(found.lengths)[:-1])] == [vocabulary.encode(text) for text in texts]
    assert len(vocabulary.encode_all([])) == 0


def test_unknown_units_become_unk_and_are_named():
    vocabulary = _build("word")
    assert vocabulary.encode("a zebra a") == [vocabulary.encode("a")[0], UNK, vocabulary.encode("a")[0]]
    assert vocabulary.unknown("a zebra a") == ["zebra"]
    assert vocabulary.decode([UNK]) == "<unk>"
    for unit in ("char", "byte"):  # red if one unknown character counts as five errors
        assert _build(unit).decode([UNK]) == "\ufffd"


def test_rows_go_by_count_and_then_by_code_point():
    vocabulary = Vocabulary.build(["b b c a c b d"], "word", 1, 0)
    assert vocabulary.symbols[4:] == ["b", "c", "a", "d"]
    assert Vocabulary.build(["d b c", "a c b b"], "word", 1, 0).symbols == vocabulary.symbols
    assert Vocabulary.build(["b b c a c b d"], "word", 2, 0).symbols[4:] == ["b", "c"]


def test_a_byte_vocabulary_always_has_all_bytes():
    assert len(Vocabulary.build([], "byte", 5, 0)) == 260
    assert Vocabulary.build([], "byte", 1, 0).encode("aß") == [4 + 0x61, 4 + 0xC3, 4 + 0x9F]
    assert Vocabulary.build([], "byte", 1, 0).decode([4 + 0xC3, 4 + 0x61]) == "\ufffda"
    assert Vocabulary.build([], "byte", 1, 0).decode_line([4 + 0x61, 4 + 0x0A, 4 + 0x61]) == "a a"


def test_line_breaks_are_words():
    assert list(words_of("a  b\n\n c\u00a0d\n")) == ["a", "b", "\n", "\n", "c", "d", "\n"]
    vocabulary = Vocabulary.build(["a b\nc\n"], "word", 1, 0)
    assert vocabulary.decode(vocabulary.encode("a b\nc\n\na")) == "a b\nc\n\na"


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_saved_is_loaded(unit, tmp_path):
    vocabulary = _build(unit)
    vocabulary.save(tmp_path, "source")
    loaded = Vocabulary.load(tmp_path, "source")
    assert (loaded.symbols, loaded.unit, len(loaded)) == (vocabulary.symbols, unit, len(vocabulary))
    for text in [*TEXTS, "unseen ẞ <eos>"]:
        assert loaded.encode(text) == vocabulary.encode(text)
        assert loaded.decode(loaded.encode(text)) == vocabulary.decode(vocabulary.encode(text))
    names = {"source.json", "source", "source/tokenizer.json"} if unit == "bpe" else {"source.json"}
    assert {str(path.relative_to(tmp_path / "vocabulary")) for path in (tmp_path / "vocabulary").rglob("*")} == names


def test_subwords_are_learned_and_the_same_every_time(tmp_path):
    texts = ["the theme of the thesis"] * 20
    one, other = _build("bpe", texts), _build("bpe", texts)
    assert one.symbols == other.symbols
    assert len(one.encode("the theme")) < len("the theme")
    assert len(one) <= 304
    assert [len(_build("bpe", texts, min_count=count)) for count in (80, 81)] == [262, 260]  # "th" and "the" occur 80 times
    import tokenizers

    one.save(tmp_path, "target")
    bare = tokenizers.Tokenizer.from_file(str(tmp_path / "vocabulary" / "target" / "tokenizer.json"))
    assert [bare.token_to_id(special) for special in SPECIALS] == [0, 1, 2, 3]
    for text in ("the theme ß", "the<eos> theme<pad>"):
        assert bare.encode(text).ids == one.encode(text)
        assert bare.decode(bare.encode(text).ids) == text


@pytest.mark.parametrize(
    "words", ["विद्यार्थी नमस्ते", "مُحَمَّدٌ كِتَابٌ", "שָׁלוֹם", "สวัสดี", "வணக்கம்", "Tie\u0302\u0301ng Vie\u0323\u0302t", "نمی\u200cشود"]
)
def test_a_word_with_marks_becomes_one_subword(words):
    """Red if vowel signs, tone marks or joiners part a word, as in GPT-2's own splitting: then subwords are little more than letters."""
    vocabulary = Vocabulary.build([words] * 20, "bpe", 2, 600)
    assert [len(vocabulary.encode(word)) for word in [words.split()[0], *(f" {word}" for word in words.split()[1:])]] == [1] * len(
        words.split()
    )
    assert vocabulary.decode(vocabulary.encode(words)) == words


def test_writing_without_blanks_is_cut_for_subwords():
    """Red if the time that subwords take grows with the square of a text's length, or what is cut is lost."""
    text = "\u4e00\u4e8c" * 100
    vocabulary = Vocabulary.build([text], "bpe", 1, 2000)
    assert max(len(vocabulary.decode([row])) for row in vocabulary.encode(text)) == 64
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_a_missing_or_damaged_vocabulary_is_named(tmp_path):
    with pytest.raises(UserError, match=r"source\.json: cannot be read"):
        Vocabulary.load(tmp_path, "source")
    _build("bpe").save(tmp_path, "source")
    (tmp_path / "vocabulary" / "source" / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match=r"source/tokenizer\.json: damaged"):
        Vocabulary.load(tmp_path, "source")
    (tmp_path / "vocabulary" / "source.json").write_text('{"format": 99}')
    with pytest.raises(UserError, match=r"source\.json: expected a vocabulary of format"):
        Vocabulary.load(tmp_path, "source")


def test_a_signal_ends_subwords_that_take_long():
    """Red if Ctrl-C waits for the library, which meets no signal meanwhile."""
    rng, before, main = random.Random(0), threading.active_count(), threading.get_ident()
    text = "".join(chr(0x4E00 + rng.randrange(3000)) for _ in range(1_000_000))

    def stop():
        while threading.active_count() < before + 2:  # this thread, and the one that is in the library
            time.sleep(0.01)
        time.sleep(0.2)
        signal.pthread_kill(main, signal.SIGTERM)

    stopper = threading.Thread(target=stop, daemon=True)
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command has it; a shell's background job ignores SIGINT
    try:
        stopper.start()
        with pytest.raises(KeyboardInterrupt):
            Vocabulary.build([text], "bpe", 1, 8000)
        stopper.join()
        assert threading.active_count() == before + 1  # it is still at work, and nobody waits for it
    finally:
        signal.signal(signal.SIGTERM, handler)
