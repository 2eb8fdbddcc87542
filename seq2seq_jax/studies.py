"""The studies of ``launch.py embeddings`` but ``trace``, which needs the network: what each answers, an example, and the flags it takes.

Each stands in a file of its own, in ``embeddings/`` or, where it reads a whole sweep, in ``compare/``; its ``run(options)`` is imported
when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

from seq2seq_jax.command import Option, Verb
from seq2seq_jax.files import check_figure
from seq2seq_jax.interpreter import keep_numpy_to_one_thread

TABLE = Option("table", "which table of a translator; default: the source's", choices=("source", "target"))
FORMAT = Option("format", "what is printed", "table", ("table", "json"))
K = Option("k", "neighbours of a symbol", 10, kind=int, low=1)
FORMS = ("word2vec", "word2vec-binary", "projector", "npz")
ESCAPED = r"; a blank or line end as it is or escaped: \n, \u0020"


def _study(
    module: str,
    summary: str,
    example: str,
    *options: Option,
    operands: tuple[str, ...] = (),
    reads: str = "a run",
    one_thread: bool = True,
) -> tuple[str, Verb]:
    """Returns the name of a study and its verb.

    Args:
      module: named like the study; its ``run(options)`` gets the values by the name of the flag.
      summary: one line.
      example: the flags of one.
      options: its flags besides the workdir.
      operands: flags that may also be given by their place.
      reads: what the workdir holds.
      one_thread: false where matrices are so large that NumPy does better with all cores.
    """
    name = module.rpartition(".")[2]

    def run(values: Any) -> int:
        """Runs the study with the flags as absl has read them; returns the exit code. Raises UserError where they make no sense."""
        if one_thread:
            keep_numpy_to_one_thread()
        given = {flag: values[flag].value for flag in values}
        check_figure(given.get("figure"))
        importlib.import_module(f"seq2seq_jax.{module}").run(given)
        return 0

    workdir = Option("workdir", f"directory of {reads}")
    return name, Verb(summary, f"embeddings {name} {example}", (workdir, *options), run, operands)


STUDIES = dict(
    [
        _study(
            "embeddings.neighbours",
            "the symbols nearest to one",
            "--workdir=runs/a --symbol=a",
            Option("symbol", f"the symbol{ESCAPED}", required=True),
            K,
            TABLE,
            FORMAT,
        ),
        _study(
            "embeddings.analogy",
            "a is to b as c is to what",
            "--workdir=runs/a b p d",
            *(Option(name, f"symbol; a, b and c may be given without flags, in this order{ESCAPED}", required=True) for name in "abc"),
            K,
            TABLE,
            FORMAT,
            operands=("a", "b", "c"),
        ),
        _study(
            "embeddings.map",
            "a picture of the trained rows on their two principal components",
            "--workdir=runs/a --figure=map.svg",
            Option("figure", "file to write, SVG", required=True),
            TABLE,
        ),
        _study("embeddings.spectrum", "singular values, effective rank, directions that are used", "--workdir=runs/a", TABLE, FORMAT),
        _study("embeddings.norms", "length and movement of rows against their frequency", "--workdir=runs/a", TABLE, FORMAT),
        _study(
            "compare.stability",
            "nearest neighbours that the seeds of a sweep have in common",
            "--workdir=runs/s",
            K,
            TABLE._replace(help="which table of a translator; default: both"),
            FORMAT,
            reads="a sweep",
        ),
        _study(
            "embeddings.pip_loss",
            "the size of word vectors estimated from their text, without a sweep",
            "--workdir=runs/a",
            FORMAT,
            one_thread=False,
        ),
        _study(
            "embeddings.export",
            "writes the whole table for other tools, also specials and rows never trained; symbols escaped where a file cannot hold them",
            "--workdir=runs/a --format=word2vec --output=vectors.txt",
            Option("format", "form of the file; projector: a folder for TensorBoard", "word2vec", FORMS),
            Option("output", "file to write, or folder", required=True),
            TABLE,
        ),
    ]
)
