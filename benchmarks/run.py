"""Measures every group, prints a table and writes ``benchmarks/results.json``.

    make bench                                        everything, about 20 minutes on two cores
    make bench BENCH="--only=lstm_step,decode --repetitions=5"
    make bench BENCH="--only=word2vec --text=text.txt --analogies=questions-words.txt"

Read ``docs/performance.md`` for what the figures mean and what they were.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.metadata
import json
import os
import pathlib
import platform
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.timing import Figure

RESULTS = pathlib.Path(__file__).with_name("results.json")
GROUPS = ("lstm_step", "translator_step", "peak_share", "startup", "decode", "growth", "word2vec")  # each a module of this package
CORES = 2  # that both sides use
SHARES = ("peak_share", "overhead", "word2vec_quality")  # groups whose figures are no seconds


def main() -> None:
    """Runs the groups asked for."""
    asked = _arguments()
    _prepare(CORES)
    machine = _machine()
    figures: list[Figure] = []
    for name in asked.only:
        files = {"text": asked.text, "analogies": asked.analogies, "similarity": asked.similarity} if name == "word2vec" else {}
        for figure in importlib.import_module(f"benchmarks.{name}").measure(asked.repetitions, **files):
            figures.append(figure)
            _write(machine, figures)
            Console(stderr=True).print(f"{figure.name}: {_value(figure, figure.ours)}")
    _print(machine, figures)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=_groups, help=f"groups to measure, of {','.join(GROUPS)}")
    parser.add_argument("--repetitions", type=int, default=15, help="measurements of each side of each figure")
    parser.add_argument("--text", help="what word2vec trains on; without it that group is left out")
    parser.add_argument("--analogies", help="questions for word2vec, in the form of questions-words.txt")
    parser.add_argument("--similarity", help="pairs of words for word2vec: word, word, score")
    asked = parser.parse_args()
    if asked.only is None:
        asked.only = [name for name in GROUPS if name != "word2vec" or asked.text]
    if "word2vec" in asked.only and not (asked.text and asked.analogies):
        parser.error("word2vec: expected --text=FILE and --analogies=FILE")
    return asked


def _groups(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(GROUPS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: expected some of {', '.join(GROUPS)}")
    return names


def _prepare(count: int) -> None:
    """Sets the cores of both sides, and how JAX compiles and runs; before it starts, since it counts cores once."""
    from seq2seq_jax.train.runtime import confine, cores, speed_up_cpu

    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # on a GPU the other side needs memory too
    confine(cores()[:count])
    speed_up_cpu()


def _machine() -> dict[str, Any]:
    """Says what was measured on, and how busy it was with other work."""
    import jax

    from seq2seq_jax.train.runtime import cores

    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": len(cores()),
        "device": jax.devices()[0].device_kind,
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "torch", "gensim")},
    }


def _write(machine: dict[str, Any], figures: Sequence[Figure]) -> None:
    results = {"machine": machine, "figures": [dataclasses.asdict(figure) for figure in figures]}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


def _print(machine: dict[str, Any], figures: Sequence[Figure]) -> None:
    load = f"load before {machine['load_before']:.1f}"
    table = Table(title=f"{machine['processor']}, {machine['cores']} cores, {machine['device']}, {load}")
    for heading in ("figure", "ours", "theirs", "ratio", "quartiles", "repetitions"):
        table.add_column(heading, justify="left" if heading == "figure" else "right", overflow="fold")
    for figure in figures:
        table.add_row(*_row(figure))
    Console(width=None if Console().is_terminal else 120).print(table)


def _row(figure: Figure) -> tuple[str, ...]:
    theirs, ratio = "", ""
    show = f"{figure.spread[0]:.2f} {figure.spread[1]:.2f}"
    if figure.theirs is None or figure.ratio is None:
        show = " ".join(_value(figure, value) for value in figure.spread)
    else:
        theirs, ratio = _value(figure, figure.theirs), f"{figure.ratio:.2f}"
    return figure.name, _value(figure, figure.ours), theirs, ratio, show, str(figure.repetitions)


def _value(figure: Figure, value: float) -> str:
    if figure.name.startswith(SHARES):
        return f"{value:.1%}"
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"


if __name__ == "__main__":
    main()
