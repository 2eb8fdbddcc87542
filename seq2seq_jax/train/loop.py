"""The loop: load, resume, step, log, evaluate, save, finish, in this order and nowhere else.

Whatever the loop decides (to log, to evaluate, to save, to stop) it decides from the step number and from what is in
the checkpoint, so that a resumed run does what the uninterrupted one would have done, to the bit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import signal
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jax

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config, UserError
from seq2seq_jax.data.corpus import Corpus, load_corpus, training_batches
from seq2seq_jax.data.sources import with_absolute_paths
from seq2seq_jax.model.build import initial_params
from seq2seq_jax.model.keys import named
from seq2seq_jax.train.artifacts import result_of, write_embeddings, write_outputs
from seq2seq_jax.train.checkpoints import Checkpoints
from seq2seq_jax.train.devices import Devices, choose_device_count
from seq2seq_jax.train.evaluation import Evaluator, output_limit, start_carry
from seq2seq_jax.train.metrics_log import MetricsLog
from seq2seq_jax.train.programs import programs
from seq2seq_jax.train.progress import Reporter, View
from seq2seq_jax.train.run_directory import RunDirectory, write_json
from seq2seq_jax.train.state import TrainState, Window, make_optimizer, root_key, total_steps


class TrainingFailed(Exception):
    """The loss or the gradient is no longer a finite number."""


class Interrupted(Exception):
    """SIGTERM or SIGINT came; the state is saved and the same command goes on from it."""


@dataclasses.dataclass
class Progress:
    """What the loop remembers beside the state; part of every checkpoint.

    Attributes:
      best_step: step of the best evaluation on dev, None before the first.
      best_value: its metric.
      stale_evaluations: evaluations since then.
      train_seconds: time spent in updates, without evaluations and checkpoints.
      tokens: units trained on.
    """

    best_step: int | None = None
    best_value: float | None = None
    stale_evaluations: int = 0
    train_seconds: float = 0.0
    tokens: float = 0.0


def train(
    config: Config, workdir: str, varied: Mapping[str, Any] | None = None, view: View | None = None, corpus: Corpus | None = None
) -> dict[str, Any]:
    """Trains the run in ``workdir`` to its end, from its last checkpoint where there is one.

    Args:
      config: what to train; already validated.
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
    run = RunDirectory(pathlib.Path(workdir))
    view = view or Reporter("train")
    with run.locked(), stop_signals() as stop:
        config = with_absolute_paths(config)
        varied = varied or {path: config_lib.get(config, path) for path in ("model.embedding_dim", "train.seed")}
        corpus = corpus or load_corpus(config)
        try:
            return Trainer(config, run, corpus, view, stop).train(varied)
        except (UserError, Interrupted):
            raise
        except Exception as error:
            line = " ".join(f"{error if isinstance(error, TrainingFailed) else f'{type(error).__name__}: {error}'}".split())
            write_json(run.result_file, result_of("failed", config, varied, error=line))
            raise
        finally:
            view.stop()


class Stop:
    """Whether a signal has asked the loop to stop."""

    requested = False


@contextlib.contextmanager
def stop_signals() -> Iterator[Stop]:
    """Turns SIGTERM and SIGINT into a request that the loop meets at the next step."""
    stop = Stop()

    def request(signum: int, frame: Any) -> None:
        stop.requested = True

    before = {number: signal.signal(number, request) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Trainer:
    """One run from its first or last step to its end."""

    def __init__(self, config: Config, run: RunDirectory, corpus: Corpus, view: View, stop: Stop):
        """Makes batches, programs and evaluator, and writes or checks config.json."""
        self.config, self.run, self.corpus, self.view, self.stop = config, run, corpus, view, stop
        self.metric = config_lib.metric_of(config)
        self.batches = training_batches(config, corpus)
        self.total = total_steps(config, self.batches.steps_per_epoch)
        self.eval_every = config.train.eval_every or min(self.batches.steps_per_epoch, self.total)
        self.checkpoint_every = config.train.checkpoint_every or self.eval_every
        limit = output_limit(corpus)
        run.begin(config, corpus.sha256, limit, corpus.vocabularies)
        self.devices = Devices(choose_device_count(config.train.devices, config.train.batch_size))
        self.vocabulary_sizes = {side: len(vocabulary) for side, vocabulary in corpus.vocabularies.items()}
        self.programs = programs(config, self.vocabulary_sizes, self.total, self.devices, limit)
        self.evaluator = Evaluator(config, self.programs, corpus.vocabularies, self.batches.shapes)
        self.checkpoints = Checkpoints(run.checkpoints)

    def train(self, varied: Mapping[str, Any]) -> dict[str, Any]:
        """Trains to the end and writes the result."""
        state, progress = self._resume()
        done = int(state.step)
        if done > self.total:
            raise UserError(f"--workdir={self.run.path}: the run has made {done} updates already; expected train.steps of at least that")
        finished = self.run.result()
        if finished is not None and finished["status"] == "finished" and (done == self.total or self._out_of_patience(progress)):
            return finished
        for note in self.corpus.notes:
            self.view.note(note)
        self.run.result_file.unlink(missing_ok=True)
        self.log = MetricsLog(self.run.path, done)
        try:
            state = self._run(self.devices.place(state), progress)
            return self._finish(state, progress, varied)
        finally:
            self.log.close()

    def _resume(self) -> tuple[TrainState, Progress]:
        key = named(root_key(self.config.train.seed), "params")
        params = initial_params(self.config.model, self.vocabulary_sizes, key)
        carry = start_carry(self.programs.structure, params, self.config.train.batch_size)
        initial = TrainState.initial(self.config.train, params, make_optimizer(self.config.train), carry)
        loaded = self.checkpoints.load_newest(initial, self.view.note)
        if loaded is None:
            self.checkpoints.keep(())
            return initial, Progress()
        state, progress = loaded
        self.view.note(f"going on from step {int(state.step)}")
        self.checkpoints.keep([step for step in self.checkpoints.steps() if step <= state.step])
        return state, Progress(**progress)

    def _out_of_patience(self, progress: Progress) -> bool:
        return self.config.train.patience is not None and progress.stale_evaluations >= self.config.train.patience

    def _run(self, state: TrainState, progress: Progress) -> TrainState:
        """Updates until the last step, lost patience, or a signal."""
        step, seed = int(state.step), self.config.train.seed
        self.view.start(step, self.total)
        metric_text = ""
        since = time.monotonic()
        while step < self.total and not self._out_of_patience(progress):
            state = self.programs.train_step(state, self.devices.split_batch(self.batches.batch_at(seed, step)))
            step += 1
            evaluates = step % self.eval_every == 0 or step == self.total
            saves = step % self.checkpoint_every == 0 or step == self.total
            if evaluates or saves or self.stop.requested or step % self.config.train.log_every == 0:
                state = self._log_window(state, step, since, progress, metric_text, reset=step % self.config.train.log_every == 0)
                if evaluates:
                    saves |= self._evaluate(state, step, progress)
                    metric_text = "" if progress.best_value is None else f"best {self.metric.name} {progress.best_value:.4f}"
                if saves or self.stop.requested:
                    self._save(state, progress)
                since = time.monotonic()
            if self.stop.requested and step < self.total:
                raise Interrupted(f"stopped at step {step}; the same command goes on from there")
        self.view.stop()
        return state

    def _log_window(self, state: TrainState, step: int, since: float, progress: Progress, metric_text: str, reset: bool) -> TrainState:
        """Waits for the device, stops at a loss that is not finite, and at a log step writes a record."""
        window = jax.device_get(state.window)
        if window.bad_step >= 0:
            raise TrainingFailed(f"loss is not finite at step {window.bad_step}; configuration: {_one_line(self.config)}")
        seconds = time.monotonic() - since
        progress.train_seconds += seconds
        if not reset:
            return state
        loss = float(window.loss.nats / window.loss.count)
        progress.tokens += float(window.loss.count)
        speed = progress.tokens / progress.train_seconds
        values = {"loss_nats_per_token": loss, "tokens_per_second": speed, "elapsed_seconds": progress.train_seconds}
        self.log.write(step, "train", values)
        self.view.update(step, loss, speed, metric_text)
        return state._replace(window=Window.empty())

    def _evaluate(self, state: TrainState, step: int, progress: Progress) -> bool:
        """Scores dev, writes a record, and returns whether it was the best so far; without a dev split the last is the best."""
        if self.corpus.dev is None:
            progress.best_step = step
            return True
        evaluation = self.evaluator.evaluate(state.params, self.corpus.dev)
        self.log.write(step, "dev", {**evaluation.metrics, "elapsed_seconds": progress.train_seconds})
        value = evaluation.metrics[self.metric.name]
        sign = 1 if self.metric.lower_is_better else -1
        improved = progress.best_value is None or sign * value < sign * progress.best_value
        if improved:
            progress.best_step, progress.best_value, progress.stale_evaluations = step, value, 0
        else:
            progress.stale_evaluations += 1
        return improved

    def _save(self, state: TrainState, progress: Progress) -> None:
        """Writes a checkpoint and keeps beside it the best one and, against damage, the one before."""
        before = [step for step in self.checkpoints.steps() if step < int(state.step)]
        self.checkpoints.save(self.devices.gather(state), dataclasses.asdict(progress))
        self.checkpoints.keep({int(state.step), progress.best_step, *before[-1:]})

    def _finish(self, state: TrainState, progress: Progress, varied: Mapping[str, Any]) -> dict[str, Any]:
        """Scores the best checkpoint and writes what the run leaves behind, the result last."""
        host = self.devices.gather(state)
        steps = int(host.step)
        assert progress.best_step is not None
        best = host if progress.best_step == steps else self.checkpoints.load(progress.best_step, host)[0]
        dev, test = (split and self.evaluator.evaluate(best.params, split) for split in (self.corpus.dev, self.corpus.test))
        write_embeddings(self.run.path, best.params, self.corpus.vocabularies)
        if dev is not None:
            write_outputs(self.run.path, self.corpus.dev, dev)
        self.checkpoints.keep({steps, progress.best_step})
        result = result_of(
            "finished",
            self.config,
            varied,
            params=best.params,
            dev=dev and dev.metrics,
            test=test and test.metrics,
            best_step=progress.best_step,
            steps=steps,
            train_seconds=progress.train_seconds,
            tokens_per_second=progress.tokens / progress.train_seconds,
        )
        write_json(self.run.result_file, result)
        return result


def _one_line(config: Config) -> str:
    return ", ".join(f"{path}={value}" for path in config_lib.fields() if (value := config_lib.get(config, path)) is not None)
