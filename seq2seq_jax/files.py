"""How files are written: those of runs and sweeps so that a kill leaves old or new, and those that the user names. Where the cache is."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import tempfile
from collections.abc import Generator

from seq2seq_jax.errors import UserError

CACHE = "SEQ2SEQ_JAX_CACHE"  # names the folder of the cache


def unfinished_name(name: str, process: str) -> str:
    """Returns what a file is called while a process writes it, or with ``*`` the pattern of such names."""
    return f".{name}.{process}.partial"


def write_atomically(path: pathlib.Path, content: str | bytes) -> None:
    """Replaces a file's content in one move, so that neither a kill nor a reader finds half of it. Raises OSError."""
    beside = path.with_name(unfinished_name(path.name, str(os.getpid())))
    try:
        with open(beside, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def sha256_of(path: str | pathlib.Path) -> str:
    """Returns the hash of a file's content, which may be larger than memory. Raises OSError where it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_place(flag: str, path: pathlib.Path) -> None:
    """Raises UserError, naming the ``flag``, where no file can be written to ``path``; before there is anything to write."""
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise UserError(f"{flag}={path}: cannot be written; expected a place for a file, in a folder that exists")


def check_figure(figure: str | None) -> None:
    """Raises UserError where a picture is asked for that is not to be SVG, or in a place where there can be none; before there is any."""
    if figure is None:
        return
    if not figure.lower().endswith(".svg"):
        raise UserError(f"--figure={figure}: expected a name that ends in .svg")
    check_place("--figure", pathlib.Path(figure))


@contextlib.contextmanager
def writing(flag: str, path: str | pathlib.Path) -> Generator[None, None, None]:
    """Raises UserError, naming the ``flag``, where the block cannot write to the ``path`` that the user has given."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{flag}={path}: cannot be written: {error.strerror}; expected a place for a file") from None


def cache_folder() -> pathlib.Path:
    """Returns where downloads and compiled programs are kept: SEQ2SEQ_JAX_CACHE, or the user's usual cache.

    For a user without a home, as in a container, that is the place of temporary files.
    """
    chosen = os.environ.get(CACHE)
    if chosen:
        return pathlib.Path(chosen).absolute()
    usual = os.environ.get("XDG_CACHE_HOME")
    if not usual:
        try:
            usual = pathlib.Path.home() / ".cache"
        except RuntimeError:
            usual = tempfile.gettempdir()
    return pathlib.Path(usual) / "seq2seq_jax"
