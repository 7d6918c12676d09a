"""Image sets: names, trees, second runs, failures."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from conftest import GOLDEN, smooth_image
from exporting import save_run
from PIL import Image

from cyclegan import Translator
from cyclegan.conversion import ConvertSettings, manifest, network, reader, writer
from cyclegan.conversion import translator as translator_module
from cyclegan.conversion.files import plan
from cyclegan.conversion.job import convert
from cyclegan.conversion.weights import load
from cyclegan.errors import UsageError, UserError
from cyclegan.execution.execution import Execution

BESIDE = {"index.html", "manifest.jsonl"}
FILE = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"
OTHER = GOLDEN / "resnet9_nopool" / "initial_net_G_B.pth"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    names = ["a.jpg", "deep/er/b.PNG", "deep/c.webp", "d.bmp", "e.tif", "with space #1.jpeg"]
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        smooth_image(number, (20 + number, 17)).save(root / name)
    return root


def settings(source: Path, output: Path, **more: object) -> ConvertSettings:
    return ConvertSettings(**{"input": source, "output": output, "weights": FILE, **more})


def tree(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_the_output_mirrors_the_input(pictures: Path, tmp_path: Path, capsys: object) -> None:
    out = tmp_path / "out"
    assert convert(settings(pictures, out)) == 0
    assert tree(out) == {
        "a.jpg", "deep/er/b.PNG", "deep/c.webp", "d.png", "e.tif", "with space #1.jpeg",
        "index.html", "manifest.jsonl",
    }  # fmt: skip
    for name in ("a.jpg", "deep/er/b.PNG"):
        with Image.open(pictures / name) as before, Image.open(out / name) as after:
            assert (after.size, after.format) == (before.size, before.format)
    assert "6 converted, 0 skipped (finished before), 0 failed" in capsys.readouterr().out


def test_pixels_are_the_translators(pictures: Path, tmp_path: Path) -> None:
    convert(settings(pictures, tmp_path / "out", precision="fp32"))
    with Image.open(pictures / "d.bmp") as image, Image.open(tmp_path / "out" / "d.png") as made:
        assert (np.asarray(made) == np.asarray(Translator.load(FILE)(image))).all()


def test_one_file(pictures: Path, tmp_path: Path) -> None:
    assert convert(settings(pictures / "a.jpg", tmp_path / "out")) == 0
    assert tree(tmp_path / "out") == {"a.jpg", "index.html", "manifest.jsonl"}


def test_load_size_scales_the_shorter_side(pictures: Path, tmp_path: Path) -> None:
    convert(settings(pictures / "a.jpg", tmp_path / "out", load_size=34))
    with Image.open(tmp_path / "out" / "a.jpg") as image:
        assert image.size == (40, 34)


def names(root: Path, **formats: str) -> list[str]:
    asked = settings(root, Path("out"), **formats)
    return [job.name.as_posix() for job in plan(asked.locations, asked.selection)]


def test_shared_names_keep_their_endings(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.PNG", "a.jpg.png", "b.bmp", "c.tif", "c.png"):
        (tmp_path / name).touch()
    assert names(tmp_path) == ["a.PNG", "a.jpg", "a.jpg.png", "b.png", "c.png", "c.tif"]
    as_png = names(tmp_path, format="png")
    assert len(set(as_png)) == 6
    assert "a.jpg.png" in as_png
    assert names(tmp_path, format="jpg")[:2] == ["a.PNG.jpg", "a.jpg.jpg"]


def test_a_second_run_skips_what_is_finished(
    pictures: Path, tmp_path: Path, capsys: object
) -> None:
    out = tmp_path / "out"
    convert(settings(pictures, out))
    before = {name: (out / name).stat().st_mtime_ns for name in tree(out) if name[-4:] != "html"}
    (out / "a.jpg").unlink()
    assert convert(settings(pictures, out)) == 0
    assert "1 converted, 5 skipped" in capsys.readouterr().out
    after = {name: (out / name).stat().st_mtime_ns for name in before}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"a.jpg", "manifest.jsonl"}
    assert (out / "index.html").read_text().count("<figure>") == 6


@pytest.mark.parametrize("change", [{"weights": OTHER}, {"load_size": 12}])
def test_other_options_overwrite_nothing_unasked(
    pictures: Path, tmp_path: Path, change: dict
) -> None:
    out = tmp_path / "out"
    convert(settings(pictures, out))
    before = (out / "d.png").read_bytes()
    with pytest.raises(UserError, match=r"other options \(6 such files\).*--overwrite"):
        convert(settings(pictures, out, **change))
    assert (out / "d.png").read_bytes() == before
    assert convert(settings(pictures, out, overwrite=True, **change)) == 0
    assert (out / "d.png").read_bytes() != before


def test_a_foreign_file_is_not_overwritten(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.jpg").write_text("mine")
    with pytest.raises(UserError, match=r"a\.jpg: already exists"):
        convert(settings(pictures, out))
    assert tree(out) == {"a.jpg"}


def test_a_changed_input_is_noticed(pictures: Path, tmp_path: Path) -> None:
    convert(settings(pictures, tmp_path / "out"))
    smooth_image(77, (22, 22)).save(pictures / "a.jpg")
    with pytest.raises(UserError, match=r"a\.jpg: already exists.*1 such files"):
        convert(settings(pictures, tmp_path / "out"))


def test_never_into_the_input_folder(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the input folder itself"):
        convert(settings(pictures, pictures))
    with pytest.raises(UsageError, match="the input folder itself"):
        convert(settings(pictures / "a.jpg", pictures / "deep" / ".."))
    with pytest.raises(UsageError, match="is a file"):
        convert(settings(pictures, pictures / "a.jpg"))


def test_an_output_within_the_input_is_not_converted_again(
    pictures: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    convert(settings(pictures, pictures / "out"))
    first = tree(pictures / "out")
    assert caplog.text == ""
    convert(settings(pictures, pictures / "out"))
    assert tree(pictures / "out") == first
    assert "skipping 6 files that earlier conversions made" in caplog.text
    capsys.readouterr()
    assert convert(settings(pictures, pictures / "deep" / "out", weights=OTHER)) == 0
    assert "6 converted, 0 skipped" in capsys.readouterr().out
    assert tree(pictures / "deep" / "out") == first


def test_outputs_of_other_runs_within_the_input_are_not_converted(pictures: Path) -> None:
    each = [settings(pictures, pictures / "out" / way, weights=FILE) for way in ("x", "y")]
    assert [convert(one) for one in (*each, *each)] == [0] * 4
    assert tree(pictures / "out" / "x") == tree(pictures / "out" / "y")


def test_what_is_beside_the_conversions_is_not_converted_either(
    pictures: Path, tmp_path: Path
) -> None:
    made = manifest.Origin.of(pictures / "a.jpg", "x")
    manifest.append(pictures / "deep", manifest.Entry("er/b.PNG", made, "y"))
    manifest.append(pictures, manifest.Entry("d.bmp", made, "y"))  # of a file beside it
    manifest.append(pictures, manifest.Entry("a.jpg", made, "y", error="was not made"))
    (pictures / "deep" / "cycled" / "er").mkdir(parents=True)
    smooth_image(1).save(pictures / "deep" / "cycled" / "er" / "b.PNG")
    (pictures / ".clip.mp4.0123.parts").mkdir()
    (pictures / ".clip.mp4.0123.parts" / "joined.mp4").touch()
    assert names(pictures) == ["a.jpg", "deep/c.webp", "e.tif", "with space #1.jpeg"]


def test_outputs_are_converted_where_they_are_the_input(pictures: Path, tmp_path: Path) -> None:
    """As one does to go there and back."""
    convert(settings(pictures, tmp_path / "there"))
    assert convert(settings(tmp_path / "there", tmp_path / "back", weights=OTHER)) == 0
    assert tree(tmp_path / "back") == tree(tmp_path / "there")


def test_nothing_but_outputs_is_one_line(pictures: Path) -> None:
    convert(settings(pictures, pictures / "out"))
    for path in [path for path in pictures.rglob("*.*") if (pictures / "out") not in path.parents]:
        if path.is_file():
            path.unlink()
    with pytest.raises(UserError, match="contains only outputs of earlier conversions"):
        convert(settings(pictures, pictures / "out2"))


def test_bad_files_are_listed_and_the_rest_done(
    pictures: Path, tmp_path: Path, capsys: object, caplog: object
) -> None:
    (pictures / "bad.png").write_bytes(b"")
    (pictures / "cut.jpg").write_bytes((pictures / "a.jpg").read_bytes()[:200])
    assert convert(settings(pictures, tmp_path / "out")) == 1
    assert "6 converted, 0 skipped (finished before), 2 failed" in capsys.readouterr().out
    assert "bad.png: empty file" in caplog.text
    assert "cut.jpg: damaged image" in caplog.text
    assert not (tmp_path / "out" / "bad.png").exists()


def test_too_large_pictures_fail_alone(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: object
) -> None:
    # Only the free memory is made up: 100 KiB.
    monkeypatch.setattr(translator_module, "free_memory", lambda device: 100 * 1024)
    smooth_image(1, (300, 200)).save(pictures / "large.png")
    assert convert(settings(pictures, tmp_path / "out", tile="off")) == 1
    assert "large.png: 300x200 pixels need about" in caplog.text
    assert len([name for name in tree(tmp_path / "out") if name[-4:] not in ("html", "onl")]) >= 6
    assert convert(settings(pictures, tmp_path / "out")) == 0, "the rest, in bands"


def test_num_test_is_an_upper_bound(pictures: Path, tmp_path: Path) -> None:
    convert(settings(pictures, tmp_path / "out", num_test=2))
    assert len(tree(tmp_path / "out")) == 2 + 2


def test_what_to_convert_with_must_be_said(pictures: Path, tmp_path: Path) -> None:
    for more in ({"weights": None}, {"name": "x"}):
        with pytest.raises(UsageError, match="--name RUN or --weights FILE"):
            convert(settings(pictures, tmp_path / "out", **more))
    with pytest.raises(UserError, match="no such file or folder"):
        convert(settings(tmp_path / "none", tmp_path / "out"))


def test_a_foreign_page_is_not_overwritten(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.html").write_text("mine")
    with pytest.raises(UserError, match=r"index\.html: already exists, and is not from cyclegan"):
        convert(settings(pictures, tmp_path / "out"))
    assert (tmp_path / "out" / "index.html").read_text() == "mine"


def test_no_input_is_ever_a_target(tmp_path: Path) -> None:
    for name in ("in/x.png", "in/in/x.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        smooth_image(1).save(tmp_path / name)
    with pytest.raises(UsageError, match="is an input"):
        convert(settings(tmp_path / "in", tmp_path, overwrite=True))


@pytest.mark.parametrize("left", ["", '{"output": "ha'])
def test_a_kill_between_picture_and_note_is_mended(
    pictures: Path, tmp_path: Path, left: str
) -> None:
    """The last picture was noted but not written, or its note is half a line."""
    out = tmp_path / "out"
    convert(settings(pictures, out))
    last = list(manifest.read(out))[-1]
    (out / last).unlink()
    with (out / "manifest.jsonl").open("a") as file:
        file.write(left)
    for _ in range(2):
        assert convert(settings(pictures, out)) == 0
    assert (out / last).is_file()


def test_a_name_is_no_path(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a plain name without a path"):
        convert(settings(pictures, tmp_path / "out", weights=None, name="../x"))


def test_the_page_links_every_pair(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert(settings(pictures, out))
    page = (out / "index.html").read_text()
    links = [part.partition('"')[0] for part in page.split('src="')[1:]]
    assert len(links) == 12
    assert all((out / unquote(link)).is_file() for link in links)
    assert "http" not in page


def test_names_of_any_bytes(tmp_path: Path) -> None:
    import os

    source = tmp_path / "in" / os.fsdecode(b"\xff\xfe.png")
    source.parent.mkdir()
    smooth_image(1).save(source)
    for _ in range(2):
        assert convert(settings(source.parent, tmp_path / "out")) == 0
    assert "%FF%FE.png" in (tmp_path / "out" / "index.html").read_text()


def test_the_manifest_says_what_was_made(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert(settings(pictures, out))
    with (out / "manifest.jsonl").open("a") as file:
        file.write('{"output": "ha')  # as a kill may leave it
    entries = manifest.read(out)
    assert set(entries) == tree(out) - {"index.html", "manifest.jsonl"}
    assert json.loads((out / "manifest.jsonl").read_text().splitlines()[0])["made_by"]


def test_reference_prints_the_difference(pictures: Path, tmp_path: Path, capsys: object) -> None:
    out = tmp_path / "out"
    assert convert(settings(pictures / "d.bmp", out, reference=out)) == 0
    text = capsys.readouterr().out
    assert "mean absolute difference" in text
    assert "over 1 images: 0.0000 (the unconverted input: 0." in text


def test_a_damaged_reference_is_told_and_the_rest_compared(
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "real").mkdir()
    smooth_image(5, (23, 17)).save(tmp_path / "real" / "d.png")
    (tmp_path / "real" / "a.jpg").write_bytes(b"no picture")
    assert convert(settings(pictures, tmp_path / "out", reference=tmp_path / "real")) == 0
    assert "over 1 images" in capsys.readouterr().out
    assert "not compared" in caplog.text
    assert "a.jpg: not an image" in caplog.text


def test_an_output_that_cannot_be_written(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="can't be written"):
        convert(settings(pictures, tmp_path / "file" / "out"))


def test_grayscale_models_write_grayscale(tmp_path: Path, pictures: Path) -> None:
    from cyclegan.generators import ResnetSettings

    network = ResnetSettings(ngf=2, n_blocks=1).build(3, 1, "instance")
    torch.save(network.state_dict(), tmp_path / "gray.pth")
    convert(settings(pictures / "a.jpg", tmp_path / "out", weights=tmp_path / "gray.pth"))
    with Image.open(tmp_path / "out" / "a.jpg") as image:
        assert image.mode == "L"


def test_a_page_of_many_shows_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MOST", 2)
    for number in range(4):
        (tmp_path / "in").mkdir(exist_ok=True)
        smooth_image(number, (16, 16)).save(tmp_path / "in" / f"{number}.png")
    convert(settings(tmp_path / "in", tmp_path / "out"))
    text = (tmp_path / "out" / "index.html").read_text()
    assert "2 of 4 pictures" in text
    assert text.count("<figure>") == 2


def test_glob_and_list_choose(pictures: Path, tmp_path: Path) -> None:
    convert(settings(pictures, tmp_path / "a", glob="deep/*"))
    assert tree(tmp_path / "a") == {"deep/er/b.PNG", "deep/c.webp", "index.html", "manifest.jsonl"}
    (tmp_path / "list.txt").write_text("d.bmp\ndeep/c.webp\n\nd.bmp\n")
    convert(settings(pictures, tmp_path / "b", list=tmp_path / "list.txt"))
    assert tree(tmp_path / "b") == {"d.png", "deep/c.webp", "index.html", "manifest.jsonl"}
    with pytest.raises(UserError, match=r"--glob \*.xyz: none of the 6 images matches"):
        convert(settings(pictures, tmp_path / "c", glob="*.xyz"))
    (tmp_path / "list.txt").write_text("../secret.png\n")
    with pytest.raises(UserError, match="is not inside"):
        convert(settings(pictures, tmp_path / "c", list=tmp_path / "list.txt"))


def test_a_listed_file_that_is_missing_fails_alone(
    pictures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "list.txt").write_text("gone.png\nd.bmp\n")
    assert convert(settings(pictures, tmp_path / "out", list=tmp_path / "list.txt")) == 1
    assert "gone.png: no such file" in caplog.text
    assert (tmp_path / "out" / "d.png").is_file()


def test_a_dry_run_writes_nothing(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(settings(pictures, tmp_path / "out", dry_run=True)) == 0
    assert not (tmp_path / "out").exists()
    shown = capsys.readouterr().out
    assert f"{pictures / 'd.bmp'} -> {tmp_path / 'out' / 'd.png'}" in shown
    assert "6 would be converted" in shown


def test_failures_are_in_the_manifest(pictures: Path, tmp_path: Path) -> None:
    (pictures / "bad.png").write_bytes(b"no image")
    convert(settings(pictures, tmp_path / "out"))
    lines = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    entries = {entry["output"]: entry for entry in map(json.loads, lines)}
    assert entries["bad.png"]["error"].endswith("bad.png: not an image in a supported format")
    good = entries["d.png"]
    assert (good["width"], good["height"], good["error"]) == (23, 17, None)
    assert good["seconds"] > 0
    assert good["checkpoint"] == load(FILE, None).digest


KILLED = """
import sys
from pathlib import Path
from types import ModuleType
from cyclegan.conversion import job
from cyclegan.conversion import ConvertSettings
from cyclegan.conversion.weights import load
s = ConvertSettings(Path(sys.argv[1]), Path(sys.argv[2]), weights=Path(sys.argv[3]), compile="off",
                    precision="fp32")
sys.exit(job.convert(s))
"""


def test_killed_at_any_point_it_goes_on(pictures: Path, tmp_path: Path) -> None:
    """Killed again and again, sooner and later: in the end all is as if never killed."""
    for number in range(60):
        smooth_image(number, (64, 48)).save(pictures / f"{number:02}.png")
    out, whole = tmp_path / "out", tmp_path / "whole"
    command = [sys.executable, "-c", KILLED, str(pictures), str(out), str(FILE)]
    for wanted in (1, 9, 30):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(manifest.read(out)) < wanted:
            pass
        process.kill()
        process.wait()
        for path in out.rglob("*.png"):
            if not path.name.startswith("."):
                with Image.open(path) as image:
                    image.load()
    assert 30 <= len(manifest.read(out)) < 66
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    convert(settings(pictures, whole, precision="fp32", compile="off"))
    assert {name for name in tree(out) if "unfinished" not in name} == tree(whole)
    for name in tree(whole) - {"manifest.jsonl", "index.html"}:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    assert not [name for name in tree(out) if "unfinished" in name]


def test_names_may_be_as_long_as_the_system_allows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is written first has a longer name than the picture."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    longest = [f"{'x' * 244}.png", f"{'y' * 251}.png", f"{'ü' * 125}a.bmp"]
    for number, name in enumerate(longest):
        smooth_image(number, (16, 16)).save(source / name)
    assert convert(settings(source, out)) == 0
    assert tree(out) == {longest[0], longest[1], f"{'ü' * 125}a.png", *BESIDE}
    assert convert(settings(source, tmp_path / "webp", format="webp", num_test=2)) == 1
    assert f"{'y' * 251}.webp: can't be written (File name too long)" in caplog.text
    assert tree(tmp_path / "webp") == {f"{'x' * 244}.webp", *BESIDE}


def test_a_file_in_place_of_a_folder_fails_alone(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: object
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deep").write_text("mine")
    assert convert(settings(pictures, tmp_path / "out")) == 1
    assert "4 converted, 0 skipped (finished before), 2 failed" in capsys.readouterr().out
    assert "c.webp: can't be written" in caplog.text
    assert (tmp_path / "out" / "deep").read_text() == "mine"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("no codec\nat all"), IndexError(0)])
@pytest.mark.parametrize(
    ("stage", "place"),
    [(reader, "open_document"), (network, "paint"), (writer, "write_document")],
)
def test_whatever_one_picture_raises_the_rest_is_done(
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    stage: ModuleType,
    place: str,
) -> None:
    """Codecs and memory fail in ways that no file makes at will: the error is made up."""
    real, calls = getattr(stage, place), iter(range(100))

    def broken(*args: object, **more: object) -> object:
        if next(calls) == 1:
            raise error
        return real(*args, **more)

    monkeypatch.setattr(stage, place, broken)
    assert convert(settings(pictures, tmp_path / "out")) == 1
    assert len(tree(tmp_path / "out") - BESIDE) == 5
    (line,) = [record.getMessage() for record in caplog.records]
    assert str(tmp_path) in line
    assert "\n" not in line
    assert "None" not in line


def test_a_damaged_tiff_fails_alone(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray((pictures / "e.tif").read_bytes())
    for tag in (b"\x00\x01\x03\x00", b"\x00\x01\x04\x00"):  # ImageWidth
        place = content.find(tag)
        if place > 0:
            content[place + 8 : place + 12] = bytes(4)
    (pictures / "zero.tif").write_bytes(content)
    for number, more in enumerate([{}, {"load_size": 12}, {"batch_size": 4}]):
        assert convert(settings(pictures, tmp_path / f"{number}", **more)) == 1
        assert "6 converted, 0 skipped (finished before), 1 failed" in capsys.readouterr().out


def on_a_small_disk(
    folder: Path, kilobytes: int, command: list[str]
) -> subprocess.CompletedProcess:
    """Run a command with `folder` on a disk of its own, where this system lets its users do so."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(folder)]
    if subprocess.run(["unshare", "-rm", *mount], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    script = f"{shlex.join(mount)} && exec {shlex.join(command)}"
    return subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True)


@pytest.mark.skipif(not shutil.which("unshare"), reason="disks are made by unshare")
@pytest.mark.parametrize(("format", "kilobytes"), [("jpg", 36), ("tif", 72), ("tif", 88)])
def test_a_full_disk_stops_the_run_and_says_so(tmp_path: Path, format: str, kilobytes: int) -> None:
    """Two of three pictures have room; of the third there may be a part."""
    source = tmp_path / "in"
    source.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (3, 100, 100, 3), dtype=np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(source / f"{number}.png")
    command = [sys.executable, "-m", "cyclegan", "convert", "--weights", str(FILE)]
    more = ["--input", str(source), "--output", str(tmp_path / "out"), "--format", format]
    done = on_a_small_disk(tmp_path / "out", kilobytes, [*command, *more, "--strength", "0"])
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"cyclegan: error: {tmp_path / 'out' / '2.'}"), done.stderr
    assert last.endswith("can't be written (No space left on device)")
    assert "Traceback" not in done.stderr


def test_a_resumed_job_computes_as_it_began(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever this machine, or a later version, would choose by itself."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    assert convert(settings(pictures, whole, precision="bf16")) == 0
    ways = iter([Execution(precision="bf16", channels_last=True)])
    real = translator_module.choose_for_conversion

    def begun(network: object, channels: int, precision: str, *more: object) -> Execution:
        first = next(ways, None)
        if first is not None and precision == "auto":
            return first
        return real(network, channels, precision, *more)

    monkeypatch.setattr(translator_module, "choose_for_conversion", begun)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert convert(settings(pictures, out, num_test=3)) == 0
    assert convert(settings(pictures, out)) == 0
    made = manifest.read(out)
    assert {entry.precision for entry in made.values()} == {"bf16"}
    assert {entry.compiled for entry in made.values()} == {False}
    for name in made:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    assert convert(settings(pictures, tmp_path / "fresh")) == 0
    assert {entry.precision for entry in manifest.read(tmp_path / "fresh").values()} == {"fp32"}


def test_names_do_not_break_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "new\nline \x1b[31m.png").write_bytes(b"no picture")
    smooth_image(1).save(tmp_path / "in" / "good.png")
    assert convert(settings(tmp_path / "in", tmp_path / "out", precision="fp32")) == 1
    assert any("new\\nline \\x1b[31m.png: " in line for line in caplog.messages)
    assert not any("\n" in line or "\x1b" in line for line in caplog.messages)


def test_the_output_of_one_picture_may_be_a_file(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of one video and of stylize: made where it is asked for, and nothing else overwritten."""
    target, mine = tmp_path / "new" / "styled.jpg", tmp_path / "mine.png"
    assert convert(settings(pictures / "d.bmp", target, precision="fp32")) == 0
    with Image.open(target) as made, Image.open(pictures / "d.bmp") as image:
        assert (made.format, made.size) == ("JPEG", image.size)
    assert tree(tmp_path / "new") == {"styled.jpg", "manifest.jsonl"}
    assert convert(settings(pictures / "d.bmp", target, precision="fp32")) == 0
    assert "0 converted, 1 skipped" in capsys.readouterr().out
    mine.write_bytes(b"mine")
    with pytest.raises(UserError, match=r"mine\.png: already exists.*--overwrite"):
        convert(settings(pictures / "a.jpg", mine))
    assert mine.read_bytes() == b"mine"
    also = {"weights": None, "name": "none", "dry_run": True}
    assert convert(settings(pictures / "a.jpg", tmp_path / "x.webp", **also)) == 0
    assert f"a.jpg -> {tmp_path}/x.webp\n" in capsys.readouterr().out
    (tmp_path / "folder.png").mkdir()
    assert convert(settings(pictures / "a.jpg", tmp_path / "folder.png")) == 0
    assert tree(tmp_path / "folder.png") == {"a.jpg", *BESIDE}


@pytest.mark.parametrize(
    ("source", "output", "more", "words"),
    [
        ("", "x.jpg", {}, r"--output .*x\.jpg: --input .* is a folder: give a folder"),
        ("a.jpg", "x.mp4", {}, r"is a video, --input .*a\.jpg a picture: give a folder"),
        ("a.jpg", "x.bmp", {}, r"x\.bmp: pictures are written as \.apng, \.gif"),
        (
            "a.jpg",
            "x.jpg",
            {"format": "png"},
            r"--format png: --output .*x\.jpg has another extension",
        ),
        ("a.jpg", "in/a.jpg", {}, "is the input itself"),
        (
            "a.jpg",
            "x.jpg",
            {"direction": "both"},
            "--direction both writes two outputs: give a folder",
        ),
    ],
)
def test_a_file_that_can_not_be_the_output(
    source: str, output: str, more: dict, words: str, pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        convert(settings(pictures / source, tmp_path / output, **more))
    assert not (tmp_path / "x.jpg").exists()


def test_pictures_far_larger_than_trained_on_get_one_line_of_advice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small = {"load_size": 20, "crop_size": 16}
    run = save_run(tmp_path / "run", {"ngf": 2, "n_blocks": 1}, {}, data=small)
    folder = tmp_path / "in"
    folder.mkdir()
    for name, size in {"a": (79, 100), "b": (80, 90), "c": (200, 100)}.items():
        smooth_image(1, size).save(folder / f"{name}.png")

    def told(**more: object) -> list[str]:
        caplog.clear()
        convert(settings(folder, tmp_path / "out", weights=run, overwrite=True, **more))
        return [line for line in caplog.messages if "trained on" in line]

    (line,) = told()
    assert line.startswith(f"{folder}/b.png: 80x90, far larger than the 20 px that the model was")
    assert line.endswith(": --load_size 40, or --tile dense")
    assert told(load_size=40) == told(tile="exact") == []
