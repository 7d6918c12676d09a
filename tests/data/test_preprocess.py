"""The five modes against the classic's own computation, written out with Pillow."""

import pickle
from dataclasses import replace

import albumentations
import numpy as np
import pytest
import torch
from conftest import smooth_image
from PIL import Image

from cyclegan.data import DataSettings
from cyclegan.data.augment import Augmentation
from cyclegan.data.preprocess import PREPROCESS
from cyclegan.errors import UsageError

BICUBIC = Image.Resampling.BICUBIC
OTHERS = {"library": "torchvision"}


def augmented(augmentation: Augmentation, image: Image.Image, seed: int) -> np.ndarray:
    return augmentation(augmentation.scaled(image), seed)


def classic_square(image: Image.Image) -> Image.Image:
    return image.resize((64, 64), BICUBIC)


def classic_width(image: Image.Image) -> Image.Image:
    width, height = image.size
    if width == 64 and height >= 40:
        return image
    return image.resize((64, int(max(64 * height / width, 40))), BICUBIC)


def classic_none(image: Image.Image) -> Image.Image:
    width, height = (int(round(side / 4) * 4) for side in image.size)
    return image if (width, height) == image.size else image.resize((width, height), BICUBIC)


@pytest.mark.parametrize("size", [(200, 150), (150, 200), (64, 80), (61, 50), (400, 90)])
@pytest.mark.parametrize(
    ("mode", "classic"),
    [
        ("resize_and_crop", classic_square),
        ("crop", lambda image: image),
        ("scale_width", classic_width),
        ("scale_width_and_crop", classic_width),
        ("none", classic_none),
    ],
)
def test_pixels_are_the_classics(mode: str, classic: object, size: tuple[int, int]) -> None:
    image = smooth_image(1, size)
    settings = DataSettings(preprocess=mode, load_size=64, crop_size=40)
    ours, theirs = PREPROCESS[mode].scale(image, settings), classic(image)
    assert ours.size == theirs.size
    difference = np.abs(np.asarray(ours, dtype=int) - np.asarray(theirs, dtype=int)).mean()
    assert difference <= 1


@pytest.mark.parametrize("mode", PREPROCESS)
def test_the_crop_is_a_piece_of_the_scaled_image(mode: str) -> None:
    settings = DataSettings(preprocess=mode, load_size=64, crop_size=40, flip=False)
    image = smooth_image(2, (90, 70))
    scaled = np.asarray(PREPROCESS[mode].scale(image, settings))
    crop = augmented(Augmentation(settings, 3), image, 5)
    assert (crop.shape[1], crop.shape[0]) == PREPROCESS[mode].result(image.size, settings)
    height, width = crop.shape[:2]
    assert any(
        (scaled[top : top + height, left : left + width] == crop).all()
        for top in range(scaled.shape[0] - height + 1)
        for left in range(scaled.shape[1] - width + 1)
    )


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((256, 256, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    settings = DataSettings(load_size=32, crop_size=32)
    shrunk = np.asarray(PREPROCESS["resize_and_crop"].scale(Image.fromarray(stripes), settings))
    assert shrunk.std() < 5  # even gray; plain cubic sampling would keep stripes


def test_the_same_seed_gives_the_same_pixels() -> None:
    augmentation = Augmentation(DataSettings(load_size=64, crop_size=40), 3)
    image = smooth_image(3, (90, 70))
    results = [augmented(augmentation, image, seed).tobytes() for seed in (1, 2, 1, 3, 4)]
    assert results[0] == results[2]
    assert len(set(results)) == 4


def test_flip_mirrors_half_of_the_images_and_can_be_switched_off() -> None:
    image = smooth_image(4, (40, 40))
    still = DataSettings(preprocess="crop", crop_size=40, flip=False)
    flipping = DataSettings(preprocess="crop", crop_size=40)
    pixels, mirrored = np.asarray(image), np.asarray(image)[:, ::-1]
    results = [augmented(Augmentation(flipping, 3), image, seed) for seed in range(40)]
    mirrors = sum((result == mirrored).all() for result in results)
    assert sum((result == pixels).all() for result in results) + mirrors == 40
    assert 10 <= mirrors <= 30
    assert all(
        (augmented(Augmentation(still, 3), image, seed) == pixels).all() for seed in range(8)
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_further_transforms_by_name(channels: int) -> None:
    augment = ({"name": "RandomBrightnessContrast", "brightness_limit": [0.3, 0.3], "p": 1.0},)
    settings = DataSettings(load_size=64, crop_size=40, flip=False, augment=augment)
    plain = DataSettings(load_size=64, crop_size=40, flip=False)
    image = smooth_image(5, (90, 70), "RGB" if channels == 3 else "L")
    brighter = augmented(Augmentation(settings, channels), image, 7)
    assert brighter.shape == (40, 40, channels)
    assert brighter.mean() > augmented(Augmentation(plain, channels), image, 7).mean() + 10


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_transforms_of_torchvision_follow_from_the_seed_too(channels: int) -> None:
    """In any order among the others, in a share of the cases, and in any process."""
    further = (
        {"name": "GaussNoise", "p": 0.5},
        OTHERS | {"name": "GaussianNoise", "mean": -0.2, "p": 0.5},
        OTHERS | {"name": "RandomErasing", "p": 0.5},
    )
    settings = DataSettings(load_size=64, crop_size=64, flip=False, augment=further[1:2])
    shape, before = (64, 64, channels), torch.get_rng_state()
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    if channels == 4:
        pixels = (pixels / 255).astype(np.float32)
    darker = Augmentation(settings, channels)
    results = [darker(pixels, seed) for seed in range(40)]
    unchanged = sum(np.array_equal(result, pixels) for result in results)
    assert 10 <= unchanged <= 30
    assert all(0.5 < result.mean() / pixels.mean() < 1.01 for result in results)
    assert len({result.tobytes() for result in results}) > 5
    mixed = Augmentation(replace(settings, augment=further), channels)
    again = pickle.loads(pickle.dumps(mixed))
    for seed in range(8):
        torch.rand(seed)
        assert mixed(pixels, seed).tobytes() == again(pixels, seed).tobytes()
    torch.set_rng_state(before)
    mixed(pixels, 1)
    assert torch.equal(torch.get_rng_state(), before), "the training's own numbers go on as before"


def test_albumentations_own_pictures() -> None:
    """To the bit what its own pipeline makes with the same seed."""
    augment = ({"name": "ColorJitter", "brightness": [0.8, 1.2], "p": 0.5}, {"name": "GaussNoise"})
    augmentation = Augmentation(DataSettings(load_size=64, crop_size=40, augment=augment), 3)
    theirs = albumentations.Compose(
        [
            albumentations.RandomCrop(40, 40),
            albumentations.HorizontalFlip(p=0.5),
            albumentations.ColorJitter(brightness=(0.8, 1.2), p=0.5),
            albumentations.GaussNoise(),
        ]
    )
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for seed in range(6):
        theirs.set_random_seed(seed)
        assert np.array_equal(augmentation(pixels, seed), theirs(image=pixels)["image"])


@pytest.mark.parametrize(
    ("further", "words"),
    [
        ({"name": "ColourJitter"}, ["ColourJitter", "perhaps you meant ColorJitter"]),
        ({"name": "Compose"}, ["Compose", "no transform of single images"]),
        ({"name": "ColorJitter", "brightnes": 0.5}, ["brightnes", "perhaps you meant brightness"]),
        ({"name": "ColorJitter", "brightness": "much"}, ["ColorJitter", "brightness"]),
        ({"name": "RandomCrop", "height": 8, "width": 8}, ["RandomCrop", "shape"]),
        ({"name": "ChannelShuffle", "p": 3}, ["ChannelShuffle", "p"]),
        ({"name": "ToFloat", "p": 0.01}, ["ToFloat", "float32"]),
        ({"name": "Transpose", "p": 0.01}, ["Transpose", "shape"]),
        ({}, ["no transform"]),
        ({"name": "ColorJitter", "library": "torch"}, ["albumentations and torchvision"]),
        (OTHERS | {"name": "ColourJitter"}, ["torchvision.transforms.v2", "meant ColorJitter"]),
        (OTHERS | {"name": "GaussNoise"}, ["perhaps you meant GaussianNoise"]),
        (OTHERS | {"name": "ColorJitter", "hu": 0.1}, ["no argument 'hu', perhaps you meant hue"]),
        (OTHERS | {"name": "ColorJitter", "hue": 3.0}, ["ColorJitter", "hue"]),
        (OTHERS | {"name": "ColorJitter", "p": 3}, ["ColorJitter", "p"]),
        (OTHERS | {"name": "GaussianBlur"}, ["kernel_size"]),
        (OTHERS | {"name": "RandomCrop", "size": 8, "p": 0.01}, ["RandomCrop", "shape"]),
        (OTHERS | {"name": "MixUp"}, ["MixUp", "fails on images of 3 channels"]),
        (OTHERS | {"name": "Transform"}, ["'Transform'", "torchvision.transforms.v2"]),
        ({"name": "DualTransform"}, ["'DualTransform'", "albumentations"]),
    ],
)
def test_wrong_transforms_are_errors_before_training(further: dict, words: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        Augmentation(DataSettings(augment=(further,)), 3)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("mode", "needed"),
    [
        ("resize_and_crop", (286, 286)),
        ("crop", (4000, 3000)),
        ("scale_width", (4000, 3000)),
        ("scale_width_and_crop", (4000, 3000)),
        ("none", (4000, 3000)),
    ],
)
def test_what_decoding_has_to_give(mode: str, needed: tuple[int, int]) -> None:
    """Less only where all images come out at one size: elsewhere it would round otherwise."""
    augmentation = Augmentation(DataSettings(preprocess=mode), 3)
    assert augmentation.enough((4000, 3000)) == needed
