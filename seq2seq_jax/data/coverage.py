"""How much of a held-out split training has seen: its sources, and the units that the vocabularies know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from seq2seq_jax.config import DataConfig
from seq2seq_jax.data import mistakes, readers
from seq2seq_jax.data.examples import PairSplit, TextSplit
from seq2seq_jax.data.raw_splits import Pairs
from seq2seq_jax.data.vocabulary import UNK, Vocabulary
from seq2seq_jax.kinds import IN_TRAIN, OUT_OF_REACH, TOO_LONG, UNIGRAM

MOST_UNSEEN = 0.01  # share of dev's units that training has not, up to which frequencies say what a model is worth
LONG_PAIR = 2_000 * 2_000  # characters of a source times those of its target, above which scoring a pair may want for memory


def remarks(
    name: str, split: PairSplit | TextSplit, train: Pairs | str, vocabularies: Mapping[str, Vocabulary], data: DataConfig
) -> tuple[dict[str, int], list[str]]:
    """Returns counts and sentences on a held-out split.

    The counts, of what there is: examples that train has too, sources of which no output can be right, sources too long to be trained on.
    The sentences say so, and tell of unknown units and other oddities.
    """
    trained, found = _in_train(name, split, train, data)
    unknown, said = unknown_units(name, split, vocabularies, data.normalize_nfc)
    found += said
    lost = long = 0
    if isinstance(split, PairSplit):
        lost, long = _out_of_reach(split, vocabularies["target"]), _too_long(split, vocabularies, data.max_length)
        found += _of_targets(name, split, lost, [target for _, target in train], data.target_unit) + _of_length(name, split)
        if long:
            what = f"longer than data.max_length={data.max_length} units, or all their references"
            found.append(f"{name}: {long} of {len(split)} sources are {what}: no such pair is trained on.")
    elif unknown and data.min_count == 1 and vocabularies["target"].counts is None:
        found.append(f"{name}: training has no <unk> to learn from; --config.data.min_count=2 makes some of its rarest units.")
    return {key: count for key, count in ((IN_TRAIN, trained), (OUT_OF_REACH, lost), (TOO_LONG, long)) if count}, found


def unigram_loss(train: TextSplit, dev: TextSplit, rows: int) -> dict[str, float]:
    """Returns what the frequencies of training's units alone reach on dev, beside which a language model's loss is read.

    Not where much of dev was never seen: what one added to each count gives such units, a model learns to take away. The vocabulary has so
    many ``rows``.
    """
    counts = np.bincount(train.ids, minlength=rows)
    if (counts[dev.ids] == 0).mean() > MOST_UNSEEN:
        return {}
    added = counts + 1
    return {UNIGRAM: float(-np.log(added[dev.ids] / added.sum()).mean())}


def _of_targets(name: str, split: PairSplit, lost: int, trained: Sequence[str], unit: str) -> list[str]:
    """Returns sentences on empty targets, and on a unit that may be the reason why most outputs cannot be right."""
    empty = sum("" in map(str.strip, answers) for answers in split.targets)
    found = [f"{name}: {empty} of {len(split)} sources have an empty target, as no pair that is trained on."] if empty else []
    if unit == "word" and 2 * lost >= len(split) and 2 * sum(len(target.split()) < 2 for target in trained) > len(trained):
        found.append(f"{name}: targets are read by word, and most are a single one; --config.data.target_unit=char reads characters.")
    return found


def _of_length(name: str, split: PairSplit) -> list[str]:
    """Returns a sentence where a pair is so long that scoring it may want for memory."""
    lengths = [(len(source), max(map(len, answers))) for source, answers in zip(split.sources, split.targets, strict=True)]
    source, target = max(lengths, key=lambda pair: pair[0] * pair[1], default=(0, 0))
    if source * target <= LONG_PAIR:
        return []
    return [
        f"{name}: its longest pair has {source:,} and {target:,} characters; scoring it takes memory in proportion to their product, and"
        " data.max_length leaves out pairs of train alone."
    ]


def _too_long(split: PairSplit, vocabularies: Mapping[str, Vocabulary], most: int) -> int:
    """Returns of how many sources every pair has a side of more than ``most`` units."""
    sources = vocabularies["source"].encode_all(split.sources).lengths
    targets = iter(vocabularies["target"].encode_all([answer for answers in split.targets for answer in answers]).lengths)
    shortest = [min([int(next(targets)) for _ in answers], default=0) for answers in split.targets]
    return int(((sources > most) | (np.array(shortest, int) > most)).sum())


def _in_train(name: str, split: PairSplit | TextSplit, train: Pairs | str, data: DataConfig) -> tuple[int, list[str]]:
    """Returns how many sources, lines of a list, or units of a text that is part of train, train has too, and a sentence."""
    if isinstance(split, TextSplit) and not data.lines:
        trained = len(split) if split.text in str(train) else 0
        return trained, [f"{name}: all of it is also in train."] if trained else []
    if isinstance(split, PairSplit):
        read, held_out, what = {source for source, _ in train}, split.sources, "sources"
    else:
        read, held_out, what = set(readers.split_lines(str(train))), readers.split_lines(split.text), "lines"
    trained = len(read.intersection(held_out))
    return trained, [f"{name}: {trained} of {len(held_out)} {what} are also in train."] if trained else []


def unknown_units(
    name: str, split: PairSplit | TextSplit, vocabularies: Mapping[str, Vocabulary], normalized: bool
) -> tuple[int, list[str]]:
    """Returns how many units of a text, or of the sources of pairs, have no row, and sentences that say so where there are any.

    Of pairs there is another where all references of a source have one: an error rate cannot fall below their share. Where train and this
    split were not ``normalized`` (data.normalize_nfc) there is one if that would have helped.
    """
    target = vocabularies["target"]
    if isinstance(split, TextSplit):
        count = int((split.ids == UNK).sum())
        of_words = target.counts is not None  # word vectors, which have no row for what is unknown
        costs = "they are left out" if of_words else "each costs no more than one <unk>"
        sentence = (
            f"{name}: {count} of {len(split)} units are not in the vocabulary; {costs}, so losses compare with the same vocabulary only."
        )
        lines = readers.split_lines(split.text) if count and not normalized else []
        return count, [sentence, *mistakes.other_form(name, [(target, line) for line in lines])] if count else []
    of_sources = [len(vocabularies["source"].unknown(source)) for source in split.sources]
    lost = _out_of_reach(split, target)
    said = {
        "have a unit that the vocabulary has not": sum(map(bool, of_sources)),
        "have a unit that the vocabulary has not in every reference, so their outputs cannot be right": lost,
    }
    notes = [f"{name}: {count} of {len(split)} sources {what}." for what, count in said.items() if count]
    if notes and not normalized:
        texts = [(vocabularies["source"], source) for source in split.sources]
        texts += [(target, answer) for answers in split.targets for answer in answers]
        notes += mistakes.other_form(name, texts)
    return sum(of_sources), notes


def _out_of_reach(split: PairSplit, target: Vocabulary) -> int:
    """Returns how many sources have references, each with a unit that has no row."""
    return sum(bool(answers) and all(map(target.unknown, answers)) for answers in split.targets)
