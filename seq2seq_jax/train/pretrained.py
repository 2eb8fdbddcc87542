"""A table that begins with vectors from a file (``model.pretrained``): which rows they fill, and for how long they are kept as they are.

The table is the source's of a translator, the shared one where there is one, and the only one of a language model. Rows without a
vector keep their random draw, brought to the scale of the vectors found. While the table is frozen its gradient counts for
nothing: not for the norm that is clipped, and not for Adam's moments. For the table Adam begins with the first update that moves it.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from seq2seq_jax.arrays import Array
from seq2seq_jax.config import Config, ModelConfig
from seq2seq_jax.data.vectors import Vectors, names_of, read_vectors, width_of
from seq2seq_jax.data.vocabulary import SPECIALS, Vocabulary
from seq2seq_jax.errors import UserError
from seq2seq_jax.files import sha256_of
from seq2seq_jax.model.build import Params, held_tables, pretrained_table
from seq2seq_jax.model.embedding import INITIAL_STD, configured_width
from seq2seq_jax.train.optimizer import B1, B2


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """Vectors for rows of a table.

    Attributes:
      sides: that read the table.
      rows: that have a vector.
      vectors: of these rows.
      sha256: of the file's content.
      of_vocabulary: symbols of the vocabulary without the specials.
    """

    sides: tuple[str, ...]
    rows: Int[np.ndarray, " R"]
    vectors: Float[np.ndarray, "R D"]
    sha256: str
    of_vocabulary: int

    @property
    def found(self) -> int:
        """Symbols that have a vector, without the specials."""
        return int((self.rows >= len(SPECIALS)).sum())

    @property
    def share(self) -> float:
        """Share of the vocabulary that was found, 0 to 1."""
        return self.found / max(self.of_vocabulary, 1)

    def result(self) -> dict[str, Any]:
        """Returns what result.json says of it."""
        shares = {"found": self.found, "vocabulary": self.of_vocabulary, "share": self.share}
        return {"tables": list(self.sides), **shares, "sha256": self.sha256}

    def sentence(self, file: str, counts: Int[np.ndarray, " V"]) -> str:
        """Says what was found in ``file``, given how often training reads each row."""
        text = counts[len(SPECIALS) :]
        read = text[self.mask(len(counts))[len(SPECIALS) :]].sum() / max(text.sum(), 1)
        table = " and ".join(self.sides)
        found = f"{self.found:,} of {self.of_vocabulary:,} symbols of the {table} table have a vector in {file} ({self.share:.1%})"
        return f"{found}; they are {read:.1%} of what training reads."

    def mask(self, rows: int) -> Bool[np.ndarray, " V"]:
        """Returns which of so many rows have a vector."""
        return np.isin(np.arange(rows), self.rows)


def check_width(config: Config) -> None:
    """Raises UserError where the vectors are not as wide as the table that they are to fill, or the file holds no vectors."""
    model = config.model
    if model.pretrained is not None:
        side, _ = pretrained_table(model)
        width, columns = width_of(pathlib.Path(model.pretrained)), configured_width(model, side)
        if width != columns:
            raise UserError(
                f"{model.pretrained}:1: vectors of {width} numbers for a {side} table of {columns} columns; "
                f"expected model.{'' if side == 'target' else 'source_'}embedding_dim={width}, or other vectors"
            )


def load_pretrained(config: Config, vocabularies: Mapping[str, Vocabulary]) -> Pretrained | None:
    """Reads the vectors of a run's vocabulary; None where none are asked for.

    Raises UserError, naming file and line, where the file is broken, of another width, or has no symbol of the vocabulary.
    """
    if config.model.pretrained is None:
        return None
    check_width(config)
    side, _ = pretrained_table(config.model)
    path = pathlib.Path(config.model.pretrained)
    stat = path.stat()
    sides = ("source", "target") if config.model.share_embeddings else (side,)
    return _load(path, (stat.st_mtime_ns, stat.st_size), sides, tuple(vocabularies[side].symbols))


@functools.lru_cache(maxsize=1)
def _load(path: pathlib.Path, version: tuple[int, int], sides: tuple[str, ...], symbols: tuple[str, ...]) -> Pretrained:
    """Reads a file once for all runs of a sweep; ``version`` changes with its content."""
    names = names_of(symbols)
    vectors = read_vectors(path, {name for candidates in names for name in candidates})
    rows, places = _match(names, vectors)
    vocabulary = len(symbols) - len(SPECIALS)
    if not (rows >= len(SPECIALS)).any():
        raise UserError(f"{path}: none of the {vocabulary} {sides[0]} symbols has a vector; expected vectors of the vocabulary's units")
    return Pretrained(sides, rows, vectors.table[places], sha256_of(path), vocabulary)


def _match(names: list[tuple[str, ...]], vectors: Vectors) -> tuple[Int[np.ndarray, " R"], Int[np.ndarray, " R"]]:
    """Returns the rows of the vocabulary that have a vector, and the places of these vectors in the file."""
    place_of = {name: place for place, name in enumerate(vectors.names)}
    places = [next((place_of[name] for name in candidates if name in place_of), -1) for candidates in names]
    rows = np.flatnonzero(np.array(places) >= 0)
    return rows, np.array(places)[rows]


def fill(model: ModelConfig, params: Params, pretrained: Pretrained | None) -> Params:
    """Returns initial parameters whose table has the vectors in their rows; the other rows are brought to the vectors' scale."""
    if pretrained is None:
        return params
    _, name = pretrained_table(model)
    scale = np.sqrt(np.mean(pretrained.vectors.astype(np.float64) ** 2))
    table = np.asarray(params[name]["table"]) * np.float32(scale / INITIAL_STD)
    table[pretrained.rows] = pretrained.vectors
    return {**params, name: {"table": jnp.asarray(table)}}


def hold(model: ModelConfig, gradients: Params, step: Int[Array, ""]) -> Params:
    """Returns the gradients with those of tables zero that are frozen, for ever or for the first steps: inside the compiled step."""
    zero = {name: {"table": jnp.zeros_like(gradients[name]["table"])} for name in held_tables(model)}
    if model.pretrained is not None and model.pretrained_frozen_steps:
        _, name = pretrained_table(model)
        zero = {name: {"table": jnp.where(step >= model.pretrained_frozen_steps, gradients[name]["table"], 0.0)}}
    return {**gradients, **zero}


def restarted(model: ModelConfig, directions: Params, step: Int[Array, ""]) -> Params:
    """Returns Adam's directions, with that of a table that was frozen for n updates as if Adam had begun with it when it was thawed.

    Adam corrects moments that begin at 0 by 1 - b^t, with t updates since then (Kingma & Ba 2015, section 3), and counts them for all
    parameters together: the thawed table would first move by up to three times the learning rate.
    """
    frozen = model.pretrained_frozen_steps
    if model.pretrained is None or not frozen:  # never or always frozen
        return directions
    _, name = pretrained_table(model)
    factor = _correction(jnp.maximum(step + 1 - frozen, 1)) / _correction(step + 1)
    return {**directions, name: {"table": directions[name]["table"] * factor}}


def _correction(updates: Int[Array, ""]) -> Float[Array, ""]:
    return jnp.sqrt(1 - B2**updates) / (1 - B1**updates)
