"""What ``launch.py compare`` does: reads the sweeps, prints the answer, and only then draws the report.

Read next: ``comparison.py`` for the answer, ``report.py`` for the page.
"""

from __future__ import annotations

import os
import sys
from typing import Literal

from seq2seq_jax.compare import table
from seq2seq_jax.compare.comparison import compare_sweeps
from seq2seq_jax.compare.examples import print_examples
from seq2seq_jax.compare.reading import read_sweep
from seq2seq_jax.compare.results import Sweep
from seq2seq_jax.compare.schema import SettingComparison, json_object
from seq2seq_jax.errors import UserError
from seq2seq_jax.show.terminal import print_json

Format = Literal["table", "json", "csv"]
EXAMPLES = 5  # outputs shown below a sweep's table


def run(
    workdirs: list[str], format: Format = "table", tolerance: float | None = None, noise_floor: bool = False, figures: str | None = None
) -> None:
    """Prints the comparison of the sweeps in ``workdirs`` to standard output, then writes the report into the first.

    Args:
      workdirs: one sweep, or at least three to be pooled.
      format: of what is printed.
      tolerance: difference too small to matter, in the metric's unit; None: the metric's own.
      noise_floor: the table also shows the spread over seeds alone, which JSON always has.
      figures: folder for the report's pictures as SVG files.

    Raises UserError where there is nothing to compare.
    """
    sweeps = [read_sweep(workdir) for workdir in workdirs]
    parts = compare_sweeps(sweeps, tolerance)
    if figures is not None:
        _make_folder(figures)
    _print(parts, format, noise_floor)
    _report(sweeps, parts, figures)


def print_answer(workdir: str, tolerance: float | None) -> Sweep:
    """Prints what a sweep ends with: the comparison, some outputs of the recommended size, and where everything lies.

    Returns what was compared. Raises UserError where there is nothing to compare.
    """
    sweep = read_sweep(workdir)
    parts = compare_sweeps([sweep], tolerance)
    _print(parts, "table", noise_floor=False)
    written = _report([sweep], parts, None)
    for part in parts:
        print_examples(sweep, part, EXAMPLES)
    print(f"\n{'runs, checkpoints and report.html' if written else 'runs and checkpoints'} lie in {workdir}")
    return sweep


def _report(sweeps: list[Sweep], parts: list[SettingComparison], figures: str | None) -> bool:
    """Writes the report and says where; returns whether that was possible. The answer is out and stands without it."""
    from seq2seq_jax.compare.report import write_report  # matplotlib and jinja2 take longer than all before

    try:
        print(f"report: {write_report(sweeps, parts, figures)}", file=sys.stderr)
    except OSError as error:
        print(f"warning: no report: {error}", file=sys.stderr)
        return False
    return True


def _make_folder(figures: str) -> None:
    try:
        os.makedirs(figures, exist_ok=True)
    except OSError as error:
        raise UserError(f"--figures={figures}: {error.strerror}; expected a folder") from error


def _print(parts: list[SettingComparison], format: Format, noise_floor: bool) -> None:
    if format == "json":
        print_json(json_object(parts))
    elif format == "csv":
        print(table.to_csv(parts), end="")
    else:
        table.print_comparison(parts, noise_floor=noise_floor)
    sys.stdout.flush()  # the answer is there before the report is drawn
