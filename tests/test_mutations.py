"""Whole files that are incomplete checkpoints: each is taken, or refused in one line."""

from pathlib import Path

import pytest
import torch
from damaging import mutated
from fuzz.targets import continued
from training.test_state import after_a_step

from cyclegan import checkpoint
from cyclegan.checkpoint import Checkpoint
from cyclegan.conversion import weights
from cyclegan.errors import UserError
from cyclegan.execution.execution import Execution
from cyclegan.run import Position
from cyclegan.settings import Settings


def convert(path: Path) -> None:
    generator = weights.load(path, None)
    generator.network(torch.zeros(1, generator.architecture.input_nc, 24, 24))


@pytest.fixture
def content(tiny_settings: Settings, tmp_path: Path) -> dict:
    """What a checkpoint holds after a step."""
    recipe = after_a_step(tiny_settings, Execution())
    best = {"merit": 0.5, "images": 1, "since": 0}
    saved = Checkpoint(
        tiny_settings.table(),
        recipe.state.state_dict(),
        Position(1, 1, 1),
        {"A": 6, "B": 4},
        {"torch": "2"},
        Execution().table(),
        best=best,
    )
    path = checkpoint.save(saved, tmp_path)
    found: dict = torch.load(path, weights_only=True)
    return found


def test_whatever_is_changed_is_taken_or_told(content: dict, tmp_path: Path) -> None:
    path, refused = tmp_path / "mutated.pt", 0
    for seed in range(40):
        changed, what = mutated(content, seed)
        try:
            torch.save(changed, path)
        except UnicodeEncodeError:  # no file can hold it
            continue
        for use in (continued, convert):
            try:
                use(path)
            except UserError as error:
                assert "\n" not in str(error), what
                refused += 1
            except Exception as error:
                raise AssertionError(f"seed {seed}: {what}") from error
    assert refused > 20


@pytest.mark.parametrize(
    ("part", "key", "value", "words"),
    [
        ("position", "epoch", "3", "position.epoch: input should be a valid integer"),
        ("state", "networks", None, "state.networks: input should be a valid dictionary"),
        ("state", "pools", {"x": {}}, "state.pools.x.images: field required"),
        ("data", "A", -1, "data.A: input should be greater than or equal to 0"),
        ("settings", "run", {"seed": b"x"}, r"settings.run.seed: "),
    ],
)
def test_the_part_is_named(
    content: dict, tmp_path: Path, part: str, key: str, value: object, words: str
) -> None:
    content[part][key] = value
    torch.save(content, tmp_path / "x.pt")
    for mapped in (False, True):
        with pytest.raises(
            checkpoint.DamagedError,
            match=rf"x\.pt: incomplete checkpoint \({words}",
        ):
            checkpoint.load(tmp_path / "x.pt", mapped=mapped)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [("generator", "ngf", 4000), ("generator", "n_blocks", 10**9), ("discriminator", "ndf", 4000)],
)
def test_what_is_claimed_is_not_built(
    content: dict, tmp_path: Path, part: str, key: str, value: int
) -> None:
    """Networks of terabytes: only a check before they are built ends in a line."""
    content["settings"][part][key] = value
    path = tmp_path / "x.pt"
    torch.save(content, path)
    with pytest.raises(UserError, match=r"x\.pt|bytes of weights"):
        continued(path)
    if part == "generator":
        with pytest.raises(UserError, match=r"x\.pt"):
            convert(path)
