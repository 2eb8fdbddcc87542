"""Kills a sweep and single members of it at random moments, and says whether its answer is that of a sweep left alone.

    python -m benchmarks.kills [--kills=20] [--seed=0] [--folder=DIR]

Each kill is SIGKILL. The sweep's command is given again whenever the whole sweep was hit, until it ends by itself; every second
kill hits one worker process alone. The comparison of both sweeps, timings apart, must be the same to the last digit, and every learned
table to the bit.
A corpus of its own and members of some seconds: minutes in all. Prints one line a kill and ends with 0 where nothing was lost; with 1
also where the sweep ended before it was killed as often as asked.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
FIELDS = {
    "data.target_unit": "word",
    "data.dev_fraction": 0.2,
    "data.test_fraction": 0.1,
    "model.hidden_dim": 48,
    "model.encoder_hidden_dim": 96,
    "train.steps": 16000,
    "train.eval_every": 200,
    "train.batch_size": 32,
}
SWEEP = ("--embedding_dims=2,6,16", "--seeds=0..1", "--baselines=frozen", "--executor=processes", "--jobs=2")
OF_TIME = ("second", "pareto", "equal_time")  # keys that hold a time, or what follows from times


def main() -> int:
    """Runs both sweeps and compares them. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=pathlib.Path)
    arguments = parser.parse_args()
    folder = arguments.folder or pathlib.Path(tempfile.mkdtemp(prefix="kills-"))
    folder.mkdir(parents=True, exist_ok=True)
    words = _write_words(folder / "words.tsv")
    since = time.monotonic()
    if (folder / "alone").exists() or _sweep(words, folder / "alone").wait():
        parser.error(f"--folder={folder}: there is a sweep already, or none can be trained; alone.log says why")
    longest = 2 * (time.monotonic() - since) / arguments.kills  # so that the kills take as long as the sweep left alone
    code = _with_kills(words, folder / "killed", arguments.kills, longest, random.Random(arguments.seed))
    whole, killed = (_comparison(folder / name) for name in ("alone", "killed"))
    lost = [key for key in whole if whole[key] != killed.get(key)]
    lost += [name for name, table in _tables(folder / "alone").items() if table != _tables(folder / "killed").get(name)]
    print(f"exit code {code}; " + (f"differs in {', '.join(lost)}, see {folder}" if lost else "the comparison and all tables are the same"))
    return int(bool(lost) or code != 0)


def _write_words(path: pathlib.Path) -> pathlib.Path:
    draw = random.Random(0)
    words = sorted({"".join(draw.choice("abcdefgh") for _ in range(draw.randint(3, 6))) for _ in range(900)})
    path.write_text("".join(f"{word}\t{' '.join(reversed(word))}\n" for word in words), encoding="utf-8")
    return path


def _sweep(words: pathlib.Path, workdir: pathlib.Path) -> subprocess.Popen[bytes]:
    flags = [f"--config.{path}={value}" for path, value in ({"data.train": words} | FIELDS).items()]
    command = [sys.executable, "launch.py", "sweep", "--config=experiments/pronunciation.py", f"--workdir={workdir}", *flags, *SWEEP]
    with open(workdir.with_suffix(".log"), "ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def _with_kills(words: pathlib.Path, workdir: pathlib.Path, kills: int, longest: float, draw: random.Random) -> int:
    """Kills, at most ``longest`` seconds apart, and starts again until the sweep ends by itself. Returns its exit code."""
    done = 0
    while done < kills:
        sweep = _sweep(words, workdir)
        while done < kills:
            wait = draw.uniform(0, longest)
            try:
                sweep.wait(wait)
            except subprocess.TimeoutExpired:
                pass
            else:
                break
            workers = _workers(sweep.pid)
            hit = draw.choice(workers) if workers and done % 2 else sweep.pid
            _kill(hit)
            done += 1
            finished = len(list(workdir.glob("*/result.json")))
            print(f"kill {done}: {'the sweep' if hit == sweep.pid else 'one member'} after {wait:.1f} s, {finished} finished", flush=True)
            if hit == sweep.pid:
                sweep.wait()
                break
        else:
            return sweep.wait()
        if sweep.returncode >= 0 and done < kills:
            print(f"the sweep has ended with exit code {sweep.returncode} after {done} kills, too early to say anything", flush=True)
            return sweep.returncode or 1
    return _sweep(words, workdir).wait()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        print(f"process {pid} had ended already", flush=True)


def _workers(pid: int) -> list[int]:
    """Returns the processes of a sweep that train members."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            trains = b"spawn_main" in (path.parent / "cmdline").read_bytes()
        except OSError:  # it has just ended
            continue
        if parent == pid and trains:
            found.append(int(path.parent.name))
    return found


def _comparison(workdir: pathlib.Path) -> dict[str, Any]:
    command = [sys.executable, "launch.py", "compare", f"--workdir={workdir}", "--format=json"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    return _without_times(json.loads(printed.replace(str(workdir).encode(), b"WORKDIR")))


def _tables(workdir: pathlib.Path) -> dict[str, dict[str, bytes]]:
    """Returns the bytes of every member's tables."""
    found = {}
    for path in workdir.glob("*/embedding.npz"):
        with np.load(path) as arrays:
            found[path.parent.name] = {name: array.tobytes() for name, array in arrays.items()}
    return found


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(inner) for key, inner in value.items() if not any(word in key for word in OF_TIME)}
    return [_without_times(inner) for inner in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
