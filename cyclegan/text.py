"""Text files that people write, in whatever encoding their editor saved them."""

import codecs
from pathlib import Path

from cyclegan.errors import UserError

#: Byte-order marks; the longer ones first, as one begins like another.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_HEAD = 4096  # bytes that show what a file is
_LARGEST = 256 << 20  # bytes: nobody writes more by hand or by a script of names


def read_text(path: Path) -> str:
    """Return the text; bytes that are not UTF-8 are kept as `os.fsdecode` keeps them.

    Raises UserError where it is no text, and OSError where it can't be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
        encoding = _encoding(head)
        if encoding is None:
            raise UserError(f"{path}: not a text file")
        content = head + file.read(_LARGEST)
    if len(content) > _LARGEST:
        raise UserError(f"{path}: more than {_LARGEST >> 20} MiB, too much for a text file")
    try:
        return content.decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: damaged text: not {encoding} ({error.reason})") from None


def without_bytes(text: str) -> str:
    """The same with bytes that were not UTF-8 read as Windows and Latin-1 write them."""
    if text.isprintable() or not any("\udc80" <= letter <= "\udcff" for letter in text):
        return text
    content = text.encode("utf-8", "surrogateescape")
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:  # five bytes stand for nothing there
        return content.decode("latin-1")


def _encoding(head: bytes) -> str | None:
    """By the mark, or by where the zeros of UTF-16 without one lie; None where it is no text."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if b"\0" not in head:
        return "utf-8"
    zeros = {"utf-16-be": head[0::2].count(0), "utf-16-le": head[1::2].count(0)}
    encoding = max(zeros, key=lambda name: zeros[name])
    return encoding if zeros[encoding] > 0.4 * len(head) / 2 > 2 * min(zeros.values()) else None
