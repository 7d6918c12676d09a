"""Runs to offer, without training any, and a server that offers them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from serving.asking import Server, served

from cyclegan import checkpoint
from cyclegan.checkpoint import Checkpoint
from cyclegan.features.table import LAYERED
from cyclegan.recipes.fusion.network import fusion_network
from cyclegan.run import Position
from cyclegan.settings import Settings, from_table


def write_run(folder: Path, name: str, epoch: str = "latest", seed: int = 0) -> Path:
    """A run's folder with a checkpoint of two small generators."""
    table = {
        "run": {"name": name, "checkpoints_dir": str(folder)},
        "data": {"domain_A": "some/photos", "domain_B": "some/paintings"},
        "generator": {"ngf": 4, "n_blocks": 1},
    }
    settings: Settings = from_table(table, "x")
    run = settings.run.folder
    run.mkdir(parents=True, exist_ok=True)
    networks = {}
    for way, number in (("generator_a_to_b", seed), ("generator_b_to_a", seed + 1)):
        torch.manual_seed(number)
        networks[way] = settings.recipe.generator.build(3, 3, "instance").state_dict()
    saved = Checkpoint(settings.table(), {"networks": networks}, Position())
    checkpoint.save(saved, run, epoch)
    (run / "settings.toml").write_text('[data]\ndomain_A = "some/photos"\ndomain_B = "paintings"\n')
    return run


def write_fusion(folder: Path, name: str) -> Path:
    """A run's folder with a checkpoint of a small fusion network."""
    table = {
        "run": {"name": name, "checkpoints_dir": str(folder), "model": "fusion"},
        "perceptual": {"loss_features": "plain"},
        "fusion": {"fusion_layer": "conv1", "decoder_width": 8},
    }
    settings: Settings = from_table(table, "x")
    torch.manual_seed(0)
    network = fusion_network(LAYERED["plain"](None), settings.recipe.fusion, 3)
    networks = {"generator_a_to_b": network.state_dict()}
    run = settings.run.folder
    run.mkdir(parents=True)
    checkpoint.save(Checkpoint(settings.table(), {"networks": networks}, Position()), run, "latest")
    (run / "settings.toml").write_text('[run]\nmodel = "fusion"\n')
    return run


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: mine, with a best checkpoint too, other, and styled, which is a fusion."""
    folder = tmp_path_factory.mktemp("served") / "checkpoints"
    write_run(folder, "mine")
    write_run(folder, "mine", "best", seed=2)
    write_run(folder, "other", seed=4)
    write_fusion(folder, "styled")
    return folder


@pytest.fixture(scope="session")
def server(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that takes 1 MB and 1 megapixel, and lets one wait."""
    flags = ["--max_megabytes", "1", "--max_megapixels", "1", "--queue", "1"]
    with served(runs, tmp_path_factory.mktemp("tmp"), *flags) as started:
        yield started
