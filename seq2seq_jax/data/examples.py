"""What a split holds: pairs as ids for training, and as text for scoring, or a running text. Read next: ``corpus.py``."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Int

from seq2seq_jax.data.ragged import Ragged
from seq2seq_jax.data.word_questions import WordQuestions


@dataclasses.dataclass(frozen=True)
class PairExamples:
    """Training pairs as ids, without specials."""

    sources: Ragged
    targets: Ragged

    def __len__(self) -> int:
        return len(self.sources)


@dataclasses.dataclass(frozen=True)
class PairSplit:
    """Distinct sources in order of first appearance, each with all its distinct right answers."""

    sources: list[str]
    targets: list[list[str]]

    def __len__(self) -> int:
        return len(self.sources)


@dataclasses.dataclass(frozen=True)
class TextSplit:
    """A running text and its ids, without specials; ``questions`` are those for word vectors, if any."""

    text: str
    ids: Int[np.ndarray, " T"]
    questions: WordQuestions | None = None

    def __len__(self) -> int:
        return len(self.ids)
