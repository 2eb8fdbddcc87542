"""Whether the data is still what the runs of a sweep began with: the same content, wherever it lies now."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Sequence

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config
from seq2seq_jax.data.corpus import corpus_key
from seq2seq_jax.data.raw_splits import data_sha256
from seq2seq_jax.errors import UserError
from seq2seq_jax.files import sha256_of
from seq2seq_jax.json_files import write_json
from seq2seq_jax.records import CONFIG_FILE, TUNING_FOLDER
from seq2seq_jax.sweep.members import Member
from seq2seq_jax.train.run_directory import Locked, RunDirectory, changed_data


def check_same_data(members: Sequence[Member], tuning_runs: Sequence[Member], workdir: str) -> None:
    """Raises UserError where a member or tuning run that has begun has read other data than it would read now.

    Data that cannot be read now is not compared: what the members have reached is shown without it, and training says what is wrong.
    """
    folder = pathlib.Path(workdir)
    places = [(folder / member.name, member.config) for member in members]
    places += [(folder / TUNING_FOLDER / run.name, run.config) for run in tuning_runs]
    known: dict[Config, dict[str, str] | None] = {}
    for place, config in places:
        record = RunDirectory(place).record()
        if record is None:
            continue
        now = _sha256_now(config, known)
        changed = [] if now is None else changed_data(record.data_sha256, now)
        if changed:
            named = ", ".join(_with_file(config, name) for name in changed)
            raise UserError(
                f"--workdir={workdir}: the data has changed since the sweep began: {named}; expected the same data, or another workdir"
            )


def record_places(members: Sequence[Member], folder: pathlib.Path) -> None:
    """Writes where the data lies now into the config.json of finished members, which training would: they are used from there on.

    Only where that is known to be the same data.
    """
    known: dict[Config, dict[str, str] | None] = {}
    for member in members:
        run = RunDirectory(folder / member.name)
        record = run.record() if run.finished() is not None else None
        now = {path: config_lib.get(member.config, path) for path in config_lib.FILES}
        if record is None or all(config_lib.get(record.config, path) == place for path, place in now.items()):
            continue
        moved = config_lib.replace(record.config, now)
        if _sha256_now(moved, known) == record.data_sha256:
            with contextlib.suppress(Locked), run.locked():  # who works there writes it
                write_json(run.path / CONFIG_FILE, dataclasses.replace(record, config=moved).to_json())


def _sha256_now(config: Config, known: dict[Config, dict[str, str] | None]) -> dict[str, str] | None:
    """Returns the hash of every file that a run reads, by the names in its config.json; None where one cannot be read.

    ``known`` keeps them: members share their data, unless it is an axis.
    """
    read = config_lib.replace(corpus_key(config), {"model.pretrained": config.model.pretrained})
    if read not in known:
        known[read] = _digests(read)
    return known[read]


def _digests(config: Config) -> dict[str, str] | None:
    try:
        digests = data_sha256(config)
        if config.model.pretrained is not None:
            digests["pretrained"] = sha256_of(config.model.pretrained)
    except (UserError, OSError):
        return None
    return digests


def _with_file(config: Config, name: str) -> str:
    file = config.model.pretrained if name == "pretrained" else config_lib.get(config, f"data.{name}")
    return name if file is None else f"{name} ({file})"
