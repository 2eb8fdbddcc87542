"""Signals: what asks to stop, what ends at once, and what is not disturbed."""

from __future__ import annotations

import io
import signal
import sys

import pytest

from seq2seq_jax.train import signals
from seq2seq_jax.train.signals import stop_signals, undisturbed


def test_a_second_ctrl_c_ends_at_once_and_nothing_else_does(monkeypatch, capsys):
    """Red if a person has to wait, if one press that is passed on counts as two, or if a repeated SIGTERM costs the checkpoint."""
    now = [0.0]
    monkeypatch.setattr(signals.time, "monotonic", lambda: now[0])
    with stop_signals() as stop:
        for number, seconds in ((signal.SIGINT, 0.0), (signal.SIGINT, 0.5), (signal.SIGTERM, 9.0)):
            now[0] = seconds
            signal.raise_signal(number)
        assert stop.requested
        assert capsys.readouterr().err.count("stopping") == 1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_amid_another_line_is_taken_all_the_same(monkeypatch):
    """Red if a Ctrl-C that comes while a line is written becomes an error of whatever is trained."""

    class Busy(io.StringIO):
        def write(self, text: str) -> int:
            raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")

    monkeypatch.setattr(sys, "stderr", Busy())
    with stop_signals() as stop:
        signal.raise_signal(signal.SIGINT)
    assert stop.requested


def test_what_is_undisturbed_is_done_before_it_is_interrupted():
    """Red if an interrupt comes meanwhile, or is lost; where training takes note of signals it is left to that."""
    done = []

    def interrupted(number: int, what: str) -> None:
        with undisturbed():
            signal.raise_signal(number)
            done.append(what)

    with pytest.raises(KeyboardInterrupt):
        interrupted(signal.SIGINT, "alone")
    with stop_signals(quiet=True) as stop:
        interrupted(signal.SIGTERM, "inside")
    assert stop.requested
    assert done == ["alone", "inside"]
