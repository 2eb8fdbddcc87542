"""What ``launch.py compare`` does: reads the sweeps, prints the answer, and only then draws the report.

Read next: ``comparison.py`` for the answer, ``report.py`` for the page.
"""

from __future__ import annotations

import json
import sys
from typing import Literal

from seq2seq_jax.compare.comparison import compare_sweeps
from seq2seq_jax.compare.results import read_sweep

Format = Literal["table", "json", "csv"]


def run(workdirs: list[str], format: Format = "table", tolerance: float | None = None) -> int:
    """Prints the comparison of the sweeps in ``workdirs`` to standard output. Returns the exit code."""
    sweeps = [read_sweep(workdir) for workdir in workdirs]
    comparison = compare_sweeps(sweeps, tolerance)
    if format == "json":
        print(json.dumps(comparison, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        from seq2seq_jax.compare import table  # rich is not needed for JSON

        if format == "csv":
            print(table.to_csv(comparison), end="")
        else:
            table.print_table(comparison)
    sys.stdout.flush()
    return 0
