"""Too little memory of a GPU is one line, and leaves nothing behind."""

from collections.abc import Iterator
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


@pytest.fixture
def little(cuda: torch.device) -> Iterator[None]:
    """128 MiB beside what is taken."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(cuda).total_memory
    allowed = torch.cuda.memory_reserved(cuda) + 128 * MIB
    torch.cuda.set_per_process_memory_fraction(allowed / total, cuda)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, cuda)
    torch.cuda.empty_cache()


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
    little: None, tiny_settings: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In bands, which need less; and where that is ruled out, in one line."""
    made = tiny_settings.recipe.generator.build(3, 3, "instance")
    saved = Checkpoint(
        tiny_settings.table(), {"networks": {"generator_a_to_b": made.state_dict()}}, Position()
    )
    path = checkpoint.save(saved, tmp_path)
    smooth_image(1, (3000, 3000)).save(tmp_path / "photo.jpg")
    given = ["--weights", str(path), "--input", str(tmp_path / "photo.jpg"), "--device", "cuda"]
    assert run(["convert", *given, "--output", str(tmp_path / "made.jpg")]) == 0
    capfd.readouterr()
    assert run(["convert", *given, "--output", str(tmp_path / "other.jpg"), "--tile", "off"]) == 1
    said = [line for line in capfd.readouterr().err.splitlines() if "memory" in line]
    assert len(said) == 1
    assert "--load_size" in said[0]
