"""How much of a held-out split training has seen: its sources, and the units that the vocabularies know."""

from __future__ import annotations

from collections.abc import Mapping

from seq2seq_jax.config import DataConfig
from seq2seq_jax.data import mistakes, readers
from seq2seq_jax.data.examples import PairSplit, TextSplit
from seq2seq_jax.data.raw_splits import Pairs
from seq2seq_jax.data.vocabulary import UNK, Vocabulary


def remarks(
    name: str, split: PairSplit | TextSplit, train: Pairs | str, vocabularies: Mapping[str, Vocabulary], data: DataConfig
) -> tuple[int, list[str]]:
    """Returns how many sources, or lines of a list, of a held-out split train has too, and sentences.

    These say so, and how much of the split the vocabularies do not know.
    """
    if isinstance(split, PairSplit):
        read, held_out, what = {source for source, _ in train}, split.sources, "sources"
    elif data.lines:
        read, held_out, what = set(readers.split_lines(str(train))), readers.split_lines(split.text), "lines"
    else:
        read, held_out, what = set(), [], ""
    trained = len(read.intersection(held_out))
    found = [f"{name}: {trained} of {len(held_out)} {what} are also in train."] if trained else []
    return trained, found + unknown_units(name, split, vocabularies, data.normalize_nfc)[1]


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
