"""What is kept of a member that has finished, so that a sweep needs a bounded part of the disk."""

from __future__ import annotations

import pathlib

from seq2seq_jax.length import newest_checkpoint
from seq2seq_jax.train.checkpoints import Checkpoints
from seq2seq_jax.train.run_directory import RunDirectory


def thin(run: pathlib.Path, keep: str | None) -> None:
    """Removes the checkpoints of a finished run but the ``best`` or the ``last`` one; None keeps both.

    An unfinished run stays whole, and so does one that has begun a longer training since it finished.
    """
    directory = RunDirectory(run)
    result = directory.finished()
    if keep is None or result is None or newest_checkpoint(run) > result["steps"]:
        return
    kept = {"best": [result["best_step"]], "last": [result["steps"]], "none": []}[keep]
    Checkpoints(directory.checkpoints).keep(kept)
