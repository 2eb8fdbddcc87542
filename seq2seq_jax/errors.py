"""What can go wrong, by who has to act; ``command.py`` turns each into an exit code and one line."""

from __future__ import annotations

import os
from collections.abc import Collection


class UserError(Exception):
    """A mistake of the user's in flags, data or configuration: one line that says where and what was expected.

    ``launch.py`` prints it without a traceback and ends with exit code 2.
    """


class Unreadable(UserError):
    """A file that this process may not read. It may be whole, so nobody should be told to remove it."""

    @classmethod
    def of(cls, path: os.PathLike[str], error: OSError) -> Unreadable:
        """Returns the error for a file, by what the system has said."""
        return cls(f"{path}: {error.strerror}; expected a file that can be read")


# How to get back what a finished run had left behind and is lost or damaged; the end of a message.
MADE_AGAIN = (
    ". (Of a finished run: move its result.json away and repeat the command that trained it, which makes this again as far as its "
    "checkpoints were kept.)"
)


class Interrupted(BaseException):
    """SIGTERM or SIGINT came; the state is saved and the same command goes on from it.

    Like KeyboardInterrupt no Exception: who logs these and trains the next run has been asked to stop.
    """


_CONFIGURATION = "; configuration: "


class TrainingFailed(Exception):
    """The loss or the gradient is no longer a finite number; the message ends with the configuration that has led there."""

    def __init__(self, what: str, configuration: str):
        """Says what is not finite, at which step, and the configuration in one line."""
        super().__init__(f"{what}{_CONFIGURATION}{configuration}")


def without_configuration(error: str) -> str:
    """Returns the line of an error, as result.json has it, for a list of errors: a configuration at its end would hide the others."""
    return error.partition(_CONFIGURATION)[0]


def has_diverged(error: str) -> bool:
    """Returns whether the line of an error is that of a ``TrainingFailed``: trained again as it was, a run would end so again."""
    return _CONFIGURATION in error


# What XLA says where memory ends: its own word, CUDA's, CUDA's libraries', and that of its matrix products on CPU.
_OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "CUDA_ERROR_OUT_OF_MEMORY", "STATUS_ALLOC_FAILED", "YNNPACK operation failed")


# What the system says where a file can grow no further.
_NO_ROOM = ("No space left on device", "Disk quota exceeded", "File too large")


def no_room(error: Exception | str) -> str | None:
    """Returns what the system says of a disk that is full, None where it is something else; also of the line of an error."""
    return next((words for words in _NO_ROOM if words in str(error)), None)


def is_out_of_memory(error: Exception) -> bool:
    """Returns whether host or device had too little memory."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY)


def is_explained(error: Exception) -> bool:
    """Returns whether the line of an error says all there is to do about it. Of another one it matters where it came from."""
    return isinstance(error, UserError | TrainingFailed) or no_room(error) is not None or is_out_of_memory(error)


def error_line(error: Exception) -> str:
    """Returns an error as one line, with its type unless that is one of ours, whose message says it all."""
    text = str(error) if isinstance(error, UserError | TrainingFailed) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def nearest(given: str, known: Collection[str]) -> str | None:
    """Returns the known name whose last part, after the dots, is much like the given one's, by choice after the same dots; or None."""
    import difflib

    def last(name: str) -> str:
        return name.rpartition(".")[2]

    near = difflib.get_close_matches(last(given), {last(name) for name in known}, n=1)
    alike = [name for name in known if near and last(name) == near[0]]
    return next((name for name in alike if name.rpartition(".")[0] == given.rpartition(".")[0]), alike[0] if alike else None)
