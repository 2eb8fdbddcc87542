"""The data that the members of a sweep share, loaded once for all of them."""

from __future__ import annotations

import functools

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config
from seq2seq_jax.data.corpus import Batches, Corpus, corpus_key, load_corpus, training_batches


def corpus_of(config: Config) -> Corpus:
    """Returns the data of a configuration; what was asked for last is kept. Raises UserError where it cannot be read."""
    return _corpus(corpus_key(config))


_corpus = functools.lru_cache(maxsize=1)(load_corpus)


def batches_of(config: Config) -> Batches:
    """Returns the batches that training takes from it; those that were asked for last are kept. Raises UserError likewise."""
    return _batches(config_lib.replace(corpus_key(config), {"train.batch_size": config.train.batch_size}))


@functools.lru_cache(maxsize=4)
def _batches(config: Config) -> Batches:
    return training_batches(config, corpus_of(config))


def vocabulary_sizes(config: Config) -> dict[str, int]:
    """Returns the symbols of each side of a configuration's data. Raises UserError likewise.

    They are remembered of all data: where that is an axis, planning asks for them member by member.
    """
    return _sizes(corpus_key(config))


@functools.cache
def _sizes(config: Config) -> dict[str, int]:
    return _corpus(config).vocabulary_sizes
