"""What surrounds the steps of a default run: the time to the first one, to a compared table, and the shares of input and checkpoints."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from benchmarks import timing
from seq2seq_jax.data.batches import PairBatches
from seq2seq_jax.experiment import load_experiment
from seq2seq_jax.train.checkpoints import Checkpoints
from seq2seq_jax.train.devices import Devices
from seq2seq_jax.train.loop import train
from tests.sweep_fixture import add_artifacts, write_sweep

ROOT = pathlib.Path(__file__).parents[1]
EXPERIMENT = "experiments/pronunciation.py"
POLL_SECONDS, PATIENCE_SECONDS = 0.01, 300.0
INPUT = ((PairBatches, "batch_at"), (Devices, "split_batch"))
CHECKPOINT = ((Checkpoints, "save"), (Checkpoints, "keep"))


def measure(repetitions: int) -> Iterator[timing.Figure]:
    """Yields the figures; they are slow to take, so of each only a few repetitions are made."""
    repetitions = min(repetitions, 3)
    starts = np.array([_starts() for _ in range(repetitions)])
    yield timing.alone("first_step/cold", starts[:, 0])
    yield timing.alone("first_step/warm", starts[:, 1])
    yield timing.alone("compare/15_members", np.array(_tables(repetitions)))
    shares = np.array([_shares() for _ in range(repetitions)])
    yield timing.alone("overhead/input", shares[:, 0])
    yield timing.alone("overhead/checkpoint", shares[:, 1])


def _starts() -> tuple[float, float]:
    """Returns the seconds to the first step with an empty compilation cache, and once more with the one that this has left."""
    with tempfile.TemporaryDirectory() as folder:
        return _first_step(folder, "cold"), _first_step(folder, "warm")


def _first_step(folder: str, name: str) -> float:
    """Returns the seconds from the command to the first step, whose line in the log waits for the device."""
    workdir = pathlib.Path(folder, name)
    command = [sys.executable, "launch.py", "train", f"--config={EXPERIMENT}", f"--workdir={workdir}", "--config.train.log_every=1"]
    environment = {**os.environ, "SEQ2SEQ_JAX_CACHE": str(pathlib.Path(folder, "cache"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has bytecode; here the first start makes it
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while not _has_line(workdir / "metrics.jsonl"):
                if process.poll() is not None or time.perf_counter() - start > PATIENCE_SECONDS:
                    raise RuntimeError(f"no first step: {' '.join(command)}")
                time.sleep(POLL_SECONDS)
            return time.perf_counter() - start
        finally:
            process.kill()


def _tables(repetitions: int) -> list[float]:
    """Returns the seconds from the command to the table of a sweep of 5 sizes and 3 seeds, each run with 100 evaluations on dev."""
    values = {size: [0.3 + 0.2 / size + 0.004 * seed for seed in range(3)] for size in (2, 8, 32, 128, 512)}
    with tempfile.TemporaryDirectory() as folder:
        workdir = write_sweep(pathlib.Path(folder, "sweep"), values)
        add_artifacts(pathlib.Path(workdir), evaluations=100)
        return [_table(workdir) for _ in range(repetitions)]


def _table(workdir: str) -> float:
    """Returns the seconds from the command to what it prints first, which is the whole table."""
    command = [sys.executable, "launch.py", "compare", f"--workdir={workdir}"]
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                raise RuntimeError(f"no table: {' '.join(command)}")
            return time.perf_counter() - start
        finally:
            process.kill()


def _has_line(path: pathlib.Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _shares() -> tuple[float, float]:
    """Returns the shares of a run's wall time that its loop spends on making batches and on checkpoints."""
    config = load_experiment(str(ROOT / EXPERIMENT)).config
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        on_input, on_checkpoints = ([stack.enter_context(_clocked(*place)) for place in places] for places in (INPUT, CHECKPOINT))
        start = time.perf_counter()
        train(config, folder)
        wall = time.perf_counter() - start
        return sum(map(sum, on_input)) / wall, sum(map(sum, on_checkpoints)) / wall


@contextlib.contextmanager
def _clocked(owner: Any, name: str) -> Generator[list[float], None, None]:
    """Collects the seconds of every call of a method."""
    original, seconds = getattr(owner, name), []

    def timed(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return original(*arguments, **named)
        finally:
            seconds.append(time.perf_counter() - start)

    setattr(owner, name, timed)
    try:
        yield seconds
    finally:
        setattr(owner, name, original)
