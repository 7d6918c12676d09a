"""Files that claim more than they hold, and clients that send less than they say."""

import io
import socket
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ONE_PIXEL = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
#: The beginning of a request.
HALF = b"POST /api/convert HTTP/1.1\r\nHost: local"


def chunk(kind: bytes, content: bytes) -> bytes:
    """A part of a PNG."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(*chunks: bytes) -> bytes:
    """A PNG of one pixel, with more in its header."""
    pixel = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"".join((_SIGNATURE, chunk(b"IHDR", _ONE_PIXEL), *chunks, pixel, chunk(b"IEND", b"")))


def claiming(frames: int) -> bytes:
    """A PNG of some hundred bytes that says it moves."""
    control = struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 1, 10, 0, 0)
    return png(chunk(b"acTL", struct.pack(">II", frames, 0)), chunk(b"fcTL", control))


def chained(pages: int, last: int | None = None) -> bytes:
    """A TIFF of so many pages of 8x8 that share their pixels; behind the last comes page `last`."""
    values = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 277: 1, 278: 8, 279: 64}
    size = 2 + 12 * (len(values) + 1) + 4
    values[273] = 8 + pages * size  # where the pixels are
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, values[tag]) for tag in sorted(values))
    following = [*range(1, pages), last]
    chain = b"".join(
        struct.pack("<H", len(values)) + tags + struct.pack("<I", 0 if n is None else 8 + n * size)
        for n in following
    )
    return b"II*\0" + struct.pack("<I", 8) + chain + bytes(64)


def growing(side: int) -> bytes:
    """A GIF whose first frame is a pixel, and whose second one has `side` a side."""
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    frames = (
        b"\x2c" + struct.pack("<HHHHB", 0, 0, each, each, 0) + b"\x02\x02\x44\x01\0"
        for each in (1, side)
    )
    return head + b"".join(frames) + b";"


def wide_webp(side: int) -> bytes:
    """A WebP of two small frames on a canvas of `side` a side."""
    file = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    found = bytearray(file.getvalue())
    canvas = found.index(b"VP8X") + 12
    found[canvas : canvas + 6] = (side - 1).to_bytes(3, "little") * 2
    return bytes(found)


def slow_head() -> bytes:
    """What comes before a picture that never comes whole."""
    return (
        b"POST /api/convert HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n"
        b"Content-Type: multipart/form-data; boundary=B\r\n\r\n--B\r\n"
        b'Content-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    )


@contextmanager
def dripping(port: int, head: bytes, count: int) -> Iterator[list[socket.socket]]:
    """Connections on which `head` came, and nothing comes after."""
    with ExitStack() as stack:
        lines = []
        for _ in range(count):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            line.sendall(head)
            lines.append(line)
        yield lines
