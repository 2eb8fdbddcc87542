"""The studies of ``launch.py embeddings`` but ``trace``, which needs the network: what each answers, an example, and the flags it takes.

Each stands in a file of its own, whose ``run(options)`` is imported when it is asked for.
"""

from __future__ import annotations

import importlib
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from seq2seq_jax.errors import UserError
from seq2seq_jax.files import check_place
from seq2seq_jax.interpreter import keep_numpy_to_one_thread
from seq2seq_jax.options import Option

Options = Mapping[str, Any]  # values by the name of the flag


class Study(NamedTuple):
    """What ``launch.py embeddings NAME`` does. ``operands`` are flags that may also be given by their place; ``reads`` is what
    the workdir holds.
    """

    summary: str
    example: str
    options: tuple[Option, ...]
    run: Callable[[Options], None]
    operands: tuple[str, ...] = ()
    reads: str = "a run"


TABLE = Option("table", "which table of a translator; default: the source's", choices=("source", "target"))
FORMAT = Option("format", "what is printed", "table", ("table", "json"))
K = Option("k", "neighbours of a symbol", 10, kind=int, low=1)
FORMS = ("word2vec", "word2vec-binary", "projector", "npz")
ESCAPED = r"; a blank or line end as it is or escaped: \n, \u0020"


def check_figure(figure: str | None) -> None:
    """Raises UserError where a picture is asked for that is not to be SVG, or in a place where there can be none; before there is any."""
    if figure is None:
        return
    if not figure.lower().endswith(".svg"):
        raise UserError(f"--figure={figure}: expected a name that ends in .svg")
    check_place("--figure", pathlib.Path(figure))


def _study(file: str) -> Callable[[Options], None]:
    """Returns what calls ``run(options)`` of a file of this package, imported only then."""
    return lambda options: importlib.import_module(f"seq2seq_jax.embeddings.{file}").run(options)


def _table_study(file: str) -> Callable[[Options], None]:
    """Returns the same for a study of a trained table, whose matrices are small."""

    def run(options: Options) -> None:
        keep_numpy_to_one_thread()
        _study(file)(options)

    return run


STUDIES = {
    "neighbours": Study(
        "the symbols nearest to one",
        "neighbours --workdir=runs/a --symbol=a",
        (Option("symbol", f"the symbol{ESCAPED}", required=True), K, TABLE, FORMAT),
        _table_study("neighbours"),
    ),
    "analogy": Study(
        "a is to b as c is to what",
        "analogy --workdir=runs/a b p d",
        (
            *(Option(name, f"symbol; a, b and c may be given without flags, in this order{ESCAPED}", required=True) for name in "abc"),
            K,
            TABLE,
            FORMAT,
        ),
        _table_study("analogy"),
        ("a", "b", "c"),
    ),
    "map": Study(
        "a picture of the trained rows on their two principal components",
        "map --workdir=runs/a --figure=map.svg",
        (Option("figure", "file to write, SVG", required=True), TABLE),
        _table_study("map"),
    ),
    "spectrum": Study(
        "singular values, effective rank, directions that are used",
        "spectrum --workdir=runs/a",
        (TABLE, FORMAT),
        _table_study("spectrum"),
    ),
    "norms": Study("length and movement of rows against their frequency", "norms --workdir=runs/a", (TABLE, FORMAT), _table_study("norms")),
    "stability": Study(
        "nearest neighbours that the seeds of a sweep have in common",
        "stability --workdir=runs/s",
        (K, TABLE._replace(help="which table of a translator; default: both"), FORMAT),
        _table_study("stability"),
        reads="a sweep",
    ),
    "pip_loss": Study(
        "the size of word vectors estimated from their text, without a sweep",
        "pip_loss --workdir=runs/a",
        (FORMAT,),
        _study("vector_size"),
        reads="a run or of a sweep",
    ),
    "export": Study(
        "writes the whole table for other tools, also specials and rows never trained; symbols escaped where a file cannot hold them",
        "export --workdir=runs/a --format=word2vec --output=vectors.txt",
        (
            Option(
                "format",
                "form of the file; projector: a folder for TensorBoard",
                "word2vec",
                FORMS,
            ),
            Option("output", "file to write, or folder", required=True),
            TABLE,
        ),
        _table_study("export"),
    ),
}
