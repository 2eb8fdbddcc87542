"""The flow of a gradient through one example, as ``gradient_flow.py`` measures it: what it holds, as JSON, and as tables for a terminal.

Read next: ``flow_picture.py``, which draws it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from seq2seq_jax.data.spelling import texts_of
from seq2seq_jax.data.vocabulary import Vocabulary
from seq2seq_jax.show.symbols import visible
from seq2seq_jax.show.terminal import print_sentence, print_table

MOST_ROWS = 20  # rows of a table that are printed; JSON has all


@dataclasses.dataclass(frozen=True)
class Side:
    """What reaches one sequence of an example.

    Attributes:
      name: ``source`` or ``target``.
      ids: that are read, one a time step.
      layers: by name, from the lookup upward: the norm of the loss's gradient by the layer's pre-activations, at each time step.
    """

    name: str
    ids: Int[np.ndarray, " T"]
    layers: dict[str, Float[np.ndarray, " T"]]


@dataclasses.dataclass(frozen=True)
class Rows:
    """What reaches one table: norms of the gradient by each row.

    Attributes:
      sides: sequences that look symbols up in it, two where they share it.
      lookups: by side, what comes through the lookup.
      softmax: what comes through the output, where that is tied to the table.
      learned: whether the table is trained; the gradient ends before a frozen or one-hot one, whose norms are all 0.
    """

    sides: tuple[str, ...]
    lookups: dict[str, Float[np.ndarray, " V"]]
    softmax: Float[np.ndarray, " V"] | None
    learned: bool


@dataclasses.dataclass(frozen=True)
class Flow:
    """The gradient of a loss through one example.

    Attributes:
      targets: ids that are predicted.
      losses: of each, nats.
      position: the one whose loss is followed, counted from 1; 0: the mean over all.
      sides: the sequences that are read.
      rows: the tables.
      ids_have_gradient: whether the integer ids have one: they never have.
    """

    targets: Int[np.ndarray, " T"]
    losses: Float[np.ndarray, " T"]
    position: int
    sides: list[Side]
    rows: list[Rows]
    ids_have_gradient: bool


def labels(vocabulary: Vocabulary, rows: Int[np.ndarray, " _"]) -> list[str]:
    """Returns the symbols of rows to be read by people."""
    return list(map(visible, texts_of(vocabulary, rows)))


def to_json(flow: Flow, vocabularies: dict[str, Vocabulary]) -> dict[str, Any]:
    """Returns the flow with the symbols' text in the place of ids; of each table all rows with gradient, and how many have none."""
    targets = texts_of(vocabularies["target"], flow.targets)
    return {
        "position": flow.position or None,
        "outputs": [{"symbol": symbol, "loss_nats": float(loss)} for symbol, loss in zip(targets, flow.losses, strict=True)],
        "sequences": {
            side.name: {
                "symbols": texts_of(vocabularies[side.name], side.ids),
                "gradient_norms": {name: norms.tolist() for name, norms in side.layers.items()},
            }
            for side in flow.sides
        },
        "tables": [_rows_json(rows, vocabularies[rows.sides[0]]) for rows in flow.rows],
        "ids_have_gradient": flow.ids_have_gradient,
    }


def _rows_json(rows: Rows, vocabulary: Vocabulary) -> dict[str, Any]:
    parts = _parts(rows)
    reached = np.flatnonzero(np.sum(list(parts.values()), axis=0))
    return {
        "read_by": list(rows.sides),
        "learned": rows.learned,
        "rows": len(vocabulary),
        "rows_without_gradient": {name: int((norms == 0).sum()) for name, norms in parts.items()},
        "gradient_norms": [
            {"row": int(row), "symbol": symbol, **{name: float(norms[row]) for name, norms in parts.items()}}
            for row, symbol in zip(reached, texts_of(vocabulary, reached), strict=True)
        ],
    }


def _parts(rows: Rows) -> dict[str, Float[np.ndarray, " V"]]:
    """Returns the norms by the way they come: the lookup of each side, and the softmax."""
    several = len(rows.lookups) > 1
    parts = {f"{side} lookup" if several else "lookup": norms for side, norms in rows.lookups.items()}
    return parts if rows.softmax is None else {**parts, "softmax": rows.softmax}


def print_flow(flow: Flow, vocabularies: dict[str, Vocabulary]) -> None:
    """Prints the flow, sequence by sequence and table by table."""
    followed = f"the loss of output symbol {flow.position}" if flow.position else f"the mean loss of the {len(flow.targets)} output symbols"
    print_sentence(
        f"Norms of the gradient of {followed}, {_followed_loss(flow):.3f} nats, at each time step: by the row looked up, "
        "by the pre-activations of each recurrent layer, by the logits."
    )
    for side in flow.sides:
        print()
        _print_side(flow, side, vocabularies[side.name])
    for rows in flow.rows:
        print()
        _print_gradients(rows, flow, vocabularies[rows.sides[0]])
    print()
    count = sum(len(side.ids) for side in flow.sides)
    print_sentence(
        f"The integer ids ({count}) carry {'a gradient' if flow.ids_have_gradient else 'no gradient'}: an id is the address of a row."
    )


def _followed_loss(flow: Flow) -> float:
    return float(flow.losses[flow.position - 1] if flow.position else flow.losses.mean())


def _print_side(flow: Flow, side: Side, vocabulary: Vocabulary) -> None:
    columns, rows = ["step", f"{side.name} reads"], [[str(step), symbol] for step, symbol in enumerate(labels(vocabulary, side.ids), 1)]
    if side.name == "target":
        columns += ["predicts", "loss"]
        for cells, symbol, loss in zip(rows, labels(vocabulary, flow.targets), flow.losses, strict=True):
            cells += [symbol, f"{loss:.3f}"]
    for name, norms in side.layers.items():
        columns.append(name)
        for cells, norm in zip(rows, norms, strict=True):
            cells.append(number(norm))
    print_table(columns, rows, left=3 if side.name == "target" else 2)


def _print_gradients(rows: Rows, flow: Flow, vocabulary: Vocabulary) -> None:
    table = f"the {' and '.join(rows.sides)} table"
    if not rows.learned:
        print_sentence(f"T{table[1:]} is not learned: the gradient ends before it, and none of its {len(vocabulary)} rows has any.")
        return
    parts = _parts(rows)
    for name, norms in parts.items():
        reached = int((norms > 0).sum())
        way = f" through the {name}" if len(parts) > 1 else ""
        print_sentence(f"{reached} of the {len(norms)} rows of {table} carry gradient{way}; {len(norms) - reached} carry exactly none.")
    total = np.sum(list(parts.values()), axis=0)
    reached = sorted(np.flatnonzero(total).tolist(), key=lambda row: -total[row])
    reads = np.bincount(np.concatenate([side.ids for side in flow.sides if side.name in rows.sides]), minlength=len(vocabulary))
    cells = [
        [name, str(row), str(reads[row]), *(number(norms[row]) for norms in parts.values())]
        for name, row in zip(labels(vocabulary, np.array(reached, int)), reached, strict=True)
    ]
    print_table(["row of", "id", "reads", *parts], cells[:MOST_ROWS], left=1)
    if len(cells) > MOST_ROWS:
        print(f"and {len(cells) - MOST_ROWS} rows with less")


def number(norm: float) -> str:
    """Returns a norm to three digits; 0 is exactly nothing."""
    return "0" if norm == 0 else f"{norm:.2e}"
