"""The PNG format: 16 bits a channel, which Pillow would cut to 8, and all that Pillow writes."""

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from cyclegan.images import Encoding
from cyclegan.images.arrays import of_array, turned
from cyclegan.images.codec import Codec, as_pillow, save_by_pillow
from cyclegan.images.picture import Array, Document, Picture, Range
from cyclegan.images.tags import Tags, orientation_of


def _read(path: Path, values: Range | None) -> Document | None:
    return Document(_deep_frames(path, values)) if _is_left_to_us(path) else None


def _is_deep(path: Path) -> bool:
    return _header(path)[24:25] == b"\x10"


def _is_left_to_us(path: Path) -> bool:
    """Return whether a PNG has 16 bits and is not gray: gray is read by Pillow."""
    header = _header(path)
    return header[:8] == _SIGNATURE and header[24:25] == b"\x10" and header[25:26] != b"\0"


def _header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(26)


def _deep_frames(path: Path, values: Range | None) -> Iterator[Picture]:
    with Image.open(path, formats=("PNG",)) as header:
        tags, orientation = Tags.of(header), orientation_of(header)
    yield of_array(turned(_deep_pixels(path), orientation), values, tags)


def _deep_pixels(path: Path) -> Array:
    """Decode (H, W, C) or (H, W) of uint16, red first. Raises OSError if the file is damaged."""
    import cv2

    cv2.utils.logging.setLogLevel(0)  # what is wrong with a file is said below
    found = cv2.imdecode(np.frombuffer(_sound(path.read_bytes()), np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise OSError("damaged or truncated")
    if found.ndim == 3:  # cv2 has blue first
        found = found[:, :, [2, 1, 0, *range(3, found.shape[2])]]
    return np.asarray(found)


def _sound(file: bytes) -> bytes:
    """Return what decoding a file needs, as libpng writes of all else to the terminal.

    Raises OSError if the needed parts are damaged, of which libpng would write, too.
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
        raise OSError("damaged or truncated")
    return b"".join(kept)


def _chunks(file: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield the name, the content and the whole of each chunk, up to the last one."""
    place, name = len(_SIGNATURE), b""
    while name != b"IEND":
        header = file[place : place + 8]
        if len(header) < 8:
            raise OSError("damaged or truncated")
        length, name = struct.unpack(">I4s", header)
        chunk = file[place : place + 12 + length]
        if len(chunk) < 12 + length or zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
            raise OSError(f"damaged or truncated at its chunk {name.decode('latin-1')}")
        yield name, chunk[8:-4], chunk
        place += 12 + length


def _write(file: Path, pictures: Iterable[Picture], like: Document, how: Encoding) -> None:
    if like.moving:
        save_by_pillow("PNG", file, pictures, like, {})
        return
    picture = next(iter(pictures))
    several = picture.pixels.shape[2] > 1 or picture.alpha is not None
    if picture.pixels.dtype == np.uint16 and several:
        file.write_bytes(_deep_file(picture))
        return
    # Of filtered pixels runs are nearly all that can be packed: the same size in half the time.
    image = as_pillow(picture)
    colours = "L" if image.mode in ("L", "LA", "I;16") else "RGB"
    tags = picture.tags.fitting(colours).saved()
    image.save(file, "PNG", compress_type=zlib.Z_RLE, **tags)


def _deep_file(picture: Picture) -> bytes:
    """Encode 16 bits a channel, which Pillow can't write in colour, with the tags put in."""
    import cv2

    pixels = np.broadcast_to(picture.pixels, (*picture.pixels.shape[:2], 3))[:, :, ::-1]
    if picture.alpha is not None:
        pixels = np.concatenate([pixels, picture.alpha[:, :, None]], axis=2)
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels))
    assert done
    plain, tags = encoded.tobytes(), picture.tags.fitting("RGB")
    chunks = b""
    if tags.profile:
        chunks += _chunk(b"iCCP", b"ICC\0\0" + zlib.compress(tags.profile))
    if tags.dpi:
        a_metre = [round(dots / 0.0254) for dots in tags.dpi]
        chunks += _chunk(b"pHYs", struct.pack(">IIB", *a_metre, 1))
    if tags.exif:
        chunks += _chunk(b"eXIf", tags.exif.tobytes().removeprefix(b"Exif\0\0"))
    return plain[:_HEADER] + chunks + plain[_HEADER:]


def _chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = 33  # bytes: the signature and the first chunk, which must stay the first
_AT_ONCE = 1 << 20  # bytes that are unpacked and thrown away

PNG = Codec(_read, _write, _is_deep)
