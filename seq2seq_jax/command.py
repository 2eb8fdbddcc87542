"""The command line: from arguments to a verb and its flags, and from errors to exit codes. Knows no verb; ``launch.py`` has them."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import pathlib
import shlex
import signal
import sys
import textwrap
import threading
import traceback
import types
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from seq2seq_jax.errors import Interrupted, TrainingFailed, UserError, is_out_of_memory, nearest, no_room

DONE, ERROR, USER_ERROR, STOPPED = 0, 1, 2, 75  # exit codes
SAID_BY_ABSL = ";\n    repeat this option to specify a list of values"  # of such flags, whose own help says it already
_PUT_OFF_BY, _MOST_PUT_OFF = 0.05, 200  # seconds, and times: of a signal amid an import
# Errors of the system over a path that a user can mend: no permission, too long a name, a file among the folders, links in a circle.
_OUT_OF_REACH = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP)
_EXPECTED = {  # in place of how Python says that a flag's text is no such value
    "invalid literal for int()": "a whole number",
    "could not convert string to float": "a number",
    "('Non-boolean": "true or false",
}


class Option(NamedTuple):
    """A flag.

    Attributes:
      name: without dashes.
      help: its meaning.
      default: None where there is none.
      choices: the texts it may have; none: any.
      required: whether it must be given, besides the workdir.
      kind: of its values: ``str``, ``int``, ``float`` or ``bool``.
      low: least value of a number, where there is one.
      high: largest value, likewise.
      multiple: whether it may be given several times; its value is the list of them.
    """

    name: str
    help: str
    default: Any = None
    choices: tuple[str, ...] = ()
    required: bool = False
    kind: type = str
    low: float | None = None
    high: float | None = None
    multiple: bool = False


class Verb(NamedTuple):
    """What ``launch.py VERB`` does.

    Attributes:
      summary: one line.
      example: of its use, without ``launch.py``.
      options: its flags.
      run: hands over to a package and returns the exit code; is given the flags as absl has read them (``flags.FlagValues``).
      operands: flags that may be given by their place too.
      resumes: whether the same command, stopped, goes on from where it was.
      remark: what the help says of all its flags.
    """

    summary: str
    example: str
    options: tuple[Option, ...]
    run: Callable[[Any], int]
    operands: tuple[str, ...] = ()
    resumes: bool = False
    remark: str = ""


def _define(option: Option, values: flags.FlagValues) -> None:
    name, default, help = option.name, option.default, option.help
    if option.multiple:
        flags.DEFINE_multi_string(name, [], help, flag_values=values)
    elif option.choices:
        flags.DEFINE_enum(name, default, option.choices, help, flag_values=values)
    elif option.kind is bool:
        flags.DEFINE_bool(name, default, help, flag_values=values)
    elif option.kind is str:
        flags.DEFINE_string(name, default, help, flag_values=values)
    else:
        define = flags.DEFINE_integer if option.kind is int else flags.DEFINE_float
        define(name, default, help, option.low, option.high, flag_values=values)  # type: ignore[bad-argument-type]  bounds of either type


Verbs = Mapping[str, Verb]


def run(arguments: Sequence[str], title: str, verbs: Verbs, groups: Mapping[str, Verbs]) -> int:
    """Runs a verb and turns what went wrong into an exit code and one line.

    Args:
      arguments: what was typed after the command.
      title: explains the command.
      verbs: by name.
      groups: by the verb that leads to them, verbs of two words.

    Returns:
      The exit code.
    """
    verb: Verb | None = None

    def unread(error: OSError) -> None:
        """Closed stdout: train and sweep continue, since their results are files; every other verb exits. Raises any other error."""
        if not isinstance(error, BrokenPipeError):  # which rich would make an exit code of 1
            raise error
        if verb is None or not verb.resumes:
            raise _NobodyReads from None
        _drop_output()

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # as files are, whatever the environment says
    output, progress = _Stream(sys.stdout, unread), _Stream(sys.stderr, lambda error: None)  # progress that nobody reads ends nothing
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(progress):  # type: ignore[type-var]  like streams
        try:
            with _interruptible():
                _check_utf_8(arguments)
                name, verb, arguments = _named(arguments, title, verbs, groups)
                values = _parse(name, verb, arguments)
                _check_directory()
                code = verb.run(values)
                sys.stdout.flush()  # here, where it can be said that the output has no room
                return code
        except _NobodyReads:
            _drop_output()
            return DONE
        except KeyboardInterrupt:  # before training has begun, or after it has ended; or of a verb that trains nothing
            resumes = verb is not None and verb.resumes
            print(f"stopped{': the same command goes on from here' if resumes else ''}", file=sys.stderr)
            return STOPPED if resumes else ERROR
        except (Exception, Interrupted) as error:
            code, line = _explained(error)
            print(line, file=sys.stderr)
            return code


def _explained(error: Exception | Interrupted) -> tuple[int, str]:
    """Returns the exit code of an error and the line that explains it. Raises the error where it has no explanation."""
    if isinstance(error, UserError):
        return USER_ERROR, f"error: {error}"
    if isinstance(error, Interrupted):
        return STOPPED, f"stopped: {error}"
    if isinstance(error, TrainingFailed):
        return ERROR, f"failed: {error}"
    if full := no_room(error):
        _drop_output()
        where = getattr(error, "filename", None) or "the output or the workdir"
        return ERROR, f"failed: {where}: {full}; make room and give the command again"
    if isinstance(error, OSError) and error.errno in _OUT_OF_REACH and isinstance(error.filename, str | bytes | os.PathLike):
        return USER_ERROR, f"error: {os.fsdecode(error.filename)}: {error.strerror}; expected a place that can be read and written"
    if is_out_of_memory(error):
        return ERROR, f"failed: out of memory: {' '.join(str(error).split())}; expected a smaller model or batch"
    raise error


class _NobodyReads(Exception):
    """The reader of standard output has closed it."""


class _Stream:
    """Stands in the place of a stream and settles what happens where it cannot be written to, as when nobody reads it any more."""

    def __init__(self, stream: Any, failed: Callable[[OSError], None]):
        """Takes the place of ``stream``, which is None where the process was started without it; ``failed`` is told of each error."""
        self._stream = open(os.devnull, "w") if stream is None else stream  # noqa: SIM115  lives as long as the process
        self._failed = failed

    def write(self, text: str) -> int:
        """Writes text and returns its length."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._failed(error)
        return len(text)

    def flush(self) -> None:
        """Writes what is held back."""
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _drop_output() -> None:
    """Lets nothing more be written to the output, which Python would try once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _interruptible() -> Generator[None, None, None]:
    """Makes SIGTERM and SIGINT raise KeyboardInterrupt, where training has not begun to handle both itself, but amid no import.

    A module that is half made, in C++ above all, would lose the exception or turn it into another: the signal comes again a little later.
    What the process ignores, as one in the background of a script does SIGINT, it goes on ignoring.
    """
    again: list[threading.Timer] = []  # one for each time that a signal was put off
    waiting = ended = False

    def come_again(signum: int) -> None:
        """Lets a signal come that was put off; in the thread of a timer, which is alive until after it has come."""
        nonlocal waiting
        waiting = False
        os.kill(os.getpid(), signum)

    def interrupt(signum: int, frame: types.FrameType | None) -> None:
        """Takes the signal, in the main thread; ``frame`` is what it has come amid. Raises KeyboardInterrupt, or lets it come again."""
        nonlocal waiting
        if ended:
            return
        imports = any(frame.f_code.co_filename.startswith("<frozen importlib") for frame, _ in traceback.walk_stack(frame))
        if not imports or len(again) >= _MOST_PUT_OFF:  # an experiment file that hangs is imported too
            raise KeyboardInterrupt
        if not waiting:  # a second one does not wait beside the first
            waiting = True
            again.append(threading.Timer(_PUT_OFF_BY, come_again, (signum,)))
            again[-1].daemon = True
            again[-1].start()

    taken = [number for number in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in taken}
    try:
        yield
    finally:
        ended = True
        for timer in again[-1:]:
            timer.cancel()
            timer.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_directory() -> None:
    """Raises UserError where the current directory is gone, of which processes and relative paths make use."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError(
            "the current directory was removed; expected one that exists (cd into it again where another one has its name)"
        ) from None


def _check_utf_8(arguments: Sequence[str]) -> None:
    """Raises UserError for what is not UTF-8, a file's name for example, which no JSON file of a run could hold."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            typed = os.fsencode(argument).decode(errors="backslashreplace")
            raise UserError(f"{typed}: not UTF-8, or typed where the locale is not; expected text in UTF-8") from None


def program() -> str:
    """Returns how this command was called, with the interpreter that runs it, so that it can be pasted where it was typed."""
    interpreter = pathlib.Path(sys.executable)  # in an environment a symbolic link, which says more than what it leads to
    with contextlib.suppress(FileNotFoundError):  # the working directory is gone
        if interpreter.is_relative_to(pathlib.Path.cwd()):
            interpreter = interpreter.relative_to(pathlib.Path.cwd())
    return shlex.join([str(interpreter), sys.argv[0]])


def _overview(title: str, verbs: Verbs) -> str:
    width, first = max(map(len, verbs)), next(iter(verbs.values()))
    rows = [f"  {name:<{width}}  {verb.summary}" for name, verb in verbs.items()]
    return "\n".join([title, "", *rows, "", f"For example: {program()} {first.example}"])


def _named(arguments: Sequence[str], title: str, verbs: Verbs, groups: Mapping[str, Verbs]) -> tuple[str, Verb, Sequence[str]]:
    """Returns the name of the verb that the arguments begin with, the verb, and what follows; or explains all. Raises UserError."""
    typed = ""
    if arguments and arguments[0] in groups:
        group, *arguments = arguments
        typed, title, verbs = f"{group} ", f"launch.py {group}: {verbs[group].summary}", groups[group]
    name, *rest = arguments or ["--help"]
    if name in ("--help", "-h", "help"):
        print(_overview(title, verbs))
        sys.exit(DONE)
    if typed + name not in verbs:
        expected = ", ".join(verb.removeprefix(typed) for verb in verbs)
        raise UserError(f"{typed}{name}: expected one of {expected}; launch.py {typed}--help explains them")
    return typed + name, verbs[typed + name], rest


def _help(name: str, verb: Verb, values: flags.FlagValues) -> str:
    lines = [f"launch.py {name}: {verb.summary}", "", f"For example: {program()} {verb.example}", ""]
    lines += [*textwrap.wrap(verb.remark, 118), ""] if verb.remark else []
    for flag in (values[option.name] for option in verb.options):
        default = "" if flag.default in (None, [], "") else f" (default: {flag.default})"
        meaning = flag.help.removesuffix(SAID_BY_ABSL)
        lines += textwrap.wrap(f"--{flag.name}  {meaning}{default}", 118, initial_indent="  ", subsequent_indent="      ")
    return "\n".join(lines)


def _taken(verb: Verb) -> str:
    return f"no more than {' '.join(verb.operands)} besides its flags" if verb.operands else "flags only, such as --workdir=runs/a"


def _expected(said: str) -> str:
    """Returns what absl says of a value that it cannot read, with what was expected in place of what Python says."""
    for python, expected in _EXPECTED.items():
        before, found, _ = said.partition(python)
        if found:
            return f"{before}expected {expected}"
    return said


def _unknown_flag(flag: str, verb: Verb, arguments: Sequence[str], flags_there_are: Sequence[str]) -> str:
    """Says that there is no such flag, as it was typed, what may have been meant, and how a word that begins with a dash is given."""
    typed = next((text for text in arguments if text.startswith("-") and text.lstrip("-").partition("=")[0] == flag), f"--{flag}")
    near = nearest(flag, flags_there_are)
    said = f"{typed.partition('=')[0]}: no such flag{f'; did you mean --{near}?' if near else ''}"
    return f"{said}; words that begin with a dash stand last, after --" if verb.operands and not near else said


def _parse(name: str, verb: Verb, arguments: Sequence[str]) -> flags.FlagValues:
    """Reads a verb's flags. Raises UserError for unknown or unreadable ones, and for a missing workdir."""
    values = flags.FlagValues()
    for option in verb.options:
        _define(option, values)
    if "--help" in arguments or "-h" in arguments:
        print(_help(name, verb, values))
        sys.exit(DONE)
    try:
        values.set_gnu_getopt(bool(verb.operands))
        rest = values([name, *arguments])[1:]
    except flags.UnrecognizedFlagError as error:
        raise UserError(_unknown_flag(error.flagname, verb, arguments, list(values))) from error
    except flags.Error as error:
        raise UserError(_expected(" ".join(str(error).split()))) from error
    if values["workdir"].present > 1 and not any(option.multiple for option in verb.options if option.name == "workdir"):
        raise UserError(f"--workdir={values.workdir}: given {values['workdir'].present} times; launch.py {name} takes one")
    for flag in values:
        number = values[flag].value
        if isinstance(number, float) and not math.isfinite(number):
            raise UserError(f"--{flag}={number}: expected a finite number")
    for operand, text in zip(verb.operands, rest, strict=False):
        values[operand].value = text
    if rest[len(verb.operands) :]:
        raise UserError(f"{rest[len(verb.operands)]}: launch.py {name} takes {_taken(verb)}")
    if not values.workdir:
        raise UserError(f"--workdir: launch.py {name} needs it; expected a directory such as --workdir=runs/a")
    for option in verb.options:
        if option.required and values[option.name].value is None:
            raise UserError(f"--{option.name}: launch.py {name} needs it: {option.help}")
    return values
