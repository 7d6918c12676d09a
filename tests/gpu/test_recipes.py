"""Every recipe trains on a GPU, each step as one CUDA graph where its networks allow that."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import smooth_image
from exporting import save_run

from cyclegan.cli import run
from cyclegan.recipes import RECIPES
from cyclegan.training.captured import CudaGraph

SMALL = ["--ngf", "8", "--n_blocks", "1"]
PAINTING = ["--style", "painting.png", "--loss_features", "plain"]
#: Flags of each recipe's own.
OWN = {
    "cycle_gan": [*SMALL, "--ndf", "8", "--pool_size", "3"],
    "one_painting": [*SMALL, *PAINTING, "--lambda_style", "1"],
    "student": [*SMALL, "--teacher", "teacher.pt"],
    "fusion": [
        *PAINTING,
        "--lambda_content",
        "1",
        "--lambda_style",
        "1",
        "--fusion_layer",
        "conv1",
        "--decoder_width",
        "4",
    ],
}
#: Maps within their networks are looked at: they are computed as they were trained.
NEVER_CAPTURED = {"fusion", "student"}


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[CudaGraph]:
    """The graph of each step that was replayed."""
    seen: list[CudaGraph] = []
    usual = CudaGraph.replay

    def replay(graph: CudaGraph) -> None:
        seen.append(graph)
        usual(graph)

    monkeypatch.setattr(CudaGraph, "replay", replay)
    return seen


@pytest.fixture
def flags(tiny: dict[str, dict[str, object]], tmp_path: Path) -> list[str]:
    """Flags that all recipes have, and the files that some of them ask for, in this folder."""
    smooth_image(1).save(tmp_path / "painting.png")
    saved = save_run(tmp_path / "teacher", {"ngf": 2, "n_blocks": 1}, {})
    saved.rename(tmp_path / "teacher.pt")
    shared = {"n_epochs": 6, "n_epochs_decay": 0, "print_freq": 1, "eval_freq": 0}
    given = tiny["data"] | shared | {"checkpoints_dir": tmp_path / "checkpoints"}
    return ["--no_visdom", *(word for key in given for word in (f"--{key}", str(given[key])))]


@pytest.mark.parametrize("model", RECIPES)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_every_recipe(
    model: str,
    compiled: bool,
    device: torch.device,
    replays: list[CudaGraph],
    flags: list[str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    needs_seconds: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if compiled:
        needs_seconds(90)
        if model in NEVER_CAPTURED:
            pytest.skip("its networks are never compiled")
    monkeypatch.chdir(tmp_path)
    how = ["--device", device.type, "--compile", "on" if compiled else "off"]
    assert run(["train", "--model", model, *flags, *OWN[model], *how]) == 0
    assert "CUDA graph capture" not in caplog.text
    assert bool(replays) == (device.type == "cuda" and model not in NEVER_CAPTURED)
