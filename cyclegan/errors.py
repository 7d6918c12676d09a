"""Mistakes that a person can mend, told in one line."""

from collections.abc import Sequence


class UserError(Exception):
    """Something the user can put right; its text is one line: what, where, and the way out.

    `below` are lines that stand below it, such as a command to copy.
    """

    exit_code = 1

    def __init__(self, text: str, below: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.below = tuple(below)


class UsageError(UserError):
    """A wrong flag, key or value; the command was not started."""

    exit_code = 2


def in_words(error: BaseException) -> str:
    """What an error says, in one line that is never empty."""
    said = getattr(error, "strerror", None) or str(error).strip()
    if isinstance(error, MemoryError):
        return f"not enough memory{said and f': {in_one_line(said.splitlines()[0])}'}"
    return in_one_line(str(said).splitlines()[0]) if said else type(error).__name__


def in_one_line(text: str) -> str:
    """Return a text that others wrote in one line; of a very long one the sentences that fit."""
    line = " ".join(text.split())
    if len(line) <= _LONG:
        return line
    sentences = line[:_LONG].rpartition(". ")[0]
    words = line[:_LONG].rpartition(" ")[0]
    return f"{sentences}." if sentences else f"{words or line[:_LONG]} ..."


def printable(text: str) -> str:
    """Return the text with what would move a terminal's cursor, or end the line, spelt out."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


_LONG = 300  # letters: more is hardly read
