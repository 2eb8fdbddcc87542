#!/usr/bin/env python3
"""Trains recurrent sequence models, sweeps the size of their embedding, and says which size to take.

Verbs: train, sweep, status, compare, evaluate, translate, sample, embeddings. `launch.py VERB --help` shows the flags and an example.
"""

from __future__ import annotations

import functools
import json
import pathlib
import shlex
import sys
from collections.abc import Iterable, Sequence

from absl import flags

from seq2seq_jax import config as config_lib
from seq2seq_jax.command import DONE, ERROR, Verb, run
from seq2seq_jax.config import AXIS_FLAGS, Config
from seq2seq_jax.embeddings.studies import STUDIES, Study, check_figure
from seq2seq_jax.errors import UserError
from seq2seq_jax.experiment import Experiment, load_experiment, override, without_opposites
from seq2seq_jax.validation import validate


def _define_workdir(values: flags.FlagValues, help: str) -> None:
    flags.DEFINE_string("workdir", None, help, flag_values=values)


def _define_workdirs(values: flags.FlagValues, help: str) -> None:
    flags.DEFINE_multi_string("workdir", [], help, flag_values=values)


def _define_config(values: flags.FlagValues) -> None:
    _define_workdir(values, "directory that all is written to; the same one goes on where it stopped")
    flags.DEFINE_string("config", None, "experiment file, such as experiments/pronunciation.py", flag_values=values)
    for path, field in config_lib.fields().items():
        define = flags.DEFINE_bool if field.type is bool else flags.DEFINE_string  # --config.data.lines alone is true
        choices = f" ({' | '.join(field.choices)})" if field.choices else ""
        define(f"config.{path}", None, f"{field.doc}{choices}", flag_values=values)


def _define_sweep(values: flags.FlagValues) -> None:
    _define_config(values)
    flags.DEFINE_string("embedding_dims", None, "sizes to compare, such as 4,16,64", flag_values=values)
    flags.DEFINE_string("seeds", None, "seeds of each size, such as 0,1,2 or 0..4", flag_values=values)
    flags.DEFINE_multi_string("axis", [], "a further axis, such as model.hidden_dim=128,256; repeat it for several", flag_values=values)
    executor = "how members are carried out: one after the other, side by side in processes, or vectorized: those that differ in sizes of "
    executor += "tables, seed and learning rate alone as one array program; auto: vectorized on an accelerator, else processes or serial"
    flags.DEFINE_enum("executor", "auto", ["auto", "serial", "processes", "vectorized"], executor, flag_values=values)
    flags.DEFINE_integer("jobs", None, "processes at a time; default: one for each GPU, else each core", lower_bound=1, flag_values=values)
    flags.DEFINE_bool("retry_failed", False, "train failed members again", flag_values=values)
    flags.DEFINE_integer("max_failures", None, "failures after which no further member is begun", lower_bound=1, flag_values=values)
    flags.DEFINE_bool("dry_run", False, "print the members with a forecast of memory and time; write nothing", flag_values=values)
    _define_design(values)
    tolerance = "difference too small to matter, in the metric's unit; by default the metric's own, such as 0.01 for error rates"
    flags.DEFINE_float("tolerance", None, tolerance, lower_bound=0, flag_values=values)


def _define_design(values: flags.FlagValues) -> None:
    baselines = "shown beside the sizes, never recommended: onehot (no table), frozen (a random one of the largest size), or both"
    flags.DEFINE_string("baselines", None, baselines, flag_values=values)
    budget = "what is equal across sizes: the hidden size, or all parameters, within 1 %: the hidden size shrinks as the table grows"
    flags.DEFINE_enum("budget", "hidden", ["hidden", "parameters"], budget, flag_values=values)
    tune = "values to try for each size, the best on dev with another seed being kept, such as train.learning_rate=5e-4,1e-3; repeatable"
    flags.DEFINE_multi_string("tune", [], tune, flag_values=values)
    keep = "checkpoint that a finished member keeps; by default its best and its last one"
    flags.DEFINE_enum("keep", None, ["best", "last", "none"], keep, flag_values=values)


def _define_compare(values: flags.FlagValues) -> None:
    _define_workdirs(values, "directory of a sweep, or of several runs; repeat it to pool data sets, at least three")
    flags.DEFINE_enum("format", "table", ["table", "json", "csv"], "what is printed", flag_values=values)
    tolerance = (
        "difference too small to matter, in the metric's unit, by default its own; "
        "of pooled sweeps a share of each one's mean, by default 5 % of the best"
    )
    flags.DEFINE_float("tolerance", None, tolerance, lower_bound=0, flag_values=values)
    flags.DEFINE_bool("noise_floor", False, "also show the spread over seeds and what it hides", flag_values=values)
    flags.DEFINE_string("figures", None, "folder to write the report's pictures to, as SVG", flag_values=values)


def _define_beam(values: flags.FlagValues) -> None:
    flags.DEFINE_integer("beam_size", 1, "hypotheses kept at every step; 1 is greedy", lower_bound=1, flag_values=values)
    flags.DEFINE_float(
        "length_penalty",
        config_lib.LENGTH_PENALTY,
        "length normalisation of the beam (Wu et al. 2016); 0: none",
        lower_bound=0,
        flag_values=values,
    )


def _define_evaluate(values: flags.FlagValues) -> None:
    _define_workdirs(values, "directory of a run; repeat it for several, an ensemble")
    _define_beam(values)
    flags.DEFINE_enum("split", "dev", ["dev", "test"], "which split of the run's data is scored", flag_values=values)
    flags.DEFINE_string("data", None, "a file to score instead, in the form of the run's data", flag_values=values)


def _define_translate(values: flags.FlagValues) -> None:
    _define_workdirs(values, "directory of a run; repeat it for several, an ensemble")
    _define_beam(values)
    flags.DEFINE_integer(
        "n_best",
        None,
        "outputs to print for each source: its number, score and text; the beam is at least as wide",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_string(
        "attention", None, "file to write attention weights to, as JSON, with a picture of the first beside it", flag_values=values
    )


def _define_sample(values: flags.FlagValues) -> None:
    _define_workdir(values, "directory of a run")
    flags.DEFINE_string("prompt", "", "text to go on from", flag_values=values)
    flags.DEFINE_integer("length", 500, "units to draw", lower_bound=1, flag_values=values)
    flags.DEFINE_float(
        "temperature", 1.0, "divides the logits: below 1 is safer; 0 takes the most probable", lower_bound=0, flag_values=values
    )
    flags.DEFINE_integer("top_k", None, "draw from so many of the most probable units (Fan et al. 2018)", lower_bound=1, flag_values=values)
    flags.DEFINE_float(
        "top_p", None, "draw from the fewest units with this probability (Holtzman et al. 2020)", 0.0, 1.0, flag_values=values
    )
    flags.DEFINE_integer("seed", 0, "the same seed gives the same text", 0, 2**32 - 1, flag_values=values)
    flags.DEFINE_integer("num_samples", 1, "texts to write, each below a line with its number", lower_bound=1, flag_values=values)


def _define_status(values: flags.FlagValues) -> None:
    _define_workdir(values, "directory of the sweep")


def _define_study(study: Study, values: flags.FlagValues) -> None:
    _define_workdir(values, "directory of a run; of a sweep for stability")
    for option in study.options:
        if option.choices:
            flags.DEFINE_enum(option.name, option.default, option.choices, option.help, flag_values=values)
        elif isinstance(option.default, int):
            flags.DEFINE_integer(option.name, option.default, option.help, lower_bound=min(option.default, 1), flag_values=values)
        else:
            flags.DEFINE_string(option.name, option.default, option.help, flag_values=values)


def _experiment(values: flags.FlagValues) -> tuple[Experiment, Config]:
    """Returns the experiment and its configuration with the flags' overrides. Raises UserError."""
    if values.config is None:
        raise UserError("--config: expected an experiment file such as --config=experiments/pronunciation.py")
    experiment = load_experiment(values.config)
    given = {path: values[f"config.{path}"].value for path in config_lib.fields()}
    texts = {path: str(value).lower() if isinstance(value, bool) else value for path, value in given.items() if value is not None}
    return experiment, override(experiment.config, list(texts.items()))


def _train(values: flags.FlagValues) -> int:
    _, config = _experiment(values)
    validate(config)
    from seq2seq_jax.train.loop import train
    from seq2seq_jax.train.runtime import prepare

    prepare(config.model.kind)
    result = train(config, values.workdir)
    print(json.dumps(result, ensure_ascii=False, indent=2))
    return DONE


def _sweep(values: flags.FlagValues) -> int:
    experiment, config = _experiment(values)
    from seq2seq_jax.sweep import grid
    from seq2seq_jax.sweep.design import Design, parse_baselines, parse_tune
    from seq2seq_jax.sweep.plan import make_plan
    from seq2seq_jax.sweep.sweep import SweepOptions, run_sweep
    from seq2seq_jax.train.runtime import prepare, prepare_to_use

    (prepare_to_use if values.dry_run else prepare)()
    axes = grid.make_axes(experiment.sweep, grid.parse_axes(values.axis, {flag: values[flag].value for flag in AXIS_FLAGS}))
    for path in axes:
        if values[f"config.{path}"].value is not None:
            short = ", ".join(f"--{flag}" for flag in AXIS_FLAGS)
            raise UserError(f"--config.{path}: this field is swept; give its values with --axis={path}=VALUE, or {short}")
    config = _without_opposites(config, axes, values)
    design = Design(parse_baselines(values.baselines), values.budget, parse_tune(values.tune))
    plan = make_plan(config, axes, values.workdir, design)
    if values.dry_run:
        from seq2seq_jax.sweep.dry_run import print_dry_run

        print_dry_run(plan, values.retry_failed)
        return DONE
    options = SweepOptions(values.executor, values.jobs, values.retry_failed, values.max_failures, values.keep)
    outcomes = run_sweep(plan, options, _command_line())
    from seq2seq_jax.compare.main import print_answer  # only now: it limits the threads of NumPy

    shown = print_answer(values.workdir, values.tolerance)
    failed = [outcome.member for outcome in outcomes if outcome.status == "failed"]
    if failed:
        earlier = ", ".join(run.member.name for run in shown.runs if run.member.name in failed)
        remark = f"; the table shows the earlier result of {earlier}" if earlier else ""
        print(f"failed: {len(failed)} of {len(plan.members)} members{remark}", file=sys.stderr)
    return ERROR if shown.failures or failed else DONE


def _command_line() -> str:
    """Returns the command as typed, with the interpreter that runs it, so that it can be pasted where it was typed."""
    interpreter = pathlib.Path(sys.executable)  # in an environment a symbolic link, which says more than what it leads to
    if interpreter.is_relative_to(pathlib.Path.cwd()):
        interpreter = interpreter.relative_to(pathlib.Path.cwd())
    return shlex.join([str(interpreter), *sys.argv])


def _without_opposites(config: Config, axes: Iterable[str], values: flags.FlagValues) -> Config:
    """Returns the configuration without what an axis excludes, such as steps beside epochs. Raises UserError where that was typed."""
    cleared = without_opposites(config, axes)
    for path in config_lib.differences(config, cleared):
        if values[f"config.{path}"].value is not None:
            raise UserError(f"--config.{path}: an axis of the sweep excludes it; expected one or the other")
    return cleared


def _status(values: flags.FlagValues) -> int:
    from seq2seq_jax.sweep import status

    status.run(values.workdir)
    return DONE


def _compare(values: flags.FlagValues) -> int:
    from seq2seq_jax.compare import main as compare

    compare.run(values.workdir, values.format, values.tolerance, values.noise_floor, values.figures)
    return DONE


def _evaluate(values: flags.FlagValues) -> int:
    from seq2seq_jax.inference.evaluate import evaluate
    from seq2seq_jax.train.runtime import prepare_to_use

    prepare_to_use()
    metrics = evaluate(values.workdir, values.split, values.data, values.beam_size, values.length_penalty)
    print(json.dumps(metrics, ensure_ascii=False))
    return DONE


def _translate(values: flags.FlagValues) -> int:
    from seq2seq_jax.inference.translate import (
        check_attention_file,
        open_translators,
        read_sources,
        translations,
        unknown_sources,
        write_attention,
    )
    from seq2seq_jax.train.runtime import prepare_to_use

    if values.attention is not None:
        check_attention_file(pathlib.Path(values.attention))
    prepare_to_use()
    runs = open_translators(values.workdir)  # before waiting for input
    sources = read_sources(sys.stdin.buffer)
    asked = (values.beam_size, values.n_best or 1, values.length_penalty, values.attention is not None)
    translated = translations(runs, sources, *asked)
    for number, outputs in enumerate(translated):
        for output in outputs:
            print(output.text if values.n_best is None else f"{number}\t{output.score:.4f}\t{output.text}")
    for remark in unknown_sources(runs[0], sources):
        print(f"translate: {remark}", file=sys.stderr)
    if values.attention is not None:
        sys.stdout.flush()  # before what may go the same way, as to /dev/stdout
        picture = write_attention(pathlib.Path(values.attention), translated)
        print(f"attention: {values.attention}" + (f", picture: {picture}" if picture else ""), file=sys.stderr)
    return DONE


def _sample(values: flags.FlagValues) -> int:
    from seq2seq_jax.inference.sample import sample_texts
    from seq2seq_jax.train.runtime import prepare_to_use

    prepare_to_use()
    how = (values.temperature, values.seed, values.top_k, values.top_p, values.num_samples)
    for number, pieces in enumerate(sample_texts(values.workdir, values.prompt, values.length, *how), 1):
        if values.num_samples > 1:
            print(f"=== {number} of {values.num_samples} ===")
        for piece in pieces:
            print(piece, end="", flush=True)
        print()
    return DONE


def _study(name: str, values: flags.FlagValues) -> int:
    options, show = {flag: values[flag].value for flag in values}, STUDIES[name].run
    check_figure(options)
    if show is not None:
        show(options)
        return DONE
    from seq2seq_jax.inference.trace import trace_run
    from seq2seq_jax.train.runtime import prepare_to_use

    prepare_to_use()
    trace_run(values.workdir, values.text, values.position, values.format, values.figure)
    return DONE


def _study_verb(name: str, study: Study) -> Verb:
    required = tuple(option.name for option in study.options if option.required)
    define, run = functools.partial(_define_study, study), functools.partial(_study, name)
    return Verb(study.summary, f"embeddings {study.example}", define, run, required, study.operands)


STUDY_VERBS = {f"embeddings {name}": _study_verb(name, study) for name, study in STUDIES.items()}
VERBS = {
    "train": Verb(
        "trains one run, or goes on with it",
        "train --config=experiments/pronunciation.py --workdir=runs/a --config.model.embedding_dim=32",
        _define_config,
        _train,
        resumes=True,
    ),
    "sweep": Verb(
        "trains every size with every seed, then compares",
        "sweep --config=experiments/pronunciation.py --workdir=runs/s --embedding_dims=4,16,64,256 --seeds=0,1,2",
        _define_sweep,
        _sweep,
        resumes=True,
    ),
    "status": Verb("shows the progress of a sweep that runs elsewhere", "status --workdir=runs/s", _define_status, _status),
    "compare": Verb("says which size to take, how sure that is and what it costs", "compare --workdir=runs/s", _define_compare, _compare),
    "evaluate": Verb(
        "scores a run's best checkpoint, or several together, as JSON",
        "evaluate --workdir=runs/a --split=test",
        _define_evaluate,
        _evaluate,
    ),
    "translate": Verb("translates standard input", "translate --workdir=runs/a < words.txt > out.txt", _define_translate, _translate),
    "sample": Verb(
        "writes text with a language model",
        "sample --workdir=runs/b --prompt='ROMEO:' --length=500 --temperature=0.8 --seed=0",
        _define_sample,
        _sample,
    ),
    "embeddings": STUDY_VERBS["embeddings neighbours"]._replace(summary="studies a trained table: neighbours, gradients, export and more"),
}


def main(argv: Sequence[str]) -> int:
    """Runs what was typed and returns the exit code."""
    return run(argv[1:], str(__doc__).rstrip(), VERBS, {"embeddings": STUDY_VERBS})


if __name__ == "__main__":
    sys.exit(main(sys.argv))
