"""Errors that the user can fix, each told in one line, and helpers to word them."""

import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path


class UserError(Exception):
    """An error that the user can fix; its text is one line: what, where, and the way out.

    `below` are lines to print below it, such as a command to copy.
    """

    exit_code = 1

    def __init__(self, text: str, below: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.below = tuple(below)


class UsageError(UserError):
    """A wrong flag, key or value; the command was not started."""

    exit_code = 2


def in_words(error: BaseException) -> str:
    """Return the message of an error, in one line that is never empty."""
    said = getattr(error, "strerror", None) or str(error).strip()
    if isinstance(error, MemoryError):
        return f"not enough memory{said and f': {in_one_line(said.splitlines()[0])}'}"
    return in_one_line(str(said).splitlines()[0]) if said else type(error).__name__


def in_one_line(text: str) -> str:
    """Return a text in one line; a very long one is cut after the sentences that fit."""
    line = " ".join(text.split())
    if len(line) <= _LONG:
        return line
    sentences = line[:_LONG].rpartition(". ")[0]
    words = line[:_LONG].rpartition(" ")[0]
    return f"{sentences}." if sentences else f"{words or line[:_LONG]} ..."


def printable(text: str) -> str:
    """Return the text with what would move a terminal's cursor, or end the line, escaped."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


_LONG = 300  # letters: more is hardly read


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ', perhaps you meant X', or nothing if no known name is near."""
    matches = get_close_matches(name, list(known), n=1)
    return f", perhaps you meant {matches[0]}" if matches else ""


#: What is built by an older setuptools than pip takes by itself: visdom 0.2.4, on Python 3.11.
_BUILT_BY_OLDER = {"dashboard"} if sys.version_info < (3, 12) else set()


def require_extra(what: str, extra: str, *packages: str) -> None:
    """Raise UserError, with the way out, if one of the `packages` that `what` needs is missing."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise UserError(f"{what}: needs {', '.join(missing)} ({install(extra)})")


def install(extra: str) -> str:
    """Return the command that adds an extra to this environment, from where the package came."""
    root = Path(__file__).parents[1]
    in_checkout = (root / "setup.cfg").is_file()
    package = f"-e {shlex.quote(f'{root}[{extra}]')}" if in_checkout else f"'cyclegan[{extra}]'"
    if extra in _BUILT_BY_OLDER:
        return f"{_pip()} 'setuptools<81' && {_pip()} --no-build-isolation {package}"
    return f"{_pip()} {package}"


def _pip() -> str:
    """Return the command of this environment's pip: its plain name if the shell finds that one."""
    here, found = Path(sys.executable), shutil.which("pip")
    if found is not None and Path(found).parent == here.parent:
        return "pip install"
    return f"{shlex.quote(str(here))} -m pip install"


_IN_SECONDS = 100  # below this seconds say it best
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LONGEST = 1e12  # seconds: nothing here lasts longer, and infinity has no whole number


def format_duration(seconds: float) -> str:
    """Return the duration in its two largest units at most, rounded to the smaller one."""
    whole = min(max(0.0, seconds), _LONGEST)
    if round(whole) < _IN_SECONDS:
        return f"{round(whole)} s"
    minutes = round(whole / _MINUTE)
    if minutes * _MINUTE < _HOUR:
        return f"{minutes} min"
    if minutes * _MINUTE < _DAY:
        return _joined(minutes // 60, "h", minutes % 60, "min")
    hours = round(whole / _HOUR)
    return _joined(hours // 24, "day" if hours < 48 else "days", hours % 24, "h")


def _joined(count: int, unit: str, rest: int, smaller: str) -> str:
    return f"{count:,} {unit} {rest} {smaller}" if rest else f"{count:,} {unit}"
