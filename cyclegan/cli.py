"""Command line: runs the command, and reports errors and stops in one line."""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from cyclegan import __version__, classic_flags
from cyclegan.commands import COMMANDS
from cyclegan.errors import UsageError, UserError, printable, suggest
from cyclegan.flags import refuse_classic
from cyclegan.training.interrupt import ONE_REQUEST, SIGNALS, Interrupted


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage, 130 and 143 stopped."""
    _handle_signals(_stop)
    try:
        code = _carried_out(sys.argv[1:])
        _handle_signals(_later_only())  # all is done: a traceback out of Python's end helps nobody
    except Interrupted as stop:
        _leave(sys.argv[1:], stop.number)
    sys.exit(code)


def _carried_out(args: Sequence[str]) -> int:
    """Run a command and report its errors; return the exit code."""
    try:
        return run(args)
    except UserError as error:
        lines = [f"cyclegan: error: {error}", *error.below]
        sys.stderr.write("".join(f"{printable(line)}\n" for line in lines))
        return error.exit_code
    except BrokenPipeError:
        return 1
    except (RuntimeError, MemoryError) as error:
        return _limited(error)
    except OSError as error:  # what the system refuses: it knows the file and the reason best
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"cyclegan: error: {printable(f'{where}{error.strerror or error}')}\n")
        return 1


_Handler = Callable[[int, FrameType | None], None]


def _handle_signals(handler: _Handler) -> None:
    """Let `handler` handle the signals that stop a command, but for those that are ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and shells set it
            signal.signal(number, handler)


def _limited(error: Exception) -> int:
    """Report the device limit that an error met; return the exit code. Raises any other error."""
    from cyclegan.device import limit_met

    told = limit_met(error, "give fewer or smaller pictures at once, or another --device")
    if told is None:
        raise error
    sys.stderr.write(f"cyclegan: error: {told}\n")
    return 1


def _stop(number: int, frame: FrameType | None) -> None:
    """Interrupt the command where it stands; a later signal exits without waiting for its end."""
    _handle_signals(_later_only())
    raise Interrupted(number)


def _later_only() -> _Handler:
    """Return a handler that exits at once, but passes over the signals of the next moment."""
    begun = time.monotonic()

    def handle(number: int, frame: FrameType | None) -> None:
        if time.monotonic() - begun > ONE_REQUEST:
            os._exit(128 + number)

    return handle


def _leave(args: Sequence[str], number: int) -> NoReturn:
    """Print how to go on, and exit without waiting for threads whose reads may never return."""
    command = COMMANDS.get(" ".join(args[:2])) or COMMANDS.get(" ".join(args[:1]))
    if "--overwrite" in args or command is None:
        after = "run the same command to start over"
    else:
        after = command.after_stop
    sys.stderr.write(f"cyclegan: stopped by {signal.Signals(number).name}; {after}\n")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(128 + number)


def run(args: Sequence[str]) -> int:
    """Run one command; return its exit code. Raises UserError."""
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(_overview())
        return 0 if args else 2
    if args[0] == "--version":
        sys.stdout.write(f"cyclegan {__version__}\n")
        return 0
    grouped = args[0] in {command.split()[0] for command in COMMANDS if " " in command}
    words = 2 if grouped and len(args) > 1 and not args[1].startswith("-") else 1
    name = " ".join(args[:words])
    if grouped and words == 1:
        sys.stdout.write(_overview(f"{name} "))
        return 0 if len(args) > 1 else 2
    if name not in COMMANDS:
        if called := classic_flags.command_of(args):
            script, command, rest = called
            refuse_classic(rest, command, words=script)
        raise UsageError(
            f"{name}: no such command{suggest(name, COMMANDS)}; choose from {', '.join(COMMANDS)}"
        )
    return COMMANDS[name].run(args[words:])


def _overview(start: str = "") -> str:
    width = max(map(len, COMMANDS))
    rows = [
        f"  cyclegan {name:<{width}}  {command.help}\n"
        for name, command in COMMANDS.items()
        if name.startswith(start)
    ]
    return (
        "Unpaired style translation between two folders of images.\n\n"
        + "".join(rows)
        + "\nEach command has its own --help; cyclegan --version tells the version.\n"
    )
