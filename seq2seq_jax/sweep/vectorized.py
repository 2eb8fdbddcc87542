"""The vectorised executor: members that differ in sizes of tables, seed and learning rate alone train as one array program.

Each still has its run directory with a checkpoint of its own size, so that it may go on, translate and be compared like
any other, and by any other executor. Read next: ``stacked.py`` for the program, ``train/loop.py`` for the loop.
"""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Sequence

from flax import nnx

from seq2seq_jax.config import Config
from seq2seq_jax.data.corpus import Batches, Corpus, training_batches
from seq2seq_jax.data.raw_splits import with_absolute_paths
from seq2seq_jax.errors import Interrupted, is_out_of_memory
from seq2seq_jax.length import total_steps
from seq2seq_jax.sweep.members import Member
from seq2seq_jax.sweep.outcomes import Outcome, failure
from seq2seq_jax.sweep.shared_corpus import corpus_of
from seq2seq_jax.sweep.stacked import StackedRuns, member_programs
from seq2seq_jax.sweep.view import SweepView
from seq2seq_jax.train.devices import MemberDevices, choose_member_device_count
from seq2seq_jax.train.evaluation import make_evaluator, output_limit
from seq2seq_jax.train.loop import Loop
from seq2seq_jax.train.programs import program_key
from seq2seq_jax.train.run import Run
from seq2seq_jax.train.run_directory import RunDirectory
from seq2seq_jax.train.signals import Stop, stop_signals
from seq2seq_jax.train.state import TrainState


def group(members: Sequence[Member]) -> list[list[Member]]:
    """Returns the members in groups that can be trained as one program, in order of first appearance."""
    groups: dict[Config, list[Member]] = {}
    for member in members:
        groups.setdefault(program_key(member.config), []).append(member)
    return list(groups.values())


def train_together(members: Sequence[Member], folder: pathlib.Path, view: SweepView) -> tuple[list[Outcome], list[Member]]:
    """Trains the members of a group, each from its last checkpoint; whatever goes wrong becomes an outcome.

    Returns how they ended, and the members for which together there is too little memory: fewer at a time may fit.
    """
    training = _Group(members, folder, view)
    with stop_signals() as stop, contextlib.ExitStack() as held:
        try:
            training.train(held, stop)
        except Interrupted as stopped:
            training.interrupt(stopped)
        except Exception as error:  # of what they share, such as their data; the next group goes on
            if len(training.waiting) > 1 and is_out_of_memory(error):
                view.line(f"out of memory with {len(training.waiting)} members together; retrying with half")
                return training.outcomes, training.waiting
            training.fail(error)
    return training.outcomes, []


class _Group:
    """Members on their way through one program; ``waiting`` are those that have not ended."""

    def __init__(self, members: Sequence[Member], folder: pathlib.Path, view: SweepView):
        self.waiting, self._folder, self._view = list(members), folder, view
        self._runs: dict[Run, Member] = {}
        self.outcomes: list[Outcome] = []

    def train(self, held: contextlib.ExitStack, stop: Stop) -> None:
        """Begins every member and trains those that can; ``held`` keeps their directories locked and their logs open."""
        config = self.waiting[0].config
        corpus = corpus_of(config)
        batches = training_batches(config, corpus)
        devices = MemberDevices(choose_member_device_count(config.train.devices, len(self.waiting)))
        steps = total_steps(config, batches.steps_per_epoch)
        compiled = member_programs(config, corpus.vocabulary_sizes, steps, devices, output_limit(corpus), batches.shapes)
        states = self._begin(compiled.structure, corpus, batches, held)
        if states:
            evaluator = make_evaluator(config, compiled, corpus.vocabularies, batches.shapes, len(states))
            engine = StackedRuns(compiled, devices, evaluator, list(states.values()))
            Loop(list(states), engine, batches, stop, self._ended).run()

    def interrupt(self, stopped: Interrupted) -> None:
        """Ends all that are left as interrupted."""
        for member in list(self.waiting):
            self._end(member, Outcome(member.name, "interrupted", str(stopped)))

    def fail(self, error: Exception) -> None:
        """Ends all that are left with an error of what they share."""
        for run in [run for run, member in self._runs.items() if member in self.waiting]:
            run.fail(error)
        for member in list(self.waiting):
            self._end(member, failure(self._folder, member, error))

    def _begin(self, structure: nnx.GraphDef, corpus: Corpus, batches: Batches, held: contextlib.ExitStack) -> dict[Run, TrainState]:
        """Returns the runs that are to be trained, each with the state that it goes on from."""
        states = {}
        for member in list(self.waiting):
            directory = RunDirectory(self._folder / member.name)
            run = Run(with_absolute_paths(member.config), directory, corpus, batches, self._view.member(member.name), member.varied)
            try:
                held.enter_context(directory.locked())
                held.callback(run.close)
                state = run.begin(structure)
            except Exception as error:
                self._end(member, failure(self._folder, member, error))
                continue
            self._runs[run] = member
            if run.ended:
                self._ended(run)
            else:
                states[run] = state
        return states

    def _ended(self, run: Run) -> None:
        member = self._runs[run]
        self._end(member, Outcome(member.name, "finished") if run.error is None else failure(self._folder, member, run.error))

    def _end(self, member: Member, outcome: Outcome) -> None:
        self.waiting.remove(member)
        self.outcomes.append(outcome)
        self._view.ended(member.name, outcome.status, outcome.error)
