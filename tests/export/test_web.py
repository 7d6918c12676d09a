"""The folder of --format web: what is in it, and what its page converts in Chromium."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from browser import opened
from conftest import smooth_image
from export.web_pages import READY, Web, export, made, on_white, served, shown
from exporting import save_run
from PIL import Image

from cyclegan import cli
from cyclegan.conversion import weights
from cyclegan.errors import UsageError, UserError
from cyclegan.export import job, web
from cyclegan.export.network import exportable
from cyclegan.runtimes.metadata import Metadata

#: Chromium's WebGPU without a GPU.
SOFTWARE_GPU = [
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-unsafe-swiftshader",
]


def sent(folder: Path) -> None:
    """Pictures whose ways into the network differ."""
    folder.mkdir()
    for width, height in ((64, 48), (37, 22), (1, 9), (2, 1)):
        smooth_image(width, (width, height)).save(folder / f"{width}x{height}.png")
    smooth_image(2, (31, 26), "L").save(folder / "gray.png")
    smooth_image(3, (33, 29), "P").save(folder / "palette.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    smooth_image(4, (48, 30)).save(folder / "lies.jpg", exif=exif, quality=95, subsampling=0)
    clear = smooth_image(5, (40, 28), "RGBA")
    opacity = np.linspace(0, 255, 40).round().astype(np.uint8)
    clear.putalpha(Image.fromarray(np.broadcast_to(opacity, (28, 40)).copy()))
    clear.save(folder / "clear.png")


@pytest.mark.parametrize("name", ["instance", "gray"])
def test_pictures_are_those_of_convert(
    name: str, exported_page: Web, runs: Path, tmp_path: Path
) -> None:
    sent(tmp_path / "in")
    run = ["--name", name, "--checkpoints_dir", str(runs), "--precision", "fp32"]
    places = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    assert cli.run(["convert", *run, *places, "--format", "png"]) == 0
    changed = 0
    with shown(exported_page(name)) as page:
        assert page.inner_text("#device") == "On this device, by WebAssembly."
        assert page.inner_text("h1") == name
        for path in sorted((tmp_path / "in").iterdir()):
            expected = Image.open(tmp_path / "out" / f"{path.stem}.png")
            found = made(page, path)
            assert found.size == expected.size
            assert np.abs(on_white(found) - on_white(expected)).max() <= 1, path.name
            changed = max(
                changed,
                np.abs(on_white(found) - on_white(Image.open(path).resize(found.size))).max(),
            )
            if "A" in expected.getbands():
                assert found.getchannel("A").tobytes() == expected.getchannel("A").tobytes()
        assert page.complaints == []
    assert changed > 50, "a network that changes nothing would show nothing"


def test_webgpu_where_the_browser_has_it(exported_page: Web, runs: Path, tmp_path: Path) -> None:
    """By Chromium's GPU in software, which the page takes only when it is told to."""
    path = tmp_path / "a.png"
    smooth_image(9, (21, 14)).save(path)
    of_run = ["--name", "gray", "--checkpoints_dir", str(runs), "--precision", "fp32"]
    paths = ["--input", str(path), "--output", str(tmp_path / "b.png")]
    assert cli.run(["convert", *of_run, *paths]) == 0
    with shown(exported_page("gray"), flags=SOFTWARE_GPU) as page:
        assert page.inner_text("#device") == "On this device, by WebAssembly."
        page.goto(f"{page.url}?device=webgpu")
        page.wait_for_selector(READY)
        if "WebGPU" not in page.inner_text("#device"):
            pytest.skip("this Chromium has no WebGPU, not even in software")
        found = made(page, path)
        assert page.complaints == []
    assert np.abs(on_white(found) - on_white(Image.open(tmp_path / "b.png"))).max() <= 1


def test_without_a_server_the_page_says_so(exported_page: Web) -> None:
    with opened((exported_page("gray") / web.PAGE).as_uri()) as page:
        page.wait_for_selector("#said:visible")
        assert "run python3 -m http.server in its folder" in page.inner_text("#words")


def test_half_a_copy_is_told(exported_page: Web, tmp_path: Path) -> None:
    shutil.copy(exported_page("gray") / web.PAGE, tmp_path)
    with served(tmp_path) as url, opened(url) as page:
        page.wait_for_selector("#said:visible")
        assert page.inner_text("#words") == (
            "/generator.onnx is not there (404): copy the whole folder to the server."
        )


def test_the_folder_is_whole(exported_page: Web, runs: Path) -> None:
    import onnx

    folder = exported_page("gray")
    assert web.is_web(folder)
    assert "Microsoft Corporation" in (folder / "onnxruntime-web" / "LICENSE.txt").read_text()
    graph = onnx.load(folder / web.NETWORK).graph
    assert [graph.input[0].name, graph.output[0].name] == ["input", "output"]
    settings = re.search(r'id="model">(.*?)</script>', (folder / web.PAGE).read_text())
    assert settings is not None
    assert json.loads(settings[1])["channels"] == 1


def test_credits_in_the_metadata_are_shown(runs: Path) -> None:
    class Credited(Metadata):
        def texts(self) -> dict[str, str]:
            return super().texts() | {"cyclegan.license": "CC BY 4.0 <me>"}

    given = exportable(weights.load(runs / "gray", None), "gray", None)
    architecture = given.metadata.architecture
    plain = web._page(given)
    assert "CC BY" not in plain
    credited = web._page(type(given)(given.network, Credited(architecture), "a <b>"))
    assert "<p>CC BY 4.0 &lt;me&gt;</p>" in credited
    assert "<h1>a &lt;b&gt;</h1>" in credited


def test_only_an_export_is_overwritten(
    exported_page: Web, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole or not at all."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for flags in ([], ["--overwrite"]):
        with pytest.raises(UserError, match="mine: is there, and not as this format writes it"):
            export(runs, "gray", folder, *flags)
    folder.rmdir()
    shutil.copytree(exported_page("gray"), folder)
    with pytest.raises(UserError, match=r"mine: already exists: .*--overwrite"):
        export(runs, "gray", folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="nothing in it is overwritten"):
        export(runs, "gray", folder, "--overwrite")
    (folder / "notes.txt").unlink()
    (folder / web.NETWORK).write_text("of before")
    with monkeypatch.context() as patch, pytest.raises(UserError, match="more than -1"):
        patch.setattr(job, "LARGEST_DIFFERENCE", -1.0)
        export(runs, "gray", folder, "--overwrite")
    assert (folder / web.NETWORK).read_text() == "of before"
    assert export(runs, "gray", folder, "--overwrite") == 0
    assert (folder / web.NETWORK).stat().st_size > 1000
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_channels_that_no_browser_shows(cache: Path, tmp_path: Path) -> None:
    save_run(tmp_path / "run", {"ngf": 2, "n_blocks": 1}, {"input_nc": 4})
    with pytest.raises(UserError, match="1 or 3 channels, this generator has 4: give --format"):
        export(tmp_path, "run", tmp_path / "web")
    assert not (tmp_path / "web").exists()


def test_files_from_a_folder(
    cache: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For machines without internet: the same files, or none."""
    given = tmp_path / "given"
    shutil.copytree(cache, given)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    monkeypatch.setenv("PATH", "")  # no npm
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(UserError, match=r"could not be fetched: .* or give --assets FOLDER"):
        export(runs, "gray", tmp_path / "web")
    (given / "ort.wasm.bundle.min.js").write_text("alert(1)")
    with pytest.raises(UsageError, match=r"lacks ort\.wasm\.bundle\.min\.js; it should hold"):
        export(runs, "gray", tmp_path / "web", "--assets", str(given))
    shutil.copy(cache / "ort.wasm.bundle.min.js", given)
    found = web.runtime(given)
    assert {path.name for path in found.iterdir()} == set(web.DIGESTS)
    with pytest.raises(UsageError, match=r"--assets .* goes with --format web"):
        cli.run(["export", "--format", "onnx", "--name", "gray", "--assets", str(given)])
