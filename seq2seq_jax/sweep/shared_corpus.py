"""The data that the members of a sweep share, loaded once for all of them; again where a file has changed since."""

from __future__ import annotations

import functools

from seq2seq_jax.config import Config
from seq2seq_jax.data.corpus import Corpus, corpus_key, load_corpus
from seq2seq_jax.data.raw_splits import FileVersions, file_versions


def corpus_of(config: Config) -> Corpus:
    """Returns the data of a configuration; what was asked for last is kept. Raises UserError where it cannot be read."""
    return _corpus(corpus_key(config), file_versions(config))


@functools.lru_cache(maxsize=1)
def _corpus(config: Config, versions: FileVersions) -> Corpus:
    del versions  # another one is another corpus
    return load_corpus(config)


def forget_corpus() -> None:
    """Gives back the memory of what was loaded; it is read again where it is asked for."""
    _corpus.cache_clear()


def vocabulary_sizes(config: Config) -> dict[str, int]:
    """Returns the symbols of each side of a configuration's data. Raises UserError likewise.

    They are remembered of all data: where that is an axis, planning asks for them member by member.
    """
    return _sizes(corpus_key(config), file_versions(config))


@functools.cache
def _sizes(config: Config, versions: FileVersions) -> dict[str, int]:
    return _corpus(config, versions).vocabulary_sizes
