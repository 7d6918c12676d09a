"""Files of the classic scripts: what they hold is read off them."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from conftest import GOLDEN
from torch import nn

from cyclegan import classic
from cyclegan.errors import UserError
from cyclegan.generators import ResnetSettings

FOLDER = GOLDEN / "resnet9_nopool"


@pytest.mark.parametrize("n_blocks", [1, 6, 9])
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("channels", [(3, 3), (1, 3), (3, 1)])
def test_architecture_is_inferred(
    n_blocks: int, norm: str, dropout: bool, channels: tuple[int, int]
) -> None:
    settings = ResnetSettings(ngf=5, n_blocks=n_blocks, dropout=dropout)
    weights = settings.build(*channels, norm).state_dict()
    inferred = classic.infer_architecture(weights, Path("x.pth"))
    assert inferred == classic.Architecture(settings, *channels, norm)
    classic.load_into(inferred.build(), weights, Path("x.pth"))


def old_file(path: Path) -> dict[str, torch.Tensor]:
    """A generator as old PyTorch wrote it behind DataParallel: InstanceNorm had statistics."""
    weights = ResnetSettings(ngf=2, n_blocks=1).build(3, 3, "instance").state_dict()
    aged = OrderedDict()
    for key, value in weights.items():
        aged[f"module.{key}"] = value
    for layer in ("model.2", "model.10.conv_block.2"):
        for name in ("running_mean", "running_var"):
            aged[f"module.{layer}.{name}"] = torch.ones(2)
        aged[f"module.{layer}.num_batches_tracked"] = torch.tensor(7)
    torch.save(aged, path, _use_new_zipfile_serialization=False)
    return weights


def test_old_files_load(tmp_path: Path) -> None:
    weights = old_file(tmp_path / "latest_net_G.pth")
    read = classic.read_weights(tmp_path / "latest_net_G.pth")
    assert read.keys() == weights.keys()
    assert classic.infer_architecture(read, Path("x")).norm == "instance"


def test_batch_norms_statistics_are_kept(tmp_path: Path) -> None:
    weights = ResnetSettings(ngf=2, n_blocks=1).build(3, 3, "batch").state_dict()
    weights["model.2.running_mean"] += 3
    torch.save(weights, tmp_path / "x.pth")
    read = classic.read_weights(tmp_path / "x.pth")
    network = classic.infer_architecture(read, Path("x")).build()
    classic.load_into(network, read, Path("x"))
    assert (network.model[2].running_mean == 3).all()


def test_batch_norm_of_before_the_counter(tmp_path: Path) -> None:
    weights = ResnetSettings(ngf=2, n_blocks=1).build(3, 3, "batch").state_dict()
    old = {key: value for key, value in weights.items() if "num_batches" not in key}
    network = classic.infer_architecture(old, Path("x")).build()
    classic.load_into(network, old, Path("x"))
    assert torch.equal(network.state_dict()["model.2.weight"], weights["model.2.weight"])


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"model.model.0.weight": (4, 3, 4, 4)}, "U-Net generator"),
        ({"model.0.weight": (4, 3, 4, 4), "model.11.weight": (1, 8, 4, 4)}, "a discriminator"),
        ({"net.0.weight": (4, 3, 1, 1)}, "a discriminator"),
        ({"conv1.weight": (64, 3, 7, 7)}, "weights of another network"),
    ],
)
def test_other_networks_are_named(keys: dict, words: str) -> None:
    weights = {key: torch.zeros(shape) for key, shape in keys.items()}
    with pytest.raises(UserError, match=rf"x\.pth: {words}|x\.pth: a {words}"):
        classic.infer_architecture(weights, Path("x.pth"))


def test_no_state_dict(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "x.pth")
    with pytest.raises(UserError, match="not a state dict"):
        classic.read_weights(tmp_path / "x.pth")


def test_a_layer_that_does_not_fit_is_named() -> None:
    weights = ResnetSettings(ngf=2, n_blocks=1).build(3, 3, "instance").state_dict()
    wider = ResnetSettings(ngf=4, n_blocks=1).build(3, 3, "instance")
    with pytest.raises(UserError, match=r"model\.1\.weight: the file has 2x3x7x7, .* 4x3x7x7"):
        classic.load_into(wider, weights, Path("x.pth"))
    with pytest.raises(UserError, match="weight"):
        classic.load_into(nn.Linear(1, 1), weights, Path("x.pth"))


def test_the_four_files_are_found(tmp_path: Path) -> None:
    found = classic.find_files(_copy(tmp_path, "latest", "200"))
    assert found["discriminator_b"].name == "latest_net_D_A.pth"
    assert {path.name.partition("_")[0] for path in found.values()} == {"latest"}
    (tmp_path / "latest_net_D_B.pth").unlink()
    assert {path.name[:3] for path in classic.find_files(tmp_path).values()} == {"200"}
    _copy(tmp_path, "1000")
    assert {path.name[:4] for path in classic.find_files(tmp_path).values()} == {"1000"}


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"latest_net_G_A\.pth"):
        classic.find_files(tmp_path)


def _copy(folder: Path, *epochs: str) -> Path:
    for epoch in epochs:
        for short in classic.NETWORKS:
            source = FOLDER / f"initial_net_{short}.pth"
            (folder / f"{epoch}_net_{short}.pth").write_bytes(source.read_bytes())
    return folder
