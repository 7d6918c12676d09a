"""Checkpoint files: whole or not at all, plain, and honest about what they are not."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from cyclegan import checkpoint
from cyclegan.checkpoint import Checkpoint
from cyclegan.errors import UserError
from cyclegan.run import Position, RunFolder

CONTENT = Checkpoint(
    {"run": {"name": "x"}},
    {"networks": {"net": {"weight": torch.arange(1000.0)}}},
    Position(2, 3, 9),
    {"A": 6},
    {"torch": "1"},
)


def test_comes_back_the_same(tmp_path: Path) -> None:
    path = checkpoint.save(CONTENT, tmp_path)
    loaded = checkpoint.load(path)
    assert path.name == "latest.pt"
    assert (loaded.settings, loaded.position, loaded.data, loaded.versions) == (
        CONTENT.settings,
        CONTENT.position,
        CONTENT.data,
        CONTENT.versions,
    )
    assert torch.equal(loaded.state["networks"]["net"]["weight"], torch.arange(1000.0))
    assert [file.name for file in tmp_path.iterdir()] == ["latest.pt"]


def test_holds_nothing_that_a_safe_reader_would_refuse(tmp_path: Path) -> None:
    path = checkpoint.save(CONTENT, tmp_path)
    assert torch.serialization.get_unsafe_globals_in_checkpoint(path) == []
    assert torch.load(path, weights_only=True)["format"] == checkpoint.FORMAT


class Malicious:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_not_run(tmp_path: Path, zipped: bool) -> None:
    path, trap = tmp_path / "evil.pth", tmp_path / "executed"
    if zipped:
        torch.save({"weight": Malicious(trap)}, path)
    else:
        path.write_bytes(pickle.dumps(Malicious(trap)))
    with pytest.raises(UserError, match=r"evil\.pth: not a plain weights file"):
        checkpoint.load_plain(path)
    assert not trap.exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.99])
def test_truncated(tmp_path: Path, share: float) -> None:
    path = checkpoint.save(CONTENT, tmp_path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UserError, match=r"latest\.pt: .*(damaged|not a)") as error:
        checkpoint.load(path)
    assert "\n" not in str(error.value)


def test_flipped_bytes_are_one_line(tmp_path: Path) -> None:
    path = checkpoint.save(CONTENT, tmp_path)
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 3):
            damaged[place] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        try:
            checkpoint.load_plain(path)
        except UserError as error:
            assert "\n" not in str(error)
    assert path.read_bytes() != whole


def test_not_a_checkpoint(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"other\.pt: not a cyclegan checkpoint"):
        checkpoint.load(tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(UserError, match=r"text\.pt"):
        checkpoint.load(tmp_path / "text.pt")


def test_a_newer_format_is_named(tmp_path: Path) -> None:
    torch.save({"format": 99}, tmp_path / "new.pt")
    with pytest.raises(UserError, match="format 99"):
        checkpoint.load(tmp_path / "new.pt")


def test_a_full_disk_leaves_the_old_one_whole(tmp_path: Path) -> None:
    path = checkpoint.save(CONTENT, tmp_path)
    before = path.read_bytes()
    (tmp_path / ".latest.pt.unfinished").symlink_to("/dev/full")
    with pytest.raises(UserError, match="No space left on device"):
        checkpoint.save(CONTENT, tmp_path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["latest.pt"]


def test_epochs_are_found_in_order_and_pruned(tmp_path: Path) -> None:
    for epoch in (2, 10, 9):
        checkpoint.save(CONTENT, tmp_path, str(epoch))
    assert RunFolder(tmp_path).saved_epochs() == [2, 9, 10]
    checkpoint.save(CONTENT, tmp_path, "11", keep=2)
    assert RunFolder(tmp_path).saved_epochs() == [10, 11]


def test_a_missing_one_names_those_there_are(tmp_path: Path) -> None:
    checkpoint.save(CONTENT, tmp_path)
    checkpoint.save(CONTENT, tmp_path, "5")
    with pytest.raises(UserError, match=r"epoch_7\.pt: no such checkpoint; there are latest, 5"):
        checkpoint.path_of(tmp_path, "7")
    checkpoint.save(CONTENT, tmp_path)
    with pytest.raises(UserError, match="there are latest, previous, 5"):
        checkpoint.path_of(tmp_path, "best")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        checkpoint.save(CONTENT, tmp_path / name, "best")
    with pytest.raises(UserError, match=r"nothing: no such run; .* holds one, two"):
        checkpoint.path_of(tmp_path / "nothing", "latest")
