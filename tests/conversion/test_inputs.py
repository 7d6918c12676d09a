"""What a translator takes from Python: one picture of any kind, and streams of them."""

import io
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import torch
from conftest import smooth_image
from PIL import Image
from torch import nn

from cyclegan import Translator, UserError, images
from cyclegan.classic import Architecture
from cyclegan.conversion import translator as translator_module
from cyclegan.conversion.weights import Generator
from cyclegan.execution.execution import Execution
from cyclegan.generators import ResnetSettings


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weights_of(tmp_path_factory.mktemp("weights") / "x.pth", 3, "instance")


def weights_of(path: Path, channels: int, norm: str) -> Path:
    torch.manual_seed(0)
    network = ResnetSettings(ngf=4, n_blocks=1).build(channels, channels, norm)
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def translator(file: Path) -> Translator:
    return Translator.load(file)


def identity(channels: int = 3) -> Translator:
    """Changes nothing, to see what happens around the network."""
    architecture = Architecture(ResnetSettings(ngf=2), channels, channels, "instance")
    generator = Generator(nn.Identity(), architecture, "x", "x")
    return Translator(generator, torch.device("cpu"), Execution())


def test_a_path_is_the_picture_in_it(translator: Translator, tmp_path: Path) -> None:
    image = smooth_image(1)
    image.save(tmp_path / "a.png")
    assert translator(tmp_path / "a.png").tobytes() == translator(image).tobytes()
    assert translator(str(tmp_path / "a.png")).tobytes() == translator(image).tobytes()
    with pytest.raises(UserError, match=r"b\.png: no such file"):
        translator(tmp_path / "b.png")


class OneWay(io.RawIOBase):
    """A file that can't be gone back in, as a connection is, and gives little at a time."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        return self._content.readinto(memoryview(buffer)[:100])


def at_its_end(content: bytes) -> io.BytesIO:
    file = io.BytesIO(content)
    file.seek(0, io.SEEK_END)
    return file


def temporary(content: bytes) -> IO[bytes]:
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115
    file.write(content)
    return file


@pytest.mark.parametrize(
    "opened",
    [bytes, bytearray, memoryview, io.BytesIO, at_its_end, temporary, OneWay,
     lambda content: io.BufferedReader(OneWay(content))],
)  # fmt: skip
def test_bytes_and_files_are_the_picture_in_them(
    opened: Callable[[bytes], object], translator: Translator
) -> None:
    image = smooth_image(7)
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    expected = translator(image)
    assert translator(opened(encoded.getvalue())).tobytes() == expected.tobytes()
    pictures = [opened(encoded.getvalue()) for _ in range(2)]
    assert [each.tobytes() for each in translator(pictures)] == [expected.tobytes()] * 2


def test_a_picture_in_bytes_is_turned_upright(translator: Translator) -> None:
    encoded = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth_image(7, (40, 20)).save(encoded, "TIFF", exif=exif)
    assert translator(encoded).size == (20, 40)


def test_files_of_text_are_told(translator: Translator, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    smooth_image(1).save(path)
    with path.open(encoding="utf-8") as text, path.open(encoding="latin-1") as other:
        for file in (text, other, io.StringIO("x"), io.StringIO("")):
            with pytest.raises(TypeError, match=r'returns text, .*: open the file with "rb"'):
                translator(file)


def closed() -> io.BytesIO:
    file = io.BytesIO(b"x")
    file.close()
    return file


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (b"", "bytes: is empty"),
        (io.BytesIO(), "BytesIO: is empty"),
        (bytearray(b"hello"), "bytearray: not an image in a supported format"),
        (closed(), r"BytesIO: can't be read \(I/O operation on closed file"),
    ],
)
def test_bytes_that_are_no_picture(given: object, words: str, translator: Translator) -> None:
    with pytest.raises(UserError, match=words):
        translator(given)
    with pytest.raises(UserError, match=words):
        list(translator([given]))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 1), (9, 14, 3)])
def test_arrays_keep_their_type_and_range(dtype: type, shape: tuple[int, ...]) -> None:
    whole = np.issubdtype(dtype, np.integer)
    top = np.iinfo(dtype).max if whole else 1
    given = (np.random.default_rng(0).random(shape) * top).astype(dtype)
    made = identity(shape[2] if len(shape) == 3 else 1)(given)
    assert (made.dtype, made.shape) == (given.dtype, given.shape)
    step = 1e-3 if dtype == np.float16 else 1e-6
    assert np.abs(made.astype(np.float64) - given).max() <= (0 if whole else step)


def test_arrays_are_converted_as_pictures_are(translator: Translator) -> None:
    image = smooth_image(2)
    pixels = np.asarray(image)
    converted = np.asarray(translator(image))
    assert (translator(pixels) == converted).all()
    deep = translator(pixels.astype(np.uint16) * 257)
    assert np.abs(deep / 257 - converted).max() <= 0.501
    share = translator(pixels.astype(np.float32) / 255)
    assert np.abs(share * 255 - converted).max() <= 0.501
    assert (np.round(share * 65535) == deep).mean() > 0.99, "all of the 16 bits"


def test_gray_arrays_through_a_colour_generator(translator: Translator) -> None:
    gray = np.asarray(smooth_image(3, mode="L"))
    assert translator(gray).shape == (*gray.shape, 3)
    assert (translator(gray) == translator(np.stack([gray] * 3, axis=2))).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_tensors_keep_type_and_shape(translator: Translator, dtype: torch.dtype) -> None:
    image = images.to_tensor(smooth_image(4)).to(dtype)
    made = translator(image)
    assert (made.dtype, made.shape) == (dtype, image.shape)
    assert torch.equal(made, translator.convert(image.float()).to(dtype))
    assert translator(image[None]).shape == (1, *image.shape)
    assert not translator(image.requires_grad_()).requires_grad


def test_a_batch_is_as_its_pictures_are(translator: Translator) -> None:
    batch = torch.stack([images.to_tensor(smooth_image(n, (21, 18))) for n in range(3)])
    one_by_one = torch.stack([translator.convert(image) for image in batch])
    assert torch.allclose(translator.convert_batch(batch), one_by_one, atol=1e-5)
    assert torch.allclose(translator(batch), one_by_one, atol=1e-5)


def counted(translator: Translator) -> list[int]:
    """The sizes of the batches that go through the network."""
    seen: list[int] = []
    call = translator._engine.call

    def count(batch: torch.Tensor) -> torch.Tensor:
        seen.append(len(batch))
        return call(batch)

    means = translator._engine
    object.__setattr__(means, "call", count)
    return seen


def test_a_batch_that_memory_can_not_hold_goes_one_by_one(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = counted(translator)
    batch = torch.zeros(4, 3, 16, 16)
    translator(batch)
    enough = 3 * translator_module.estimated_bytes(translator.generator.architecture, 16, 16)
    monkeypatch.setattr(translator_module, "free_memory", lambda device: enough)
    translator(batch)
    assert seen == [4, 1, 1, 1, 1]


def test_statistics_of_one_image_are_not_those_of_a_batch(tmp_path: Path) -> None:
    file = weights_of(tmp_path / "b.pth", 3, "batch")
    translator = Translator.load(file, norm_statistics="image")
    batch = torch.stack([images.to_tensor(smooth_image(n, (16, 16))) for n in range(2)])
    assert torch.equal(translator(batch)[1], translator(batch[1]))


def test_iterables_give_the_same_kinds_in_order(translator: Translator, tmp_path: Path) -> None:
    image = smooth_image(5)
    image.save(tmp_path / "a.png")
    given = [image, np.asarray(image), tmp_path / "a.png", images.to_tensor(image)]
    made = list(translator(given))
    assert [type(each) for each in made] == [Image.Image, np.ndarray, Image.Image, torch.Tensor]
    assert (np.asarray(made[0]) == made[1]).all()
    assert made[0].tobytes() == made[2].tobytes()


def test_equal_sizes_are_batched(translator: Translator) -> None:
    seen = counted(translator)
    sizes = [(20, 16)] * 5 + [(16, 20)] * 2 + [(20, 16)]
    pictures = [smooth_image(number, size) for number, size in enumerate(sizes)]
    made = list(translator(pictures, batch_size=3))
    assert seen == [3, 2, 2, 1]
    assert [each.size for each in made] == sizes
    for picture, each in zip(pictures, made, strict=True):
        difference = np.asarray(each, int) - np.asarray(translator(picture), int)
        assert np.abs(difference).max() <= 1  # sums of a batch are rounded otherwise


def test_batches_within_a_stream_stay_batches(translator: Translator) -> None:
    batch = torch.zeros(3, 3, 12, 16)
    shapes = [made.shape for made in translator([batch, batch[0], batch], batch_size=4)]
    assert shapes == [batch.shape, batch[0].shape, batch.shape]


def test_a_stream_has_no_end_and_is_read_as_it_is_used() -> None:
    drawn: list[int] = []

    def forever() -> Iterator[np.ndarray]:
        for number in itertools.count():
            drawn.append(number)
            yield np.full((8, 8, 3), number % 256, np.uint8)

    stream = identity()(forever(), batch_size=4)
    assert drawn == []
    for number in range(30):
        assert (next(stream) == number).all()
        assert len(drawn) <= number + 1 + 4 + 5, "a batch, and as many and one ahead"
    stream.close()


def test_what_came_before_a_mistake_is_given_first(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    image = smooth_image(6)
    stream = identity()([image, image, tmp_path / "bad.png", image], batch_size=4)
    assert [next(stream).size for _ in range(2)] == [image.size] * 2
    with pytest.raises(UserError, match=r"bad\.png: not an image"):
        next(stream)


def test_what_the_maker_of_pictures_raises_comes_in_its_place() -> None:
    def broken() -> Iterator[Image.Image]:
        yield smooth_image(1)
        raise RuntimeError("the camera is gone")

    stream = identity()(broken())
    assert next(stream).size == smooth_image(1).size
    with pytest.raises(RuntimeError, match="the camera is gone"):
        next(stream)


def one_nan() -> torch.Tensor:
    """A tensor with one value that is no number."""
    pixels = torch.zeros(3, 8, 8)
    pixels[1, 2, 3] = torch.nan
    return pixels


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (3, TypeError, "int: expected a PIL image, a path, an array"),
        (None, TypeError, "NoneType: expected a PIL image"),
        (
            np.zeros((2, 3, 4, 5)),
            ValueError,
            r"float64 and shape \(2, 3, 4, 5\): expected \(H, W\) or",
        ),
        (np.zeros((8, 8), np.int64), ValueError, "array of int64"),
        (np.zeros((0, 8), np.uint8), ValueError, r"shape \(0, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), ValueError, "4 channels: this generator takes 3"),
        (np.full((8, 8, 3), 200.0), ValueError, r"floats from 200 to 200: \[0, 1\]"),
        (np.full((8, 8, 3), np.nan), ValueError, "floats from nan to nan"),
        (torch.zeros(8, 8), ValueError, r"tensor of shape \(8, 8\): \(3, H, W\) or"),
        (torch.zeros(1, 8, 8), ValueError, r"tensor of shape \(1, 8, 8\)"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), ValueError, r"torch\.uint8, .*in \[-1, 1\]"),
        (torch.zeros(3, 8, 8).to_sparse(), ValueError, r"sparse_coo .*dense floats in \[-1, 1\]"),
        (torch.zeros(3, 8, 8, device="meta"), ValueError, r"on meta: dense floats in \[-1, 1\]"),
        (torch.zeros(8, 9, 3), ValueError, r"\(8, 9, 3\): .*: tensor\.permute\(2, 0, 1\) makes"),
        (torch.zeros(2, 8, 9, 3), ValueError, r"9, 3\): .*: tensor\.permute\(0, 3, 1, 2\) makes"),
        (torch.zeros(0, 3, 8, 8), ValueError, r"shape \(0, 3, 8, 8\): \(3, H, W\) or"),
        (torch.full((3, 8, 8), 200.0), ValueError, r"tensor of floats from 200 to 200: \[-1, 1\]"),
        (torch.full((2, 3, 8, 8), -2.5), ValueError, r"from -2\.5 to -2\.5: \[-1, 1\] is needed"),
        (torch.tensor(0.0).log().expand(3, 8, 8), ValueError, "floats from -inf to -inf"),
        (one_nan(), ValueError, "tensor of floats from nan to nan"),
        (np.zeros((3, 8, 9), np.uint8), ValueError, r"array\.transpose\(1, 2, 0\) makes it \(H"),
        (np.zeros((2, 8, 9, 3), np.uint8), ValueError, "give a batch as a list of them"),
        (np.zeros((8, 9, 3), np.int8), ValueError, "array of int8 .*: expected"),
        ({"a": 3}, TypeError, "dict: expected a PIL image"),
        (Image.new("RGB", (0, 5)), ValueError, "a picture of 0x5 pixels"),
    ],
)
def test_what_is_not_taken_is_named(given: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        identity()(given)
    with pytest.raises(error, match=words):
        list(identity()([given]))


def test_pictures_for_a_generator_of_many_channels_are_arrays() -> None:
    with pytest.raises(ValueError, match="takes 5 channels: give it arrays or tensors"):
        identity(5)(smooth_image(1))
    deep = np.zeros((8, 8, 5), np.uint16)
    assert identity(5)(deep).shape == deep.shape
    with pytest.raises(ValueError, match="batch_size 0: must be at least 1"):
        list(identity()([smooth_image(1)], batch_size=0))
