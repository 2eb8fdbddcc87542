"""What a flag of the command is. ``command.py`` makes absl's flags of them; the verbs in ``launch.py`` and the studies name theirs."""

from __future__ import annotations

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
