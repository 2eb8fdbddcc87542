"""All data of a run: the splits, the vocabularies of the training split, and notes on what was dropped.

Read next: ``raw_splits.py`` for where the text comes from, ``batches.py`` for what training makes of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import Generator, Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Int

from seq2seq_jax.config import Config, ModelConfig, TrainConfig
from seq2seq_jax.data import raw_splits, word_questions
from seq2seq_jax.data.batches import PairBatches, TextBatches
from seq2seq_jax.data.coverage import remarks, unigram_loss
from seq2seq_jax.data.examples import PairExamples, PairSplit, TextSplit
from seq2seq_jax.data.ragged import Ragged
from seq2seq_jax.data.raw_splits import Pairs
from seq2seq_jax.data.vocabulary import BOS, EOS, SPECIALS, Vocabulary
from seq2seq_jax.data.windows import WindowBatches, check_neighbours, unit_counts, window_batches
from seq2seq_jax.data.word_questions import WordQuestions
from seq2seq_jax.errors import UserError
from seq2seq_jax.kinds import LOSS, metric_of

Batches = PairBatches | TextBatches | WindowBatches


@dataclasses.dataclass(frozen=True)
class Corpus:
    """What a run reads.

    Attributes:
      train: what is trained on.
      dev: what chooses checkpoints; None where there is none.
      test: what is scored once, at the end; None where there is none.
      vocabularies: by side, ``source`` and ``target``; a model of text has ``target`` only.
      notes: sentences on what was dropped and what is remarkable.
      sha256: hash of the content of each file read, by split or field; a split that was cut from train has none.
      paths: the absolute path specification of each of these.
      coverage: of dev and test, the figures that stand beside their metrics: what train has too, what is out of reach, and what the
        frequencies of units alone reach on a language model's dev.
    """

    train: PairExamples | TextSplit
    dev: PairSplit | TextSplit | None
    test: PairSplit | TextSplit | None
    vocabularies: dict[str, Vocabulary]
    notes: list[str]
    sha256: dict[str, str]
    paths: dict[str, str]
    coverage: dict[str, dict[str, float]]

    @property
    def vocabulary_sizes(self) -> dict[str, int]:
        """Symbols of each side's vocabulary, which are the rows of its table."""
        return {side: len(vocabulary) for side, vocabulary in self.vocabularies.items()}


def corpus_key(config: Config) -> Config:
    """Returns the part of a configuration that its corpus depends on: runs that have it in common have the same corpus."""
    model = ModelConfig(kind=config.model.kind, share_embeddings=config.model.share_embeddings)
    return Config(config.data, model, TrainConfig(metric=config.train.metric))


@contextlib.contextmanager
def _no_garbage_collection() -> Generator[None, None, None]:
    """Pauses the garbage collector: a million new strings and tuples hold no cycles, and looking for some takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_no_garbage_collection()
def load_corpus(config: Config) -> Corpus:
    """Reads, splits and encodes the data of a configuration. Raises UserError for every mistake in data or configuration."""
    raw = raw_splits.read_splits(config, raw_splits.SPLITS)
    notes = list(raw.notes)
    held_out = {split: raw.content[split] for split in raw_splits.HELD_OUT if split in raw.content}
    train, vocabularies = _training(config, raw.content["train"], notes)
    asked = word_questions.load(config, vocabularies["target"]) if config.model.kind == "skip_gram" else None
    if asked is not None and "dev" not in held_out:
        notes += _unasked(config, asked)
    others = {
        split: _split(config, content, vocabularies, _origin(raw, split), asked if split == "dev" else None)
        for split, content in held_out.items()
    }
    coverage: dict[str, dict[str, float]] = {}
    for name, split in others.items():
        counts, remarkable = remarks(name, split, raw.content["train"], vocabularies, config.data)
        coverage[name] = dict(counts)
        notes += remarkable
    dev = others.get("dev")
    if config.model.kind == "language_model" and isinstance(train, TextSplit) and isinstance(dev, TextSplit):
        coverage["dev"] = unigram_loss(train, dev, len(vocabularies["target"])) | coverage["dev"]
    digests, paths = dict(raw.sha256), dict(raw.paths)
    if asked is not None:
        notes += asked.notes
        digests |= asked.sha256
        paths |= asked.paths
    return Corpus(train, others.get("dev"), others.get("test"), vocabularies, notes, digests, paths, coverage)


def _unasked(config: Config, asked: WordQuestions) -> list[str]:
    """Returns a sentence on questions that nothing asks for want of a dev split. Raises UserError where the metric rests on them."""
    fields = " and ".join(f"data.{name}" for name in asked.paths)
    if fields and metric_of(config).name != LOSS:
        raise UserError(f"{fields}: asked where dev is scored, and there is no dev split; expected data.dev, or data.dev_fraction above 0")
    return [f"{fields}: not asked in training, since there is no dev split."] if fields else []


def load_split(
    config: Config,
    split: Literal["dev", "test"],
    file: str | None = None,
    *,
    vocabularies: Mapping[str, Vocabulary],
    recorded: Mapping[str, str],
    notes: list[str] | None = None,
) -> PairSplit | TextSplit:
    """Reads one split of a recorded run again, or ``file`` in its place.

    Args:
      config: the run's configuration.
      split: which.
      file: data of the same form as data.dev, scored instead.
      vocabularies: the run's; they give a text its ids.
      recorded: the sha256 of the run's data, against which its files are checked, of word vectors those of questions too.
      notes: gets a sentence on what is left out of ``file``.

    Raises UserError where there is no such split or the data has changed.
    """
    asked = None
    if config.model.kind == "skip_gram" and (file is not None or split != "test"):
        asked = word_questions.load(config, vocabularies["target"])
        check_recorded(recorded, asked.sha256, asked.paths)
    if file is not None:
        content = raw_splits.read_file(config, raw_splits.absolute(config, file), [] if notes is None else notes)
        return _split(config, content, vocabularies, file, asked)
    raw = raw_splits.read_splits(config, [split])
    check_recorded(recorded, raw.sha256, raw.paths)
    if split not in raw.content:
        raise UserError(f"--split={split}: the run's data has no {split} split")
    return _split(config, raw.content[split], vocabularies, _origin(raw, split), asked)


def lookup_counts(corpus: Corpus) -> dict[str, Int[np.ndarray, " V"]]:
    """Returns by side how often an epoch of training looks up each row of its table; where both share a table, the sum.

    Of word vectors, how often each unit would be a centre without thinning; line breaks and <unk> never are.
    """
    train, target = corpus.train, corpus.vocabularies["target"]
    if target.counts is not None:
        return {"target": unit_counts(target.counts, target.line_break)}
    if isinstance(train, TextSplit):
        seen = {"target": (train.ids[:-1], BOS, 1)}  # every unit is read but the last, and BOS before the first
    else:
        seen = {"source": (train.sources.flat, EOS, len(train)), "target": (train.targets.flat, BOS, len(train))}
    counts = {}
    for side, (ids, special, times) in seen.items():
        counts[side] = np.bincount(ids, minlength=len(corpus.vocabularies[side]))
        counts[side][special] += times
    if len(counts) == 2 and corpus.vocabularies["source"] is corpus.vocabularies["target"]:
        return dict.fromkeys(counts, counts["source"] + counts["target"])
    return counts


def check_recorded(recorded: Mapping[str, str], current: Mapping[str, str], paths: Mapping[str, str]) -> None:
    """Raises UserError, naming the file, where a current sha256 is not the recorded one of the same split."""
    for split, digest in current.items():
        if recorded.get(split) != digest:
            was = f"expected sha256 {recorded[split]}" if split in recorded else f"the run had no {split} file"
            raise UserError(f"{paths[split]}: the content is not that of the run's {split} data; {was}")


def encode_pairs(split: PairSplit, vocabularies: Mapping[str, Vocabulary]) -> tuple[Ragged, Ragged]:
    """Returns the ids of the sources and of their first right answers, which a loss is scored against."""
    answers = vocabularies["target"].encode_all([targets[0] for targets in split.targets])
    return vocabularies["source"].encode_all(split.sources), answers


def training_batches(config: Config, corpus: Corpus) -> Batches:
    """Returns the batches that training takes from the corpus. Raises UserError where there is nothing to train on."""
    if isinstance(corpus.train, PairExamples):
        return PairBatches(corpus.train.sources, corpus.train.targets, config.train.batch_size)
    if config.model.kind == "skip_gram":
        batches = window_batches(config, corpus.train.ids, corpus.vocabularies["target"])
        check_neighbours(batches, config, corpus.paths["train"])
        return batches
    return TextBatches(corpus.train.ids, config.train.batch_size, config.data.segment_length)


def _training(config: Config, content: Pairs | str, notes: list[str]) -> tuple[PairExamples | TextSplit, dict[str, Vocabulary]]:
    data = config.data
    if isinstance(content, str):
        vocabulary = Vocabulary.build([content], data.target_unit, data.min_count, data.bpe_size)
        _check_symbols(vocabulary, data.min_count)
        split = _text_split(content, vocabulary)
        return split, {"target": vocabulary.counted(split.ids) if config.model.kind == "skip_gram" else vocabulary}
    texts = dict(zip(("source", "target"), zip(*content, strict=True), strict=True))
    vocabularies = _vocabularies(config, texts)
    for vocabulary in vocabularies.values():
        _check_symbols(vocabulary, data.min_count)
    ids = {side: vocabularies[side].encode_all(texts[side]) for side in texts}
    lengths = np.stack([ids["source"].lengths, ids["target"].lengths])
    empty = (lengths == 0).any(axis=0)
    long = (lengths > data.max_length).any(axis=0) & ~empty
    kept = np.flatnonzero(~empty & ~long)
    if empty.any():
        notes.append(f"{empty.sum()} of {len(content)} training pairs dropped: an empty source or target.")
    if long.any():
        limit = f"data.max_length={data.max_length} units, the longest {lengths[:, long].max()}"
        notes.append(f"{long.sum()} of {len(content)} training pairs dropped: longer than {limit}.")
    if not len(kept):
        raise UserError(f"data.max_length={data.max_length}: no training pair is left; expected a larger one, or pairs that are not empty")
    pairs = [content[index] for index in kept]
    repeated = len(pairs) - len(set(pairs))
    if repeated:
        notes.append(f"{repeated} exact repetition{'s' if repeated > 1 else ''} of training pairs kept.")
    return PairExamples(ids["source"].take(kept), ids["target"].take(kept)), vocabularies


def _check_symbols(vocabulary: Vocabulary, min_count: int) -> None:
    """Raises UserError where only specials have a row: a model of nothing but unknown units would score well and know nothing."""
    if min_count > 1 and {*vocabulary.symbols[len(SPECIALS) :]} <= {"\n"}:
        blanks = " (words are what stands between blanks; where there are none, data.target_unit=char)" if vocabulary.unit == "word" else ""
        raise UserError(
            f"data.min_count={min_count}: no {vocabulary.unit} of the training text is that frequent{blanks}; expected a smaller one"
        )


def _vocabularies(config: Config, texts: Mapping[str, Sequence[str]]) -> dict[str, Vocabulary]:
    """Returns a vocabulary for each side, or one for both where they share a table."""
    data = config.data
    if config.model.share_embeddings:
        both = Vocabulary.build([*texts["source"], *texts["target"]], data.target_unit, data.min_count, data.bpe_size)
        return dict.fromkeys(texts, both)
    units = {"source": data.source_unit, "target": data.target_unit}
    return {side: Vocabulary.build(texts[side], units[side], data.min_count, data.bpe_size) for side in texts}


def _origin(raw: raw_splits.RawSplits, split: str) -> str:
    """Returns the file that a split was read from, or the field that says how much of train it is."""
    return raw.paths.get(split, f"data.{split}_fraction")


def _split(
    config: Config, content: Pairs | str, vocabularies: Mapping[str, Vocabulary], origin: str, asked: WordQuestions | None
) -> PairSplit | TextSplit:
    """Encodes a held-out split. Analogies and similarities are ``asked``, but not on test: those of dev have chosen the checkpoint.

    Raises UserError, naming its ``origin``, where nothing of a text is left to score.
    """
    if isinstance(content, str):
        split = _text_split(content, vocabularies["target"], asked)
        if not len(split.ids):
            raise UserError(f"{origin}: no unit is left to score; expected some text")
        if config.model.kind == "skip_gram":
            check_neighbours(window_batches(config, split.ids, vocabularies["target"]), config, origin)
        return split
    answers: dict[str, dict[str, None]] = {}
    for source, target in content:
        answers.setdefault(source, {})[target] = None
    return PairSplit(list(answers), [list(targets) for targets in answers.values()])


def _text_split(text: str, vocabulary: Vocabulary, asked: WordQuestions | None = None) -> TextSplit:
    return TextSplit(text, vocabulary.encode_all([text]).flat, asked)
