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


def test_many_pages_are_counted_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(chained(25_000))
    begun = time.process_time()
    document = open_document(path)
    assert document.count == 25_000
    assert next(iter(document.pictures)).size == (8, 8)
    assert time.process_time() - begun < 2


def test_a_chain_that_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(chained(3)[:200])
    with pytest.raises(struct.error):
        count_pages(path)
