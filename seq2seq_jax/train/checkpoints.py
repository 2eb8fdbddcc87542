"""Checkpoints on disk. The only file that imports orbax.

A checkpoint is a directory ``<step>/``, written beside its place and moved there whole, so a process killed
during a save leaves the ones before untouched. It holds host arrays, so it can be read on any kind or number of devices, and a
digest of them, so that damage is found and not trained on.
"""

from __future__ import annotations

import hashlib
import pathlib
import shutil
from collections.abc import Callable, Collection
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from seq2seq_jax.train.state import TrainState


class DamagedCheckpoint(Exception):
    """A checkpoint that cannot be read back as it was written."""


def _digest(tree: Any) -> str:
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        digest.update(f"{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape}".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, folder: pathlib.Path):
        """Opens ``folder``, which need not exist yet."""
        self.folder = folder.absolute()

    def steps(self) -> list[int]:
        """Returns the steps that have a checkpoint, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdigit())

    def save(self, state: TrainState, progress: dict[str, Any]) -> None:
        """Writes a host state and, as JSON values, what the loop must remember with it."""
        path = self.folder / str(int(state.step))
        ocp.save(path, state, custom_metadata={"digest": _digest(state), "progress": progress}, overwrite=True)

    def load(self, step: int, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Returns the state and progress saved at ``step``, in the structure of ``like``. Raises DamagedCheckpoint."""
        path = self.folder / str(step)
        abstract = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), like)
        try:
            metadata = ocp.metadata(path).custom_metadata
            state = ocp.load(path, abstract)
        except Exception as error:  # orbax, tensorstore, json and zstd each raise their own
            raise DamagedCheckpoint(f"{path}: {type(error).__name__}") from error
        if not isinstance(metadata, dict) or metadata.get("digest") != _digest(state):
            raise DamagedCheckpoint(f"{path}: its content is not what was written")
        return state, metadata["progress"]

    def load_newest(self, like: TrainState, warn: Callable[[str], None]) -> tuple[TrainState, dict[str, Any]] | None:
        """Returns the newest checkpoint that can be read, naming each damaged one to ``warn``; None where there is none."""
        for step in reversed(self.steps()):
            try:
                return self.load(step, like)
            except DamagedCheckpoint as error:
                warn(f"damaged checkpoint skipped: {error}")
        return None

    def keep(self, steps: Collection[int]) -> None:
        """Removes every checkpoint but those of ``steps``, and what a killed save has left."""
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if not (path.name.isdigit() and int(path.name) in steps):
                shutil.rmtree(path, ignore_errors=True)
