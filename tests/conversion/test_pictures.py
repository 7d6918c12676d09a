"""Pictures of one size are converted together, many are read and written at once."""

from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Lock
from typing import Any

import numpy as np
import pytest
import torch
from conftest import GOLDEN, smooth_image
from PIL import Image
from torch import Tensor

from cyclegan.conversion import ConvertSettings, job, manifest, network, reader, writer
from cyclegan.conversion import job as job_module
from cyclegan.conversion.blend import Blend
from cyclegan.conversion.job import convert
from cyclegan.conversion.network import paint_together
from cyclegan.conversion.translator import Translator
from cyclegan.images import tiff
from cyclegan.images.document import open_document
from cyclegan.serving.tasks import Models

FILE = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Five of one size with one of another among them, one gray, one with transparency."""
    root = tmp_path / "in"
    root.mkdir()
    for number in range(6):
        smooth_image(number, (33, 21) if number != 2 else (20, 20)).save(root / f"{number}.png")
    smooth_image(6, (33, 21), "L").save(root / "6.png")
    smooth_image(7, (33, 21), "RGBA").save(root / "7.png")
    return root


def settings(source: Path, output: Path, **more: object) -> ConvertSettings:
    given = {"input": source, "output": output, "weights": FILE, "precision": "fp32"}
    return ConvertSettings(**given | more)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that reach the generator, as they do."""
    sizes: list[int] = []
    real: Callable[[Any, Tensor], Tensor] = Translator.together

    def counted(self: Translator, images: Tensor) -> Tensor:
        sizes.append(len(images))
        return real(self, images)

    monkeypatch.setattr(Translator, "together", counted)
    return sizes


def test_batches_form_from_equal_sizes(pictures: Path, tmp_path: Path, batches: list[int]) -> None:
    assert convert(settings(pictures, tmp_path / "one", batch_size=1)) == 0
    assert batches == [1] * 8
    batches.clear()
    assert convert(settings(pictures, tmp_path / "many", batch_size=3)) == 0
    # 0 and 1, then 3 to 5; a gray one has another shape in memory
    assert batches == [2, 1, 3, 1, 1]
    for path in sorted((tmp_path / "one").glob("*.png")):
        with Image.open(path) as one, Image.open(tmp_path / "many" / path.name) as other:
            assert one.mode == other.mode
            apart = np.abs(np.asarray(one).astype(int) - np.asarray(other))
            assert apart.max() <= 1, path.name


def test_one_that_fails_fails_alone(
    pictures: Path, tmp_path: Path, batches: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    (pictures / "4.png").write_bytes(b"broken")
    assert convert(settings(pictures, tmp_path / "out", batch_size=8)) == 1
    assert batches == [2, 1, 2, 1, 1]
    assert caplog.text.count("4.png") == 1
    assert len([*(tmp_path / "out").glob("*.png")]) == 7


def test_where_all_together_are_too_large_each_is_converted_alone(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Translator, "_fits", lambda self, shape, count=1: count == 1)
    assert convert(settings(pictures, tmp_path / "out", batch_size=3)) == 0


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Twenty small pictures."""
    root = tmp_path / "many"
    root.mkdir()
    for number in range(20):
        smooth_image(number, (16, 12)).save(root / f"{number:02}.png")
    return root


def replaced(monkeypatch: pytest.MonkeyPatch, name: str, before: Callable[[], object]) -> None:
    """Let `before` be called first, whenever a stage calls the function `name`."""
    stage = STAGES[name]
    real = getattr(stage, name)

    def called(*args: object, **more: object) -> object:
        before()
        return real(*args, **more)

    monkeypatch.setattr(stage, name, called)


STAGES = {"open_document": reader, "write_document": writer}


def on_cores(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """As on a machine of so many cores: there are two here, perhaps."""
    monkeypatch.setattr(job_module, "cores", lambda: count)


@pytest.mark.parametrize("name", ["open_document", "write_document"])
@pytest.mark.parametrize("batch_size", [1, 5])
def test_half_the_cores_read_and_half_write(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, batch_size: int
) -> None:
    """Four at once, or the fourth would be waited for in vain; in the manifest all in order."""
    on_cores(monkeypatch, 8)
    replaced(monkeypatch, name, Barrier(4, timeout=60).wait)
    assert convert(settings(many, tmp_path / "out", batch_size=batch_size)) == 0
    names = [f"{number:02}.png" for number in range(20)]
    lines = (tmp_path / "out" / manifest.NAME).read_text().splitlines()
    assert [line.partition('", ')[0] for line in lines] == [f'{{"output": "{n}' for n in names]


def test_many_threads_make_the_same_files(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count in (2, 16):
        on_cores(monkeypatch, count)
        assert convert(settings(pictures, tmp_path / str(count))) == 0
    for path in sorted((tmp_path / "2").glob("*.png")):
        assert path.read_bytes() == (tmp_path / "16" / path.name).read_bytes(), path.name


@pytest.mark.parametrize(("cores", "small", "most"), [(16, 0, 4), (4, 1 << 22, 10)])
def test_no_more_is_in_memory_than_threads_need(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, small: int, most: int
) -> None:
    """Of large pictures two that are read, one that is converted and one that is written."""
    on_cores(monkeypatch, cores)
    monkeypatch.setattr(reader, "_SMALL", small)
    monkeypatch.setattr(writer, "_WAITING", small)
    lock, held, highest = Lock(), 0, 0

    def count(change: int) -> None:
        nonlocal held, highest
        with lock:
            held += change
            highest = max(highest, held)

    replaced(monkeypatch, "open_document", lambda: count(1))
    replaced(monkeypatch, "write_document", lambda: count(-1))
    assert convert(settings(many, tmp_path / "out")) == 0
    assert held == 0
    assert highest <= most


def test_pages_are_read_computed_and_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three meet, each with another page, or they would wait for each other in vain."""
    count, meeting = 6, Barrier(3, timeout=60)
    first, *rest = [smooth_image(number, (33, 21)) for number in range(count)]
    first.save(tmp_path / "pages.tif", save_all=True, append_images=rest)

    def meets(owner: Any, name: str, later: int) -> None:
        real, calls = getattr(owner, name), iter(range(count))

        def called(*args: Any) -> object:
            if later <= next(calls) < count - 2 + later:
                meeting.wait()
            return real(*args)

        monkeypatch.setattr(owner, name, called)

    meets(reader.Reader, "_scaled", 2)
    meets(Translator, "together", 1)
    meets(tiff, "_write_page", 0)
    assert convert(settings(tmp_path / "pages.tif", tmp_path / "out")) == 0
    with Image.open(tmp_path / "out" / "pages.tif") as made:
        assert made.n_frames == count


def test_only_eight_bits_go_to_the_device_and_come_back(tmp_path: Path) -> None:
    translator = Translator.load(FILE)
    smooth_image(1, (33, 21)).save(tmp_path / "a.png")
    np.save(tmp_path / "deep.npy", np.asarray(smooth_image(1, (33, 21))).astype(np.uint16) * 257)
    for name, dtype in {"a.png": torch.uint8, "deep.npy": torch.float32}.items():
        (source,) = open_document(tmp_path / name).pictures

        made = paint_together([source], translator, Blend(), [source.depth])
        assert made is not None
        assert made.made.dtype == dtype
        expected = network._in_blocks(source, translator, Blend(), source.depth, lambda share: None)
        assert (made.picture(0).pixels == expected.pixels).all()


def test_of_a_batch_only_what_is_not_finite_fails(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No weights make it of one picture at will: the generator's output is made up."""
    monkeypatch.setattr(Translator, "together", lambda self, images: images / (images[:, :1] != 9))
    real = network._on_device

    def spoilt(*given: Any) -> Tensor:
        images = real(*given)
        images[1, 0, 0, 0] = float("nan")
        return images

    monkeypatch.setattr(network, "_on_device", spoilt)
    assert convert(settings(many, tmp_path / "out", batch_size=10)) == 1
    failed = [line for line in caplog.messages if "is NaN or infinite" in line]
    assert [line.partition(": ")[0] for line in failed] == [
        str(many / n) for n in ("01.png", "11.png")
    ]
    assert len([*(tmp_path / "out").glob("*.png")]) == 18


def test_gpus_are_tuned_before_converting(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For pictures of one size or two kernels are tried out; nothing here can show their speed."""
    told: list[bool] = []
    monkeypatch.setattr(job, "tune", lambda device, *, same_size: told.append(same_size))
    assert convert(settings(pictures, tmp_path / "out")) == 0
    smooth_image(0, (40, 44)).save(pictures / "other.png")
    assert convert(settings(pictures, tmp_path / "more")) == 0
    assert told == [True, False]
    monkeypatch.setattr("cyclegan.device.tune", lambda device, *, same_size: told.append(same_size))
    Models("cpu", "fp32", trust_code=False).load(FILE, "latest", None)
    assert told == [True, False, False]
