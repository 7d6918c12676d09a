"""The notebook of docs, executed by nbmake as it stands, with less time to train."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

import cyclegan
from cyclegan import checkpoint

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebooks" / "quickstart.ipynb"


def code_of(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Photographs of the sample, and posterised ones: its paintings take half a minute."""
    shipped = sorted((Path(cyclegan.__file__).parent / "data" / "photographs").glob("*.jpg"))
    for number, path in enumerate(shipped[:10]):
        picture = Image.open(path).resize((160, 120))
        folder = tmp_path / "photographs" / ("trainA", "trainB")[number % 2]
        folder = folder if number < 8 else folder.with_name("testA")
        folder.mkdir(parents=True, exist_ok=True)
        (picture if number % 2 == 0 else ImageOps.posterize(picture, 2)).save(folder / path.name)
    return tmp_path / "photographs"


def test_it_trains_looks_and_converts(photographs: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(NOTEBOOK, tmp_path))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    command += ["--nbmake", "--nbmake-timeout=600", "--overwrite", str(copy)]
    shorter = {"QUICKSTART_MINUTES": "0.02", "QUICKSTART_DATA": str(photographs)}
    env = {**os.environ, **shorter, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    outputs = [output for cell in code_of(copy) for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2 + 2 * 2 + 1
    (run,) = (tmp_path / "checkpoints").iterdir()
    seen = {name: checkpoint.load(run / f"{name}.pt").position.images for name in NAMES}
    assert 0 < seen["previous"] < seen["latest"], "trained, and gone on with"
    for path in (photographs / "testA").iterdir():
        made = Image.open(tmp_path / "converted" / f"{path.stem}.png")
        assert made.size == Image.open(path).size
        assert made.convert("RGB").tobytes() != Image.open(path).convert("RGB").tobytes()


NAMES = ("previous", "latest")


def test_it_is_stored_without_outputs() -> None:
    cells = code_of(NOTEBOOK)
    assert len(cells) >= 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
