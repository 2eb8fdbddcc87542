"""``embeddings trace``: opens a finished run, takes one example and follows its gradient (``gradient_flow.py``)."""

from __future__ import annotations

import pathlib
import sys

import numpy as np
from flax import nnx
from jaxtyping import Int

from seq2seq_jax.data.examples import PairSplit, TextSplit
from seq2seq_jax.data.readers import normalize
from seq2seq_jax.data.vocabulary import BOS, EOS
from seq2seq_jax.errors import UserError
from seq2seq_jax.files import writing
from seq2seq_jax.inference.flow import print_flow, to_json
from seq2seq_jax.inference.gradient_flow import IdsBySide, gradient_flow
from seq2seq_jax.inference.trained_run import TrainedRun
from seq2seq_jax.model.build import held_tables
from seq2seq_jax.show.progress import shown
from seq2seq_jax.show.symbols import visible
from seq2seq_jax.show.terminal import print_json
from seq2seq_jax.train.evaluation import TranslatorEvaluator
from seq2seq_jax.train.run_directory import RunDirectory

MOST_UNITS = 40  # of a language model's dev line that nobody has chosen


def trace_run(workdir: str, text: str | None, line: int, position: int, format: str, figure: str | None) -> None:
    """Prints the flow of the gradient through a text, or a ``line`` of dev, and draws it where a ``figure`` is asked for.

    Raises UserError where there is no trained translator or language model, no text, or no such line or position.
    """
    kind = RunDirectory(pathlib.Path(workdir)).begun().config.model.kind  # before the run is opened, which takes seconds
    if kind not in ("translator", "language_model"):
        raise UserError(f"--workdir={workdir}: expected a translator or a language model, this run is a {kind}")
    run = TrainedRun(workdir)
    ids, targets = _example(run, text, line)
    if position > len(targets):
        raise UserError(f"--position={position}: there are {len(targets)} output symbols; expected at most that")
    with shown("trace: compiling the gradient"):
        flow = gradient_flow(lambda: nnx.merge(run.programs.structure, run.params), ids, targets, position, held_tables(run.config.model))
    if format == "json":
        print_json(to_json(flow, run.vocabularies))
    else:
        print_flow(flow, run.vocabularies)
    if figure is not None:
        from seq2seq_jax.inference.flow_picture import flow_svg  # Matplotlib takes its time

        with writing("--figure", figure):
            pathlib.Path(figure).write_text(flow_svg(flow, run.vocabularies), encoding="utf-8")
        print(f"picture: {figure}", file=sys.stderr)


def _example(run: TrainedRun, text: str | None, line: int) -> tuple[IdsBySide, Int[np.ndarray, " T"]]:
    """Returns what is read and what is predicted, as ids."""
    if run.config.model.kind == "language_model":
        units = _encode(run, "target", _dev_line(run, line) if text is None else _typed(run, "target", text))
        if text is None and len(units) > MOST_UNITS:
            print(f"trace: the first {MOST_UNITS} of {len(units)} units of line {line} of dev; --text follows another", file=sys.stderr)
            units = units[:MOST_UNITS]
        if not units:
            raise UserError("--text: has no unit to predict; expected some text")
        return {"target": np.array([BOS, *units[:-1]], np.int32)}, np.array(units, np.int32)
    source, target = _dev_pair(run, line) if text is None else _typed_pair(run, text)
    units = _own_output(run, source) if target is None else _encode(run, "target", target)
    ids = {"source": np.array([*_encode(run, "source", source), EOS], np.int32), "target": np.array([BOS, *units], np.int32)}
    return ids, np.array([*units, EOS], np.int32)


def _encode(run: TrainedRun, side: str, text: str) -> list[int]:
    """Returns the ids of a text, and says which of its units are not in the vocabulary: their gradient goes to the row of <unk>."""
    vocabulary = run.vocabularies[side]
    unknown = dict.fromkeys(vocabulary.unknown(text))  # each once, in order
    if unknown:
        shown = ", ".join(f"'{visible(unit)}'" for unit in unknown)
        read = "text" if run.config.model.kind == "language_model" else side
        print(f"trace: the {read} has what is not in the vocabulary, and reads as <unk>: {shown}", file=sys.stderr)
    return list(vocabulary.encode(text))


def _typed(run: TrainedRun, side: str, text: str) -> str:
    """Returns a text in the form that the run knows its letters in."""
    return run.vocabularies[side].in_known_form(normalize(text, run.config.data.normalize_nfc))


def _typed_pair(run: TrainedRun, text: str) -> tuple[str, str | None]:
    """Returns source and target of a text that has a tab between them; without one there is no target."""
    source, tab, target = text.partition("\t")
    if "\t" in target:
        raise UserError("--text: has more than one tab; expected a source, or source, tab, target")
    return _typed(run, "source", source), _typed(run, "target", target) if tab else None


def _own_output(run: TrainedRun, source: str) -> list[int]:
    """Returns the ids of what the model makes of a source: of bytes, they need not be those of any text."""
    assert isinstance(run.evaluator, TranslatorEvaluator)  # pairs are a translator's
    units = run.evaluator.output_ids(run.params, source)
    output = run.vocabularies["target"].decode_line(units)
    print(f"trace: the target is the model's own output, {output!r}; give another after a tab", file=sys.stderr)
    return units


def _dev_pair(run: TrainedRun, line: int) -> tuple[str, str]:
    """Returns a source of dev with its first target, which may have tabs where its parts stand in two files."""
    dev = run.split("dev")
    assert isinstance(dev, PairSplit)  # it is a translator
    _check_line(line, len(dev.sources), "sources")
    return dev.sources[line - 1], dev.targets[line - 1][0]


def _dev_line(run: TrainedRun, line: int) -> str:
    """Returns a line of dev's text, of those that are not blank."""
    dev = run.split("dev")
    assert isinstance(dev, TextSplit)  # it is a language model
    lines = [one for one in dev.text.split("\n") if one.strip()] or [dev.text]
    _check_line(line, len(lines), "lines that are not blank")
    return lines[line - 1]


def _check_line(line: int, count: int, what: str) -> None:
    if line > count:
        raise UserError(f"--line={line}: dev has {count} {what}; expected at most that")
