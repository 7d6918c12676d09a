"""Pictures made on a GPU are those made on the CPU, in float32 without TensorFloat-32."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import smooth_image
from PIL import Image

from cyclegan import checkpoint
from cyclegan.checkpoint import Checkpoint
from cyclegan.run import Position
from cyclegan.serving.tasks import ConvertTask
from cyclegan.serving.worker import Worker
from cyclegan.settings import from_table

#: Read by the libraries when they are loaded: no product is rounded, whatever is asked for.
WHOLE = {"NVIDIA_TF32_OVERRIDE": "0"}
COMMANDS = (
    "import json, sys; from cyclegan.cli import run; print([*map(run, json.load(sys.stdin))])"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with a checkpoint of two generators, beside it data to convert."""
    folder = tmp_path_factory.mktemp("run")
    for number, name in enumerate(("trainA", "trainB", "testA", "testB")):
        (folder / name).mkdir()
        for count in range(5):
            smooth_image(10 * number + count, (72, 64)).save(folder / name / f"{count}.png")
    table = {
        "run": {"name": "run", "checkpoints_dir": str(folder)},
        "data": {"dataroot": str(folder), "load_size": 64, "crop_size": 64},
        "generator": {"ngf": 16, "n_blocks": 3},
    }
    settings, networks = from_table(table, "test"), {}
    for number, way in enumerate(("generator_a_to_b", "generator_b_to_a")):
        torch.manual_seed(number)
        networks[way] = settings.recipe.generator.build(3, 3, "instance").state_dict()
    (folder / "run").mkdir()
    saved = Checkpoint(settings.table(), {"networks": networks}, Position())
    return checkpoint.save(saved, folder / "run").parent


@pytest.fixture(scope="module")
def told(run: Path, device: torch.device) -> list[str]:
    """What the commands print that make all pictures: on the CPU, then on the device."""
    where = ["--checkpoints_dir", str(run.parent), "--name", "run"]
    data, commands = run.parent, []
    for name in ("cpu", device.type):
        made = data / f"made on {name}"
        on = ["--device", name]
        commands += [
            ["convert", *where, "--input", str(data / "testA"), "--output", str(made / "whole"),
             "--precision", "fp32", *on, "--overwrite"],
            ["convert", *where, "--input", str(data / "testA"), "--output", str(made / "bands"),
             "--precision", "fp32", "--tile", "exact", *on, "--overwrite"],
            ["stylize", "--content", str(data / "testA/0.png"),
             "--style", str(data / "testB/0.png"), "--output", str(made / "stylized.png"),
             "--loss_features", "plain", "--steps", "2", "--scales", "1", *on, "--overwrite"],
            ["evaluate", *where, "--json", *on],
        ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS], input=json.dumps(commands), text=True,
        env={**os.environ, **WHOLE}, stdout=subprocess.PIPE, check=True, timeout=240,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[-1] == str([0] * len(commands))
    return lines


def levels(one: Path, other: Path) -> np.ndarray:
    """By how many of 255 each value of two pictures differs."""
    first, second = (np.asarray(Image.open(path).convert("RGB")) for path in (one, other))
    return np.abs(first.astype(int) - second)


@pytest.mark.parametrize("what", ["whole", "bands"])
def test_pictures_are_within_a_level(
    run: Path, told: list[str], device: torch.device, figures: dict[str, Any], what: str
) -> None:
    here, there = (run.parent / f"made on {name}" / what for name in ("cpu", device.type))
    differences = [levels(path, there / path.name).max() for path in sorted(here.glob("*.png"))]
    assert len(differences) == 5
    figures[what] = int(max(differences))
    assert max(differences) <= 1


def test_optimised_pictures_are_within_a_level_on_average(
    run: Path, told: list[str], device: torch.device, figures: dict[str, Any]
) -> None:
    """What turns a rounded gradient into a step may turn single values further."""
    made = (run.parent / f"made on {name}" / "stylized.png" for name in ("cpu", device.type))
    difference = levels(*made)
    figures["stylized"] = {"mean": float(difference.mean()), "largest": int(difference.max())}
    assert difference.mean() <= 1


def test_figures_of_an_evaluation_are_alike(told: list[str], figures: dict[str, Any]) -> None:
    here, there = (numbers(json.loads(line)) for line in told if line.startswith(("{", "[{")))
    figures["evaluated"] = max(
        abs(there[name] - value) / max(1, abs(value)) for name, value in here.items()
    )
    assert there == pytest.approx(here, rel=0.05, abs=0.05)


def numbers(value: Any, name: str = "") -> dict[str, float]:
    """All that a table of tables holds, by its place."""
    if isinstance(value, bool | int | float):
        return {name: float(value)}
    rows = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value if isinstance(value, list) else [])
    )
    return {
        key: number for row, held in rows for key, number in numbers(held, f"{name}/{row}").items()
    }


def test_the_servers_worker_converts_alike(
    run: Path, device: torch.device, tmp_path: Path, figures: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, value in WHOLE.items():
        monkeypatch.setenv(name, value)
    made = []
    for name in ("cpu", device.type):
        worker = Worker.of_models(name, "fp32", trust_code=False)
        (tmp_path / str(len(made))).mkdir()
        task = ConvertTask(
            run.parent / "testA/0.png", tmp_path / str(len(made)), run, "latest", None, 1.0, None
        )
        try:
            made.append(worker.do(task))
        finally:
            worker.close()
    figures["served"] = difference = int(levels(*made).max())
    assert difference <= 1
