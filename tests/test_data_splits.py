"""Splits: no source on two sides, nothing lost, nothing that depends on order or seed, and shares as asked."""

import itertools
import random

import pytest

from seq2seq_jax.data import splits
from seq2seq_jax.errors import UserError

PAIRS = [(f"source {number % 700}", f"target {number}") for number in range(1000)]


def test_no_source_stands_on_two_sides_and_no_pair_is_lost():
    split = splits.split_pairs(PAIRS, 0.2, 0.1)
    sides = [{source for source, _ in split[side]} for side in ("train", "dev", "test")]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    assert sorted(itertools.chain(*split.values())) == sorted(PAIRS)
    assert len(sides[1]) == pytest.approx(140, abs=35)
    assert len(sides[2]) == pytest.approx(70, abs=27)


def test_the_side_of_a_source_does_not_depend_on_the_others():
    split = splits.split_pairs(PAIRS, 0.2, 0.1)
    shuffled = random.Random(0).sample(PAIRS, len(PAIRS) // 2)
    for side, pairs in splits.split_pairs(shuffled, 0.2, 0.1).items():
        assert set(pairs) <= set(split[side])
    assert {pair[0] for pair in splits.split_pairs(PAIRS, 0.1, 0.1)["test"]} == {pair[0] for pair in split["test"]}


def test_sides_stay_as_they_were():
    """A change here gives finished runs another dev set, and lets new ones train on what the old ones were scored with."""
    split = splits.split_pairs([(f"source {number}", str(number)) for number in range(12)], 0.2, 0.1)
    numbers = {side: [int(target) for _, target in pairs] for side, pairs in split.items()}
    assert numbers == {"train": [2, 3, 4, 8, 11], "dev": [0, 1, 9, 10], "test": [5, 6, 7]}


def test_a_share_of_0_holds_nothing_out():
    split = splits.split_pairs(PAIRS, 0.0, 0.0)
    assert (split["train"], split["dev"], split["test"]) == (PAIRS, [], [])


def test_an_empty_split_that_was_asked_for_is_a_users_mistake():
    with pytest.raises(UserError, match=r"data\.dev_fraction=0\.01: the dev split of 3 distinct sources is empty"):
        splits.split_pairs([("a", "1"), ("b", "2"), ("c", "3")], 0.01, 0.0)
    with pytest.raises(UserError, match=r"data\.test_fraction=0\.01"):
        splits.split_text("abc", 0.0, 0.01, at_blank=False)
    with pytest.raises(UserError, match="train split of 1 distinct"):
        splits.split_by_line(["a"], 0.5, 0.4999999)


def test_a_text_is_cut_contiguously_train_first():
    text = "".join(f"{number} " for number in range(1000))
    split = splits.split_text(text, 0.1, 0.05, at_blank=False)
    assert split["train"] + split["dev"] + split["test"] == text
    assert len(split["train"]) == round(len(text) * 0.85)
    words = splits.split_text(text, 0.1, 0.05, at_blank=True)
    assert [word for side in words.values() for word in side.split()] == text.split()
    assert len(words["train"]) - len(split["train"]) < 4


@pytest.mark.parametrize("before", [0, 400, 3000])
def test_a_text_without_blanks_near_by_is_cut_all_the_same(before):
    """Red if a cut in a text without blanks runs on to its end, so that dev has less than was asked for, or nothing."""
    text = "字" * 10_000
    text = text[: 9000 - before] + (" " if before else "") + text[9000 - before :]
    split = splits.split_text(text, 0.1, 0.0, at_blank=True)
    assert split["train"] + split["dev"] == text
    assert len(split["train"]) == (9000 if before in (0, 3000) else 8600) + (0 if before != 3000 else 1)


def test_lines_are_split_by_distinct_line():
    lines = [f"name {number % 300}" for number in range(1000)]
    split = splits.split_by_line(lines, 0.2, 0.1)
    assert sorted(itertools.chain(*split.values())) == sorted(set(lines))
