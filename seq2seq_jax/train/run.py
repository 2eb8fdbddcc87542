"""The bookkeeping of one run: where it goes on, what it logs, what it keeps and what it leaves behind.

It updates no parameter and looks at no clock. Whatever it decides (to log, to evaluate, to save, to stop) it decides from the
step number and from what is in the checkpoint, so that a resumed run does what the uninterrupted one would have done, to the bit.
Read next: ``loop.py``, which advances one run or several together.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config
from seq2seq_jax.data.corpus import Batches, Corpus, lookup_counts
from seq2seq_jax.errors import TrainingFailed, UserError
from seq2seq_jax.json_files import write_json
from seq2seq_jax.kinds import LOSS, metric_of
from seq2seq_jax.length import Length, total_steps
from seq2seq_jax.model.build import Params, embedding_tables, initial_params
from seq2seq_jax.model.keys import named
from seq2seq_jax.records import RunRecord
from seq2seq_jax.train.artifacts import Figures, explain, result_of, write_embeddings, write_failure, write_outputs
from seq2seq_jax.train.checkpoints import Checkpoints
from seq2seq_jax.train.earlier import Earlier
from seq2seq_jax.train.evaluation import Evaluation, output_limit
from seq2seq_jax.train.metrics_log import MetricsLog
from seq2seq_jax.train.optimizer import learning_rate_of
from seq2seq_jax.train.pretrained import fill, load_pretrained
from seq2seq_jax.train.programs import initial_state
from seq2seq_jax.train.progress import Progress
from seq2seq_jax.train.run_directory import Gone, RunDirectory
from seq2seq_jax.train.state import LogSums, TrainState, parameter_counts, root_key
from seq2seq_jax.train.view import View


class Due(NamedTuple):
    """What falls on a step."""

    logs: bool
    evaluates: bool
    saves: bool


class Run:
    """One run from its first or last step to its end.

    Attributes:
      step: updates made.
      total: updates asked for.
      progress: what is remembered beside the state.
      best_evaluation: what the best step has made of dev; None where that was before a resume, or there is no dev split.
      result: content of result.json once the run is finished.
      error: why it failed, where it did.
    """

    def __init__(self, config: Config, directory: RunDirectory, corpus: Corpus, batches: Batches, view: View, varied: Mapping[str, Any]):
        """Prepares a run of ``config``, whose paths are absolute; writes no file."""
        self.config, self.directory, self.corpus, self.view = config, directory, corpus, view
        self.step, self.progress = 0, Progress()
        self.best_evaluation: Evaluation | None = None
        self.result: dict[str, Any] | None = None
        self.error: Exception | None = None
        self._varied = varied
        self._shorter_best: list[int] = []  # best step of a shorter training whose result still holds
        self._metric = metric_of(config)
        self._pretrained = load_pretrained(config, corpus.vocabularies)
        self._initial_tables: dict[str, Float[np.ndarray, "V D"]] = {}
        self._shapes = batches.shapes
        self.total = total_steps(config, batches.steps_per_epoch)
        self._eval_every = config.train.eval_every or min(batches.steps_per_epoch, self.total)
        self._checkpoint_every = config.train.checkpoint_every or self._eval_every
        self._checkpoints = Checkpoints(directory.checkpoints)
        self._log: MetricsLog | None = None
        self._logged: tuple[float, float | None] = (math.nan, None)  # loss and speed of the last line of the log
        self._saved_step = 0  # which needs no checkpoint

    @property
    def complete(self) -> bool:
        """Whether all updates are made or patience is lost."""
        patience = self.config.train.patience
        return self.step == self.total or (patience is not None and self.progress.stale_evaluations >= patience)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do: finished, or failed."""
        return self.result is not None or self.error is not None

    @property
    def saved(self) -> bool:
        """Whether a run that is started again goes on from the step that this one has reached."""
        return self.step == self._saved_step

    def due(self) -> Due:
        """Returns what falls on the step that the run has reached."""
        last = self.step == self.total
        return Due(
            logs=last or self.step % self.config.train.log_every == 0,
            evaluates=last or self.step % self._eval_every == 0,
            saves=last or self.step % self._checkpoint_every == 0,
        )

    def left(self) -> Due:
        """Returns what is not done yet at the step that the run goes on from.

        It was stopped while dev was scored there, or on the way to more updates, and has saved before it had scored.
        """
        due = self.due()
        unscored = (due.evaluates or self.complete) and self.progress.evaluated_step != self.step
        return Due(logs=due.logs and self.progress.unlogged_tokens > 0, evaluates=unscored, saves=unscored)

    def begin(self, structure: nnx.GraphDef) -> TrainState:
        """Writes or checks config.json and returns the host state to go on from; a run that is finished has ``result`` then.

        Raises UserError where the directory holds another run, or one that cannot be brought to the updates asked for, or is gone.
        """
        earlier = Earlier(self.directory, self._length)
        if earlier.is_damaged:
            self.view.note("result.json is damaged and is made again")
        sha256 = self.corpus.sha256 | ({} if self._pretrained is None else {"pretrained": self._pretrained.sha256})
        if earlier.record is not None:
            self.directory.check(earlier.record, self.config, sha256)
            self.directory.check_vocabularies(self.corpus.vocabularies)
        state = self.resume(structure)
        self._check_owner(earlier, sha256)
        holds = earlier.holds(self.step, self.complete)
        if not holds:  # before config.json asks for more updates than the old result has
            self._shorter_best = earlier.make_way(self.step)
        record = RunRecord(self.config, self.total, sha256, output_limit(self.corpus), self._shapes)
        self.directory.check_held()
        self.directory.begin(record, self.corpus.vocabularies)
        self.directory.traceback_file.unlink(missing_ok=True)  # of an earlier start that failed
        if holds:
            self.result = earlier.taken_over()
            if self.step == self.result["steps"]:
                self._checkpoints.keep({self.step, *self._best_step()})  # as ``finish`` does, before which a kill may have come
            self.view.note(f"finished at step {self.result['steps']} before: nothing to train")
        else:
            self._note_rescheduling()
            self._announce()
        return state

    def _check_owner(self, earlier: Earlier, data_sha256: Mapping[str, str]) -> None:
        """Raises UserError where config.json is lost, and checkpoint or result are of another configuration, or of other data."""
        own, result = config_lib.run_sha256(self.config, data_sha256), earlier.result or {}
        found = {self.progress.run_sha256, result.get("run_sha256")} - {None, own}
        if not result.get("run_sha256") and result.get("config_sha256") not in (None, config_lib.config_sha256(self.config)):
            found.add(result["config_sha256"])  # of an older version, which says nothing of the data
        if earlier.record is None and found:
            raise UserError(
                f"--workdir={self.directory.path}: config.json is missing, and what was trained here has another configuration "
                "or other data; expected the command that trained it, or another workdir"
            )
        self.progress.run_sha256 = own

    def _note_rescheduling(self) -> None:
        """Takes note of a learning rate that is scheduled anew: such a run does not compare with one that had the whole course at once."""
        progress = self.progress
        if self.config.train.schedule_ends and self.step and progress.total != self.total:
            progress.rescheduled_at.append(self.step)
        progress.total = self.total

    @property
    def _length(self) -> Length:
        return Length(self.config.train.steps, self.config.train.epochs, self.total)

    def _announce(self) -> None:
        """Says where training goes on and what is to be known of the data, opens the log and shows that training begins."""
        if self.step:
            self.view.note(f"going on from step {self.step}")
        for note in self.corpus.notes:
            self.view.note(note)
        train = self.config.train
        if 2 * train.warmup_steps >= self.total:
            what = "stays below its highest" if train.warmup_steps >= self.total else "is at its highest in the second half only"
            self.view.note(f"train.warmup_steps={train.warmup_steps} of {self.total} updates: the learning rate {what}")
        if self._pretrained is not None:
            counts = lookup_counts(self.corpus)[self._pretrained.sides[0]]
            self.view.note(self._pretrained.sentence(str(self.config.model.pretrained), counts))
        self._log = MetricsLog(self.directory.path, self.step)
        self.view.start(self.step, self.total, self._metric.name)

    def resume(self, structure: nnx.GraphDef) -> TrainState:
        """Returns the newest checkpoint's state and takes over its progress; the initial state where there is none."""
        params = initial_params(self.config.model, self.corpus.vocabulary_sizes, named(root_key(self.config.train.seed), "params"))
        params = fill(self.config.model, params, self._pretrained)
        self._initial_tables = {side: np.asarray(table) for side, table in embedding_tables(params).items()}
        # On the host, as checkpoints are: members trained together would all keep theirs on the first device, beside what is trained.
        initial = jax.device_get(initial_state(self.config, structure, params))
        loaded = self._checkpoints.load_newest(initial, self.view.note, self._best_needed)
        if loaded is None:
            return initial
        state, progress = loaded
        self.step, self.progress = int(state.step), Progress(**progress)
        self._saved_step = self.step
        self._forget_a_lost_best()
        self._checkpoints.keep([step for step in self._checkpoints.steps() if step <= self.step])
        return state

    def _forget_a_lost_best(self) -> None:
        """Lets a later step be the best where the checkpoint of the best one is gone, as of a run that kept its last and lost its result.

        A best that is gone since a later one outdid it stays: training makes that later step again.
        """
        progress, steps = self.progress, self._checkpoints.steps()
        lost = progress.best_step is not None and progress.best_step not in steps and self.step == steps[-1]
        if lost and self.directory.finished() is None:
            self.view.note(f"the best checkpoint, of step {progress.best_step}, is gone: the best from step {self.step} on counts")
            progress.forget_best()

    def _best_needed(self, progress: dict[str, Any]) -> int | None:
        """Returns the best step that a checkpoint's progress names: its checkpoint must be whole too, since the run ends with it.

        One that is gone is not needed: a later step was better, and will be again, or a finished run has given it up (--keep).
        """
        best = progress["best_step"]
        return best if best in self._checkpoints.steps() else None

    def leave_out(self, tokens: float) -> None:
        """Does not count the tokens of an update for its speed, as its time is not counted: it had to be compiled first."""
        self.progress.tokens -= tokens

    def log(self, sums: LogSums, seconds: float, logs: bool) -> None:
        """Takes note of training since the last call, stops at a loss that is not finite, and at a log step writes a record.

        Args:
          sums: since the last line, on the host.
          seconds: spent in updates since the last call.
          logs: whether a line is due.

        Raises:
          TrainingFailed: a loss or gradient was not finite.
          Gone: nothing is to be written here any more.
        """
        self.directory.check_held()
        if sums.bad_step >= 0:
            raise TrainingFailed(f"loss is not finite at step {sums.bad_step + 1}", config_lib.one_line(self.config))
        self.progress.train_seconds += seconds
        self.progress.unlogged_tokens = float(sums.loss.count)
        if not logs:
            return
        loss = float(sums.loss.nats / max(1.0, sums.loss.count))  # nothing is scored where word vectors' subsampling leaves no pair
        self.progress.tokens += self.progress.unlogged_tokens
        self.progress.unlogged_tokens = 0.0
        speed = self.progress.tokens_per_second
        rate = learning_rate_of(self.config.train, self.total, self.step)
        values = {LOSS: loss, "learning_rate": rate, "tokens_per_second": speed, "elapsed_seconds": self.progress.train_seconds}
        self._write(self.step, "train", values)
        self._logged = (loss, speed)

    def show(self) -> None:
        """Shows the last line of the log beside the best metric, which may be of the same step."""
        if math.isnan(self._logged[0]):  # there is none yet
            self.view.doing(f"at step {self.step} of {self.total}")
        else:
            self.view.update(self.step, *self._logged, self.progress.best_value)

    def note_evaluation(self, evaluation: Evaluation | None) -> bool:
        """Writes a record of dev's scores and returns whether they are the best so far; without a dev split the last is the best.

        Raises TrainingFailed where one of them is not finite, as after an update that has made the parameters so.
        """
        progress = self.progress
        progress.evaluated_step = self.step
        if evaluation is None:
            progress.best_step = self.step
            return True
        for name, figure in evaluation.metrics.items():
            if isinstance(figure, float) and not math.isfinite(figure):
                raise TrainingFailed(f"{name} on dev is not finite at step {self.step}", config_lib.one_line(self.config))
        self._write(self.step, "dev", {**evaluation.metrics, "elapsed_seconds": progress.train_seconds})
        improved = progress.improve(self.step, self._metric, evaluation.metrics)
        if improved:
            self.best_evaluation = evaluation
        return improved

    def save(self, state: TrainState) -> None:
        """Writes a checkpoint of a host state and keeps beside it the best one and, against damage, the one before. Raises Gone."""
        self.directory.check_held()
        before = [step for step in self._checkpoints.steps() if step < self.step]
        self._checkpoints.save(state, dataclasses.asdict(self.progress))
        self._saved_step = self.step
        self._checkpoints.keep({self.step, *self._best_step(), *before[-1:], *self._shorter_best})

    def best_params(self, state: TrainState) -> Params:
        """Returns the parameters of the best step, given the host state of the last one."""
        best = self.progress.best_step
        assert best is not None  # the last step is always evaluated
        return (state if best == self.step else self._checkpoints.load(best, state)[0]).evaluated

    def finish(self, params: Params, dev: Evaluation | None, test: Evaluation | None) -> None:
        """Writes what the run leaves behind, the result last.

        Args:
          params: the best ones.
          dev: what they make of dev, where there is one.
          test: what they make of test, where there is one.

        Raises:
          Gone: nothing is to be written here any more.
        """
        self.directory.check_held()
        progress = self.progress
        write_embeddings(self.directory.path, params, self._initial_tables, self.corpus, self._pretrained)
        if dev is not None and self.corpus.dev is not None:
            write_outputs(self.directory.path, self.corpus.dev, dev)
        figures = Figures(
            dev=None if dev is None else dev.metrics | self.corpus.coverage.get("dev", {}),
            test=None if test is None else test.metrics | self.corpus.coverage.get("test", {}),
            best_step=progress.best_step,
            steps=self.step,
            train_seconds=progress.train_seconds,
            trained_together=progress.trained_together,
            tokens_per_second=progress.tokens_per_second,
            decoded_examples_per_second=None if dev is None else dev.decoded_per_second,
            parameters=parameter_counts(params, self.config.model),
            pretrained=None if self._pretrained is None else self._pretrained.result(),
            length=self._length._asdict(),
            rescheduled_at=progress.rescheduled_at,
            run_sha256=progress.run_sha256,
        )
        result = result_of("finished", self.config, self._varied, figures=figures)
        write_json(self.directory.result_file, result)
        self.result = result
        self._checkpoints.keep({self.step, *self._best_step()})  # once no earlier result needs another
        self.close()  # before what may fail where nobody reads on: the result stays
        if self.step < self.total:
            self.view.note(
                f"ends at step {self.step} of {self.total}: no better for {self.config.train.patience} evaluations (train.patience)"
            )
        self.view.finish(self.step, None if dev is None else dev.metrics[self._metric.name])

    def fail(self, error: Exception) -> None:
        """Ends the run and writes why, unless what went wrong is that its directory is gone; an earlier result that finished stays."""
        self.error = error
        try:
            self.directory.check_held()
        except Gone as gone:
            self.error = gone
        else:
            write_failure(self.directory, self.config, self._varied, explain(self.directory, error), self._length)
        self.close()

    def interrupt(self) -> None:
        """Writes that the run was stopped and can go on, unless the result of a shorter training still holds. Raises Gone."""
        self.directory.check_held()
        if self.directory.finished() is None:
            write_json(self.directory.result_file, result_of("interrupted", self.config, self._varied))

    def close(self) -> None:
        """Ends the log and what is shown live."""
        if self._log is not None:
            self._log.close()
            self._log = None
        self.view.stop()

    def _best_step(self) -> list[int]:
        return [] if self.progress.best_step is None else [self.progress.best_step]

    def _write(self, step: int, split: str, values: dict[str, Any]) -> None:
        assert self._log is not None  # open from begin() to close()
        self._log.write(step, split, values)
