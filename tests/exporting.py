"""Runs of tiny generators, and files exported from them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import smooth_image

from cyclegan import checkpoint, cli
from cyclegan.checkpoint import Checkpoint
from cyclegan.export import FormatName
from cyclegan.export.formats import FORMATS
from cyclegan.run import Position
from cyclegan.settings import from_table

#: Generators that differ in every layer an exported file has to hold.
GENERATORS = {
    "instance": ({"ngf": 8, "n_blocks": 2}, {}),
    "batch": ({"ngf": 8, "n_blocks": 2}, {"norm": "batch"}),
    "changed": (
        {"ngf": 8, "n_blocks": 2, "upsampling": "resize", "downsampling": "blurred"}
        | {"residual": True},
        {},
    ),
    "transformer": ({"netG": "unet_transformer", "ngf": 8, "n_blocks": 1}, {}),
    "gray": ({"ngf": 8, "n_blocks": 1}, {"input_nc": 1}),
}
Export = Callable[[str, FormatName], Path]


def save_run(folder: Path, generator: dict, networks: dict, **more: dict) -> Path:
    """A checkpoint of two generators whose layers all matter; nothing was trained."""
    settings = from_table({"generator": generator, "networks": networks} | more, "test")
    a, b = settings.networks.input_nc, settings.networks.output_nc
    norm = settings.recipe.networks.norm
    torch.manual_seed(0)
    both = {
        "generator_a_to_b": settings.recipe.generator.build(a, b, norm),
        "generator_b_to_a": settings.recipe.generator.build(b, a, norm),
    }
    for network in both.values():
        for name, values in network.state_dict().items():
            if name.endswith("share"):
                values.fill_(0.5)  # the transformer's blocks start by adding nothing
            if name.endswith("running_mean"):
                values.uniform_(-0.1, 0.1)
            if name.endswith("running_var"):
                values.uniform_(0.05, 0.3)
    folder.mkdir(parents=True, exist_ok=True)
    state = {"networks": {name: network.state_dict() for name, network in both.items()}}
    return checkpoint.save(Checkpoint(settings.table(), state, Position()), folder)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a run of each of `GENERATORS`."""
    root = tmp_path_factory.getbasetemp() / "runs"  # one for all folders of tests
    for name, (generator, networks) in GENERATORS.items():
        if not (root / name).exists():
            save_run(root / name, generator, networks)
    return root


@pytest.fixture(scope="session")
def exported(runs: Path) -> Export:
    """Export a run as the command does, each once; returns the file."""

    def export(name: str, kind: FormatName) -> Path:
        path = runs / name / f"{name}_AtoB{FORMATS[kind].ending}"
        if not path.exists():
            args = ["--name", name, "--checkpoints_dir", str(runs), "--format", kind]
            assert cli.run(["export", *args]) == 0
        return path

    return export


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures, most of odd sides, none of the size that networks are exported with."""
    root = tmp_path_factory.mktemp("pictures")
    for number, size in enumerate([(37, 22), (64, 48), (9, 50), (33, 33), (40, 40), (61, 35)]):
        smooth_image(number, size).save(root / f"{number}.png")
    return root
