"""The file of ``translate --attention``: where the attention of each output looked, and a picture of the first."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from seq2seq_jax.errors import UserError
from seq2seq_jax.files import check_place, writing

_DEVICES = (pathlib.Path("/dev"), pathlib.Path("/dev/fd"))  # where no picture belongs beside what is written to


@dataclasses.dataclass(frozen=True)
class Attended:
    """Where the attention looked: ``weights[t, s]`` is the weight of source symbol s when output symbol t was predicted.

    Symbols are given by their text, as ``texts_of`` has it.
    """

    source: list[str]
    output: list[str]
    weights: Float[np.ndarray, "T S"]


def check_attention_file(path: pathlib.Path) -> None:
    """Raises UserError where attention, or its picture, cannot be written to ``path``; before there is any."""
    if path.suffix == ".svg":
        raise UserError(f"--attention={path}: that is the name of the picture; expected another ending, such as .json")
    for file in filter(None, (path, _picture_of(path))):
        check_place("--attention", file)


def write_attention(path: pathlib.Path, found: Sequence[Attended | None]) -> pathlib.Path | None:
    """Writes the attention of each output as a line of JSON, of no symbols where there is none, and beside it a picture of the first.

    Returns:
      The picture's path, which is ``path`` with the ending .svg; None where there is none.

    Raises:
      UserError: one of them cannot be written.
    """
    nothing = Attended([], [], np.zeros((0, 0)))
    attended = [one or nothing for one in found]
    rows = ({"source": one.source, "output": one.output, "weights": one.weights.astype(np.float64).round(6).tolist()} for one in attended)
    drawn, picture = next((one for one in attended if one.source), None), _picture_of(path)
    # To a device it is added, since /dev/stdout may be a file that has the answers.
    with writing("--attention", path), open(path, "a" if picture is None else "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if drawn is None or picture is None:
        return None
    from seq2seq_jax.inference.attention_picture import attention_svg  # Matplotlib takes its time

    with writing("--attention", picture):
        picture.write_text(attention_svg(drawn.source, drawn.output, drawn.weights), encoding="utf-8")
    return picture


def _picture_of(path: pathlib.Path) -> pathlib.Path | None:
    """Returns the picture's place beside the file; none beside a pipe or a device, such as /dev/stdout."""
    is_file = path.is_file() or not path.exists()
    return path.with_suffix(".svg") if is_file and path.absolute().parent not in _DEVICES else None
