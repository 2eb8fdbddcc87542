"""How members end, and what becomes of one that cannot even begin."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Sequence

from seq2seq_jax.config import Config, DataConfig, Kind, ModelConfig, UserError
from seq2seq_jax.data.corpus import Corpus, load_corpus
from seq2seq_jax.sweep.grid import Member
from seq2seq_jax.train.artifacts import result_of
from seq2seq_jax.train.run_directory import RunDirectory, write_json


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a member ended: ``finished``, ``failed`` or ``interrupted``, and why where it failed."""

    member: str
    status: str
    error: str | None = None


def enough(outcomes: Sequence[Outcome], max_failures: int | None) -> bool:
    """Returns whether no further member is to be begun."""
    return max_failures is not None and sum(outcome.status == "failed" for outcome in outcomes) >= max_failures


def failure(folder: pathlib.Path, member: Member, error: Exception) -> Outcome:
    """Returns the outcome of a member that failed; writes its result where training has not."""
    line = str(error) if isinstance(error, UserError) else " ".join(f"{type(error).__name__}: {error}".split())
    write_failure(folder, member, line)
    return Outcome(member.name, "failed", line)


def write_failure(folder: pathlib.Path, member: Member, error: str) -> None:
    """Writes the result of a member that has none; one that never had a directory has no place for it."""
    run = RunDirectory(folder / member.name)
    if run.path.is_dir() and run.result() is None:
        write_json(run.result_file, result_of("failed", member.config, member.varied, error=error))


def corpus_of(config: Config) -> Corpus:
    """Loads the data that members share, once."""
    return _corpus(config.data, config.model.kind)


@functools.lru_cache(maxsize=1)
def _corpus(data: DataConfig, kind: Kind) -> Corpus:
    return load_corpus(Config(data=data, model=ModelConfig(kind=kind)))
