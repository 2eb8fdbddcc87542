"""What is kept of a member that has finished, so that a sweep needs a bounded part of the disk."""

from __future__ import annotations

import json
import pathlib
import shutil


def thin(run: pathlib.Path, keep: str | None) -> None:
    """Removes the checkpoints of a finished run but the ``best`` or the ``last`` one; None keeps both. An unfinished run stays whole."""
    result_file, folder = run / "result.json", run / "checkpoints"
    if keep is None or not result_file.exists() or not folder.is_dir():
        return
    result = json.loads(result_file.read_text(encoding="utf-8"))
    if result["status"] != "finished":
        return
    kept = {"best": result["best_step"], "last": result["steps"], "none": None}[keep]
    for path in folder.iterdir():
        if path.name != str(kept):
            shutil.rmtree(path)
