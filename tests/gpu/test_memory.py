"""Too little memory of a GPU is one line, and leaves nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from conftest import smooth_image

from cyclegan import checkpoint
from cyclegan.checkpoint import Checkpoint
from cyclegan.cli import run
from cyclegan.errors import UserError
from cyclegan.run import Position
from cyclegan.settings import Settings

MIB = 1 << 20


@contextmanager
def limited(device: torch.device, left: int) -> Iterator[None]:
    """So many MiB beside what is taken."""
    torch.cuda.empty_cache()
    number = torch.cuda.current_device() if device.index is None else device.index
    total = torch.cuda.get_device_properties(number).total_memory
    allowed = torch.cuda.memory_reserved(number) + left * MIB
    torch.cuda.set_per_process_memory_fraction(allowed / total, number)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, number)
    torch.cuda.empty_cache()


@pytest.fixture
def little(cuda: torch.device) -> Iterator[None]:
    with limited(cuda, 128):
        yield


@pytest.fixture
def some(cuda: torch.device) -> Iterator[None]:
    with limited(cuda, 1024):
        yield


@pytest.mark.parametrize("plain", [False, True], ids=["chosen", "plain"])
def test_training(little: None, tiny_flags: list[str], plain: bool) -> None:
    flags = ["--device", "cuda", "--ngf", "64", "--crop_size", "256", "--load_size", "256"]
    how = ["--plain", "--precision", "auto", "--batching", "auto"] if plain else []
    with pytest.raises(UserError, match=r"^out of memory: give a smaller --batch_size"):
        run(["train", *tiny_flags, *flags, *how])


def test_stylizing(little: None, tmp_path: Path) -> None:
    for name in ("photo", "style"):
        smooth_image(1, (3000, 3000)).save(tmp_path / f"{name}.jpg")
    flags = ["--content", "photo.jpg", "--style", "style.jpg", "--output", "out.png"]
    files = [str(tmp_path / word) if word.endswith(("jpg", "png")) else word for word in flags]
    with pytest.raises(UserError, match=r"^out of memory: give a smaller --size"):
        run(["stylize", *files, "--size", "3000", "--loss_features", "plain", "--device", "cuda",
             "--steps", "1", "--scales", "1"])  # fmt: skip


def test_converting(
    some: None, tiny_settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In bands, which need less; and where that is ruled out, in one line."""
    made = tiny_settings.recipe.generator.build(3, 3, "instance")
    saved = Checkpoint(
        tiny_settings.table(), {"networks": {"generator_a_to_b": made.state_dict()}}, Position()
    )
    path = checkpoint.save(saved, tmp_path)
    smooth_image(1, (6000, 6000)).save(tmp_path / "photo.jpg")
    given = ["--weights", str(path), "--input", str(tmp_path / "photo.jpg"), "--device", "cuda"]
    assert run(["convert", *given, "--output", str(tmp_path / "made.jpg")]) == 0
    assert caplog.text.count("out of memory, continuing in bands") == 1
    caplog.clear()
    assert run(["convert", *given, "--output", str(tmp_path / "other.jpg"), "--tile", "off"]) == 1
    said = [line for line in caplog.text.splitlines() if "of memory" in line]
    assert len(said) == 1
    assert said[0].endswith("scale down with --load_size")
