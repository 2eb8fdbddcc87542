"""Writes sweep directories as train and sweep would, with made-up figures, for tests of the comparison."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seq2seq_jax.compare.comparison import compare_sweeps
from seq2seq_jax.compare.reading import read_sweep
from seq2seq_jax.compare.schema import json_object
from seq2seq_jax.data.vocabulary import SPECIALS

METRIC = {"name": "word_error_rate", "unit": "fraction", "lower_is_better": True, "tolerance": 0.01}


def result(size: int, seed: int, value: float | None, metric: Mapping[str, Any] = METRIC, **changes: Any) -> dict[str, Any]:
    """Returns a result.json: a finished run with this dev value, or a failed one where it is None."""
    figures = {metric["name"]: value, "loss_nats_per_token": 0.61, "examples": 450}
    found = {
        "format": 1,
        "status": "finished",
        "error": None,
        "varied": {"model.embedding_dim": size, "train.seed": seed},
        "metric": dict(metric),
        "dev": figures,
        "test": None if value is None else {**figures, metric["name"]: value + 0.02},
        "best_step": 1800,
        "steps": 2400,
        "train_seconds": 60.0 + size / 10 + seed,
        "tokens_per_second": 41000,
        "decoded_examples_per_second": 2000.0 - size,
        "parameters": {"embedding": 76 * size, "total": 812_345 + 1100 * size},
        "config_sha256": "0" * 64,
        "versions": {"jax": "0.10.2"},
        "device": "cpu",
    }
    if value is None:
        found |= {"status": "failed", "error": "out of memory at step 3", "dev": None}
    return found | changes


def compare(workdirs: Sequence[str], tolerance: float | None = None) -> Any:
    """Returns what ``compare --format=json`` prints of these sweeps."""
    return json_object(compare_sweeps([read_sweep(workdir) for workdir in workdirs], tolerance))


def member_name(size: int, seed: int) -> str:
    return f"embedding_dim={size},seed={seed}"


def write_sweep(
    root: pathlib.Path,
    values: Mapping[int, Sequence[float | None]],
    metric: Mapping[str, Any] = METRIC,
    grid: bool = True,
    not_run: int = 0,
    **changes: Any,
) -> str:
    """Writes a sweep: ``values`` holds the dev figures of each size by seed, None for a failed run.

    ``grid`` adds sweep.json, with ``not_run`` further seeds that have no result; ``changes`` go into every result.json.
    """
    root.mkdir(parents=True, exist_ok=True)
    members = []
    for size, figures in values.items():
        for seed in range(len(figures) + not_run):
            varied = {"model.embedding_dim": size, "train.seed": seed}
            members.append({"name": member_name(size, seed), "varied": varied})
            if seed < len(figures):
                directory = root / member_name(size, seed)
                directory.mkdir(parents=True)
                (directory / "result.json").write_text(json.dumps(result(size, seed, figures[seed], metric, **changes)))
    if grid:
        command = f"launch.py sweep --config=experiments/pronunciation.py --workdir={root} --seeds=0,1,2"
        sweep = {"format": 1, "axes": {}, "members": members, "command": command}
        (root / "sweep.json").write_text(json.dumps(sweep))
    return str(root)


def change_record(workdir: str | pathlib.Path, **changes: Any) -> None:
    """Changes what sweep.json says."""
    path = pathlib.Path(workdir) / "sweep.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def make_baseline(workdir: str | pathlib.Path, table: str, size: int) -> None:
    """Makes the members of one size those of a table that is not learned."""
    path = pathlib.Path(workdir) / "sweep.json"
    members = json.loads(path.read_text())["members"]
    change_record(workdir, members=[one | ({"table": table} if one["varied"]["model.embedding_dim"] == size else {}) for one in members])


EXAMPLES = 450
SYMBOLS = [*SPECIALS, *"abcdefghijklmnopqrstuvwxyz'- ", "ß", "あ", "ξ", "$", "\n", "<script>alert(1)</script>"]


def add_artifacts(root: pathlib.Path, symbols: Sequence[str] = SYMBOLS, evaluations: int = 12) -> None:
    """Writes beside every finished result what train leaves there: history, scores, tables, examples, configuration.

    Brings the dev value to a multiple of 1 / EXAMPLES, so that scores and value agree.
    """
    for path in sorted(root.glob("*/result.json")):
        found = json.loads(path.read_text())
        if found["status"] != "finished":
            continue
        size, seed = found["varied"]["model.embedding_dim"], found["varied"]["train.seed"]
        rng = np.random.default_rng(1000 * size + seed)
        wrong = round(found["dev"][found["metric"]["name"]] * EXAMPLES)
        found["dev"][found["metric"]["name"]] = wrong / EXAMPLES
        path.write_text(json.dumps(found))
        amounts = np.zeros(EXAMPLES)
        amounts[np.argsort(np.linspace(0, 1, EXAMPLES) + rng.normal(size=EXAMPLES))[:wrong]] = 1
        np.savez(path.parent / "dev_scores.npz", amounts=amounts, sizes=np.ones(EXAMPLES))
        arrays: dict[str, Any] = {f"{side}_table": rng.normal(size=(len(symbols), size)) for side in ("source", "target")}
        arrays |= {f"{side}_symbols": np.array(json.dumps(list(symbols))) for side in ("source", "target")}
        np.savez(path.parent / "embedding.npz", **arrays)
        _write_history(path.parent / "metrics.jsonl", found, evaluations)
        _write_samples(path.parent / "samples.jsonl", size)
        config = {"model": {"embedding_dim": size, "hidden_dim": 256}, "train": {"seed": seed}, "data": {"name": "cmudict"}}
        (path.parent / "config.json").write_text(json.dumps({"format": 1, "config": config}))


def write_history(directory: pathlib.Path, evaluations: Sequence[tuple[int, float, float]]) -> pathlib.Path:
    """Writes the evaluations of a run, each a step, the seconds of training until then, and the word error rate; returns the file."""
    records = [{"step": step, "split": "dev", "word_error_rate": value, "elapsed_seconds": time} for step, time, value in evaluations]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return directory / "metrics.jsonl"


def _write_history(path: pathlib.Path, found: Mapping[str, Any], evaluations: int) -> None:
    name, last = found["metric"]["name"], found["dev"][found["metric"]["name"]]
    lines = []
    for index in range(1, evaluations + 1):
        step = found["steps"] * index // evaluations
        seconds = found["train_seconds"] * index / evaluations
        value = last if step == found["best_step"] else last + 0.5 * 0.6**index + 0.004
        lines.append({"step": step, "split": "train", "loss_nats_per_token": 3 * 0.8**index, "elapsed_seconds": seconds})
        lines.append({"step": step, "split": "dev", name: value, "loss_nats_per_token": 3 * 0.8**index + 0.1, "elapsed_seconds": seconds})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _write_samples(path: pathlib.Path, size: int) -> None:
    words = {"tough": "T AH1 F", "bough": "B AW1", "colonel": "K ER1 N AH0 L", "<script>alert(1)</script>": "S K R IH1 P T"}
    rows = [
        {"source": word, "references": [said], "output": said if size > 4 or len(said) > 7 else "T OW1"} for word, said in words.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
