"""Word vectors against gensim: the same text and settings, in turn, seed after seed; seconds of training, and how good the vectors are.

Both sides are timed from the first update to the last: reading the text, counting and (ours) compiling are left out. Windows, thinning,
negatives and the course of the learning rate are those of word2vec on both, and each side has the learning rate that is best for it on
WikiText-2 (docs/embeddings.md). gensim reads the text with its fastest path (``corpus_file``) and has a worker on each core. The same
code asks both tables.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.run import CORES
from benchmarks.timing import Figure, alone, quartiles
from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config
from seq2seq_jax.data import word_questions
from seq2seq_jax.data.vocabulary import SPECIALS, Vocabulary
from seq2seq_jax.evaluate.word_vectors import analogy_hits, similarity_correlation
from seq2seq_jax.experiment import load_experiment

SEEDS = 3  # most repetitions: each trains both sides whole
ROOT = pathlib.Path(__file__).parents[1]
EXPERIMENT = ROOT / "experiments/word2vec.py"
RATES = {"skip-gram": (0.05, 0.05), "CBOW": (0.25, 0.1)}  # ours, gensim's


def measure(repetitions: int, text: str, analogies: str, similarity: str | None) -> Iterator[Figure]:
    """Trains both sides with each seed, skip-gram then CBOW."""
    files = {"data.train": text, "data.analogies": analogies, "data.similarity": similarity, "data.dev_fraction": 0.0}
    config = config_lib.replace(load_experiment(str(EXPERIMENT)).config, files)
    for name in RATES:
        yield from _measure(name, config_lib.replace(config, {"model.cbow": name == "CBOW"}), min(repetitions, SEEDS))


def _measure(name: str, config: Config, seeds: int) -> Iterator[Figure]:
    found = {"ours": [], "gensim": []}
    for seed in range(seeds):
        for (side, of_side), rate in zip((("ours", _ours), ("gensim", _gensim)), RATES[name], strict=True):
            seeded = config_lib.replace(config, {"train.seed": seed, "train.learning_rate": rate})
            seconds, table, vocabulary = of_side(seeded)
            found[side].append((seconds, *_scores(seeded, table, vocabulary)))
    ours, theirs = (np.array(found[side]) for side in ("ours", "gensim"))
    ratio = theirs[:, 0] / ours[:, 0]
    yield Figure(
        f"word2vec/{name}", float(np.median(ours[:, 0])), float(np.median(theirs[:, 0])), float(np.median(ratio)), quartiles(ratio), seeds
    )
    for place, what in enumerate(("analogies", "similarity")[: ours.shape[1] - 1], 1):
        for side, values in (("ours", ours), ("gensim", theirs)):
            yield alone(f"word2vec_quality/{name}, {what}, {side}", values[:, place])


def _ours(config: Config) -> tuple[float, np.ndarray, Vocabulary]:
    """Trains by the command, in a process of its own: JAX takes its threads once, as it starts, and here it has started."""
    given = {path: config_lib.get(config, path) for path in config_lib.differences(load_experiment(str(EXPERIMENT)).config, config)}
    overrides = [f"--config.{path}={str(value).lower() if isinstance(value, bool) else value}" for path, value in given.items()]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "launch.py", "train", f"--config={EXPERIMENT}", f"--workdir={folder}/run", *overrides]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
        table = np.load(f"{folder}/run/embedding.npz")["target_table"]
        return (
            json.loads(done.stdout)["train_seconds"],
            table,
            Vocabulary.load(pathlib.Path(folder, "run"), "target"),
        )


def _gensim(config: Config) -> tuple[float, np.ndarray, Vocabulary]:
    from gensim.models import Word2Vec

    assert config.data.train is not None  # measure() has put the text there
    model = Word2Vec(
        vector_size=config.model.embedding_dim,
        window=config.data.window,
        negative=config.model.negatives,
        min_count=config.data.min_count,
        sample=config.data.subsample,
        epochs=config.train.epochs,
        sg=int(not config.model.cbow),
        alpha=config.train.learning_rate,
        workers=CORES,
        seed=config.train.seed + 1,  # 0 stands for no seed there
    )
    model.build_vocab(corpus_file=config.data.train)
    start = time.perf_counter()
    model.train(
        corpus_file=config.data.train,
        total_examples=model.corpus_count,
        total_words=model.corpus_total_words,
        epochs=model.epochs,
    )
    seconds = time.perf_counter() - start
    table = np.concatenate([np.zeros((len(SPECIALS), model.vector_size)), model.wv.vectors])
    return seconds, table, Vocabulary([*SPECIALS, *model.wv.index_to_key], "word")


def _scores(config: Config, table: np.ndarray, vocabulary: Vocabulary) -> list[float]:
    questions = word_questions.load(config, vocabulary)
    scores = [float(analogy_hits(table, questions.analogies).mean())]
    return [*scores, similarity_correlation(table, questions.pairs, questions.similarity)] if len(questions.pairs) else scores
