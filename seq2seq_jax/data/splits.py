"""What is held out: pairs by a hash of their source, a text contiguously, a list of lines by a hash of the line.

Nothing here is random and nothing depends on a seed: the same text gives the same split in every run, and adding
lines moves no other line to another side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from seq2seq_jax.errors import UserError

Pair = tuple[str, str]


def split_pairs(pairs: Sequence[Pair], dev_fraction: float, test_fraction: float) -> dict[str, list[Pair]]:
    """Returns train, dev and test pairs in their order; all pairs of one source stand on one side.

    Raises UserError where a side that was asked for (fraction above 0) comes out empty.
    """
    sides = {source: _side(source, dev_fraction, test_fraction) for source, _ in pairs}
    split: dict[str, list[Pair]] = {"train": [], "dev": [], "test": []}
    for pair in pairs:
        split[sides[pair[0]]].append(pair)
    _check(split, dev_fraction, test_fraction, f"{len(sides)} distinct sources")
    return split


def split_lines(lines: Iterable[str], dev_fraction: float, test_fraction: float) -> dict[str, list[str]]:
    """Returns the distinct lines of each side, in order of first appearance. Raises UserError as ``split_pairs`` does."""
    distinct = list(dict.fromkeys(lines))
    split: dict[str, list[str]] = {"train": [], "dev": [], "test": []}
    for line in distinct:
        split[_side(line, dev_fraction, test_fraction)].append(line)
    _check(split, dev_fraction, test_fraction, f"{len(distinct)} distinct lines")
    return split


def split_text(text: str, dev_fraction: float, test_fraction: float, at_blank: bool) -> dict[str, str]:
    """Cuts a text into train, dev and test, in this order; shares are of its characters.

    With ``at_blank`` a cut moves on to the next white space, so that it tears no word. Raises UserError as ``split_pairs`` does.
    """
    first = _cut(text, round(len(text) * (1 - dev_fraction - test_fraction)), at_blank)
    second = _cut(text, round(len(text) * (1 - test_fraction)), at_blank)
    split = {"train": text[:first], "dev": text[first:second], "test": text[second:]}
    _check(split, dev_fraction, test_fraction, f"{len(text)} characters")
    return split


def _cut(text: str, position: int, at_blank: bool) -> int:
    while at_blank and 0 < position < len(text) and not text[position].isspace():
        position += 1
    return position


def _side(key: str, dev_fraction: float, test_fraction: float) -> str:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    share = int.from_bytes(digest, "big") / 2**64
    if share < test_fraction:
        return "test"
    return "dev" if share < test_fraction + dev_fraction else "train"


def _check(split: dict, dev_fraction: float, test_fraction: float, size: str) -> None:
    asked = {"train": 1.0, "dev": dev_fraction, "test": test_fraction}
    for side, fraction in asked.items():
        if fraction > 0 and not split[side]:
            setting = "data.dev_fraction, data.test_fraction" if side == "train" else f"data.{side}_fraction={fraction:g}"
            raise UserError(f"{setting}: the {side} split of {size} is empty; expected more data or another fraction")
