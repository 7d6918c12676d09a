"""A mask says where a conversion is taken over."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan.conversion.blend import Blend, BlockPosition, Mask
from cyclegan.errors import UsageError, UserError


def half(path: Path, size: tuple[int, int] = (8, 6)) -> Mask:
    """White on the right."""
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[:, size[0] // 2 :] = 255
    Image.fromarray(pixels).save(path)
    return Mask.read(path)


def test_outside_is_exactly_the_input_and_inside_the_conversion(tmp_path: Path) -> None:
    source, made = torch.rand(3, 6, 8), torch.rand(3, 6, 8)
    mixed = Blend(mask=half(tmp_path / "mask.png")).of(source, made, BlockPosition(6, 8))
    assert torch.equal(mixed[..., :4], source[..., :4])
    torch.testing.assert_close(mixed[..., 4:], made[..., 4:])


def test_a_block_is_masked_as_its_place_in_the_picture_is(tmp_path: Path) -> None:
    steps = np.add.outer(np.arange(10), np.arange(24)).astype(np.uint8) * 7
    Image.fromarray(steps).save(tmp_path / "mask.png")
    mask = Mask.read(tmp_path / "mask.png")  # of another size than the picture
    source, made = torch.rand(3, 40, 50), torch.rand(3, 40, 50)
    whole = Blend(mask=mask).of(source, made, BlockPosition(40, 50))
    block = Blend(mask=mask).of(
        source[:, 8:24, 10:40], made[:, 8:24, 10:40], BlockPosition(40, 50, 8, 10)
    )
    torch.testing.assert_close(block, whole[:, 8:24, 10:40])


def test_a_mask_is_scaled_to_the_picture(tmp_path: Path) -> None:
    source, made = torch.rand(3, 40, 50), torch.rand(3, 40, 50)
    mixed = Blend(mask=half(tmp_path / "mask.png", (24, 10))).of(
        source, made, BlockPosition(40, 50)
    )
    assert torch.equal(mixed[..., :20], source[..., :20])
    torch.testing.assert_close(mixed[..., 30:], made[..., 30:])


def test_strength_is_within_the_mask(tmp_path: Path) -> None:
    source, made = torch.zeros(3, 6, 8), torch.ones(3, 6, 8)
    mixed = Blend(0.25, mask=half(tmp_path / "mask.png")).of(source, made, BlockPosition(6, 8))
    assert mixed[0, 0].tolist() == [0.0] * 4 + [0.25] * 4


def test_masks_of_other_pixels_are_other_masks(tmp_path: Path) -> None:
    first, second = half(tmp_path / "a.png"), half(tmp_path / "b.png", (8, 4))
    assert first.digest != second.digest
    assert Blend(mask=first).key != Blend(mask=second).key  # what outputs are known by


def test_bad_masks_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.png"):
        Mask.read(tmp_path / "nothing.png")
    with pytest.raises(UsageError, match=r"--mask .*mask\.png: the generator maps 3 channels to 1"):
        Blend(mask=half(tmp_path / "mask.png")).check(3, 1)
