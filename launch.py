#!/usr/bin/env python3
"""Trains recurrent sequence models, sweeps the size of their embedding, and says which size to take.

Verbs: train, sweep, status, compare, evaluate, translate, sample, embeddings. `launch.py VERB --help` shows the flags and an example.
"""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import signal
import sys
from collections.abc import Iterable, Sequence

from absl import flags

from seq2seq_jax import config as config_lib
from seq2seq_jax.command import DONE, ERROR, Option, Verb, program, run
from seq2seq_jax.config import AXIS_FLAGS, Config
from seq2seq_jax.errors import UserError
from seq2seq_jax.experiment import Experiment, load_experiment, override, without_opposites
from seq2seq_jax.files import cache_folder, check_figure
from seq2seq_jax.interpreter import collect_garbage_rarely, keep_numpy_to_one_thread
from seq2seq_jax.studies import FORMAT, STUDIES
from seq2seq_jax.validation import validate

FIELDS_REMARK = (
    "A field without its flag --config.FIELD keeps the value of the experiment file or, where that has none, the default in "
    "seq2seq_jax/config.py, which has the ranges too. Every value of a run stands in config.json in its workdir."
)
RUN = Option("workdir", "directory of a run")
RUNS = Option("workdir", "directory of a run; repeat it for several, an ensemble", multiple=True)
TRAIN = (
    Option("workdir", "directory that everything is written to; given again, the command goes on from there"),
    Option("config", "experiment file, such as experiments/pronunciation.py"),
    *(
        Option(
            f"config.{path}",
            f"{field.doc} ({' | '.join(field.choices)})" if field.choices else field.doc,
            kind=bool if field.type is bool else str,  # --config.data.lines alone is true
        )
        for path, field in config_lib.fields().items()
    ),
)
DESIGN = (
    Option("baselines", "shown beside the sizes, never recommended: onehot (no table), frozen (a random one of the largest size), or both"),
    Option(
        "budget",
        "what is equal across sizes: the hidden size, or all parameters, within 1 %: the hidden size shrinks as the table grows",
        "hidden",
        ("hidden", "parameters"),
    ),
    Option(
        "tune",
        "field and values to try for each size before the comparison, such as train.learning_rate=5e-4,1e-3; the best on dev is kept, "
        "found with a seed that is not compared; no field that changes what is scored; repeatable",
        multiple=True,
    ),
    Option("keep", "checkpoint that a finished member keeps; by default its best and its last one", choices=("best", "last", "none")),
)
SWEEP = (
    *TRAIN,
    Option("embedding_dims", "sizes to compare, such as 4,16,64"),
    Option("seeds", "seeds of each size, such as 0,1,2 or 0..4"),
    Option("axis", "a further axis, such as model.dropout=0.1,0.2; repeat it for several", multiple=True),
    Option(
        "executor",
        "how to run members: serial, one after the other; processes, several at a time; vectorized: those that differ only in the size of "
        "tables, seed and learning rate are trained together as one program; auto: vectorized on an accelerator, else processes or serial",
        "auto",
        ("auto", "serial", "processes", "vectorized"),
    ),
    Option("jobs", "processes at a time; default: one per GPU or, without GPUs, per core that this process may keep busy", kind=int, low=1),
    Option("retry_failed", "train failed members again", False, kind=bool),
    Option("max_failures", "begin no further member after so many failures; default: go on", kind=int, low=1),
    Option("dry_run", "print the members with a forecast of memory and time; train nothing", False, kind=bool),
    *DESIGN,
    Option(
        "tolerance",
        "difference too small to matter, in the metric's unit; by default the metric's own, such as 0.01 for error rates",
        kind=float,
        low=0,
    ),
)
COMPARE = (
    Option("workdir", "directory of a sweep, or of several runs; repeat it to pool data sets, at least three", multiple=True),
    Option("format", "what is printed", "table", ("table", "json", "csv")),
    Option(
        "tolerance",
        "difference too small to matter, in the metric's unit, by default its own; "
        "of pooled sweeps a share of each one's mean, by default 5 % of the best",
        kind=float,
        low=0,
    ),
    Option(
        "noise_floor",
        "also show the standard deviation over seeds, and the smallest difference that so many seeds can detect",
        False,
        kind=bool,
    ),
    Option("figures", "folder to write the report's pictures to, as SVG"),
)
BEAM = (
    Option("beam_size", "hypotheses kept at every step; 1 is greedy", 1, kind=int, low=1, high=1000),
    Option(
        "length_penalty",
        "length normalisation of the beam (Wu et al. 2016); 0: none",
        config_lib.LENGTH_PENALTY,
        kind=float,
        low=0,
    ),
)
EVALUATE = (
    RUNS,
    *BEAM,
    Option("split", "which split of the run's data is scored", "dev", ("dev", "test")),
    Option("data", "a file to score instead of a split, in the form of data.train (also where the run has data.name)"),
)
TRANSLATE = (
    RUNS,
    *BEAM,
    Option(
        "n_best",
        "outputs to print for each source, at most: the source's number, counted from 0, score and text, with tabs between them; the score "
        "is the log-probability in nats over the length penalty; the beam is at least as wide",
        kind=int,
        low=1,
    ),
    Option("attention", "file to write attention weights to, a JSON object a line, one for each source; a picture of the first beside it"),
)
SAMPLE = (
    RUN,
    Option("prompt", "text to go on from", ""),
    Option("length", "units to draw", 500, kind=int, low=1),
    Option("temperature", "divides the logits: below 1 is less random; 0 takes the most probable", 1.0, kind=float, low=0),
    Option("top_k", "draw from so many of the most probable units (Fan et al. 2018)", kind=int, low=1),
    Option("top_p", "draw from the fewest units with this probability (Holtzman et al. 2020)", kind=float, low=0, high=1),
    Option("seed", "the same seed gives the same text", 0, kind=int, low=0, high=2**32 - 1),
    Option("num_samples", "texts to write, each below a line with its number", 1, kind=int, low=1),
)
TRACE = (
    RUN,
    Option("text", "text of a language model; a source, or source, tab, target, for a translator; default: a line of dev"),
    Option(
        "line",
        "source of dev, or line of its text that is not blank, to follow where --text is not given, counted from 1",
        1,
        kind=int,
        low=1,
    ),
    Option("position", "follow the loss of this output symbol alone, counted from 1; 0: the mean over all", 0, kind=int, low=0),
    FORMAT,
    Option("figure", "file to draw the gradient norms to, as SVG"),
)


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
    from seq2seq_jax.sweep.axes import make_axes, parse_axes
    from seq2seq_jax.sweep.design import Design, parse_baselines, parse_tune
    from seq2seq_jax.sweep.plan import make_plan
    from seq2seq_jax.sweep.sweep import SweepOptions, run_sweep
    from seq2seq_jax.train.runtime import prepare, prepare_to_use

    (prepare_to_use if values.dry_run else prepare)()
    axes = make_axes(experiment.sweep, parse_axes(values.axis, {flag: values[flag].value for flag in AXIS_FLAGS}))
    design = Design(parse_baselines(values.baselines), values.budget, parse_tune(values.tune))
    plan = make_plan(_shared(config, axes, design.tune, values), axes, values.workdir, design)
    if values.dry_run:
        from seq2seq_jax.sweep.dry_run import print_dry_run

        print_dry_run(plan, values.retry_failed)
        return DONE
    options = SweepOptions(values.executor, values.jobs, values.retry_failed, values.max_failures, values.keep)
    outcomes = run_sweep(plan, options, f"{program()} {shlex.join(sys.argv[1:])}")
    from seq2seq_jax.compare.main import print_answer

    compared = print_answer(values.workdir, values.tolerance)
    failed = [outcome.member for outcome in outcomes if outcome.status == "failed"]
    if failed:
        earlier = ", ".join(run.member.name for run in compared.runs if run.member.name in failed)
        remark = f"; the table shows the earlier result of {earlier}" if earlier else ""
        print(f"failed: {len(failed)} of {len(plan.members)} members{remark}", file=sys.stderr)
    before = [failure for failure in compared.failures if failure.has_failed and failure.name not in failed]
    if before:
        retry = "; --retry_failed does that" if not values.retry_failed and any(failure.needs_retry for failure in before) else ""
        print(f"failed before and not tried again: {len(before)} of {len(plan.members)} members{retry}", file=sys.stderr)
    return ERROR if compared.failures or failed else DONE


def _shared(config: Config, axes: Iterable[str], tune: Iterable[str], values: flags.FlagValues) -> Config:
    """Returns what the members share: the configuration without what an axis excludes, such as steps beside epochs.

    Raises UserError where a flag gives one value to a field that is swept, tuned or excluded.
    """
    for path, flag, what in (*((path, "tune", "tuned") for path in tune), *((path, "axis", "swept") for path in axes)):
        if values[f"config.{path}"].value is not None:
            short = "".join(f", or --{name}" for name, own in AXIS_FLAGS.items() if own == path)
            raise UserError(f"--config.{path}: this field is {what}; give its values with --{flag}={path}=VALUE{short}")
    shared = without_opposites(config, [*axes, *tune])
    for path in config_lib.differences(config, shared):
        if values[f"config.{path}"].value is not None:
            raise UserError(f"--config.{path}: an axis of the sweep excludes it; expected one or the other")
    return shared


def _status(values: flags.FlagValues) -> int:
    from seq2seq_jax.sweep import status

    status.run(values.workdir)
    return DONE


def _compare(values: flags.FlagValues) -> int:
    keep_numpy_to_one_thread()
    from seq2seq_jax.compare import main as compare

    compare.run(values.workdir, values.format, values.tolerance, values.noise_floor, values.figures)
    return DONE


def _evaluate(values: flags.FlagValues) -> int:
    if values.data is not None and values["split"].present:
        raise UserError(f"--split={values.split}: --data={values.data} is scored instead of a split; expected one of the two flags")
    from seq2seq_jax.inference.evaluate import evaluate
    from seq2seq_jax.train.runtime import prepare_to_use

    prepare_to_use()
    metrics = evaluate(values.workdir, values.split, values.data, values.beam_size, values.length_penalty)
    print(json.dumps(metrics, ensure_ascii=False))
    return DONE


def _translate(values: flags.FlagValues) -> int:
    from seq2seq_jax.inference.attention_file import check_attention_file, write_attention
    from seq2seq_jax.inference.translate import open_translators, read_sources, translations, unknown_sources
    from seq2seq_jax.train.runtime import prepare_to_use

    if sys.stdin is None:
        raise UserError("standard input: closed; expected sources, one a line")
    if values.attention is not None:
        check_attention_file(pathlib.Path(values.attention))
    prepare_to_use()
    runs = open_translators(values.workdir)  # before waiting for input
    sources = read_sources(sys.stdin.buffer)
    translated = translations(
        runs,
        sources,
        beam_size=values.beam_size,
        n_best=values.n_best or 1,
        length_penalty=values.length_penalty,
        attention=values.attention is not None,
    )
    for number, outputs in enumerate(translated):
        for output in outputs:
            print(output.text if values.n_best is None else f"{number}\t{output.score:.4f}\t{output.text}")
    for remark in unknown_sources(runs[0], sources):
        print(f"translate: {remark}", file=sys.stderr)
    if values.attention is not None:
        sys.stdout.flush()  # before what may go the same way, as to /dev/stdout
        picture = write_attention(pathlib.Path(values.attention), [best.attended for best, *_ in translated])
        print(f"attention: {values.attention}" + (f", picture: {picture}" if picture else ""), file=sys.stderr)
    return DONE


def _sample(values: flags.FlagValues) -> int:
    from seq2seq_jax.inference.sample import sample_texts
    from seq2seq_jax.train.runtime import prepare_to_use

    prepare_to_use()
    texts = sample_texts(
        values.workdir,
        values.prompt,
        values.length,
        temperature=values.temperature,
        seed=values.seed,
        top_k=values.top_k,
        top_p=values.top_p,
        number=values.num_samples,
    )
    for number, pieces in enumerate(texts, 1):
        if values.num_samples > 1:
            print(f"=== {number} of {values.num_samples} ===")
        for piece in pieces:
            print(piece, end="", flush=True)
        print()
    return DONE


def _trace(values: flags.FlagValues) -> int:
    if values.text is not None and values["line"].present:
        raise UserError(f"--line={values.line}: --text is followed instead of a line of dev; expected one of the two flags")
    check_figure(values.figure)
    from seq2seq_jax.inference.trace import trace_run
    from seq2seq_jax.train.runtime import prepare_to_use

    prepare_to_use()
    trace_run(values.workdir, values.text, values.line, values.position, values.format, values.figure)
    return DONE


STUDY_VERBS = {
    "embeddings trace": Verb(
        "where a loss sends its gradient: layers, time steps, rows of the table",
        "embeddings trace --workdir=runs/a --text='cat' --figure=trace.svg",
        TRACE,
        _trace,
    ),
    **{f"embeddings {name}": study for name, study in STUDIES.items()},
}
VERBS = {
    "train": Verb(
        "trains one run, or goes on with it",
        "train --config=experiments/pronunciation.py --workdir=runs/a --config.model.embedding_dim=32",
        TRAIN,
        _train,
        resumes=True,
        remark=FIELDS_REMARK,
    ),
    "sweep": Verb(
        "trains every size with every seed, then compares",
        "sweep --config=experiments/pronunciation.py --workdir=runs/s --embedding_dims=4,16,64,256 --seeds=0,1,2",
        SWEEP,
        _sweep,
        resumes=True,
        remark=FIELDS_REMARK,
    ),
    "status": Verb(
        "shows the progress of a sweep, also of one that runs in another terminal",
        "status --workdir=runs/s",
        (RUN._replace(help="directory of the sweep"),),
        _status,
    ),
    "compare": Verb("says which size to take, how sure that is and what it costs", "compare --workdir=runs/s", COMPARE, _compare),
    "evaluate": Verb(
        "scores a run's best checkpoint, or several together, as JSON",
        "evaluate --workdir=runs/a --split=test",
        EVALUATE,
        _evaluate,
        remark="The loss is that of a single run: with several, or a beam wider than 1, there is none.",
    ),
    "translate": Verb("translates standard input", "translate --workdir=runs/a < words.txt > out.txt", TRANSLATE, _translate),
    "sample": Verb(
        "writes text with a language model",
        "sample --workdir=runs/b --prompt='ROMEO:' --length=500 --temperature=0.8 --seed=0",
        SAMPLE,
        _sample,
        remark="What is drawn are units of the vocabulary, never <unk> or an end.",
    ),
    "embeddings": STUDY_VERBS["embeddings neighbours"]._replace(summary="studies a trained table: neighbours, gradients, export and more"),
}


def main(argv: Sequence[str]) -> int:
    """Runs what was typed and returns the exit code."""
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))  # its list of fonts, which it would keep elsewhere
    return run(argv[1:], (__doc__ or "").rstrip(), VERBS, {"embeddings": STUDY_VERBS})


if __name__ == "__main__":
    collect_garbage_rarely()
    code = main(sys.argv)
    for late in (signal.SIGINT, signal.SIGTERM):  # all is done: from here on they would only change the exit code
        signal.signal(late, signal.SIG_IGN)
    sys.exit(code)
