"""Counting the pages of a TIFF."""

import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile
from serving.hostile import chained

from cyclegan.images.document import open_document
from cyclegan.images.formats import count_pages


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_kind_of_file(bigtiff: bool, order: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pages = np.zeros((5, 8, 9), np.uint8)
    tifffile.imwrite(path, pages, bigtiff=bigtiff, byteorder=order, photometric="minisblack")
    assert count_pages(path) == 5
    assert count_pages(path, most=2) == 3


@pytest.mark.parametrize("last", [None, 0, 1, 2])
def test_a_ring_of_pages_ends(last: int | None, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(chained(3, last))
    assert count_pages(path) == Image.open(path).n_frames == 3


def test_a_count_takes_a_fraction_of_the_decoders_own(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(chained(4_000))
    ours = _least_time(lambda: count_pages(path))
    assert ours * 5 < _least_time(lambda: Image.open(path).n_frames)


def test_opening_does_not_ask_the_decoder_for_the_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TiffImageFile, "n_frames", property(lambda _: pytest.fail("asked")))
    path = tmp_path / "a.tif"
    path.write_bytes(chained(20))
    document = open_document(path)
    assert document.count == 20
    assert next(iter(document.pictures)).size == (8, 8)


def _least_time(call: Callable[[], object]) -> float:
    """Return the processor seconds of the quickest of three calls."""
    times = []
    for _ in range(3):
        begun = time.process_time()
        call()
        times.append(time.process_time() - begun)
    return min(times)


def test_a_chain_that_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(chained(3)[:200])
    with pytest.raises(struct.error):
        count_pages(path)
