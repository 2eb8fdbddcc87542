"""Writes the report: the answer on top, the pictures and figures that it rests on, and how it was made; one file, offline.

Read next: ``report.html.jinja``, the page; ``pictures.py``, what is drawn.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import jinja2

from seq2seq_jax.compare import columns, labels, pictures, run_files
from seq2seq_jax.compare.examples import output_label, shortened
from seq2seq_jax.compare.results import FinishedRun, Sweep, runs_of
from seq2seq_jax.compare.schema import SettingComparison, by_setting
from seq2seq_jax.embeddings.map import symbol_map
from seq2seq_jax.errors import without_configuration
from seq2seq_jax.evaluate.metrics import is_right
from seq2seq_jax.files import write_atomically
from seq2seq_jax.show import picture, symbols
from seq2seq_jax.show.picture import Picture

SHOWN_EXAMPLES = 10
FULL_SETTINGS = 4  # with more of them each gets its answer, curve and table only, so that the page stays below 2 MB


def write_report(sweeps: list[Sweep], parts: list[SettingComparison], figures_dir: str | None = None) -> pathlib.Path:
    """Writes the report into the first sweep's directory and, if asked for, its pictures into a folder. Returns the report's path.

    That of several sweeps is ``report_pooled.html``: the first one's own stays. Raises OSError where a file cannot be written.
    """
    drawn = [_pictures(sweeps, part, full=len(parts) <= FULL_SETTINGS) for part in parts]
    if figures_dir is not None:
        _write_figures(pathlib.Path(figures_dir), drawn)
    names = ", ".join(pathlib.Path(sweep.workdir).name for sweep in sweeps)
    page = (
        _environment()
        .get_template("report.html.jinja")
        .render(
            title=f"{labels.spelled(parts[0]['metric']['name'])} and embedding size: {names}",
            parts=[_part_view(sweeps, part, shown, index) for index, (part, shown) in enumerate(zip(parts, drawn, strict=True))],
            by_setting=by_setting(parts),
            settings_lines=labels.settings_lines(parts),
            role=labels.role,
            making=_making(sweeps, parts),
            light=picture.css_variables(dark=False),
            dark=picture.css_variables(dark=True),
        )
    )
    path = pathlib.Path(sweeps[0].workdir) / ("report.html" if len(sweeps) == 1 else "report_pooled.html")
    write_atomically(path, symbols.printable(page))
    return path


def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(pathlib.Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"error": without_configuration}
    return environment


def _pictures(sweeps: list[Sweep], part: SettingComparison, full: bool) -> dict[str, Picture]:
    """Draws what there is to draw, by the name of its file; nothing without a size, beside which baselines would stand."""
    if not any(row["mean"] is not None for row in part["sizes"] if row["table"] == "learned"):
        return {}
    runs = _runs(sweeps, part)
    found: dict[str, Picture | None] = {"size_curve": pictures.size_curve(part)}
    if full:
        found |= {"pareto": pictures.pareto(part), "parameters": pictures.parameters(part), "truncation": pictures.truncation(part)}
    if full and len(sweeps) == 1:
        found["learning_curves"] = pictures.learning_curves(part, runs, by_seconds=False)
        if part["trained_together"] == 1:
            found["learning_curves_by_time"] = pictures.learning_curves(part, runs, by_seconds=True)
        shown = _shown_run(part, runs)
        for table in run_files.tables(shown.directory) if shown else []:
            found[f"map_{table.side}"] = symbol_map(table)
    return {name: drawn for name, drawn in found.items() if drawn is not None}


def _runs(sweeps: list[Sweep], part: SettingComparison) -> list[FinishedRun]:
    return [run for sweep in sweeps for run in sweep.runs if run.member.setting == part["setting"]]


def _shown_run(part: SettingComparison, runs: list[FinishedRun]) -> FinishedRun | None:
    """Returns the best run of the recommended size."""
    sign = 1 if part["metric"]["lower_is_better"] else -1
    return min(runs_of(runs, part["recommendation"]["embedding_dim"]), key=lambda run: sign * run.value, default=None)


def _write_figures(folder: pathlib.Path, drawn: list[dict[str, Picture]]) -> None:
    for index, of_part in enumerate(drawn):
        for name, shown in of_part.items():
            number = f"_{index}" if len(drawn) > 1 else ""
            (folder / f"{name}{number}.svg").write_text(shown.svg(), encoding="utf-8")


def _part_view(sweeps: list[Sweep], part: SettingComparison, drawn: dict[str, Picture], index: int) -> dict[str, Any]:
    """Returns what the page shows of one setting."""
    runs = _runs(sweeps, part)
    inline = {
        name: {"title": shown.title, "svg": picture.for_page(shown.svg(), f"p{index}-{name}", shown.title)} for name, shown in drawn.items()
    }
    return {
        "comparison": part,
        "columns": columns.filled(columns.REPORT, part),
        "label": labels.setting_label(part["setting"]),
        "over": labels.over(part),
        "dots": "runs" if labels.over(part) == "seeds" else "data sets",
        "test": labels.sentence_on_test(part),
        "lines": [*labels.cost_lines(part), *labels.design_lines(part), *labels.noise_lines(part)],
        "pictures": inline,
        "examples": list(_examples(part, runs)) if len(sweeps) == 1 else [],
        "example_sizes": [labels.size_label(row) for row in part["sizes"] if row["mean"] is not None],
    }


def _examples(part: SettingComparison, runs: list[FinishedRun]) -> Iterator[dict[str, Any]]:
    """Yields sources with their references and the output of the first run of every size, right as the word error rate has it."""
    by_size = [runs_of(runs, row["embedding_dim"], row["table"]) for row in part["sizes"] if row["mean"] is not None]
    answers = [{record["source"]: record for record in run_files.samples(same[0].directory)} for same in by_size]
    units = [same[0].fields.get("data.target_unit") for same in by_size]
    sources = [source for source in (answers[0] if answers else {}) if all(source in each for each in answers)]
    for source in sources[:SHOWN_EXAMPLES]:
        references = [str(reference) for reference in answers[0][source]["references"]]
        outputs = [str(each[source]["output"]) for each in answers]
        yield {
            "source": shortened(source),
            "references": list(map(shortened, references)),
            "outputs": [
                {"text": output_label(output, references), "right": is_right(output, references, unit)}
                for output, unit in zip(outputs, units, strict=True)
            ],
        }


def _shared(runs: list[FinishedRun]) -> dict[str, Any]:
    """Returns the fields that all runs have alike, by their dotted paths."""
    found = [run.fields for run in runs]
    return {
        path: value for path, value in (found[0] if found else {}).items() if all(path in other and other[path] == value for other in found)
    }


def _making(sweeps: list[Sweep], parts: list[SettingComparison]) -> dict[str, Any]:
    """Returns how the runs came about: commands, what they share of the configuration, versions and devices."""
    runs = [run for sweep in sweeps for run in sweep.runs]
    varied = {path for run in runs for path in run.result.get("varied") or {}}
    shared = _shared(runs)
    versions = sorted({f"{name} {number}" for run in runs for name, number in (run.result.get("versions") or {}).items()})
    return {
        "commands": [command for sweep in sweeps for command in (*sweep.earlier_commands, sweep.command or "not known")],
        "fields": {path: value for path, value in shared.items() if path not in varied and value is not None},
        "varied": sorted(varied),
        "versions": versions,
        "devices": sorted({str(run.result["device"]) for run in runs if run.result.get("device")}),
        "failed": [failure for part in parts for failure in part["failed"]],
    }
