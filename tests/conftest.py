"""Small data sets and settings that many tests use."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

# Before anything imports it: no test may look for updates on the network.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
# Networks of 2 feature maps are faster on one thread, here and in the processes that tests start.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
import tomli_w
from PIL import Image, ImageOps

from cyclegan.settings import Settings, from_table

if TYPE_CHECKING:
    import torch

    from cyclegan.execution.execution import Execution
    from cyclegan.training.step import Recipe

GOLDEN = Path(__file__).parent / "golden"
#: Files whose tests take longest, longest first: no worker of several shall be left with one at
#: the end.
LONGEST = (
    *("test_distributed.py", "test_processes.py", "test_clips.py", "test_beside.py"),
    *("test_faults.py", "test_fuzz.py", "test_train.py", "test_shards.py", "test_golden.py"),
    *("test_execution.py", "test_job.py", "test_loop.py", "test_study.py", "test_install.py"),
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let workers begin with the files that take longest; alone, the order stays."""
    if hasattr(config, "workerinput"):
        places = {name: place for place, name in enumerate(LONGEST)}
        items.sort(key=lambda item: places.get(item.path.name, len(places)))


def smooth_image(seed: int, size: tuple[int, int] = (40, 36), mode: str = "RGB") -> Image.Image:
    """A picture with soft structure, as photographs have, different for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).convert(mode)


def build_recipe(
    settings: Settings,
    execution: "Execution | None" = None,
    targets: Sequence[Path] = (),
    device: "torch.device | None" = None,
) -> "Recipe":
    """Networks and phases of `settings`, always with the same first weights; plain by default."""
    import torch

    from cyclegan.assemble import make_recipe
    from cyclegan.execution.execution import Execution

    torch.manual_seed(0)
    settings = replace(settings, run=replace(settings.run, seed=0))
    images = 100.0  # of a run
    device = device or torch.device("cpu")
    return make_recipe(settings, execution or Execution(), device, targets, images)


def with_parts(settings: Settings, **parts: object) -> Settings:
    """The same settings with other parts of the recipe."""
    return replace(settings, recipe=replace(settings.recipe, **parts))


@pytest.fixture
def dataroot(tmp_path: Path) -> Path:
    """trainA with 6 pictures, trainB with 4, testA with 3."""
    root = tmp_path / "data"
    for folder, count in {"trainA": 6, "trainB": 4, "testA": 3}.items():
        (root / folder).mkdir(parents=True)
        for number in range(count):
            image = smooth_image(number + 100 * (folder[-1] == "B") + 50 * (folder == "testA"))
            image.save(root / folder / f"{number}.png")
    return root


@pytest.fixture
def tiny(dataroot: Path, tmp_path: Path) -> dict[str, dict[str, object]]:
    """A table of settings that trains in moments: 24 px, 2 feature maps, 1 block, 2 epochs."""
    return {
        "run": {"name": "tiny", "checkpoints_dir": str(tmp_path / "checkpoints"), "device": "cpu"},
        "data": {
            "dataroot": str(dataroot),
            "load_size": 28,
            "crop_size": 24,
            "num_threads": 0,
        },
        "generator": {"ngf": 2, "n_blocks": 1},
        "discriminator": {"ndf": 2},
        "training": {
            "n_epochs": 1,
            "n_epochs_decay": 1,
            "pool_size": 3,
            "save_epoch_freq": 1,
            "save_latest_seconds": 0.0,
        },
        # What would be measured: two runs of a test are to compute the same bits.
        "execution": {"precision": "fp32", "compile": "off", "batching": "on"},
        "quality": {"eval_freq": 0},
        # No bounds by the clock: what a test counts must not depend on the machine's speed.
        "loggers": {"print_freq": 1, "display_freq": 4, "display_seconds": 0.0, "visdom": False},
    }


@pytest.fixture
def tiny_settings(tiny: dict[str, dict[str, object]]) -> Settings:
    """The settings of `tiny`."""
    return from_table(tiny, "tiny")


@pytest.fixture
def tiny_flags(tiny: dict[str, dict[str, object]]) -> list[str]:
    """The same as flags of `cyclegan train`."""
    flags: list[str] = []
    for values in tiny.values():
        for key, value in values.items():
            flags += ["--no_visdom"] if key == "visdom" else [f"--{key}", str(value)]
    return flags


@pytest.fixture
def judged_data(dataroot: Path) -> Path:
    """Eight test pictures a domain, those of B posterised, and twins of A."""
    for number in range(8):
        for folder in ("testA", "testB", "twinsA"):
            (dataroot / folder).mkdir(exist_ok=True)
            image = smooth_image(number + 50 + 50 * (folder == "testB"))
            painted = image if folder == "testA" else ImageOps.posterize(image, 1)
            painted.save(dataroot / folder / f"{number}.png")
    return dataroot


@pytest.fixture
def endless_preset(tiny: dict, tmp_path: Path) -> Path:
    """A preset, mine.toml, whose training ends only when it is told to."""
    path = tmp_path / "mine.toml"
    table = {part: values for part, values in tiny.items() if part not in ("run", "loggers")}
    table["training"] |= {"n_epochs": 10_000}
    path.write_text(tomli_w.dumps(table))
    return path
