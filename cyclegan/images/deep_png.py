"""PNG with 16 bits a channel, which Pillow would cut to 8."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cyclegan.images.picture import Array


def is_deep_png(path: Path) -> bool:
    """Whether it has 16 bits and is not gray, which Pillow reads."""
    with path.open("rb") as file:
        header = file.read(26)
    return header[:8] == _SIGNATURE and header[24:25] == b"\x10" and header[25:26] != b"\0"


def read_deep_png(path: Path) -> Array:
    """(H, W, C) or (H, W) of uint16, red first. Raises OSError where it is damaged."""
    import cv2

    cv2.utils.logging.setLogLevel(0)  # what is wrong with a file is said below
    found = cv2.imdecode(np.frombuffer(_sound(path.read_bytes()), np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise OSError("damaged or cut short")
    if found.ndim == 3:  # cv2 has blue first
        found = found[:, :, [2, 1, 0, *range(3, found.shape[2])]]
    return np.asarray(found)


def _sound(file: bytes) -> bytes:
    """What is needed of a file to decode it: libpng writes of all else to the terminal.

    Raises OSError where it would write of that, too.
    """
    inflate, kept = zlib.decompressobj(), [_SIGNATURE]
    for name, content, chunk in _chunks(file):
        if name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            kept.append(chunk)
        rest = content if name == b"IDAT" else b""
        try:
            while rest:
                inflate.decompress(rest, _AT_ONCE)
                rest = inflate.unconsumed_tail
        except zlib.error as error:
            raise OSError(str(error)) from None
    if not inflate.eof:
        raise OSError("damaged or cut short")
    return b"".join(kept)


def _chunks(file: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Name, content and the whole of each chunk, up to the last one."""
    place, name = len(_SIGNATURE), b""
    while name != b"IEND":
        header = file[place : place + 8]
        if len(header) < 8:
            raise OSError("damaged or cut short")
        length, name = struct.unpack(">I4s", header)
        chunk = file[place : place + 12 + length]
        if len(chunk) < 12 + length or zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
            raise OSError(f"damaged or cut short at its chunk {name.decode('latin-1')}")
        yield name, chunk[8:-4], chunk
        place += 12 + length


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AT_ONCE = 1 << 20  # bytes that are unpacked and thrown away
