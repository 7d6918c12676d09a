"""The model that comes with the package: `--weights sample`."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cyclegan import Translator, cli
from cyclegan.conversion import SAMPLE
from cyclegan.errors import UserError
from cyclegan.serving import ServeSettings
from cyclegan.serving.models import offered

ROOT = Path(__file__).parents[2]
PAINTED = ROOT / "datasets" / "painted.pt"


@pytest.fixture
def photograph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that was not trained on, in a folder where nothing is called sample."""
    monkeypatch.chdir(tmp_path)
    cat = Image.open(ROOT / "cyclegan" / "data" / "photographs" / "cat.jpg").convert("RGB")
    cat = cat.crop((120, 60, 376, 252))
    cat.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_it_paints_as_its_teacher_does(photograph: Path, tmp_path: Path) -> None:
    """Much closer to the teacher's picture than the photograph is."""
    command = ["convert", "--weights", "sample", "--input", str(photograph)]
    assert cli.run([*command, "--output", "painted.png"]) == 0
    made, before = (
        np.asarray(Image.open(path).convert("RGB"), np.float32)
        for path in (tmp_path / "painted.png", photograph)
    )
    wanted = np.asarray(Translator.load(PAINTED)(Image.open(photograph)), np.float32)
    assert np.abs(made - wanted).mean() < 0.6 * np.abs(before - wanted).mean()


def test_what_is_called_so_comes_first(photograph: Path, tmp_path: Path) -> None:
    (tmp_path / "sample").mkdir()
    command = ["convert", "--weights", "sample", "--input", str(photograph)]
    with pytest.raises(UserError, match=r"holds no checkpoint; .* convert from another place"):
        cli.run([*command, "--output", "painted.png"])


def test_it_is_served_where_there_is_no_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    models = offered(ServeSettings(checkpoints_dir=tmp_path), {})
    assert {name: model.path for name, model in models.items()} == {"sample": SAMPLE}
    assert "serving the model that comes with cyclegan" in caplog.text


def test_it_is_small_opens_everywhere_and_tells_nothing_of_its_maker() -> None:
    assert SAMPLE.stat().st_size < 1_500_000
    saved = torch.load(SAMPLE, weights_only=True)
    assert list(saved["state"]["networks"]) == ["generator_a_to_b"]
    assert saved["settings"]["data"]["dataroot"] == "datasets/sample"
    assert saved["settings"]["losses"]["teacher"] == "datasets/painted.pt"
    content = SAMPLE.read_bytes()
    assert not [place for place in (b"/tmp/", b"/home/", b"/root/") if place in content]
    assert SAMPLE.with_suffix(".md").is_file()
