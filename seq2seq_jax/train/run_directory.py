"""A run directory: where each file lies, and who may write there."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import importlib.metadata
import os
import pathlib
import platform
import time
from collections.abc import Generator, Mapping
from typing import IO, Any

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config
from seq2seq_jax.data.vocabulary import Vocabulary
from seq2seq_jax.errors import Unreadable, UserError
from seq2seq_jax.files import unfinished_name
from seq2seq_jax.json_files import write_json
from seq2seq_jax.kinds import KINDS
from seq2seq_jax.length import CHECKPOINTS
from seq2seq_jax.records import CONFIG_FILE, RESULT_FILE, TRACEBACK_FILE, RunRecord, no_run, read_config, read_result

LOCK_SECONDS = 3.0  # waited for a lock: ``launch.py status`` holds it for an instant, and a killed process until it is gone


class Locked(UserError):
    """Another process is working on the run."""


class Gone(UserError):
    """The directory was removed or moved while this process worked on the run."""


def _lock(file: IO[str]) -> bool:
    """Takes the kernel's lock; waits for ``LOCK_SECONDS`` where another process holds it. Returns whether it has got it."""
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)


def _this_process() -> str:
    return f"{platform.node()} {os.getpid()}"


def versions() -> dict[str, str]:
    """Returns the versions of what computes the result."""
    packages = {name: importlib.metadata.version(name) for name in ("jax", "flax", "optax", "numpy")}
    return {"python": platform.python_version(), **packages}


def changed_data(recorded: Mapping[str, str], current: Mapping[str, str]) -> list[str]:
    """Returns the names of splits and fields whose file has another sha256 than recorded, or was or is not there."""
    return sorted(name for name in {*recorded, *current} if recorded.get(name) != current.get(name))


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """The files of one run."""

    path: pathlib.Path

    @property
    def checkpoints(self) -> pathlib.Path:
        """Folder of the checkpoints."""
        return self.path / CHECKPOINTS

    @property
    def result_file(self) -> pathlib.Path:
        """What comparing reads."""
        return self.path / RESULT_FILE

    @property
    def traceback_file(self) -> pathlib.Path:
        """Where an error came from that its message does not explain."""
        return self.path / TRACEBACK_FILE

    @property
    def _lock_file(self) -> pathlib.Path:
        return self.path / ".lock"

    @contextlib.contextmanager
    def locked(self) -> Generator[None, None, None]:
        """Holds the kernel's lock on the run, which ends with the process.

        Raises Locked where another keeps it, UserError where there can be no such directory, or nothing can be written there.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = open(self._lock_file, "a")  # noqa: SIM115  closed below; not emptied, since another may hold it
        except OSError as error:
            raise UserError(f"--workdir={self.path}: {error.strerror}; expected a directory that can be written to") from None
        with file:
            if not _lock(file):
                holder = f" ({named})" if (named := self.holder()) else ""
                raise Locked(f"--workdir={self.path}: another process is working on it{holder}; wait for it or stop it")
            file.truncate(0)
            file.write(_this_process())
            file.flush()
            yield

    def check_held(self) -> None:
        """Raises Gone where the directory that this process has locked was removed or moved, whoever has made another in its place."""
        try:
            holder = self._lock_file.read_text()
        except (FileNotFoundError, NotADirectoryError):
            holder = ""
        if holder != _this_process():
            raise Gone(f"--workdir={self.path}: was removed or moved while this was working there; expected it to stay until the end")

    def holder(self) -> str | None:
        """Returns which process holds the lock, nothing of it where it has not said so yet; None where none does.

        The test lasts an instant and is shared, so that it stops nobody.
        """
        try:
            with open(self._lock_file) as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return file.read()
        except OSError:
            return None
        return None

    def record(self) -> RunRecord | None:
        """Returns what config.json says, or None where the run has not begun. Raises UserError where it is no such file."""
        path = self.path / CONFIG_FILE
        try:
            return read_config(path) if path.exists() else None
        except OSError as error:
            raise Unreadable.of(path, error) from None
        except Unreadable:
            raise
        except UserError as error:
            raise UserError(f"{error}; where it is damaged, remove it: the command that trained the run writes it again") from None

    def begun(self) -> RunRecord:
        """Returns what config.json says. Raises UserError where there is no run."""
        record = self.record()
        if record is None:
            raise no_run(self.path, CONFIG_FILE)
        return record

    def check(self, record: RunRecord, config: Config, data_sha256: Mapping[str, str]) -> None:
        """Raises UserError where an earlier start has recorded another configuration, naming the fields, or other data."""
        changed = config_lib.differences(record.config, config, ignore=config_lib.MAY_CHANGE)
        if changed:
            values = config_lib.changes(record.config, config, changed)
            raise UserError(
                f"--workdir={self.path}: the run here has another configuration: {values}; expected the same, or another workdir"
            )
        names = changed_data(record.data_sha256, data_sha256)
        if names:
            raise UserError(
                f"--workdir={self.path}: the data has changed since the run began: {', '.join(names)}; "
                "expected the same data, or another workdir"
            )

    def check_vocabularies(self, vocabularies: Mapping[str, Vocabulary]) -> None:
        """Raises UserError where an earlier start has given the rows of a table to other symbols, as another version of a library may."""
        for side, vocabulary in vocabularies.items():
            if (before := self._vocabulary(side)) is not None and not before.reads_like(vocabulary):
                raise UserError(
                    f"--workdir={self.path}: the {side} vocabulary is not the one that the run began with, although the data is the same: "
                    "another version of Python or of tokenizers parts it differently; expected the versions of before, or another workdir"
                )

    def begin(self, record: RunRecord, vocabularies: Mapping[str, Vocabulary]) -> None:
        """Writes what must be there before step 0, and removes the halves of files that killed processes have left."""
        for left in self.path.glob(f"**/{unfinished_name('*', '*')}"):
            if left.is_file():
                left.unlink(missing_ok=True)
        for side, vocabulary in vocabularies.items():
            vocabulary.save(self.path, side)
        write_json(self.path / CONFIG_FILE, record.to_json())

    def _vocabulary(self, side: str) -> Vocabulary | None:
        """Returns a stored vocabulary; None where there is none, or a damaged one."""
        try:
            return Vocabulary.load(self.path, side)
        except UserError:
            return None

    def vocabularies(self, kind: str) -> dict[str, Vocabulary]:
        """Returns the vocabularies of a run with this kind of model, by side."""
        return {side: Vocabulary.load(self.path, side) for side in KINDS[kind].sides}

    def result(self) -> dict[str, Any] | None:
        """Returns the content of result.json, or None where there is none, or a damaged one: the run can make it again."""
        return read_result(self.result_file)

    def finished(self) -> dict[str, Any] | None:
        """Returns the content of result.json where the run has finished, else None."""
        result = self.result()
        return result if result is not None and result["status"] == "finished" else None
