"""Where a finished run stands with regard to the length that is asked for now."""

from __future__ import annotations

import pytest

from seq2seq_jax.length import Length, Standing, standing


@pytest.mark.parametrize(
    ("made", "asked", "kept", "expected"),
    [
        (Length(300, None, 300), Length(300, None), False, Standing.DONE),
        (Length(300, None, 300), Length(500, None), True, Standing.EXTENDABLE),
        (Length(300, None, 300), Length(500, None), False, Standing.THINNED),
        (Length(300, None, 300), Length(299, None), True, Standing.BEYOND),
        (Length(None, 3, 300), Length(None, 1), True, Standing.BEYOND),
        (Length(None, 3, 300), Length(None, 5), True, Standing.EXTENDABLE),
        (Length(None, 3, 300), Length(300, None), False, Standing.EXTENDABLE),  # it has them all
        (Length(300, None, 300), Length(None, 3), False, Standing.THINNED),  # nobody knows yet whether it has them
        (Length(300, None, 300), Length(None, 3, 300), False, Standing.EXTENDABLE),
        (Length(900, None, 900), Length(500, None), True, Standing.EXTENDABLE),  # it stopped at 300 for lack of improvement
        (None, Length(300, None), False, Standing.DONE),
        (Length(300, None), None, False, Standing.DONE),
    ],
)
def test_a_run_that_cannot_be_brought_to_a_length_is_told_from_one_that_can(tmp_path, made, asked, kept, expected):
    if kept:
        (tmp_path / "checkpoints/200").mkdir(parents=True)
    result = {"steps": 300, "best_step": 200, "length": None if made is None else made._asdict()}
    assert standing(tmp_path, result, asked) is expected
