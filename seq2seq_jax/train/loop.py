"""The loop: load, resume, step, log, evaluate, save, finish, in this order and nowhere else.

It drives one run, or the members of a sweep that advance together; what each of them decides is in ``run.py``, and how
their states are updated in ``engine.py`` and ``step.py``.
"""

from __future__ import annotations

import contextlib
import pathlib
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import SEED, SIZE, Config
from seq2seq_jax.data.ahead import ReadAhead
from seq2seq_jax.data.buckets import Shape
from seq2seq_jax.data.corpus import Batches, Corpus, load_corpus, training_batches
from seq2seq_jax.data.raw_splits import has_dev, with_absolute_paths
from seq2seq_jax.errors import Interrupted, UserError
from seq2seq_jax.length import total_steps
from seq2seq_jax.model.build import Params
from seq2seq_jax.records import SWEEP_FILE
from seq2seq_jax.show.progress import SECONDS_UNSHOWN, LineTimer, shown
from seq2seq_jax.train.devices import Devices, choose_devices
from seq2seq_jax.train.engine import Engine, OneRun
from seq2seq_jax.train.evaluation import Evaluation, Evaluator, make_evaluator, output_limit
from seq2seq_jax.train.programs import Programs, programs
from seq2seq_jax.train.run import Due, Run
from seq2seq_jax.train.run_directory import RunDirectory
from seq2seq_jax.train.signals import Stop, stop_signals
from seq2seq_jax.train.state import TrainState
from seq2seq_jax.train.view import Reporter, View
from seq2seq_jax.validation import validate


def train(
    config: Config, workdir: str, varied: Mapping[str, Any] | None = None, view: View | None = None, corpus: Corpus | None = None
) -> dict[str, Any]:
    """Trains the run in ``workdir`` to its end, from its last checkpoint where there is one.

    Args:
      config: what to train.
      workdir: the run directory.
      varied: the values that tell this run from the others of its sweep.
      view: what shows the run's progress; None: stderr.
      corpus: the data, where it is loaded already.

    Returns:
      The content of result.json.

    Raises:
      UserError: the configuration, data or workdir is not fit for it.
      TrainingFailed: the loss became NaN or infinite; result.json says so.
      Interrupted: a signal came and a checkpoint was written.
    """
    validate(config)
    if config.train.patience is not None and not has_dev(config):
        raise UserError(f"train.patience={config.train.patience}: there is no dev split to judge by; expected null, or a dev split")
    directory = RunDirectory(pathlib.Path(workdir))
    if (directory.path / SWEEP_FILE).exists():
        raise UserError(f"--workdir={workdir}: this is the directory of a sweep; expected another one for a run")
    with directory.locked():
        config = with_absolute_paths(config)
        varied = varied or {path: config_lib.get(config, path) for path in (SIZE, SEED)}
        if corpus is None:
            with shown("train: reading the data"):
                corpus = load_corpus(config)  # which a signal ends at once: there is nothing to save
        batches = training_batches(config, corpus)
        with stop_signals() as stop, contextlib.closing(Run(config, directory, corpus, batches, view or Reporter("train"), varied)) as run:
            try:
                _train_alone(run, batches, stop)
            except (UserError, Interrupted):
                raise
            except Exception as error:
                run.fail(error)
        if run.result is None:
            assert run.error is not None  # it has ended
            raise run.error
        return run.result


def _train_alone(run: Run, batches: Batches, stop: Stop) -> None:
    prepared = prepare_alone(run.config, run.corpus, batches)
    state = run.begin(prepared.programs.structure)
    if not run.ended:
        Loop([run], prepared.engine(state), batches, stop).run()


class Prepared(NamedTuple):
    """What a run by itself is trained with, before it has a state."""

    programs: Programs
    devices: Devices
    evaluator: Evaluator

    def engine(self, state: TrainState) -> OneRun:
        """Returns the engine of a run that goes on from a host state."""
        return OneRun(self.programs, self.devices, self.evaluator, state)


def prepare_alone(config: Config, corpus: Corpus, batches: Batches) -> Prepared:
    """Chooses the devices of a run by itself and returns its programs, each of which is compiled when it is first called."""
    sizes = corpus.vocabulary_sizes
    devices = choose_devices(config, sizes["target"], batches.shapes)
    compiled = programs(config, sizes, total_steps(config, batches.steps_per_epoch), devices, output_limit(corpus), batches.shapes)
    return Prepared(compiled, devices, make_evaluator(config, compiled, corpus.vocabularies, batches.shapes))


class _ScoringStopped(Exception):
    """A signal came while a split was scored, of which nothing counts."""


class Loop:
    """Brings runs to their end: one alone, or several of the same data, batch shapes and number of updates.

    Runs at the same step advance together. Where some have resumed from an earlier step than others, these go first; a
    run that has ended, or is ahead, is left as it is.
    """

    def __init__(self, runs: Sequence[Run], engine: Engine, batches: Batches, stop: Stop, on_end: Callable[[Run], None] = lambda run: None):
        """Takes runs that have begun, in the order of their places in ``engine``; ``on_end`` is called as each ends."""
        self._runs, self._engine, self._batches, self._stop, self._on_end = runs, engine, batches, stop, on_end
        self._places = {run: place for place, run in enumerate(runs)}
        self._compiled: set[Shape] = set()
        self._batch_at = ReadAhead(batches.batch_at, max(run.total for run in runs))

    def run(self) -> None:
        """Goes on until every run has finished or failed. Raises Interrupted when a signal came, after all have saved."""
        try:
            self._run()
        except _ScoringStopped:
            self._interrupt()
        finally:
            self._batch_at.close()

    def _run(self) -> None:
        for (_, left), together in self._left().items():
            self._visit(together, left, time.monotonic())
        self._finish([run for run in self._going() if run.complete])
        since = time.monotonic()
        while going := self._going():
            step = min(run.step for run in going)
            together = [run for run in going if run.step == step]
            since += self._advance(together)
            due, stopping = together[0].due(), self._stop.requested  # asked once: what stops here was visited here
            if any(due) or stopping:
                self._visit(together, due, since)
                since = time.monotonic()
            if stopping:
                self._interrupt()

    def _left(self) -> dict[tuple[int, Due], list[Run]]:
        """Returns the runs that have something left to do at the step that they go on from, by step and what it is."""
        found: dict[tuple[int, Due], list[Run]] = {}
        for run in self._going():
            if run.step and any(left := run.left()):
                found.setdefault((run.step, left), []).append(run)
        return found

    def _interrupt(self) -> None:
        """Saves what is not saved yet, and raises Interrupted once each run that this has not ended has written that it can go on."""
        for run in self._going():
            if not run.saved:
                self._save(run)
        if going := self._going():
            for run in going:
                run.interrupt()
            raise Interrupted(f"at step {min(run.step for run in going)}; the same command goes on from there")

    def _save(self, run: Run) -> None:
        with self._ending(run):
            run.save(self._engine.state(self._places[run]))

    def _going(self) -> list[Run]:
        return [run for run in self._runs if not run.ended]

    def _advance(self, together: Sequence[Run]) -> float:
        """Makes one update of each. Returns the seconds of one that had to be compiled first: neither they nor its tokens are counted."""
        shape = self._batches.shape_at(together[0].step)
        if shape in self._compiled:
            self._update(together)
            return 0.0
        self._compiled.add(shape)
        before, began = self._engine.log_sums(), time.monotonic()  # once what came before is done
        self._update(together)
        after = self._engine.log_sums()  # waits for the compiler and for the update
        for run in together:
            place = self._places[run]
            run.leave_out(float(after[place].loss.count - before[place].loss.count))
        return time.monotonic() - began

    def _update(self, together: Sequence[Run]) -> None:
        """Makes one update of each; runs of one seed see the same batch."""
        step = together[0].step
        of_seed = {seed: self._batch_at(seed, step) for seed in {run.config.train.seed for run in together}}
        self._engine.advance([of_seed[run.config.train.seed] if run in together else None for run in self._runs])
        for run in together:
            run.step += 1

    def _visit(self, together: Sequence[Run], due: Due, since: float) -> None:
        """Waits for the devices, then logs, evaluates, saves and finishes, as far as it is due."""
        sums = self._engine.log_sums()
        seconds = (time.monotonic() - since) / len(together)
        for run in together:
            run.progress.trained_together = max(run.progress.trained_together, len(together))
            with self._ending(run):
                run.log(sums[self._places[run]], seconds, due.logs)
        going = [run for run in together if not run.ended]
        if due.logs:
            self._engine.clear_log_sums([self._places[run] for run in going])
        improved = self._evaluate(going) if due.evaluates else ()
        for run in going:
            if (due.logs or due.evaluates) and not run.ended:
                run.show()
        for run in going:
            if not run.ended and (due.saves or run in improved or run.complete):
                self._save(run)
        self._finish([run for run in going if run.complete and not run.ended])

    def _evaluate(self, runs: Sequence[Run]) -> list[Run]:
        """Scores dev and returns the runs that were never better."""
        params = [self._engine.state(self._places[run]).evaluated for run in runs]
        improved = []
        for run, evaluation in zip(runs, self._scores(runs, params, "dev"), strict=True):
            with self._ending(run):
                improved += [run] if run.note_evaluation(evaluation) else []
        return improved

    def _finish(self, runs: Sequence[Run]) -> None:
        """Scores the best checkpoints, on dev where that was not kept, and lets each run write what it leaves behind."""
        if not runs:
            return
        best = {}
        for run in runs:
            with self._ending(run):
                best[run] = run.best_params(self._engine.state(self._places[run]))
        dev = {run: run.best_evaluation for run in best if run.best_evaluation is not None and run.best_evaluation.complete}
        unscored = [run for run in best if run not in dev]
        dev |= dict(zip(unscored, self._scores(unscored, [best[run] for run in unscored], "dev"), strict=True))
        test = self._scores(list(best), list(best.values()), "test")
        for (run, params), of_test in zip(best.items(), test, strict=True):
            with self._ending(run):
                run.finish(params, dev[run], of_test)

    def _scores(self, runs: Sequence[Run], params: list[Params], name: Literal["dev", "test"]) -> list[Evaluation] | list[None]:
        """Scores the split with each run's ``params``; None for each where there is no such split. Raises _ScoringStopped at a signal."""
        split = getattr(self._runs[0].corpus, name)
        if split is None or not params:
            return [None] * len(params)
        lines = LineTimer(SECONDS_UNSHOWN)

        def watch(how_far: str) -> None:
            if self._stop.requested:
                raise _ScoringStopped
            if lines.due():
                for run in runs:
                    run.view.doing(f"scoring {name}: {how_far}")

        return self._engine.evaluate(params, split, watch)

    @contextlib.contextmanager
    def _ending(self, run: Run) -> Generator[None, None, None]:
        """Makes an exception inside the end of this run alone, so that others go on, and tells when it has ended."""
        try:
            yield
        except Exception as error:
            run.fail(error)
        if run.ended:
            self._on_end(run)
