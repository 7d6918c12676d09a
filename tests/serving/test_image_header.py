"""What headers claim is bounded: by time and memory, and by the pixels that are allowed."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from zlib import compress

import pytest
from PIL import Image
from serving.hostile import chained, chunk, growing, png, wide_webp

from cyclegan.serving.image_header import NoPictureError, TooLargeError, count_pixels
from cyclegan.serving.tasks import CountPixels, Models
from cyclegan.serving.worker import Limits, TooLongError, Worker

MOST = 25_000_000
_SMALL = 64 * 64


@pytest.fixture(scope="module")
def reader() -> Iterator[Worker]:
    worker = Worker(
        partial(Models, "cpu", "fp32", trust_code=False), "PIL.Image", Limits(0.5, 1 << 30)
    )
    yield worker
    worker.close()


def test_what_takes_too_long_is_given_up(reader: Worker, tmp_path: Path) -> None:
    small, many = tmp_path / "small.png", tmp_path / "many.png"
    small.write_bytes(png())
    many.write_bytes(png(*[chunk(b"vpAg", b"")] * 1_000_000))
    with pytest.raises(TooLongError, match=r"more than 0\.5 s to look at"):
        reader.do(CountPixels(many, MOST, None))
    assert reader.do(CountPixels(small, MOST, None)) == _SMALL, "and the next one goes well"


@pytest.mark.parametrize("side", [16_383, 9_000])
def test_a_canvas_of_many_pixels(side: int, reader: Worker, tmp_path: Path) -> None:
    path = tmp_path / "wide.webp"
    path.write_bytes(wide_webp(side))
    with pytest.raises((TooLargeError, NoPictureError), match=r"megapixels|far too"):
        reader.do(CountPixels(path, MOST, None))


def test_frames_that_grow_count_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "growing.gif"
    path.write_bytes(growing(9_000))
    with pytest.raises(TooLargeError, match="more than 25 megapixels"):
        count_pixels(path, MOST, None)
    frames = [Image.new("L", (100, 100), level) for level in (0, 90, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert count_pixels(path, MOST, None) == 3 * 100 * 100


def test_text_of_some_megabytes_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_bytes(png(chunk(b"zTXt", b"k\0\0" + compress(bytes(3_000_000)))))
    assert count_pixels(path, MOST, None) == _SMALL
    path.write_bytes(png(*[chunk(b"zTXt", b"k\0\0" + compress(bytes(3_000_000)))] * 30))
    with pytest.raises(NoPictureError, match="damaged"):
        count_pixels(path, MOST, None)


@pytest.mark.parametrize("last", [None, 0, 2, 4])
def test_pages_in_a_ring_come_once(last: int | None, tmp_path: Path) -> None:
    path = tmp_path / "ring.tif"
    path.write_bytes(chained(5, last))
    assert count_pixels(path, MOST, None) == 5 * _SMALL
