"""Checkpoints on disk. The only file that imports orbax.

A checkpoint is a directory ``<step>/``, written beside its place and moved there whole, so a process killed
during a save leaves the ones before untouched. It holds host arrays, so it can be read on any kind or number of devices, and a
list of its files with their sha256, by which damage is found before it is read.
"""

from __future__ import annotations

import errno
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Collection
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from seq2seq_jax.errors import UserError
from seq2seq_jax.files import sha256_of
from seq2seq_jax.json_files import write_json
from seq2seq_jax.train.state import TrainState

_LIST = "files.json"


class DamagedCheckpoint(Exception):
    """A checkpoint that cannot be read back as it was written."""


def _digests(folder: pathlib.Path) -> dict[str, str]:
    """Returns the sha256 of every file of a checkpoint but the list of them."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != _LIST)
    return {str(path.relative_to(folder)): sha256_of(path) for path in files}


def _check(folder: pathlib.Path) -> None:
    """Raises DamagedCheckpoint where a file is missing or not as it was written. Reading on would end somewhere inside tensorstore.

    What cannot be read for another reason, such as too many open files, is no damage: falling back to an older one would lose work.
    """
    try:
        expected = json.loads((folder / _LIST).read_text(encoding="utf-8"))
        actual = _digests(folder)
    except (FileNotFoundError, ValueError) as error:
        raise DamagedCheckpoint(f"{folder}: its list of files, {_LIST}, is missing or broken") from error
    if not isinstance(expected, dict):
        raise DamagedCheckpoint(f"{folder}: its list of files, {_LIST}, is broken")
    for name in {**expected, **actual}:
        if actual.get(name) != expected.get(name):
            raise DamagedCheckpoint(f"{folder / name}: {'not as it was written' if name in actual else 'missing'}")


def _check_shapes(folder: pathlib.Path, saved: Any, like: TrainState) -> None:
    """Raises UserError where an array has not the shape that it must have. Orbax would cut it, or fill it up with zeros."""
    actual, expected = (
        {
            jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape)
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        }
        for tree in (saved, like)
    )
    for name in {**expected, **actual}:
        if actual.get(name) != expected.get(name):
            raise UserError(f"{folder}: {name} has shape {actual.get(name)}; expected {expected.get(name)}, of this run's configuration")


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, folder: pathlib.Path):
        """Opens ``folder``, which need not exist yet."""
        self.folder = folder.absolute()

    def steps(self) -> list[int]:
        """Returns the steps that have a checkpoint, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdecimal() and path.is_dir())

    def save(self, state: TrainState, progress: dict[str, Any]) -> None:
        """Writes a host state and, as JSON values, what the loop must remember with it.

        Raises OSError where the disk has no room for it. Orbax, which would find that out half-way, has hundreds of lines to say of it.
        """
        self.folder.mkdir(exist_ok=True)  # not its parents, which are there unless the run was moved away
        for left in self.folder.glob("*.unfinished*"):  # by a killed save; orbax would tell of it
            shutil.rmtree(left, ignore_errors=True)
        if sum(leaf.nbytes for leaf in jax.tree.leaves(state)) > shutil.disk_usage(self.folder).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))
        path = self.folder / str(int(state.step))
        unfinished = path.with_suffix(".unfinished")
        tree: Any = state
        context = ocp.Context()
        context.memory.deepcopy_host_arrays = False  # no array changes before this has returned
        context.array.saving.use_compression = False  # trained numbers would be a twelfth smaller, and take twice as long
        with context:
            ocp.save(str(unfinished), tree, custom_metadata=progress, overwrite=True)
        write_json(unfinished / _LIST, _digests(unfinished))
        shutil.rmtree(path, ignore_errors=True)  # a damaged one that is made again
        unfinished.rename(path)

    def check(self, step: int) -> None:
        """Raises DamagedCheckpoint where that of ``step`` is not as it was written."""
        _check(self.folder / str(step))

    def load(self, step: int, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Returns the state and progress saved at ``step``, in the structure of ``like``.

        Raises DamagedCheckpoint where it is not as it was written, UserError where it is whole and of other shapes.
        """
        path = self.folder / str(step)
        self.check(step)
        saved: Any = ocp.metadata(str(path))
        if saved.metadata is None:  # it is whole: orbax had no thread or no memory to read it with, and does not say so
            raise UserError(f"{path}: cannot be read now; expected room for further threads (ulimit -u) and memory (ulimit -v)")
        _check_shapes(path, saved.metadata, like)
        state: Any = ocp.load(str(path), jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), like))
        return state, saved.custom_metadata

    def load_newest(
        self, like: TrainState, warn: Callable[[str], None], needs: Callable[[dict[str, Any]], int | None] = lambda progress: None
    ) -> tuple[TrainState, dict[str, Any]] | None:
        """Returns the newest checkpoint that can be read; None where there is none.

        Args:
          like: a state of the same structure.
          warn: is told of each damaged one.
          needs: gives, for the progress of one, the step of another without which it is of no use.
        """
        for step in reversed(self.steps()):
            try:
                state, progress = self.load(step, like)
                other = needs(progress)
                if other is not None:
                    self.check(other)
                return state, progress
            except DamagedCheckpoint as error:
                warn(f"damaged checkpoint skipped: {error}")
        return None

    def keep(self, steps: Collection[int]) -> None:
        """Removes every checkpoint but those of ``steps``, and what a killed save has left."""
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if not (path.name.isdecimal() and int(path.name) in steps):
                shutil.rmtree(path, ignore_errors=True)
