"""What a sweep is to train: the members asked for now and earlier, checked against what its directory holds already.

Read next: ``axes.py`` and ``members.py`` for what they are, ``sweep.py``, which trains them.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import FORMAT_VERSION, SEED, Config, in_order
from seq2seq_jax.data.raw_splits import has_dev, with_absolute_paths
from seq2seq_jax.errors import UserError
from seq2seq_jax.json_files import write_json
from seq2seq_jax.records import CONFIG_FILE, SWEEP_FILE, SweepRecord, damaged_sweep, read_sweep_record
from seq2seq_jax.sweep import budget, tuning
from seq2seq_jax.sweep.axes import Axes, merged_axes
from seq2seq_jax.sweep.design import Design
from seq2seq_jax.sweep.members import Member, check_distinct, make_baselines, make_members
from seq2seq_jax.sweep.same_data import check_same_data
from seq2seq_jax.sweep.shared_corpus import vocabulary_sizes
from seq2seq_jax.sweep.tuning import Tuning
from seq2seq_jax.train.pretrained import check_width


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a sweep is to train.

    Attributes:
      folder: the sweep's directory.
      config: what the members share; its paths are absolute.
      members: every run that is compared, with the tuned values chosen for its size so far.
      design: what is compared beside the axes.
      tuning: what has been chosen for each size; None before anything is.
      recorded: names of the members that sweep.json had when this was planned. A frozen table, which has the largest size, may have
        another name now.
    """

    folder: pathlib.Path
    config: Config
    members: list[Member]
    design: Design
    tuning: Tuning | None = None
    recorded: frozenset[str] = frozenset()

    @property
    def tuning_runs(self) -> list[Member]:
        """The runs, in ``tuning/``, that choose tuned values for the sizes that have none yet."""
        return tuning.new_runs(self.members, self.design.tune, self.tuning)

    def tuned(self, chosen: Tuning) -> Plan:
        """Returns the plan with the values that are chosen now."""
        return dataclasses.replace(self, members=tuning.tuned(self.members, chosen), tuning=chosen)

    def check_current(self) -> None:
        """Raises UserError where another process has grown or tuned the sweep since it was planned; under the sweep's lock."""
        now: SweepRecord = _read(self.folder) or {"members": []}
        added = {entry["name"] for entry in now["members"]} - {member.name for member in self.members} - self.recorded
        if added or Tuning.recorded(now) != self.tuning:
            raise UserError(f"--workdir={self.folder}: another process has worked on this sweep meanwhile; give the command again")

    def write(self, command: str | None) -> None:
        """Writes sweep.json; ``command`` is the command line as typed, for the report; None where there is none."""
        learned = [member.varied for member in self.members if member.table == "learned"]  # some: baselines stand beside sizes
        axes = {path: sorted({varied[path] for varied in learned}, key=in_order) for path in learned[0]}
        earlier: SweepRecord = _read(self.folder) or {"members": []}
        commands = dict.fromkeys([*earlier.get("earlier_commands", ()), earlier.get("command")])
        record = SweepRecord(
            format=FORMAT_VERSION,
            command=command or None,
            directory=os.fsencode(os.getcwd()).decode(errors="replace"),  # one that JSON cannot hold is found nowhere
            earlier_commands=[other for other in commands if other and other != command],
            axes=axes,
            design=self.design.to_json(),
            tuning=None if self.tuning is None else dataclasses.asdict(self.tuning),
            members=[_entry(member) for member in self.members],
            config=dataclasses.asdict(self.config),
        )
        write_json(self.folder / SWEEP_FILE, record)


def _entry(member: Member) -> dict[str, Any]:
    return {"name": member.name, "varied": member.varied, "table": member.table, "adapted": member.adapted}


def make_plan(config: Config, axes: Axes, workdir: str, design: Design) -> Plan:
    """Plans the sweep in ``workdir``: every combination of the values asked for now and earlier.

    A sweep without an axis of seeds has one all the same, of the configuration's seed, so that more can be added to it.

    Raises UserError where an earlier sweep there has another configuration or has read other data, or the design cannot be met.
    """
    folder, config = pathlib.Path(workdir), with_absolute_paths(config)
    axes = axes if SEED in axes else {**axes, SEED: (config.train.seed,)}
    design.check(config, axes)
    earlier = _read(folder)
    if earlier is not None:
        _check_same(earlier, config, axes, design, workdir)
        axes, design = merged_axes(earlier["axes"], axes), design.with_recorded(earlier)
    chosen = Tuning.recorded(earlier)
    members = make_members(config, axes)
    check_distinct(members)
    if design.baselines:
        members += make_baselines(config, axes, design.baselines, lambda own: max(vocabulary_sizes(own).values()))
    check_same_data(members, tuning.every_run(members, design.tune, chosen), workdir)
    if design.budget == "parameters":
        _check_smallest(earlier, members)
        members = budget.equal_parameters(members)
        budget.check_tuned(members[0].config, design.tune)
    members = [dataclasses.replace(member, config=with_absolute_paths(member.config)) for member in members]  # an axis may hold files
    for member in members:
        check_width(member.config)
        if not has_dev(member.config):
            raise UserError("data.dev_fraction=0: a sweep compares sizes on dev; expected a share above 0, or a file in data.dev")
    recorded = frozenset(entry["name"] for entry in (earlier or {"members": []})["members"])
    return Plan(folder, config, tuning.tuned(members, chosen), design, chosen, recorded)


def _read(folder: pathlib.Path) -> SweepRecord | None:
    """Returns the content of sweep.json, None where there is none yet. Raises UserError where it is damaged, or this is a run's place."""
    path = folder / SWEEP_FILE
    if (folder / CONFIG_FILE).exists():
        raise UserError(f"--workdir={folder}: this is the directory of one run; expected another one for a sweep")
    if not path.exists():
        return None
    record = read_sweep_record(path, "axes", "config")
    try:
        config_lib.from_dict(record["config"])
    except UserError as error:
        raise damaged_sweep(path, error) from None
    return record


def _check_same(earlier: SweepRecord, config: Config, axes: Axes, design: Design, workdir: str) -> None:
    """Raises UserError where the sweep in ``workdir`` was made with another configuration, other axes or another design."""
    before = config_lib.from_dict(earlier["config"])
    changed = config_lib.differences(before, config, ignore=(*config_lib.MAY_CHANGE, *axes, *earlier["axes"]))
    if changed or set(axes) != set(earlier["axes"]):
        named = config_lib.changes(before, config, changed) or ", ".join(sorted(set(axes) ^ set(earlier["axes"])))
        raise UserError(f"--workdir={workdir}: the sweep here has another configuration: {named}; expected the same, or another workdir")
    design.check_same(earlier.get("design", {}), workdir)


def _check_smallest(earlier: SweepRecord | None, members: Sequence[Member]) -> None:
    """Raises UserError where a new, smaller size would change the hidden sizes that earlier members were planned with."""
    before = {entry["name"] for entry in (earlier or {"members": []})["members"]}
    planned = [member for member in members if member.name in before]
    for member in planned:
        was, now = budget.smallest_beside(member, planned), budget.smallest_beside(member, members)
        if was.config.model != now.config.model:
            raise UserError(
                f"--budget=parameters: the members here were matched to the parameters of the smallest, {was.name}; expected no smaller "
                "size, or another workdir"
            )
