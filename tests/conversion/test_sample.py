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
REACH = 128  # pixels that a network of 6 blocks looks around


@pytest.fixture
def photograph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that was not trained on, in a folder where nothing is called sample."""
    monkeypatch.chdir(tmp_path)
    cat = Image.open(ROOT / "cyclegan" / "data" / "photographs" / "cat.jpg").convert("RGB")
    cat = cat.crop((120, 60, 376, 252))
    cat.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_it_paints_and_leaves_colours_where_they_are(photograph: Path, tmp_path: Path) -> None:
    """Strokes differ from the photograph all over; a patch's mean colour moves a little."""
    command = ["convert", "--weights", "sample", "--input", str(photograph)]
    assert cli.run([*command, "--output", "painted.png"]) == 0
    before, made = (pixels(Image.open(path)) for path in (photograph, tmp_path / "painted.png"))
    assert np.abs(made - before).mean() > 10
    assert np.abs(patches(made) - patches(before)).mean(axis=(0, 1)).max() < 25


def test_what_it_paints_does_not_depend_on_the_rest_of_a_picture(photograph: Path) -> None:
    """An instance norm would turn the photograph bluish beside a wide blue sky."""
    alone = Image.open(photograph)
    beside = Image.new("RGB", (3 * alone.width, alone.height), (20, 60, 220))
    beside.paste(alone, (0, 0))
    far = alone.width - REACH

    def apart(weights: Path) -> float:
        model = Translator.load(weights)
        one, other = (pixels(model(picture))[:, :far] for picture in (alone, beside))
        return float(np.abs(one - other).mean())

    assert apart(SAMPLE) < 0.1
    assert apart(PAINTED) > 10, "the demo's model has instance norms"


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"), np.float32)


def patches(image: np.ndarray) -> np.ndarray:
    """Mean colours of patches of 32 pixels."""
    height, width = image.shape[0] // 32, image.shape[1] // 32
    cut = image[: height * 32, : width * 32].reshape(height, 32, width, 32, 3)
    return cut.mean(axis=(1, 3))


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
    assert saved["settings"]["losses"]["teacher"] == "checkpoints/sample_teacher"
    content = SAMPLE.read_bytes()
    assert not [place for place in (b"/tmp/", b"/home/", b"/root/") if place in content]
    assert SAMPLE.with_suffix(".md").is_file()
