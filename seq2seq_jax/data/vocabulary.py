"""Symbols and their ids: how text becomes rows of a table, and back. Knows nothing of files of data or of models.

A unit of text is a code point (``char``), a byte of UTF-8 (``byte``), what stands between white space (``word``; a line
break is a word of its own) or a subword (``bpe``). Rows 0 to 3 are never reached from text: a corpus that has the word
``<eos>`` gets a further row for it, whose symbol reads the same.
"""

from __future__ import annotations

import collections
import functools
import itertools
import json
import os
import pathlib
import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from seq2seq_jax.config import FORMAT_VERSION, Unit
from seq2seq_jax.data.ragged import Ragged
from seq2seq_jax.errors import MADE_AGAIN, Unreadable, UserError
from seq2seq_jax.files import write_atomically

if TYPE_CHECKING:
    import tokenizers

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
_FIRST = len(SPECIALS)
_TEXTS_AT_A_TIME = 10_000  # whose subwords are held in memory with all that the library says of them
# What subwords are parts of: words, numbers and what is neither, each with the blank before it, and English endings, as GPT-2 has them;
# but vowel signs, tone marks and joiners belong to the letters before them. The time of training grows with the square of a word's length,
# so of writing without blanks it is 64 characters at most.
_BPE_WORDS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}[\p{L}\p{M}\x{200C}\x{200D}]{0,63}| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
UNREADABLE = "\ufffd"  # Unicode's replacement character
FOLDER = "vocabulary"  # in a run directory
TOKENIZER = "tokenizer.json"  # in a directory of its side


class _Rows(dict[str, int]):
    """The row of each unit; UNK for one that has none."""

    def __missing__(self, unit: str) -> int:
        return UNK


class Vocabulary:
    """The rows of a table: ``symbols[i]`` is what row i stands for.

    ``byte`` vocabularies always have all 256 bytes; ``bpe`` ones are byte-level (Radford et al. 2019, section 2.2), so
    neither has unknown units. ``bpe`` needs the ``tokenizer`` that its symbols came from.
    """

    def __init__(
        self, symbols: Sequence[str], unit: Unit, tokenizer: tokenizers.Tokenizer | None = None, counts: Sequence[int] | None = None
    ):
        """Takes the symbols in the order of their rows; ``counts`` are their occurrences in training, where these are needed."""
        self.symbols = list(symbols)
        self.unit: Unit = unit
        self.counts = None if counts is None else np.asarray(counts, np.int64)
        self._tokenizer = tokenizer
        self._ids = _Rows((symbol, row) for row, symbol in enumerate(self.symbols) if row >= _FIRST)

    def __len__(self) -> int:
        return len(self.symbols)

    @classmethod
    def build(cls, texts: Iterable[str], unit: Unit, min_count: int, bpe_size: int) -> Vocabulary:
        """Builds the vocabulary of a training text: symbols by falling count, then by code points.

        Args:
          texts: the training text, whole or in pieces.
          unit: what a symbol is.
          min_count: occurrences that a symbol needs to get a row (char, word), or a pair to be merged (bpe).
          bpe_size: bytes and merges of a bpe vocabulary, symbols; the four specials come on top.
        """
        if unit == "byte":
            return cls([*SPECIALS, *(name_of_byte(value) for value in range(256))], unit)
        if unit == "bpe":
            tokenizer = _train_bpe(texts, min_count, bpe_size)
            return cls(_symbols_of(tokenizer), unit, tokenizer)
        counts = collections.Counter(itertools.chain.from_iterable(texts if unit == "char" else map(words_of, texts)))
        kept = sorted((-count, symbol) for symbol, count in counts.items() if count >= min_count)
        return cls([*SPECIALS, *(symbol for _, symbol in kept)], unit)

    def encode(self, text: str) -> list[int]:
        """Returns the ids of the text's units, without BOS and EOS; a unit without a row becomes UNK."""
        if self.unit == "byte":
            return [value + _FIRST for value in text.encode("utf-8", "replace")]
        if self._tokenizer is not None:
            return self._tokenizer.encode(text.encode("utf-8", "replace").decode(), add_special_tokens=False).ids
        return list(map(self._ids.__getitem__, self._units(text)))

    def encode_all(self, texts: Sequence[str]) -> Ragged:
        """Returns the ids of many texts, each as ``encode`` gives them, in less time."""
        if self.unit == "byte":
            encoded = [text.encode("utf-8", "replace") for text in texts]
            lengths = np.fromiter(map(len, encoded), np.int32, len(encoded))
            return Ragged(np.frombuffer(b"".join(encoded), np.uint8).astype(np.int32) + _FIRST, lengths)
        if self._tokenizer is not None:
            return Ragged.of(self._encoded_in_parallel(self._tokenizer, texts))
        if len(texts) == 1:  # a running text, whose words would take ten times its memory
            flat = np.fromiter(map(self._ids.__getitem__, self._units(texts[0])), np.int32)
            return Ragged(flat, np.array([len(flat)], np.int32))
        units = texts if self.unit == "char" else [list(words_of(text)) for text in texts]
        lengths = np.fromiter(map(len, units), np.int32, len(units))
        return Ragged(np.fromiter(map(self._ids.__getitem__, itertools.chain.from_iterable(units)), np.int32, int(lengths.sum())), lengths)

    @staticmethod
    def _encoded_in_parallel(tokenizer: tokenizers.Tokenizer, texts: Sequence[str]) -> Iterator[list[int]]:
        for first in range(0, len(texts), _TEXTS_AT_A_TIME):
            valid = [text.encode("utf-8", "replace").decode() for text in texts[first : first + _TEXTS_AT_A_TIME]]
            yield from (encoding.ids for encoding in tokenizer.encode_batch_fast(valid, add_special_tokens=False))

    def decode(self, ids: Iterable[int] | Int[np.ndarray, " T"]) -> str:
        """Returns the text of the ids up to the first EOS, without PAD and BOS.

        UNK reads ``<unk>`` among words and subwords; among characters and bytes it is the replacement character, one error and not five,
        as are bytes that are not UTF-8.
        """
        rows = np.fromiter(ids, np.int64).tolist()
        kept = [row for row in itertools.takewhile(lambda row: row != EOS, rows) if row not in (PAD, BOS)]
        if self.unit == "byte":
            known = (bytes([row - _FIRST]) if row >= _FIRST else UNREADABLE.encode() for row in kept)
            return b"".join(known).decode("utf-8", "replace")
        if self._tokenizer is not None:
            return self._tokenizer.decode(kept, skip_special_tokens=False)
        if self.unit == "char":
            return "".join(UNREADABLE if row == UNK else self.symbols[row] for row in kept)
        return re.sub(" ?\n ?", "\n", " ".join(self.symbols[row] for row in kept))

    def decode_line(self, ids: Iterable[int] | Int[np.ndarray, " T"]) -> str:
        """Returns the text of the ids as one line, as an answer is: a line end, which bytes and subwords can spell, becomes a blank."""
        return self.decode(ids).replace("\n", " ")

    def counted(self, ids: Int[np.ndarray, " T"]) -> Vocabulary:
        """Returns the vocabulary with the number of times that each symbol occurs among ``ids``."""
        return Vocabulary(self.symbols, self.unit, self._tokenizer, np.bincount(ids, minlength=len(self)).tolist())

    def reads_like(self, other: Vocabulary) -> bool:
        """Returns whether another vocabulary gives every text the same ids."""
        tokenizers = [None if vocabulary._tokenizer is None else vocabulary._tokenizer.to_str() for vocabulary in (self, other)]
        return (self.symbols, self.unit, tokenizers[0]) == (other.symbols, other.unit, tokenizers[1])

    @property
    def line_break(self) -> int | None:
        """The row of the line break where it is a word of its own, else None."""
        return self._ids.get("\n") if self.unit == "word" else None

    def row_of(self, unit: str) -> int | None:
        """Returns the row of a text that is one unit of the vocabulary, None where it is not."""
        ids = self.encode(unit)
        return ids[0] if len(ids) == 1 and ids[0] != UNK else None

    def unknown(self, text: str) -> list[str]:
        """Returns the units of the text that have no row, in order; always none for byte and bpe."""
        if self.unit in ("byte", "bpe"):
            return []
        return [unit for unit in self._units(text) if unit not in self._ids]

    def in_known_form(self, text: str) -> str:
        """Returns the text composed (NFC), decomposed (NFD) or ``respelled`` where in that form alone all its units have a row."""
        forms = (text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD")), self.respelled(text))
        return next((form for form in forms if not self.unknown(form)), text)

    def respelled(self, text: str) -> str:
        """Returns the text composed, but as the vocabulary has them for those symbols that it has in another form.

        Such as the Hindi letters of U+0958 to U+095F, which composition (NFC) takes apart.
        """
        composed = unicodedata.normalize("NFC", text)
        if self.unit == "char":
            return functools.reduce(lambda done, form: done.replace(form, self._not_composed[form]), self._not_composed, composed)
        return re.sub(r"\S+", lambda word: self._not_composed.get(word.group(), word.group()), composed)

    @functools.cached_property
    def _not_composed(self) -> dict[str, str]:
        """The symbols that are not in form C, by what they are in it."""
        others = (symbol for symbol in self.symbols[_FIRST:] if not unicodedata.is_normalized("NFC", symbol))
        return {unicodedata.normalize("NFC", symbol): symbol for symbol in others}

    def save(self, folder: str | os.PathLike[str], side: str) -> None:
        """Writes ``vocabulary/<side>.json`` into a run directory, and for bpe ``vocabulary/<side>/tokenizer.json``."""
        place = pathlib.Path(folder) / FOLDER
        place.mkdir(parents=True, exist_ok=True)
        if self._tokenizer is not None:  # in a directory of its own, which Hugging Face's libraries take for a tokenizer
            (place / side).mkdir(exist_ok=True)
            write_atomically(place / side / TOKENIZER, self._tokenizer.to_str(pretty=True))
        content: dict[str, Any] = {"format": FORMAT_VERSION, "unit": self.unit, "symbols": self.symbols}
        if self.counts is not None:
            content["counts"] = self.counts.tolist()
        write_atomically(place / f"{side}.json", json.dumps(content, ensure_ascii=False, indent=0))

    @classmethod
    def load(cls, folder: str | os.PathLike[str], side: str) -> Vocabulary:
        """Reads what ``save`` wrote into the run directory. Raises UserError, naming the file, where it is missing or damaged."""
        path = pathlib.Path(folder) / FOLDER / f"{side}.json"
        content = _read(path, json.loads)
        if not isinstance(content, dict) or content.get("format") != FORMAT_VERSION or not {"unit", "symbols"} <= content.keys():
            raise UserError(f"{path}: expected a vocabulary of format {FORMAT_VERSION}")
        if content["unit"] != "bpe":
            return cls(content["symbols"], content["unit"], counts=content.get("counts"))
        import tokenizers

        tokenizer = _read(path.with_name(side) / TOKENIZER, tokenizers.Tokenizer.from_str)
        return cls(content["symbols"], "bpe", tokenizer, content.get("counts"))

    def _units(self, text: str) -> Iterable[str]:
        return text if self.unit == "char" else words_of(text)


def words_of(text: str) -> Iterable[str]:
    """Splits at white space, where every line break is a word of its own; a text of many lines one by one."""
    return _words_by_line(text) if "\n" in text else text.split()


def _words_by_line(text: str) -> Iterator[str]:
    first, *rest = text.split("\n")
    yield from first.split()
    for line in rest:
        yield "\n"
        yield from line.split()


def name_of_byte(value: int) -> str:
    """Returns the symbol of a byte: itself where it is a visible sign of ASCII, else ``0x20`` and the like."""
    return chr(value) if 0x20 < value < 0x7F else f"0x{value:02x}"


def _train_bpe(texts: Iterable[str], min_count: int, bpe_size: int) -> tokenizers.Tokenizer:
    """Trains a byte-level BPE. Its pre-tokenizer parts ``<`` from letters, so no merge can spell one of the specials."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    tokenizer = tokenizers.Tokenizer(models.BPE())
    words = pre_tokenizers.Split(tokenizers.Regex(_BPE_WORDS), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=bpe_size + _FIRST,
        min_frequency=min_count,
        show_progress=False,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    _interruptibly(lambda: tokenizer.train_from_iterator(texts, trainer))  # minutes, where long stretches have no blank
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = []  # the specials keep their rows; the text "<eos>" is text, also to whoever loads the file
    return tokenizers.Tokenizer.from_str(json.dumps(content))


def _interruptibly(call: Callable[[], None]) -> None:
    """Makes a call that stays outside Python for long in a thread that the process does not wait for: so a signal can end it meanwhile."""
    ended: Future[None] = Future()

    def work() -> None:
        try:
            ended.set_result(call())
        except BaseException as error:
            ended.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    ended.result()


def _symbols_of(tokenizer: tokenizers.Tokenizer) -> list[str]:
    rows = tokenizer.get_vocab()
    return sorted(rows, key=rows.__getitem__)


def _read(path: pathlib.Path, parse: Any) -> Any:
    try:
        text = path.read_bytes().decode("utf-8")
    except PermissionError as error:
        raise Unreadable.of(path, error) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); expected a vocabulary{MADE_AGAIN}") from None
    try:
        return parse(text)
    except Exception as error:  # tokenizers raises bare Exception
        raise UserError(f"{path}: damaged ({error}); expected a vocabulary{MADE_AGAIN}") from None
