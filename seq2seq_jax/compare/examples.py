"""Example outputs of the recommended size, below the table of a sweep."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from rich.table import Table

from seq2seq_jax.compare.results import FinishedRun, Sweep, runs_of
from seq2seq_jax.compare.run_files import samples
from seq2seq_jax.compare.schema import SettingComparison
from seq2seq_jax.show.symbols import legible
from seq2seq_jax.show.terminal import stdout_console

LONGEST = 200  # characters of a text that are shown


def recommended_run(sweep: Sweep, part: SettingComparison) -> FinishedRun | None:
    """Returns the run of the recommended size with the lowest seed, or None where nothing is recommended."""
    runs = [run for run in sweep.runs if run.member.setting == part["setting"]]
    return min(runs_of(runs, part["recommendation"]["embedding_dim"]), key=lambda run: run.member.seed, default=None)


def shortened(text: str) -> str:
    """Returns the beginning of a text, legible."""
    return legible(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


def output_label(output: str, references: Sequence[str]) -> str:
    """Returns the beginning of an output; it is said where one that looks like a right answer is none."""
    looks_right = unicodedata.normalize("NFC", output) in (unicodedata.normalize("NFC", reference) for reference in references)
    return shortened(output) + (" (in another Unicode form)" if looks_right and output not in references else "")


def print_examples(sweep: Sweep, part: SettingComparison, count: int) -> None:
    """Prints ``count`` held-out sources with output and right answers, spread over what the run has kept."""
    run = recommended_run(sweep, part)
    rows = samples(run.directory) if run else []
    if run is None or not rows:
        return
    table = Table("source of dev", "output", "right answers", title=f"What {run.directory.name} answers", title_justify="left", box=None)
    for row in rows[:: max(1, len(rows) // count)][:count]:
        references = [str(reference) for reference in row["references"]]
        table.add_row(shortened(row["source"]), output_label(str(row["output"]), references), shortened(" | ".join(references)))
    console = stdout_console()
    console.print()
    console.print(table)
