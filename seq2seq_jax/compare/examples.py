"""Example outputs of the recommended size, below the table of a sweep."""

from __future__ import annotations

from rich.table import Table

from seq2seq_jax.compare.results import FinishedRun, Sweep, runs_of
from seq2seq_jax.compare.run_files import samples
from seq2seq_jax.compare.schema import SettingComparison
from seq2seq_jax.show.symbols import printable
from seq2seq_jax.show.terminal import stdout_console

LONGEST = 200  # characters of a text that are shown


def recommended_run(sweep: Sweep, part: SettingComparison) -> FinishedRun | None:
    """Returns the run of the recommended size with the lowest seed, or None where nothing is recommended."""
    runs = [run for run in sweep.runs if run.member.setting == part["setting"]]
    return min(runs_of(runs, part["recommendation"]["embedding_dim"]), key=lambda run: run.member.seed, default=None)


def print_examples(sweep: Sweep, part: SettingComparison, count: int) -> None:
    """Prints ``count`` held-out sources with output and right answers, spread over what the run has kept."""
    run = recommended_run(sweep, part)
    rows = samples(run.directory) if run else []
    if run is None or not rows:
        return
    table = Table("source of dev", "output", "right answers", title=f"What {run.directory.name} answers", title_justify="left", box=None)
    for row in rows[:: max(1, len(rows) // count)][:count]:
        texts = row["source"], row["output"], " | ".join(map(str, row["references"]))
        table.add_row(*(printable(text if len(text) <= LONGEST else f"{text[:LONGEST]}…") for text in texts))
    console = stdout_console()
    console.print()
    console.print(table)
