"""What is held out: pairs by a hash of their source, a text contiguously, a list of lines by a hash of the line.

Nothing here is random and nothing depends on a seed: the same text gives the same split in every run, and adding
lines moves no other line to another split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from seq2seq_jax.errors import UserError

Pair = tuple[str, str]
NEAR = 1000  # characters: what is longer is no word


def split_pairs(pairs: Sequence[Pair], dev_fraction: float, test_fraction: float) -> dict[str, list[Pair]]:
    """Returns train, dev and test pairs in their order; all pairs of one source are in one split.

    Raises UserError where a split that was asked for (fraction above 0) comes out empty.
    """
    split_of = {source: _split_of(source, dev_fraction, test_fraction) for source, _ in pairs}
    splits: dict[str, list[Pair]] = {"train": [], "dev": [], "test": []}
    for pair in pairs:
        splits[split_of[pair[0]]].append(pair)
    _check(splits, dev_fraction, test_fraction, f"{len(split_of)} distinct sources")
    return splits


def split_by_line(lines: Iterable[str], dev_fraction: float, test_fraction: float) -> dict[str, list[str]]:
    """Returns the distinct lines of each split, in order of first appearance. Raises UserError as ``split_pairs`` does."""
    distinct = list(dict.fromkeys(lines))
    splits: dict[str, list[str]] = {"train": [], "dev": [], "test": []}
    for line in distinct:
        splits[_split_of(line, dev_fraction, test_fraction)].append(line)
    _check(splits, dev_fraction, test_fraction, f"{len(distinct)} distinct lines")
    return splits


def split_text(text: str, dev_fraction: float, test_fraction: float, at_blank: bool) -> dict[str, str]:
    """Cuts a text into train, dev and test, in this order; shares are of its characters.

    With ``at_blank`` a cut moves to white space near by, so that it tears no word. Raises UserError as ``split_pairs`` does.
    """
    first = _cut(text, round(len(text) * (1 - dev_fraction - test_fraction)), at_blank)
    second = _cut(text, round(len(text) * (1 - test_fraction)), at_blank)
    splits = {"train": text[:first], "dev": text[first:second], "test": text[second:]}
    _check(splits, dev_fraction, test_fraction, f"{len(text)} characters")
    return splits


def _cut(text: str, position: int, at_blank: bool) -> int:
    """Returns where to cut: with ``at_blank`` at the next white space, else at the one before; where none is near, at the position."""
    if not at_blank or position in (0, len(text)):
        return position
    after, before = range(position, min(len(text), position + NEAR)), range(position - 1, max(0, position - NEAR), -1)
    return next((place for place in (*after, *before) if text[place].isspace()), position)


def _split_of(key: str, dev_fraction: float, test_fraction: float) -> str:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    share = int.from_bytes(digest, "big") / 2**64
    if share < test_fraction:
        return "test"
    return "dev" if share < test_fraction + dev_fraction else "train"


def _check(splits: dict, dev_fraction: float, test_fraction: float, size: str) -> None:
    asked = {"train": 1.0, "dev": dev_fraction, "test": test_fraction}
    for split, fraction in asked.items():
        if fraction > 0 and not splits[split]:
            field = "data.dev_fraction, data.test_fraction" if split == "train" else f"data.{split}_fraction={fraction:g}"
            raise UserError(f"{field}: the {split} split of {size} is empty; expected more data or another fraction")
