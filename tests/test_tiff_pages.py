"""Counting the pages of a TIFF."""

import struct
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from serving.hostile import chained

from cyclegan.images.document import open_document
from cyclegan.tiff_pages import count_pages


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


def test_the_time_grows_as_the_pages_do(tmp_path: Path) -> None:
    few, many = (_opening(pages, tmp_path / f"{pages}.tif") for pages in (4_000, 16_000))
    assert many < 8 * few, "four times the pages; Pillow's own count takes sixteen times as long"


def _opening(pages: int, path: Path) -> float:
    """Return the least processor time of three openings of a file of so many pages."""
    path.write_bytes(chained(pages))
    times = []
    for _ in range(3):
        begun = time.process_time()
        document = open_document(path)
        assert document.count == pages
        assert next(iter(document.pictures)).size == (8, 8)
        times.append(time.process_time() - begun)
    return min(times)


def test_a_chain_that_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(chained(3)[:200])
    with pytest.raises(struct.error):
        count_pages(path)
