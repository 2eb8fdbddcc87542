"""What makes a comparison of sizes fair: baselines beside the sizes, an equal budget, and fields tuned for each size.

Read next: ``budget.py`` and ``tuning.py``, which carry the last two out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from seq2seq_jax.config import HIDDEN_DIMS, SEED, SIDES, SIZE, TABLE, WITHOUT_EFFECT, Config
from seq2seq_jax.errors import UserError
from seq2seq_jax.kinds import changes_scores, metric_of
from seq2seq_jax.records import SweepRecord
from seq2seq_jax.sweep.axes import Axes, parse_field

BASELINES = ("onehot", "frozen")


@dataclasses.dataclass(frozen=True)
class Design:
    """What a sweep compares beside its axes.

    Attributes:
      baselines: kinds of table that are not learned: ``onehot``, ``frozen``.
      budget: ``hidden``: the hidden size is the same for all; ``parameters``: the total number of parameters is.
      tune: values of fields of which each size gets the best.
    """

    baselines: tuple[str, ...] = ()
    budget: str = "hidden"
    tune: Axes = dataclasses.field(default_factory=dict)

    def with_recorded(self, earlier: SweepRecord) -> Design:
        """Returns the design with the baselines that the sweep, as its sweep.json says, has already: they grow with it."""
        tables = {*self.baselines, *(entry.get("table") for entry in earlier["members"])}
        return dataclasses.replace(self, baselines=tuple(kind for kind in BASELINES if kind in tables))

    def check(self, config: Config, axes: Axes) -> None:
        """Raises UserError, naming the flag, where the design does not go together with the configuration or the axes."""
        for flag, paths in (("axis", axes), ("tune", self.tune)):
            for path in paths:
                if path in WITHOUT_EFFECT:
                    raise UserError(f"--{flag}={path}: it changes no result; expected a field that does, such as train.learning_rate")
        for path in self.tune:
            _check_scores_compare(path, config)
            if path in axes:
                raise UserError(f"--tune={path}: this field is an axis of the sweep; expected one or the other")
        if TABLE in axes or config.model.table != "learned":
            where = f"--axis={TABLE}" if TABLE in axes else f"--config.{TABLE}={config.model.table}"
            raise UserError(f"{where}: a sweep compares learned tables; expected --baselines=onehot,frozen for the others")
        if self.baselines and config.model.kind == "skip_gram":
            raise UserError(f"--baselines={','.join(self.baselines)}: word vectors have no layer besides their tables; expected none")
        if self.budget == "parameters" and config.model.kind == "skip_gram":
            raise UserError(
                "--budget=parameters: word vectors have no hidden size that could make up for their own; expected --budget=hidden"
            )
        if self.budget == "parameters":
            for place, where in ((axes, "--axis"), (self.tune, "--tune")):
                for path in HIDDEN_DIMS:
                    if path in place:
                        raise UserError(f"{where}={path}: --budget=parameters chooses the hidden size; expected one or the other")

    def to_json(self) -> dict[str, Any]:
        """Returns what sweep.json says of it, but for its baselines, which are members like any other."""
        return {"budget": self.budget, "tune": {path: list(values) for path, values in self.tune.items()}}

    def check_same(self, recorded: dict[str, Any], workdir: str) -> None:
        """Raises UserError, naming the flag, where the sweep in ``workdir`` was made with another budget or tuning, as is ``recorded``."""
        before, now = Design().to_json() | recorded, self.to_json()
        for name in ("budget", "tune"):
            if before[name] != now[name]:
                made = f"{_typed(name, before[name])}, not {_typed(name, now[name])}"
                raise UserError(f"--workdir={workdir}: the sweep here was made with {made}; expected the same")


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
        if path == "model.kind":
            raise UserError(f"--tune={text}: kinds of models do not compare; expected another field, such as train.learning_rate")
        if path in (SEED, TABLE, SIZE, *SIDES):
            raise UserError(f"--tune={text}: {path} is what the sweep compares; expected another field, such as train.learning_rate")
        if path in tune:
            raise UserError(f"--tune={text}: {path} is given twice; expected each field in one flag")
        tune[path] = values
    return tune


def _check_scores_compare(path: str, config: Config) -> None:
    """Raises UserError where a tuned field would change what is scored, so that the best score would say nothing of the values."""
    metric, instead = metric_of(config).name, "expected a field of training or of the model, such as train.learning_rate"
    if changes_scores(path, metric, config.model.kind):
        raise UserError(f"--tune={path}: it changes what is scored, so that values of it do not compare by {metric}; {instead}")


def _typed(name: str, value: Any) -> str:
    if name == "budget":
        return f"--budget={value}"
    return " ".join(f"--tune={path}={','.join(map(str, values))}" for path, values in value.items()) or "no --tune"
