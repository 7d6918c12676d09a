"""A run that starts from some networks: what is missing starts fresh, and catches up first."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import GOLDEN, with_parts

from cyclegan import assemble, checkpoint, cli
from cyclegan.errors import UserError
from cyclegan.recipes.cyclegan import WARMUP, AdversarialSettings
from cyclegan.settings import Settings, from_table

GENERATOR = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"
SHAPE = ["--ngf", "4", "--ndf", "4", "--n_blocks", "9"]


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """One generator, as classic weights are published."""
    path = tmp_path / "latest_net_G.pth"
    path.write_bytes(GENERATOR.read_bytes())
    return path


@pytest.fixture
def settings(tiny: dict) -> Settings:
    """A run of 12 steps, 6 an epoch."""
    tiny["generator"] = {"ngf": 4, "n_blocks": 9}
    tiny["discriminator"] = {"ndf": 4}
    tiny["training"] = {**tiny["training"], "save_latest_freq": 1, "save_epoch_freq": 1}
    return from_table(tiny, "x")


def networks(run: Path, epoch: str = "latest") -> dict[str, dict[str, torch.Tensor]]:
    return checkpoint.load(run / f"{epoch}.pt").state["networks"]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in other)


@pytest.mark.parametrize("as_folder", [False, True])
def test_one_generator_starts_a_run(
    as_folder: bool, alone: Path, tiny_flags: list[str], caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:  # fmt: skip
    given = alone.parent if as_folder else alone
    more = ["--init_weights", str(given), "--n_epochs", "0", "--n_epochs_decay", "0"]
    assert cli.run(["train", *tiny_flags, *SHAPE, *more]) == 0
    run = tmp_path / "checkpoints" / "tiny"
    assert equal(networks(run)["generator_a_to_b"], torch.load(GENERATOR))
    told = (
        f"{alone}: holds generator_a_to_b; generator_b_to_a, discriminator_b, discriminator_a "
        f"start from scratch, and only the discriminators are trained for the first {WARMUP} steps"
    )
    assert told in caplog.text
    saved = checkpoint.load(run / "latest.pt").settings
    assert saved["training"]["discriminator_warmup"] == WARMUP


def test_averages_begin_with_the_given_weights(
    alone: Path, tiny_flags: list[str], tmp_path: Path
) -> None:
    """The checkpoint before the first step shows the given networks, and no random ones."""
    more = ["--init_weights", str(alone), "--ema_decay", "0.9", "--n_epochs", "0"]
    assert cli.run(["train", *tiny_flags, *SHAPE, *more, "--n_epochs_decay", "0"]) == 0
    saved = checkpoint.load(tmp_path / "checkpoints" / "tiny" / "latest.pt").state
    assert equal(saved["averages"]["generator_a_to_b"], torch.load(GENERATOR))
    fresh = "generator_b_to_a"
    assert equal(saved["averages"][fresh], saved["networks"][fresh])


@pytest.mark.parametrize(("epochs", "taught"), [(1, 0), (2, 6)])
def test_the_discriminators_learn_alone_first(
    epochs: int, taught: int, settings: Settings, alone: Path
) -> None:
    """For 6 steps, which are an epoch."""
    settings = with_parts(settings, training=AdversarialSettings(3, discriminator_warmup=6))
    length = replace(settings.training, n_epochs=epochs, n_epochs_decay=0)
    assert assemble.train(replace(settings, training=length), init_weights=alone) is None
    saved = checkpoint.load(settings.run.folder / "latest.pt").state
    steps = {
        phase: max((int(of["step"]) for of in learnt.values()), default=0)
        for phase, learnt in saved["optimizers"].items()
    }
    assert steps == {"generators": taught, "discriminators": 6 * epochs}
    assert equal(saved["networks"]["generator_a_to_b"], torch.load(GENERATOR)) == (not taught)


def test_without_weights_nothing_waits(tiny_settings: Settings) -> None:
    assert assemble.train(tiny_settings) is None
    saved = checkpoint.load(tiny_settings.run.folder / "latest.pt")
    assert "discriminator_warmup" not in saved.settings["training"]


def test_a_whole_checkpoint_needs_no_warmup(tiny_settings: Settings) -> None:
    assemble.train(tiny_settings)
    second = replace(tiny_settings, run=replace(tiny_settings.run, name="second"))
    assemble.train(second, init_weights=tiny_settings.run.folder)
    saved = checkpoint.load(second.run.folder / "latest.pt")
    assert "discriminator_warmup" not in saved.settings["training"]


def test_going_on_amid_the_warmup_gives_the_same(settings: Settings, alone: Path) -> None:
    """Stopped after the first epoch of 6 steps, of 9 in which the generators wait."""
    whole = with_parts(settings, training=AdversarialSettings(3, discriminator_warmup=9))
    assert assemble.train(whole, init_weights=alone) is None
    half = checkpoint.load(whole.run.folder / "epoch_1.pt")
    expected = networks(whole.run.folder)
    again = replace(whole, run=replace(whole.run, name="again"))
    assert assemble.train(again, resume=half) is None
    found = networks(again.run.folder)
    assert all(equal(found[name], expected[name]) for name in expected)
    assert not equal(found["generator_a_to_b"], torch.load(GENERATOR)), "12 steps in all"


def test_several_networks_of_one_file(settings: Settings, tmp_path: Path) -> None:
    files = {short: GENERATOR.with_name(f"initial_net_{short}.pth") for short in ("G_A", "D_A")}
    content = {f"net{short}": torch.load(path) for short, path in files.items()}
    torch.save({"state_dict": content}, tmp_path / "x.pth")
    none = replace(settings.training, n_epochs=0, n_epochs_decay=0)
    assemble.train(replace(settings, training=none), init_weights=tmp_path / "x.pth")
    found = networks(settings.run.folder)
    assert equal(found["generator_a_to_b"], content["netG_A"])
    assert equal(found["discriminator_b"], content["netD_A"])
    torch.save({"one": content["netG_A"], "two": content["netG_A"]}, tmp_path / "y.pth")
    with pytest.raises(
        UserError, match=r"y\.pth: holds one, two, and it is not clear which of .* that is"
    ):
        assemble.train(settings, init_weights=tmp_path / "y.pth")


def test_nothing_starts_from_what_is_no_number(tiny_flags: list[str], tmp_path: Path) -> None:
    weights = torch.load(GENERATOR, weights_only=True)
    weights["model.1.weight"][0] = torch.nan
    torch.save(weights, tmp_path / "latest_net_G.pth")
    with pytest.raises(UserError, match=r"latest_net_G\.pth: NaN or infinite \(model\.1\.weight"):
        cli.run(["train", *tiny_flags, "--init_weights", str(tmp_path / "latest_net_G.pth")])
