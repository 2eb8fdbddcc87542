"""What the directory of a member holds, beside what is asked of it now: whether it is done, goes on, begins or cannot be brought there."""

from __future__ import annotations

import pathlib
from typing import Any

from seq2seq_jax import config as config_lib
from seq2seq_jax.errors import UserError, no_room
from seq2seq_jax.length import NOT_KEPT, Standing, failed_longer, length_made, newest_checkpoint, standing
from seq2seq_jax.sweep.members import Member
from seq2seq_jax.train.run_directory import RunDirectory


class Found:
    """One look at a member's directory: it is read once, and what is asked afterwards is of that moment.

    Attributes:
      path: the directory.
      ended: content of result.json, whether finished or failed; None where there is none.
      result: the same where it has finished, at whatever length; else None.
      record: content of config.json; None where it has not begun.
      saved: updates that it has made as far as they are saved.
    """

    def __init__(self, folder: pathlib.Path, member: Member):
        """Reads it, below the folder of the sweep. Raises UserError where config.json is damaged."""
        self._member, self._directory = member, RunDirectory(folder / member.name)
        self.path = self._directory.path
        self.ended, self.record = self._directory.result(), self._directory.record()
        self.result = self.ended if self.ended is not None and self.ended["status"] == "finished" else None
        self.saved = newest_checkpoint(self.path)
        self._stands = None if self.result is None else standing(self.path, self.result, member.length)

    @property
    def result_as_asked(self) -> dict[str, Any] | None:
        """The result where the member has finished with the length and the configuration that are asked for, else None."""
        if self.record is None or self._stands is not Standing.DONE:
            return None
        changed = config_lib.differences(self.record.config, self._member.config, config_lib.MAY_CHANGE)
        return None if changed else self.result

    @property
    def error(self) -> str | None:
        """Why it has failed on the way to the length that is asked for; None where it has not."""
        if self.ended is None:
            return None
        return str(self.ended["error"]) if self.ended["status"] == "failed" else failed_longer(self.ended, self._member.length)

    @property
    def begins(self) -> bool:
        """Whether there is no update to go on from; of one that has finished maybe no checkpoint was kept (--keep)."""
        return self.result is None and not self.saved

    @property
    def is_lengthened(self) -> bool:
        """Whether it has trained, or will train, towards more than one number of updates."""
        if self.record is None or self.begins:
            return False
        made = self.record.length if self.result is None else length_made(self.result)
        rescheduled = self.result is not None and bool(self.result.get("rescheduled_at"))
        return rescheduled or len({self._member.length[:2], self.record.length[:2], made[:2]}) > 1

    def is_done(self, retry_failed: bool) -> bool:
        """Returns whether the member needs no training: finished as asked for, or failed on the way there and not to be tried again.

        One that failed since the disk was full is tried again unasked: the same command goes on once there is room.
        """
        if self.result_as_asked is not None:
            return True
        return self.error is not None and no_room(self.error) is None and not retry_failed

    def check(self, retry_failed: bool) -> None:
        """Raises UserError for what the member would refuse.

        Another configuration (which sweep.json, where it is not lost, has refused already), fewer updates than are made, or more without
        a checkpoint.
        """
        if self.record is None:
            return
        self._directory.check(self.record, self._member.config, self.record.data_sha256)
        if self.result is None and self.is_done(retry_failed):  # it has failed, and is left alone
            return
        updates = self._member.length.updates_after(self.record.length if self.result is None else length_made(self.result))
        made = max(self.saved, 0 if self.result is None else self.result["steps"])
        where = f"--workdir={self.path.parent}: {self._member.name} has"
        begun_longer = self._stands is not Standing.DONE and updates is not None and made > updates
        if self._stands is Standing.BEYOND or begun_longer:
            raise UserError(f"{where} made {made} updates already, and {updates} are asked for; expected no fewer")
        if self._stands is Standing.THINNED and updates is not None:  # else it may have all of them, which its data will tell
            raise UserError(f"{where} {NOT_KEPT}; expected another workdir")
