"""How files are written that the user names: where they are named, and with one line where that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seq2seq_jax.errors import UserError


def write_file(write: Callable[[], Any], flag: str, path: str) -> None:
    """Calls ``write``. Raises UserError, naming the ``flag``, where the file cannot be written."""
    try:
        write()
    except OSError as error:
        raise UserError(f"{flag}={path}: cannot be written: {error.strerror}; expected a place for a file") from None
