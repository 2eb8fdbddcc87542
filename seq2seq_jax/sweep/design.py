"""What makes a comparison of sizes fair: baselines beside the sizes, an equal budget, and settings tuned for each size.

Read next: ``budget.py`` and ``tuning.py``, which carry the last two out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import SEED, SIDES, SIZE, TABLE, Config
from seq2seq_jax.errors import UserError
from seq2seq_jax.sweep.grid import Axes, parse_field

BASELINES = ("onehot", "frozen")


@dataclasses.dataclass(frozen=True)
class Design:
    """What a sweep compares beside its axes.

    Attributes:
      baselines: kinds of table that are not learnt: ``onehot``, ``frozen``.
      budget: ``hidden``: the hidden size is the same for all; ``parameters``: the total number of parameters is.
      tune: values of fields of which each size gets the best.
    """

    baselines: tuple[str, ...] = ()
    budget: str = "hidden"
    tune: Axes = dataclasses.field(default_factory=dict)


def parse_baselines(text: str | None) -> tuple[str, ...]:
    """Turns ``onehot,frozen`` into kinds of table. Raises UserError, naming the flag, for another kind."""
    kinds = text.split(",") if text is not None else []
    if not set(kinds) <= set(BASELINES) or len(set(kinds)) < len(kinds):
        raise UserError(f"--baselines={text}: expected onehot, frozen, or onehot,frozen")
    return tuple(kinds)


def parse_tune(texts: Sequence[str]) -> Axes:
    """Turns ``train.learning_rate=5e-4,1e-3`` into values to try. Raises UserError, naming the flag, for what cannot be tuned."""
    tune: Axes = {}
    for text in texts:
        path, values = parse_field("tune", text)
        if path in (SEED, TABLE, SIZE, *SIDES):
            raise UserError(f"--tune={text}: {path} is what the sweep compares; expected another field, such as train.learning_rate")
        if path in tune:
            raise UserError(f"--tune={text}: {path} is given twice; expected each field in one flag")
        tune[path] = values
    return tune


def with_recorded(design: Design, earlier: dict[str, Any]) -> Design:
    """Returns a design with the baselines that the sweep has already: they grow with it."""
    tables = {*design.baselines, *(entry.get("table") for entry in earlier["members"])}
    return dataclasses.replace(design, baselines=tuple(kind for kind in BASELINES if kind in tables))


def check(design: Design, config: Config, axes: Axes) -> None:
    """Raises UserError, naming the flag, where a design does not go together with the axes."""
    for path in design.tune:
        if path in axes:
            raise UserError(f"--tune={path}: this field is an axis of the sweep; expected one or the other")
    if TABLE in axes or config_lib.get(config, TABLE) != "learned":
        where = f"--axis={TABLE}" if TABLE in axes else f"--config.{TABLE}={config_lib.get(config, TABLE)}"
        raise UserError(f"{where}: a sweep compares learnt tables; expected --baselines=onehot,frozen for the others")
    if design.baselines and config.model.kind == "skip_gram":
        raise UserError(f"--baselines={','.join(design.baselines)}: word vectors are nothing but a learnt table; expected none")
    if design.budget == "parameters" and config.model.kind == "skip_gram":
        raise UserError("--budget=parameters: word vectors have no hidden size that could make up for their own; expected --budget=hidden")
    if design.budget == "parameters":
        for place, where in ((axes, "--axis"), (design.tune, "--tune")):
            if "model.hidden_dim" in place:
                raise UserError(f"{where}=model.hidden_dim: --budget=parameters chooses the hidden size; expected one or the other")


def to_json(design: Design) -> dict[str, Any]:
    """Returns what sweep.json says of a design, but for its baselines, which are members like any other."""
    return {"budget": design.budget, "tune": {path: list(values) for path, values in design.tune.items()}}


def check_same(recorded: dict[str, Any], design: Design, workdir: str) -> None:
    """Raises UserError, naming the flag, where the sweep in ``workdir`` was made with another budget or tuning."""
    before, now = {"budget": "hidden", "tune": {}} | recorded, to_json(design)
    for name in ("budget", "tune"):
        if before[name] != now[name]:
            was = _typed(name, before[name])
            raise UserError(f"--workdir={workdir}: the sweep here was made with {was}, not {_typed(name, now[name])}; expected the same")


def _typed(name: str, value: Any) -> str:
    if name == "budget":
        return f"--budget={value}"
    return " ".join(f"--tune={path}={','.join(map(str, values))}" for path, values in value.items()) or "no --tune"
