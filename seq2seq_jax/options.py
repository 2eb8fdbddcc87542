"""What a verb of the command and its flags are. ``command.py`` runs them; ``launch.py`` and the studies name theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Option(NamedTuple):
    """A flag.

    Attributes:
      name: without dashes.
      help: its meaning.
      default: None where there is none.
      choices: the texts it may have; none: any.
      required: whether it must be given, besides the workdir.
      kind: of its values: ``str``, ``int``, ``float`` or ``bool``.
      low: least value of a number, where there is one.
      high: largest value, likewise.
      multiple: whether it may be given several times; its value is the list of them.
    """

    name: str
    help: str
    default: Any = None
    choices: tuple[str, ...] = ()
    required: bool = False
    kind: type = str
    low: float | None = None
    high: float | None = None
    multiple: bool = False


class Verb(NamedTuple):
    """What ``launch.py VERB`` does.

    Attributes:
      summary: one line.
      example: of its use, without ``launch.py``.
      options: its flags.
      run: hands over to a package and returns the exit code; is given the flags as absl has read them (``flags.FlagValues``).
      operands: flags that may be given by their place too.
      resumes: whether the same command, stopped, goes on from where it was.
      remark: what the help says of all its flags.
    """

    summary: str
    example: str
    options: tuple[Option, ...]
    run: Callable[[Any], int]
    operands: tuple[str, ...] = ()
    resumes: bool = False
    remark: str = ""
