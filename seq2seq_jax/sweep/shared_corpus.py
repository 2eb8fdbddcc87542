"""The data that the members of a sweep share, loaded once for all of them."""

from __future__ import annotations

import functools

from seq2seq_jax.config import Config
from seq2seq_jax.data.corpus import Corpus, corpus_key, load_corpus


def corpus_of(config: Config) -> Corpus:
    """Returns the data of a configuration; what was asked for last is kept. Raises UserError where it cannot be read."""
    return _corpus(corpus_key(config))


_corpus = functools.lru_cache(maxsize=1)(load_corpus)


def forget_corpus() -> None:
    """Gives back the memory of what was loaded; it is read again where it is asked for."""
    _corpus.cache_clear()


def vocabulary_sizes(config: Config) -> dict[str, int]:
    """Returns the symbols of each side of a configuration's data. Raises UserError likewise.

    They are remembered of all data: where that is an axis, planning asks for them member by member.
    """
    return _sizes(corpus_key(config))


@functools.cache
def _sizes(config: Config) -> dict[str, int]:
    return _corpus(config).vocabulary_sizes
