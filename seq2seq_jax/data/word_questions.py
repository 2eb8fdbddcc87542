"""What word vectors are asked: analogies and similarities of known words, from files that the configuration names.

Analogies come in the form of ``questions-words.txt`` (Mikolov et al. 2013a, section 4.1): a line of four words, the first is to the second
as the third to the fourth; a line ``: name`` opens a section, a syntactic one where the name begins with ``gram``.
A similarity is a line of two words and a number, larger for what people find more alike, with blanks, tabs or commas between them;
what follows does not count, nor do lines that begin with ``#``, nor a first line that names the columns, as in WordSim-353.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Bool, Float, Int

from seq2seq_jax.config import Config, get
from seq2seq_jax.data import readers
from seq2seq_jax.data.raw_splits import WORD_QUESTIONS
from seq2seq_jax.data.vocabulary import Vocabulary
from seq2seq_jax.errors import UserError
from seq2seq_jax.kinds import metric_of

SYNTACTIC = "gram"  # how the name of a syntactic section begins


@dataclasses.dataclass(frozen=True)
class WordQuestions:
    """What the words of a vocabulary can be asked; the arrays of what no file asks are empty.

    Attributes:
      analogies: rows of the four words of each.
      syntactic: whether an analogy stands in a syntactic section.
      pairs: rows of the two words of each similarity.
      similarity: what people say of them.
      sha256: hash of the content of each file, by its field: analogies, similarity.
      paths: these files, as the configuration has them.
      notes: how much of it the vocabulary knows.
    """

    analogies: Int[np.ndarray, "_ 4"]
    syntactic: Bool[np.ndarray, " _"]
    pairs: Int[np.ndarray, "_ 2"]
    similarity: Float[np.ndarray, " _"]
    sha256: dict[str, str]
    paths: dict[str, str]
    notes: list[str]


def load(config: Config, vocabulary: Vocabulary) -> WordQuestions:
    """Reads the files that the configuration names.

    Raises UserError for a broken line, where a file asks for no known word, and where there is nothing that the metric can rest on.
    """
    asked = {name: path for name in WORD_QUESTIONS if (path := get(config, f"data.{name}")) is not None}
    nfc = config.data.normalize_nfc
    analogies = read_analogies(asked["analogies"], nfc) if "analogies" in asked else []
    similarity = read_similarity(asked["similarity"], nfc) if "similarity" in asked else []
    questions = [(rows, section.startswith(SYNTACTIC)) for section, words in analogies if (rows := _table_rows(words, vocabulary))]
    pairs = [(rows, score) for words, score in similarity if (rows := _table_rows(words, vocabulary))]
    asked_words = {"analogies": [words for _, words in analogies], "similarity": [words for words, _ in similarity]}
    known = {"analogies": len(questions), "similarity": len(pairs)}
    notes = []
    for name, path in asked.items():
        notes.append(f"{path}: all words are known of {known[name]} of {len(asked_words[name])} lines.")
        if known[name] < (1 if name == "analogies" else 2):
            in_lower_case = sum(_table_rows([word.lower() for word in words], vocabulary) is not None for words in asked_words[name])
            hint = f"expected more; in lower case it has those of {in_lower_case}" if in_lower_case else "expected more"
            raise UserError(f"data.{name}={path}: the training text has the words of {known[name]} lines; {hint}")
    if metric_of(config).name == "word_similarity" and len({score for _, score in pairs}) == 1:
        raise UserError(f"data.similarity={asked['similarity']}: all known pairs have the same score; expected scores that differ")
    _check_metric(config, [syntactic for _, syntactic in questions])
    return WordQuestions(
        np.array([rows for rows, _ in questions], np.int64).reshape(-1, 4),
        np.array([syntactic for _, syntactic in questions], bool),
        np.array([rows for rows, _ in pairs], np.int64).reshape(-1, 2),
        np.array([score for _, score in pairs], np.float64),
        {name: readers.spec_sha256(path) for name, path in asked.items()},
        asked,
        notes,
    )


def _check_metric(config: Config, syntactic: list[bool]) -> None:
    """Raises UserError where the metric counts one group of the questions and the vocabulary knows none of it."""
    name = metric_of(config).name
    for metric, group, known in (
        ("semantic_analogy_accuracy", "semantic", not all(syntactic)),
        ("syntactic_analogy_accuracy", "syntactic", any(syntactic)),
    ):
        if name == metric and not known:
            where = f"data.analogies={config.data.analogies}"
            raise UserError(f"{where}: the training text has the words of no {group} question; expected some for train.metric={name}")


def read_analogies(path: str, nfc: bool) -> list[tuple[str, list[str]]]:
    """Returns the section and the four words of each question. Raises UserError, naming file and line, for a line of another form."""
    found, section = [], ""
    for number, line in enumerate(_lines(path, nfc), 1):
        words = line.split()
        if line.startswith(":"):
            section = line[1:].strip()
        elif len(words) == 4:
            found.append((section, words))
        elif words:
            raise UserError(f"{path}:{number}: expected four words, or a line ': section', found {len(words)} words")
    return found


def read_similarity(path: str, nfc: bool) -> list[tuple[list[str], float]]:
    """Returns the two words and the score of each line. Raises UserError, naming file and line, for a line of another form."""
    found = []
    for number, line in enumerate(_lines(path, nfc), 1):
        if not line.strip() or line.startswith("#"):
            continue
        rows = _columns(line)
        scored = [(columns[:2], score) for columns in rows if (score := _number(columns[2])) is not None]
        if number == 1 and not scored and any(not any(map(_begins_a_number, columns[2:])) for columns in rows):
            continue  # it names the columns
        if not scored or not math.isfinite(scored[0][1]):
            raise UserError(f"{path}:{number}: expected two words and a number separated by blanks, tabs or commas, found {line!r}")
        found.append(scored[0])
    return found


def _lines(path: str, nfc: bool) -> list[str]:
    return readers.split_lines(readers.normalize(readers.read_text(path), nfc))


def _columns(line: str) -> list[list[str]]:
    """Returns the columns of a line, cut at commas and cut at blanks, as far as that gives two words and something more."""
    cut = ([column.strip() for column in line.split(",")], line.split())
    return [columns for columns in cut if len(columns) > 2 and all(columns[:2])]


def _begins_a_number(text: str) -> bool:
    return text.lstrip("+-.")[:1].isdigit()


def _number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)  # Python would read 1_0
    except ValueError:
        return None


def _table_rows(words: list[str], vocabulary: Vocabulary) -> list[int] | None:
    """Returns the rows of the words, None where one has none."""
    rows = [row for word in words if (row := vocabulary.row_of(vocabulary.in_known_form(word))) is not None]
    return rows if len(rows) == len(words) else None
