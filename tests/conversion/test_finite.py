"""What a generator makes is finite, or the picture has failed: NaN would be written as black."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import GOLDEN, smooth_image
from exporting import save_run
from filming import film, scene

from cyclegan import Translator, checkpoint, cli
from cyclegan.classic import Architecture
from cyclegan.conversion.weights import Generator
from cyclegan.errors import UserError
from cyclegan.execution.execution import Execution
from cyclegan.export.network import plain
from cyclegan.generators import ResnetSettings
from cyclegan.runtimes.metadata import Metadata
from cyclegan.serving.tasks import BrokenModelError, Models

REASON = r"its weights are NaN or infinite \(model\.1\.weight\)"


def broken(path: Path, value: float = float("nan")) -> Path:
    """A generator of the classic with one weight that is no number."""
    weights = torch.load(GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth", weights_only=True)
    weights["model.1.weight"][0, 0, 0, 0] = value
    torch.save(weights, path)
    return path


def overflowing() -> Translator:
    """Sound weights whose values are infinite nevertheless, and NaN after the norm."""
    settings = ResnetSettings(ngf=2, n_blocks=1)
    network = settings.build(3, 3, "instance")
    for values in network.parameters():
        values.data.fill_(3e38)
    generator = Generator(network.eval(), Architecture(settings, 3, 3, "instance"), "x.pth", "x")
    return Translator(generator, torch.device("cpu"), Execution())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("flags", [[], ["--tile", "exact"], ["--tile", "fast"]])
def test_pictures_fail_with_the_reason(
    value: float, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    (tmp_path / "in").mkdir()
    for number in range(3):
        smooth_image(number).save(tmp_path / "in" / f"{number}.png")
    args = ["--weights", str(broken(tmp_path / "x.pth", value)), "--input", str(tmp_path / "in")]
    assert cli.run(["convert", *args, "--output", str(tmp_path / "out"), *flags]) == 1
    assert "0 converted, 0 skipped (finished before), 3 failed" in capsys.readouterr().out
    assert (
        sum("its weights are NaN or infinite (model.1.weight)" in m for m in caplog.messages) == 3
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["manifest.jsonl"]
    entries = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    assert all("NaN or infinite" in json.dumps(json.loads(line)) for line in entries)


def test_videos_fail_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    source = film(tmp_path / "clip.mp4", scene(3))
    args = ["--weights", str(broken(tmp_path / "x.pth")), "--input", str(source)]
    assert cli.run(["convert", *args, "--output", str(tmp_path / "made.mp4")]) == 1
    assert "0 converted, 0 skipped (finished before), 1 failed" in capsys.readouterr().out
    assert "NaN or infinite" in caplog.text
    assert not (tmp_path / "made.mp4").exists()


def test_python_is_told(tmp_path: Path) -> None:
    translator = Translator.load(broken(tmp_path / "x.pth"))
    for given in (smooth_image(1), np.asarray(smooth_image(1)), torch.zeros(3, 8, 8)):
        with pytest.raises(UserError, match=REASON):
            translator(given)
    with pytest.raises(UserError, match=REASON):
        list(translator([smooth_image(1), smooth_image(2)], batch_size=2))


def test_who_runs_the_server_is_told(tmp_path: Path) -> None:
    models = Models("cpu", "fp32", trust_code=False)
    with pytest.raises(BrokenModelError, match=REASON):
        models.load(broken(tmp_path / "x.pth"), "latest", None)


@pytest.mark.parametrize("tile", ["off", "exact", "fast", "dense"])
def test_sound_weights_can_overflow(tile: str) -> None:
    translator = overflowing()
    translator._tile = tile  # type: ignore[assignment]
    words = "the generator's output for this picture is NaN or infinite"
    with pytest.raises(UserError, match=words):
        translator.convert(torch.rand(3, 16, 16))
    with pytest.raises(UserError, match=words):
        translator.convert_batch(torch.rand(2, 3, 16, 16))


def test_exported_networks_are_checked_too(tmp_path: Path) -> None:
    """Written past `cyclegan export`, which would not keep such a file."""
    from cyclegan.runtimes.metadata import pack

    settings = ResnetSettings(ngf=2, n_blocks=1)
    network = settings.build(3, 3, "instance")
    network.model[1].weight.data.fill_(float("nan"))
    script = torch.jit.trace(plain(network), torch.zeros(1, 3, 16, 16), check_trace=False)
    texts = Metadata(Architecture(settings, 3, 3, "instance")).texts()
    script.save(str(tmp_path / "x.torchscript"), _extra_files=pack(texts))
    translator = Translator.load(tmp_path / "x.torchscript", trust_code=True)
    with pytest.raises(UserError, match="NaN or infinite"):
        translator(smooth_image(1))


def test_such_a_generator_is_not_exported(tmp_path: Path) -> None:
    path = broken(tmp_path / "x.pth")
    with pytest.raises(UserError, match=REASON):
        cli.run(["export", "--weights", str(path), "--format", "torchscript"])
    assert list(tmp_path.iterdir()) == [path]


def test_runs_are_not_compared_by_black_pictures(tmp_path: Path) -> None:
    run = save_run(tmp_path / "runs" / "x", {"ngf": 2, "n_blocks": 1}, {})
    saved = checkpoint.load(run)
    for weights in saved.state["networks"].values():
        weights["model.1.weight"].fill_(float("nan"))
    checkpoint.save(saved, run.parent)
    (tmp_path / "in").mkdir()
    smooth_image(1).save(tmp_path / "in" / "1.png")
    args = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "page.html")]
    with pytest.raises(UserError, match=REASON):
        cli.run(["compare", str(run), str(run), *args, "--no-figures"])
    assert not (tmp_path / "page.html").exists()
