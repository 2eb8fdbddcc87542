"""What is read ahead is what is asked for."""

from __future__ import annotations

import pytest

from seq2seq_jax.data.ahead import ReadAhead


def test_each_step_gets_its_own_batch_and_nothing_is_read_past_the_end():
    """Red if what was read ahead for a run behind is given to one of the same seed that is further."""
    read = []
    batch_at = ReadAhead(lambda seed, step: (read.append((seed, step)), (seed, step))[1], 9)
    asked = [(0, 0), (0, 1), (1, 4), (0, 5), (0, 2), (1, 5), (0, 8)]
    assert [batch_at(*place) for place in asked] == asked
    batch_at.close()
    assert max(step for _, step in read) == 8


def test_an_error_is_raised_where_its_batch_is_asked_for():
    """Red if an error in the thread is lost, or comes a step too early."""

    def failing(seed: int, step: int) -> int:
        if step == 2:
            raise OSError("the file is gone")
        return step

    batch_at = ReadAhead(failing, 5)
    assert [batch_at(0, 0), batch_at(0, 1)] == [0, 1]
    with pytest.raises(OSError, match="gone"):
        batch_at(0, 2)
    batch_at.close()
