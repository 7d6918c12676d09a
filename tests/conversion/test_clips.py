"""Videos through `cyclegan convert`: what stays, going on after kills, and what can't be done."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import GOLDEN, smooth_image
from exporting import save_run
from filming import film, scene, watch

from cyclegan import Translator, cli
from cyclegan.conversion.claims import claims
from cyclegan.conversion.files import Job, parts_folder
from cyclegan.errors import UserError

FILE = str(GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth")
BEST = ("--crf", "0", "--chroma", "444")
SIZE = (128, 96)  # of films compared to the bit: x264 itself varies where they are narrower
UNEVEN = [0, 512, 1700, 2048, 2560, 4000, 4001, 5000, 6000, 9000]


def convert(source: Path, output: Path, *flags: str) -> int:
    where = ("--input", str(source), "--output", str(output))
    return cli.run(["convert", "--weights", FILE, *where, *flags])


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
def test_times_sound_and_size_stay(ending: str, tmp_path: Path) -> None:
    source = film(tmp_path / "clip.mp4", scene(10, (66, 48)), times=UNEVEN)
    target = tmp_path / f"styled.{ending}"
    assert convert(source, target) == 0
    before, after = watch(source), watch(target)
    precision = 0.001 if ending == "mkv" else 0  # Matroska keeps milliseconds
    # Matroska moves all, sound too, so that nothing begins before 0.
    shift = after.times[0] - before.times[0]
    apart = [float(b - a - shift) for a, b in zip(before.times, after.times, strict=True)]
    assert max(map(abs, apart)) <= precision
    assert abs(shift) < 0.03 if ending == "mkv" else not shift
    assert after.sound == before.sound
    assert before.sound
    assert after.frames[0].shape == (48, 66, 3)
    assert {path.name for path in tmp_path.iterdir()} == {
        "clip.mp4", f"styled.{ending}", "manifest.jsonl",
    }  # fmt: skip


def test_length_and_rate_stay(tmp_path: Path) -> None:
    source = film(tmp_path / "clip.mp4", scene(60))
    assert convert(source, tmp_path / "made.mp4") == 0
    before, after = watch(source), watch(tmp_path / "made.mp4")
    assert (after.length, after.rate) == (before.length, before.rate) == (2.4, 25)


def test_frames_are_the_translators(tmp_path: Path) -> None:
    source = film(tmp_path / "clip.mp4", scene(5))
    assert convert(source, tmp_path / "made.mp4", "--precision", "fp32", *BEST) == 0
    translator = Translator.load(FILE)
    for before, after in zip(
        watch(source).frames, watch(tmp_path / "made.mp4").frames, strict=True
    ):
        wanted = translator(before).astype(float)
        assert np.abs(wanted - after).mean() < 1


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_with_strength_0_nothing_but_encoding_changes(pixels: str, tmp_path: Path) -> None:
    source = film(tmp_path / "clip.mp4", scene(5), pixels=pixels)
    assert convert(source, tmp_path / "same.mp4", "--strength", "0", "--crf", "1") == 0
    before, after = watch(source), watch(tmp_path / "same.mp4")
    for one, other in zip(before.frames, after.frames, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 1
    assert after.pixels == before.pixels == pixels


def test_a_turned_clip_comes_out_upright(tmp_path: Path) -> None:
    source = film(tmp_path / "phone.mov", scene(4), rotation=-90)
    assert convert(source, tmp_path / "made.mov", "--strength", "0", "--crf", "1") == 0
    before, after = watch(source).frames[0], watch(tmp_path / "made.mov").frames[0]
    assert after.shape == (64, 48, 3)
    assert np.abs(np.rot90(before, 3).astype(int) - after).mean() < 1.5


def test_odd_sides_and_load_size(tmp_path: Path) -> None:
    source = film(tmp_path / "odd.mp4", scene(3, (65, 47)), pixels="yuv444p")
    assert convert(source, tmp_path / "odd_made.mp4") == 0
    assert watch(tmp_path / "odd_made.mp4").frames[0].shape == (47, 65, 3)
    assert convert(source, tmp_path / "small.mp4", "--load_size", "25") == 0
    assert watch(tmp_path / "small.mp4").frames[0].shape == (26, 36, 3)


def test_webm(tmp_path: Path) -> None:
    source = film(tmp_path / "clip.mkv", scene(5), sound="libopus")
    assert convert(source, tmp_path / "made.webm") == 0
    made = watch(tmp_path / "made.webm")
    assert (made.codec, len(made.frames)) in {("vp9", 5), ("libvpx-vp9", 5)}
    assert made.sound == watch(source).sound


def test_sound_that_the_output_cannot_hold_is_said_before_any_work(tmp_path: Path, caplog) -> None:
    source = film(tmp_path / "clip.mp4", scene(5))
    assert convert(source, tmp_path / "made.webm") == 1
    assert "made.webm: can't hold the input's sound (aac)" in caplog.text
    assert not (tmp_path / "made.webm").exists()


def test_a_folder_of_pictures_and_videos(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    film(folder / "deep" / "one.mp4", scene(4))
    film(folder / "two.avi", scene(4), codec="mpeg4", sound=None)
    smooth_image(0).save(folder / "photo.png")
    out = tmp_path / "out"
    assert convert(folder, out) == 0
    assert "3 converted, 0 skipped" in capsys.readouterr().out
    assert len(watch(out / "deep" / "one.mp4").frames) == 4
    assert len(watch(out / "two.mkv").frames) == 4
    assert "<video" in (out / "index.html").read_text()
    assert convert(folder, out) == 0
    assert "0 converted, 3 skipped" in capsys.readouterr().out
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert {(one["output"], one["width"]) for one in lines} == {
        ("photo.png", 40), ("deep/one.mp4", 64), ("two.mkv", 64),
    }  # fmt: skip


def test_a_finished_clip_is_skipped_and_no_other_overwritten(tmp_path: Path, capsys) -> None:
    source = film(tmp_path / "clip.mp4", scene(4))
    target = tmp_path / "made.mp4"
    assert convert(source, target) == 0
    assert convert(source, target) == 0
    assert "0 converted, 1 skipped" in capsys.readouterr().out
    with pytest.raises(UserError, match="already exists, made from another input"):
        convert(source, target, "--temporal")
    assert convert(source, target, "--temporal", "--overwrite") == 0


def test_segments_of_a_finished_clip_are_removed_later(tmp_path: Path) -> None:
    """A kill came between the two; what another process holds, or is of other clips, stays."""
    source = film(tmp_path / "clip.mp4", scene(4))
    target = tmp_path / "made.mp4"
    assert convert(source, target) == 0
    left, other = parts_folder(target, "0" * 64), parts_folder(tmp_path / "other.mp4", "0" * 64)
    for folder in (left, other):
        folder.mkdir()
        (folder / "000004.nut").touch()
    with claims(tmp_path, overwrite=True) as overwriting:
        overwriting.tidy([Job(source, target, Path(target.name))])
    assert left.exists()
    assert convert(source, target) == 0
    assert not left.exists()
    assert other.exists()


LAST = 1 << 30  # more segments than a clip has


def started(source: Path, target: Path, *flags: str, until: int = 1) -> subprocess.Popen[bytes]:
    """A conversion in a process of its own, which has finished `until` segments of the clip."""
    command = [sys.executable, "-m", "cyclegan", "convert", "--weights", FILE, *flags]
    command += ["--precision", "fp32", "--input", str(source), "--output", str(target)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # Whoever runs the tests in the background lets them ignore Ctrl-C.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, **quiet)
    signal.signal(signal.SIGINT, heard)
    while process.poll() is None and len(segments(target)) < until:
        time.sleep(0.002)
    return process


def segments(target: Path) -> list[Path]:
    return sorted(target.parent.glob(f".{target.name}.*.parts/*.nut"))


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    assert process.wait() == -signal.SIGKILL


def assert_same_film(one: Path, other: Path) -> None:
    first, second = watch(one), watch(other)
    assert (first.times, first.sound) == (second.times, second.sound)
    assert all(map(np.array_equal, first.frames, second.frames))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_it_goes_on_where_it_was(how: signal.Signals, tmp_path: Path) -> None:
    """All in processes of their own: one that tests may have other threads, and round otherwise."""
    source = film(tmp_path / "clip.mp4", scene(200, SIZE))
    whole, target = tmp_path / "whole.mp4", tmp_path / "stopped.mp4"
    assert started(source, whole, until=LAST).wait() == 0
    process = started(source, target)
    process.send_signal(how)
    assert process.wait() != 0
    assert not target.exists()
    done = segments(target)
    assert 0 < int(done[-1].stem) < 200
    before = {path: path.stat().st_mtime_ns for path in done}
    assert started(source, target, until=LAST).wait() == 0
    assert before  # what was finished was not made again: those files went into the result
    assert not done[0].parent.exists()
    assert_same_film(whole, target)


def test_going_on_uses_the_finished_segments(tmp_path: Path) -> None:
    """A segment that was exchanged by hand is found in the result."""
    clips = {"black": np.zeros, "white": lambda *how: np.zeros(*how) + np.uint8(255)}
    firsts = {}
    for name, fill in clips.items():
        source = film(tmp_path / f"{name}.mp4", [fill((96, 128, 3), np.uint8)] * 200, sound=None)
        kill(started(source, tmp_path / f"made_{name}.mp4", "--strength", "0"))
        firsts[name] = segments(tmp_path / f"made_{name}.mp4")[0]
    firsts["black"].write_bytes(firsts["white"].read_bytes())
    target = tmp_path / "made_black.mp4"
    how = ("--precision", "fp32", "--strength", "0")
    assert convert(tmp_path / "black.mp4", target, *how) == 0
    frames = watch(target).frames
    assert frames[5].min() > 250
    assert frames[150].max() < 5


def test_steadied_and_killed_at_several_moments_it_is_what_it_would_have_been(
    tmp_path: Path,
) -> None:
    source = film(tmp_path / "clip.mkv", scene(250, SIZE))
    whole, target = tmp_path / "whole.mkv", tmp_path / "made.mkv"
    how = ("--precision", "fp32", "--temporal")
    assert convert(source, whole, *how) == 0
    for until in (1, 4):
        kill(started(source, target, "--temporal", until=until))
    # As if it had been killed once more, after what is remembered and before the segment.
    segments(target)[-1].unlink()
    assert convert(source, target, *how) == 0
    assert_same_film(whole, target)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A clip, what it becomes, and the folder of segments that a kill left of it."""
    root = tmp_path_factory.mktemp("killed")
    source, whole = film(root / "clip.mp4", scene(150, SIZE)), root / "whole.mp4"
    assert convert(source, whole, "--precision", "fp32", "--temporal") == 0
    kill(started(source, root / "made.mp4", "--temporal", until=2))
    return source, whole, segments(root / "made.mp4")[0].parent


@pytest.mark.parametrize(
    ("file", "harm"),
    [("*.nut", "cut"), ("*.nut", "flipped"), ("*.nut", "emptied"), ("*.memory", "flipped")],
)
def test_a_damaged_segment_is_made_again(
    file: str, harm: str, killed: tuple[Path, Path, Path], tmp_path: Path, caplog
) -> None:
    source, whole, parts = killed
    target, folder = tmp_path / "made.mp4", tmp_path / parts.name
    shutil.copytree(parts, folder)
    hurt = sorted(folder.glob(file))[-1]
    content = bytearray(hurt.read_bytes())
    content[len(content) // 2] ^= 16
    hurt.write_bytes({"cut": content[: len(content) // 2], "emptied": b""}.get(harm, content))
    assert convert(source, target, "--precision", "fp32", "--temporal") == 0
    assert "made.mp4: redoing damaged segments of an earlier run" in caplog.text
    assert_same_film(whole, target)


def test_two_processes_on_one_clip_make_one_right_file(tmp_path: Path, caplog) -> None:
    source = film(tmp_path / "clip.mp4", scene(200, SIZE))
    whole, target = tmp_path / "whole.mp4", tmp_path / "made.mp4"
    assert convert(source, whole, "--precision", "fp32") == 0
    process = started(source, target)
    assert convert(source, target, "--precision", "fp32") == 0
    (told,) = [one for one in caplog.messages if "made.mp4" in one]
    assert told == f"another process is converting {target} too: waiting for it"
    assert process.wait() == 0
    assert_same_film(whole, target)
    lines = (tmp_path / "manifest.jsonl").read_text().splitlines()
    assert len(lines) == 2, "whole.mp4 and made.mp4, each made once"
    left = {"clip.mp4", "whole.mp4", "made.mp4", "manifest.jsonl"}
    assert {path.name for path in tmp_path.iterdir()} == left


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        source = film(tmp_path / f"{count}.mp4", scene(count, (160, 120)), sound=None)
        code = (
            "import sys, resource; from cyclegan import cli; cli.run(sys.argv[1:]);"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        flags = ["convert", "--weights", FILE, "--input", str(source), "--precision", "fp32"]
        command = [sys.executable, "-c", code, *flags, "--output", str(tmp_path / f"m{count}.mp4")]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return int(printed.split()[-1]) * 1024

    # All frames of the longer one would take 17 MB as bytes and 70 MB as the networks see them.
    assert peak(300) - peak(50) < 8e6


def test_a_clip_that_ends_in_the_middle(tmp_path: Path, capsys, caplog) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    whole = film(tmp_path / "whole.mkv", scene(100))
    (folder / "a_part.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    film(folder / "b_good.mp4", scene(4))
    (folder / "c_text.mp4").write_text("no video")
    assert convert(folder, out) == 1
    printed = capsys.readouterr()
    assert "a_part.mkv: ends after" in caplog.text
    assert "what could be decoded is in" in caplog.text
    assert "c_text.mp4: can't be read as a video" in caplog.text
    assert "2 failed" in printed.out
    assert 10 < len(watch(out / "a_part.mkv").frames) < 90
    assert len(watch(out / "b_good.mp4").frames) == 4


def test_what_cannot_be_done_is_one_line(tmp_path: Path, caplog, monkeypatch) -> None:
    source = film(tmp_path / "clip.mp4", scene(4))
    with pytest.raises(UserError, match=r"is a video, --input .*: give a folder"):
        convert(GOLDEN / "resnet9_nopool" / "inputs.npz", tmp_path / "x.mp4")
    with pytest.raises(UserError, match="is the input itself"):
        convert(source, source)
    with pytest.raises(UserError, match="--direction both writes two"):
        cli.run(
            [
                "convert",
                "--name",
                "none",
                "--direction",
                "both",
                "--input",
                str(source),
                "--output",
                str(tmp_path / "x.mp4"),
            ]
        )
    with pytest.raises(UserError, match=r"x\.avi: videos are written as \.m4v, \.mkv, \.mov"):
        convert(source, tmp_path / "x.avi")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="can't be written \\(Not a directory\\)"):
        convert(source, tmp_path / "file" / "x.mp4")
    assert convert(source, tmp_path / "x.mp4", "--also", "cycled") == 1
    assert "works on images, not on videos" in caplog.text
    monkeypatch.setattr("cyclegan.errors.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs av \(.*pip install .*\[video\]'?\)"):
        convert(source, tmp_path / "y.mp4")


def test_a_generator_of_other_channels(tmp_path: Path, caplog) -> None:
    source = film(tmp_path / "clip.mp4", scene(4))
    run = save_run(tmp_path / "run", {"ngf": 2, "n_blocks": 1}, {"input_nc": 4, "output_nc": 4})
    flags = ["--input", str(source), "--output", str(tmp_path / "x.mp4")]
    assert cli.run(["convert", "--weights", str(run), *flags]) == 1
    assert "a video has 3 channels, this generator is for 4" in caplog.text


def test_a_clip_that_cannot_be_written_fails_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A file lies where its folder would be; names may be as long as the system allows."""
    longest = f"{'x' * 251}.mp4"
    (tmp_path / "in" / "deep").mkdir(parents=True)
    film(tmp_path / "in" / "deep" / "a.mp4", scene(3))
    film(tmp_path / "in" / "clip.mp4", scene(3)).rename(tmp_path / "in" / longest)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deep").write_text("mine")
    assert convert(tmp_path / "in", tmp_path / "out") == 1
    assert "1 converted, 0 skipped (finished before), 1 failed" in capsys.readouterr().out
    assert "a.mp4: can't be written" in caplog.text
    assert len(watch(tmp_path / "out" / longest).frames) == 3
    assert {path.name for path in (tmp_path / "out").iterdir()} - {"index.html"} == {
        "deep", longest, "manifest.jsonl",
    }  # fmt: skip
