"""Several processes convert into one folder: nothing is broken, nothing made twice."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import GOLDEN, smooth_image
from PIL import Image

from cyclegan.conversion import ConvertSettings, manifest
from cyclegan.conversion import job as job_module
from cyclegan.conversion.claims import LOCK, claims
from cyclegan.conversion.files import Job, plan
from cyclegan.conversion.job import convert

FILE = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"
FORK = multiprocessing.get_context("fork")  # what is imported need not be again


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for number in range(12):
        name = f"deep/{number}.png" if number % 3 else f"{number}.png"
        smooth_image(number, (40, 32)).save(tmp_path / "in" / name)
    return tmp_path / "in"


def settings(source: Path, output: Path, **more: object) -> ConvertSettings:
    given = {"input": source, "output": output, "weights": FILE, "compile": "off"}
    return ConvertSettings(**given | {"precision": "fp32"} | more)


def tree(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def at_once(*work: Callable[[], int]) -> list[int]:
    """The exit codes of processes that begin together."""
    start = FORK.Barrier(len(work))

    def run(one: Callable[[], int]) -> None:
        start.wait()
        os._exit(one())

    processes = [FORK.Process(target=run, args=(one,)) for one in work]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


def entries(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("more", [{}, {"batch_size": 4}])
def test_processes_share_the_work(pictures: Path, tmp_path: Path, more: dict) -> None:
    out, alone = tmp_path / "out", tmp_path / "alone"
    same = settings(pictures, out, **more)
    assert at_once(*[lambda: convert(same)] * 4) == [0] * 4
    assert convert(settings(pictures, alone)) == 0
    assert tree(out) == tree(alone), "and no locks, nothing unfinished"
    assert len(entries(out)) == 12, "each made once"
    for name in tree(alone) - {"index.html", "manifest.jsonl"}:
        with Image.open(out / name) as one, Image.open(alone / name) as other:
            assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 1


def test_different_pictures_go_into_one_folder(pictures: Path, tmp_path: Path) -> None:
    def part(glob: str) -> Callable[[], int]:
        return lambda: convert(settings(pictures, tmp_path / "out", glob=glob))

    assert at_once(part("deep/*"), part("[0-9].png")) == [0, 0]
    names = {path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png")}
    assert {entry["output"] for entry in entries(tmp_path / "out")} == names


def test_whoever_replaces_does_not_break_what_another_replaces(
    pictures: Path, tmp_path: Path
) -> None:
    same = settings(pictures, tmp_path / "out", overwrite=True)
    assert at_once(*[lambda: convert(same)] * 3) == [0] * 3
    for path in (tmp_path / "out").rglob("*.png"):
        with Image.open(path) as image:
            image.load()


def test_what_a_killed_process_made_is_taken_over(
    pictures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    asked = settings(pictures, out)
    jobs = plan(asked.locations, asked.selection)
    claimed = FORK.Event()

    def hold() -> None:
        with claims(out, overwrite=False) as theirs:
            list(next(theirs.shared(jobs[:2])))
            claimed.set()
            signal.pause()

    other = FORK.Process(target=hold, daemon=True)
    other.start()
    claimed.wait(30)
    finish = lambda: os._exit(convert(settings(pictures, out)))  # noqa: E731
    this = FORK.Process(target=finish, daemon=True)
    this.start()
    while len(tree(out) - {"index.html", "manifest.jsonl", LOCK}) < 10:
        this.join(0.01)
        assert this.is_alive()
    assert not jobs[0].is_done
    os.kill(other.pid, signal.SIGKILL)
    this.join(60)
    assert this.exitcode == 0
    assert all(job.is_done for job in jobs)
    assert LOCK not in tree(out)


def test_what_another_finished_meanwhile_is_not_made_again(
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As if it had been decided what to do before the other one began."""
    out = tmp_path / "out"
    assert convert(settings(pictures, out)) == 0
    monkeypatch.setattr(job_module, "_unfinished", lambda jobs, locations, made_by: list(jobs))
    before = {name: (out / name).read_bytes() for name in tree(out) - {"index.html"}}
    assert convert(settings(pictures, out)) == 0
    assert "0 converted, 12 skipped (finished before), 0 failed" in capsys.readouterr().out
    assert convert(settings(pictures, out, strength=0.5)) == 1
    assert "0 converted, 0 skipped (finished before), 12 failed" in capsys.readouterr().out
    assert "written meanwhile by another process" in caplog.text
    assert {name: (out / name).read_bytes() for name in before} == before


def test_lines_of_the_manifest_stay_whole(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "manifest.jsonl").write_text('{"output": "ha')
    origin = manifest.Origin.of(tmp_path / "a.png", "x")

    def note(number: int) -> Callable[[], int]:
        entry = manifest.Entry(f"{number}" * 3000, origin, "y")
        return lambda: any(manifest.append(tmp_path, entry) for _ in range(100))

    assert at_once(*map(note, range(4))) == [0] * 4
    lines = (tmp_path / "manifest.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["output"][0] for line in lines) == sorted("0123" * 100)


def test_one_clip_is_made_once(tmp_path: Path) -> None:
    from filming import film, scene, watch

    (tmp_path / "in").mkdir()
    source = film(tmp_path / "in" / "clip.mp4", scene(60))
    same = settings(source.parent, tmp_path / "out")
    assert at_once(*[lambda: convert(same)] * 3) == [0] * 3
    assert len(watch(tmp_path / "out" / "clip.mp4").frames) == 60
    assert tree(tmp_path / "out") == {"clip.mp4", "index.html", "manifest.jsonl"}
    assert len(entries(tmp_path / "out")) == 1
    assert convert(same) == 0


def test_a_claim_is_seen_by_others_only(tmp_path: Path) -> None:
    jobs = [Job(Path("x"), tmp_path / name, Path(name)) for name in ("a", "b")]

    def free() -> int:
        with claims(tmp_path, overwrite=False) as theirs:
            return sum(1 for _ in next(theirs.shared(jobs)))

    with claims(tmp_path, overwrite=False) as ours:
        first = next(iter(next(ours.shared(jobs))))
        assert at_once(free) == [1]
        ours.release(first)
        assert at_once(free) == [2]
        assert (tmp_path / LOCK).exists(), "they have not removed ours"
    assert not (tmp_path / LOCK).exists()
