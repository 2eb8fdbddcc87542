"""The members of a sweep: every combination of the values of its axes. Pure; reads and writes nothing."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import SEED, SIDES, SIZE, TABLE, Config, setting_key
from seq2seq_jax.data.raw_splits import HELD_OUT, cut_splits
from seq2seq_jax.errors import UserError
from seq2seq_jax.kinds import KINDS, metric_of
from seq2seq_jax.length import Length
from seq2seq_jax.model.embedding import configured_width
from seq2seq_jax.sweep.axes import Axes
from seq2seq_jax.validation import validate

_LONGEST_NAME = 255  # of a directory, in file systems as they are today


@dataclasses.dataclass(frozen=True)
class Member:
    """One run of a sweep.

    Attributes:
      varied: the values, by dotted path, that tell it from the others.
      config: its configuration.
      adapted: further values of its configuration that follow from its size: tuned ones, or a hidden size that keeps a budget.
    """

    varied: dict[str, Any]
    config: Config
    adapted: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its directory below the sweep's: what it varies, such as ``embedding_dim=16,seed=0``; a one-hot table has no size to choose."""
        named = {path: value for path, value in self.varied.items() if not (path == SIZE and self.table == "onehot")}
        values = ((path.split(".")[1], str(value)) for path, value in named.items())
        return ",".join(f"{name}={re.sub(r'[^A-Za-z0-9_.+-]', '_', value)}" for name, value in values)

    @property
    def table(self) -> str:
        """What its table is: ``learned``, or that of a baseline."""
        return self.varied.get(TABLE, "learned")

    @property
    def without_seed(self) -> dict[str, Any]:
        """What it varies but for the seed: a size, or a baseline, under one setting."""
        return {path: value for path, value in self.varied.items() if path != SEED}

    @property
    def setting(self) -> dict[str, Any]:
        """Its values of the further fields: members that share them are compared with each other."""
        return config_lib.setting_of(self.varied)

    @property
    def length(self) -> Length:
        """How long it is asked to train; what epochs come to, its data tells."""
        return Length(self.config.train.steps, self.config.train.epochs)

    def adapt(self, values: Mapping[str, Any]) -> Member:
        """Returns the member with further values of its configuration. Raises UserError where they make no sense."""
        config = config_lib.replace(self.config, values)
        validate(config)
        return Member(self.varied, config, {**self.adapted, **values})


def make_baselines(base: Config, axes: Axes, kinds: Sequence[str], vocabulary_size: Callable[[Config], int]) -> list[Member]:
    """Returns the members that learn no table, for every seed and further axis of the sweep.

    Args:
      base: what the members share.
      axes: of the sweep.
      kinds: ``frozen``, a table of the largest size, and ``onehot``, one of as many columns as symbols.
      vocabulary_size: counts the symbols of the larger vocabulary, which a further axis may change.
    """
    others = {path: values for path, values in axes.items() if path not in (SIZE, *SIDES)}
    members = []
    for kind in kinds:
        if kind == "onehot":
            sizes: dict[str, Any] = {}
            unused = dict.fromkeys(SIDES)
        else:
            given = config_lib.get(base, SIZE)
            largest = {path: max(given if size is None else size for size in axes[path]) for path in (SIZE, *SIDES) if path in axes}
            sizes = {SIZE: given, **largest}
            unused = {}
        if base.model.pretrained is not None:
            unused = {**unused, "model.pretrained": None, "model.pretrained_frozen_steps": 0}
        fixed = {TABLE: (kind,), **{path: (value,) for path, value in sizes.items()}}
        for member in make_members(config_lib.replace(base, unused), {**fixed, **others}):
            own = {SIZE: vocabulary_size(member.config)} if kind == "onehot" else {}
            members.append(Member({**member.varied, **own}, config_lib.replace(member.config, own), unused))
    return members


def check_distinct(members: Sequence[Member]) -> None:
    """Raises UserError where the swept size reaches no table, two members have the same tables, or an axis changes no member.

    In each case what was never trained would be compared.
    """
    seen: dict[Config, Member] = {}
    for member in members:
        config = member.config
        columns = _columns(config)
        given = [f"{path}={columns[path]}" for path in columns if config_lib.get(config, path) is not None]
        if SIZE in member.varied and len(given) == len(columns):
            every = f"{' and '.join(given)} {'set' if len(given) > 1 else 'sets'} every table"
            instead = (
                "one of these alone: --embedding_dims are the sizes of the other table then" if len(given) > 1 else "to leave that out"
            )
            raise UserError(f"{SIZE}: its sizes (--embedding_dims) have no effect, since {every}; expected {instead}")
        network = config_lib.replace(config, {SIZE: 1, **columns})  # with every table's size said once
        other = seen.setdefault(network, member)
        if other is not member:
            raise UserError(
                f"sweep: {other.name} and {member.name} are one and the same network; expected axes that give tables of other sizes"
            )
    for path in members[0].varied:
        _check_effect(path, members)


def _check_effect(path: str, members: Sequence[Member]) -> None:
    """Raises UserError where all members that differ in the field at ``path`` alone are the same run, as where nothing reads it."""
    alike: dict[str, list[Member]] = {}
    for member in members:
        alike.setdefault(setting_key({other: value for other, value in member.varied.items() if other != path}), []).append(member)
    if all(len(group) > 1 and len({_as_read(member.config) for member in group}) == 1 for group in alike.values()):
        first, second, *_ = next(iter(alike.values()))
        raise UserError(f"{path}: {first.name} and {second.name} are one and the same run; expected values that make a difference to it")


def _columns(config: Config) -> dict[str, int]:
    return {f"model.{side}_embedding_dim": configured_width(config.model, side) for side in KINDS[config.model.kind].sides}


def _as_read(config: Config) -> Config:
    """Returns the configuration with everything said once, in one way, and what nothing reads beside the others at its default."""
    kind, data, model = KINDS[config.model.kind], config.data, config.model
    once = {SIZE: 1, **_columns(config), "train.metric": metric_of(config).name}
    if kind.form == "pairs":
        once["model.encoder_hidden_dim"] = model.encoder_dim
    unread = [f"data.{split}_fraction" for split in HELD_OUT if split not in cut_splits(config)]
    unread += ["data.bpe_size"] if "bpe" not in (data.source_unit, data.target_unit) else []
    unread += ["model.residual"] if max(model.encoder_layers, model.decoder_layers) == 1 else []
    defaults = {path: config_lib.field_of(path).default for path in unread}
    return config_lib.replace(config, {**once, **defaults})


def make_members(base: Config, axes: Axes) -> list[Member]:
    """Returns the members in the order of the axes, each validated.

    Raises UserError for a senseless or repeated member, and for members that no metric compares.
    """
    members = []
    for values in itertools.product(*axes.values()):
        varied = dict(zip(axes, values, strict=True))
        config = config_lib.replace(base, varied)
        validate(config)
        members.append(Member(varied, config))
    seen: dict[str, Member] = {}
    for member in members:
        if len(member.name) > _LONGEST_NAME:
            raise UserError(
                f"sweep: a member's directory would be called {member.name[:60]}... ({len(member.name)} characters); expected values that "
                f"come to at most {_LONGEST_NAME}, such as paths from a folder nearer to the files"
            )
        if member.name in seen:
            raise UserError(f"sweep: two members are both called {member.name}; expected distinct values")
        seen[member.name] = member
    metrics = sorted({metric_of(member.config).name for member in members})
    if len(metrics) > 1:
        raise UserError(f"sweep: its members would be scored by {' and by '.join(metrics)}; expected one metric, or a sweep for each")
    return members
