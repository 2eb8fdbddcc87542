"""What earlier starts have left in a run directory, and what of it still holds. Read next: ``run.py``, which begins or goes on by it."""

from __future__ import annotations

from typing import Any

from seq2seq_jax.errors import UserError
from seq2seq_jax.json_files import write_json
from seq2seq_jax.length import NOT_KEPT, Length, Standing, has_checkpoint, length_made, standing
from seq2seq_jax.train.run_directory import RunDirectory


class Earlier:
    """The result and the record of earlier starts, beside the length that is asked for now.

    Attributes:
      result: content of result.json where the run has finished, at whatever length; else None.
      record: content of config.json; None where there has been no start.
      is_damaged: whether there is a result.json that cannot be read.
    """

    def __init__(self, directory: RunDirectory, asked: Length):
        """Reads them. Raises UserError where config.json is damaged, or a finished run cannot be brought to the length asked for."""
        self._directory, self._asked = directory, asked
        self.result, self.record = directory.finished(), directory.record()
        self.is_damaged = directory.result_file.exists() and directory.result() is None
        self._stands = None if self.result is None else standing(directory.path, self.result, asked)
        if self.result is not None and self._stands is Standing.BEYOND:
            raise self._beyond(self.result["steps"])
        if self._stands is Standing.THINNED:
            raise UserError(f"--workdir={directory.path}: the run has {NOT_KEPT} to {asked.updates} updates; expected another workdir")
        self._last_is_kept = self.result is not None and has_checkpoint(directory.path, self.result["steps"])  # else: --keep

    def holds(self, step: int, complete: bool) -> bool:
        """Returns whether a finished run has nothing left to do.

        Either it resumes where it ended. Or its result has the updates that are asked for, but it would resume elsewhere: before, since
        its last checkpoint was not kept, or beyond it, since a longer training was begun and stopped.

        Args:
          step: from which training would go on.
          complete: whether a run is, at that step.
        """
        if self.result is None:
            return False
        assert self._asked.updates is not None  # a run's are known
        ended_here = complete and step == self.result["steps"]
        has_all = length_made(self.result).updates == self._asked.updates
        return ended_here or (has_all and (not self._last_is_kept or step > self._asked.updates))

    def taken_over(self) -> dict[str, Any]:
        """Returns the result that holds; it says the length asked for where that is the same in the other unit, or patience was lost."""
        assert self.result is not None  # it holds
        if self._stands is not Standing.EXTENDABLE:
            return self.result
        result = self.result | {"length": self._asked._asdict()}
        write_json(self._directory.result_file, result)
        return result

    def make_way(self, step: int) -> list[int]:
        """Deletes the result, unless it is a valid one of a shorter training: that stays until the longer training has finished.

        Such a result says its own length, since config.json says the new one, and needs its best checkpoint; where that is gone, it goes.

        Args:
          step: from which training goes on.

        Returns:
          The steps whose checkpoints the result needs.

        Raises:
          UserError: more updates are made than are asked for.
        """
        assert self._asked.updates is not None  # a run's are known
        if step > self._asked.updates:
            raise self._beyond(step)
        usable = self.result is not None and has_checkpoint(self._directory.path, self.result["best_step"])
        if self.result is None or self._stands is not Standing.EXTENDABLE or not usable:
            self._directory.result_file.unlink(missing_ok=True)
            return []
        if "failed_longer" in self.result:
            write_json(self._directory.result_file, {key: value for key, value in self.result.items() if key != "failed_longer"})
        return [self.result["best_step"]]

    def _beyond(self, made: int) -> UserError:
        asked = f"{self._asked.updates} are asked for; expected no fewer"
        return UserError(f"--workdir={self._directory.path}: the run has made {made} updates already, and {asked}")
