"""Small data and configurations for tests that train, and ways to run the command in a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pytest

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config
from seq2seq_jax.experiment import load_experiment
from tests import compilation

ROOT = pathlib.Path(__file__).parent.parent
LETTERS = "abcdef"


class Terminal(io.StringIO):
    """A stream that is taken for a terminal."""

    def isatty(self):
        return True


def write_pairs(path: pathlib.Path, count: int, task: str = "reverse", shortest: int = 4) -> pathlib.Path:
    """Writes distinct words of up to four letters with themselves (copy) or their mirror image (reverse), letters apart.

    Of one length by default, so that batches have one shape and little is compiled.
    """
    draw = random.Random(0)
    words: set[str] = set()
    while len(words) < count:
        words.add("".join(draw.choice(LETTERS) for _ in range(draw.randint(shortest, 4))))
    rows = (f"{word}\t{' '.join(word if task == 'copy' else word[::-1])}\n" for word in sorted(words))
    path.write_text("".join(rows), encoding="utf-8")
    return path


def write_text(path: pathlib.Path, length: int) -> pathlib.Path:
    """Writes a text with some structure: words of a small lexicon in random order."""
    draw = random.Random(0)
    lexicon = ["to", "be", "or", "not", "that", "is", "the", "question", "\n"]
    words: list[str] = []
    while sum(map(len, words)) + len(words) < length:
        words.append(draw.choice(lexicon))
    path.write_text(" ".join(words)[:length], encoding="utf-8")
    return path


def pair_config(train: pathlib.Path, **values: Any) -> Config:
    """Returns a small translator's configuration; ``values`` use two underscores for the dot."""
    defaults = {
        "data__train": str(train),
        "data__target_unit": "word",
        "data__dev_fraction": 0.1,
        "data__test_fraction": 0.1,
        "model__embedding_dim": 6,
        "model__hidden_dim": 12,
        "train__steps": 30,
        "train__batch_size": 16,
        "train__eval_every": 10,
        "train__log_every": 5,
        "train__devices": 1,
    }
    return config_lib.replace(Config(), {path.replace("__", "."): value for path, value in {**defaults, **values}.items()})


def text_config(train: pathlib.Path, **values: Any) -> Config:
    """Returns a small language model's configuration."""
    kind = {"model__kind": "language_model", "data__target_unit": "char", "data__segment_length": 16, "data__test_fraction": 0.0}
    return pair_config(train, **{**kind, **values})


def vector_config(train: pathlib.Path, **values: Any) -> Config:
    """Returns a small skip-gram's configuration."""
    kind = {"model__kind": "skip_gram", "data__segment_length": 8, "data__subsample": 0.1, "train__clip_norm": None}
    layers = {"model__hidden_dim": Config().model.hidden_dim}
    return text_config(train, **{**kind, **layers, "data__target_unit": "word", "train__learning_rate": 0.1, **values})


def flags_of(config: Config) -> list[str]:
    """Returns the flags that turn experiments/pronunciation.py into ``config``."""
    experiment = load_experiment(str(ROOT / "experiments/pronunciation.py")).config
    changed = [path for path in config_lib.differences(experiment, config) if path not in ("data.name", "train.epochs")]
    return [f"--config.{path}={'null' if (value := config_lib.get(config, path)) is None else value}" for path in changed]


def environment(cache: pathlib.Path | None = None) -> dict[str, str]:
    """Returns the environment of a command under test: one CPU device, a cache of its own."""
    kept = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "COLUMNS")}
    return {
        **kept,
        "XLA_FLAGS": compilation.FAST,
        "JAX_PLATFORMS": "cpu",
        "SEQ2SEQ_JAX_CACHE": str(cache or ROOT / ".cache/tests"),
        # A program on disk that another process is just writing is compiled again, as one that is not there.
        "PYTHONWARNINGS": "error,ignore:Error reading persistent compilation cache",
    }


def command(verb: str, *arguments: str) -> list[str]:
    """Returns the command line of ``launch.py``; train and sweep get the experiment file."""
    config = [f"--config={ROOT / 'experiments/pronunciation.py'}"] if verb in ("train", "sweep") else []
    return [sys.executable, str(ROOT / "launch.py"), verb, *config, *arguments]


def launch(verb: str, *arguments: str, stdin: str = "", timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Runs ``launch.py`` to its end."""
    return subprocess.run(
        command(verb, *arguments), input=stdin, capture_output=True, text=True, env=environment(), timeout=timeout, check=False
    )


def without_timings(value: Any) -> Any:
    """Removes every key that holds a time or a speed."""
    if isinstance(value, dict):
        return {k: without_timings(v) for k, v in value.items() if not k.endswith(("_seconds", "_per_second"))}
    return value


def metrics_of(workdir: pathlib.Path) -> list[Any]:
    """Returns the records of metrics.jsonl without timings."""
    return [without_timings(json.loads(line)) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@contextlib.contextmanager
def after_saving(act: Callable[[Any], object]) -> Generator[None, None, None]:
    """Calls ``act`` with the run each time that one has saved a checkpoint."""
    from seq2seq_jax.train.run import Run

    save = Run.save

    def save_and_act(own: Any, state: Any) -> None:
        save(own, state)
        act(own)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "save", save_and_act)
        yield


def signal_at_call(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> Callable[[int | None], list[int]]:
    """Returns a function that lets SIGTERM come at the call with a number, counted from 1, of ``owner.name``; None: at none.

    It begins to count anew, and returns the count, as the one entry of a list.
    """
    function, count = getattr(owner, name), [0]

    def stop_at(number: int | None) -> list[int]:
        def counted(*arguments: Any) -> Any:
            count[0] += 1
            if count[0] == number:
                signal.raise_signal(signal.SIGTERM)
            return function(*arguments)

        monkeypatch.setattr(owner, name, counted)
        count[0] = 0
        return count

    return stop_at


def result_of(workdir: pathlib.Path) -> Any:
    """Returns result.json without timings."""
    return without_timings(json.loads((workdir / "result.json").read_text()))


def checkpoint_arrays(config: Config, workdir: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns every array of the newest checkpoint by its place."""
    import jax

    from seq2seq_jax.data.corpus import load_corpus, training_batches
    from seq2seq_jax.model.build import structure
    from seq2seq_jax.train.run import Run
    from seq2seq_jax.train.run_directory import RunDirectory
    from seq2seq_jax.train.view import Reporter

    corpus = load_corpus(config)
    run = Run(config, RunDirectory(workdir), corpus, training_batches(config, corpus), Reporter("test"), {})
    state = run.resume(structure(config.model, corpus.vocabulary_sizes))
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(state)}
