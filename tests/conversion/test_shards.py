"""Conversion by shards: disjoint, complete, the same pictures, one page and one manifest."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import smooth_image
from conversion.test_claims import FILE, FORK, at_once, entries, settings, tree
from exporting import save_run

from cyclegan import cli
from cyclegan.conversion import ConvertSettings, manifest, writer
from cyclegan.conversion import job as job_module
from cyclegan.conversion.files import Job
from cyclegan.conversion.job import convert
from cyclegan.conversion.reader import pixels_of_each
from cyclegan.conversion.shards import Shard
from cyclegan.conversion.stages import threads
from cyclegan.errors import UsageError, UserError

COUNT = 7


@pytest.fixture(autouse=True)
def no_array(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """One large and six small ones, in two folders."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for number in range(COUNT):
        name = f"deep/{number}.png" if number % 3 else f"{number}.png"
        smooth_image(number, (40, 32) if number else (64, 60)).save(tmp_path / "in" / name)
    return tmp_path / "in"


def made(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in tree(folder) if name.endswith(".png")}


def noted(folder: Path) -> dict[str, object]:
    """The entries of the one manifest, without what depends on the clock."""
    found = entries(folder)
    assert len({one["output"] for one in found}) == len(found), "each noted once"
    return {one.pop("output"): one | {"seconds": 0} for one in found}


def test_shards_are_disjoint_whole_and_balanced() -> None:
    drawn = random.Random(0)
    for count in range(1, 9):
        for jobs in (0, 1, 5, 60):
            weights = [drawn.choice([1, 3, 50, drawn.randrange(1, 999)]) for _ in range(jobs)]
            shares = [Shard(n + 1, count).share(range(jobs), weights) for n in range(count)]
            assert sorted(place for share in shares for place in share) == list(range(jobs))
            assert all(share == sorted(share) for share in shares), "in their order"
            loads = [sum(weights[place] for place in share) for share in shares]
            assert max(loads) - min(loads) <= max(weights, default=0)


def test_equal_pictures_are_dealt_in_their_order_and_a_huge_one_stands_alone() -> None:
    assert [Shard(n, 3).share("abcdefg", [5] * 7) for n in (1, 2, 3)] == [
        [*"adg"], [*"be"], [*"cf"],
    ]  # fmt: skip
    assert Shard(1, 2).share("abcde", [1, 1, 9, 1, 1]) == ["c"]
    assert Shard(2, 2).share("abcde", [1, 1, 9, 1, 1]) == [*"abde"]


def test_headers_are_weighed_clips_by_all_their_frames(pictures: Path, tmp_path: Path) -> None:
    from filming import film, scene

    clip = film(tmp_path / "clip.mp4", scene(5))
    (tmp_path / "no.png").write_bytes(b"no picture")
    sources = [pictures / "0.png", pictures / "3.png", clip, tmp_path / "no.png"]
    jobs = [Job(path, tmp_path / "x" / path.name, Path(path.name)) for path in sources]
    with threads(2) as thread:
        assert pixels_of_each(jobs, None, thread) == [64 * 60, 40 * 32, 5 * 64 * 48, 1 << 20]
        assert pixels_of_each(jobs[:2], 16, thread) == [17 * 16, 20 * 16]


@pytest.mark.parametrize("given", ["0/2", "3/2", "1/0", "-1/2", "1", "a/b", "1/2/3", "", "1/2 "])
def test_a_wrong_shard_is_one_line(given: str, tmp_path: Path) -> None:
    flags = ["--input", str(tmp_path), "--output", "out", "--weights", str(FILE)]
    with pytest.raises(UsageError, match=r"--shard .*: give i/n with i from 1 to n") as raised:
        cli.run(["convert", *flags, f"--shard={given}"])
    assert raised.value.exit_code == 2
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("array", "shard"),
    [
        ({"ID": 1, "MIN": 1, "COUNT": 8}, Shard(1, 8)),
        ({"ID": 7, "MIN": 0, "COUNT": 8, "STEP": 1}, Shard(8, 8)),
        ({"ID": 14, "MIN": 10, "COUNT": 3, "STEP": 2}, Shard(3, 3)),
        ({"ID": 12, "MIN": 10, "COUNT": 2, "STEP": 1}, "number the array in equal steps"),
        ({"ID": 11, "MIN": 10, "COUNT": 3, "STEP": 2}, "number the array in equal steps"),
        ({"ID": 1}, "SLURM_ARRAY_TASK_COUNT are not set"),
        ({}, "SLURM_ARRAY_TASK_COUNT are not set"),
    ],
)
def test_slurm_numbers_shards(
    array: dict[str, int], shard: Shard | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in array.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
    if isinstance(shard, Shard):
        assert Shard.asked("auto") == shard
    else:
        with pytest.raises(UsageError, match=shard):
            Shard.asked("auto")
    assert Shard.asked(None) is None, "only when asked"


def test_torchrun_numbers_shards_and_divides_those_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert Shard.asked(None) == Shard.asked("auto") == Shard(2, 2)
    assert Shard.asked("2/3") == Shard(4, 6)
    monkeypatch.setenv("RANK", "0")
    assert Shard.asked("1/3") == Shard(1, 6)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert Shard.asked(None) is None


def test_two_processes_make_what_one_does(pictures: Path, tmp_path: Path) -> None:
    out, alone = tmp_path / "out", tmp_path / "alone"
    assert convert(settings(pictures, alone)) == 0
    halves = [settings(pictures, out, shard=f"{n}/2") for n in (1, 2)]
    assert at_once(*[lambda half=half: convert(half) for half in halves]) == [0, 0]
    assert tree(out) == tree(alone), "one page, one manifest, and nothing else"
    assert made(out) == made(alone)
    assert noted(out) == noted(alone)
    assert (out / "index.html").read_text() == (alone / "index.html").read_text()


def test_the_last_shard_ends_the_whole(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first one is finished when the second looks: what it makes is the same all the same."""
    out = tmp_path / "out"
    assert convert(settings(pictures, out, shard="1/2")) == 0
    first = made(out)
    assert "shard 1/2: 3 converted, 0 skipped (finished before), 0 failed" in (
        told := capsys.readouterr().out
    )
    assert f"{COUNT - 3} files of the whole job are not finished yet" in told
    assert tree(out) - first.keys() == {"manifest-1-of-2.jsonl"}
    assert convert(settings(pictures, out, shard="1/2")) == 0
    assert "shard 1/2: 0 converted, 3 skipped" in capsys.readouterr().out
    assert convert(settings(pictures, out, shard="2/2")) == 0
    assert f"shard 2/2: {COUNT - 3} converted, 0 skipped" in (told := capsys.readouterr().out)
    assert f"pictures: {out / 'index.html'}" in told
    assert {name: made(out)[name] for name in first} == first
    assert tree(out) - made(out).keys() == {"index.html", "manifest.jsonl"}
    assert convert(settings(pictures, out)) == 0
    assert f"0 converted, {COUNT} skipped (finished before), 0 failed" in capsys.readouterr().out
    assert convert(settings(pictures, out, shard="2/3")) == 0
    assert "shard 2/3: 0 converted" in capsys.readouterr().out
    assert len(noted(out)) == COUNT


def test_a_plain_run_goes_on_where_shards_ended(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert convert(settings(pictures, out, shard="2/3")) == 0
    assert convert(settings(pictures, out)) == 0
    assert tree(out) - made(out).keys() == {"index.html", "manifest.jsonl"}
    assert len(noted(out)) == COUNT


def test_a_killed_shard_is_run_again_alone(pictures: Path, tmp_path: Path) -> None:
    out, alone = tmp_path / "out", tmp_path / "alone"
    assert convert(settings(pictures, alone)) == 0
    one, two = (settings(pictures, out, shard=f"{n}/2") for n in (1, 2))
    append = manifest.append

    def killed() -> int:
        def append_once(folder: Path, *noted: manifest.Entry, name: str) -> None:
            append(folder, *noted, name=name)
            if len((folder / name).read_text().splitlines()) == 2:
                os.kill(os.getpid(), signal.SIGKILL)

        manifest.append = append_once
        return convert(two)

    assert at_once(killed, lambda: convert(one)) == [-signal.SIGKILL, 0]
    assert "index.html" not in tree(out)
    assert at_once(lambda: convert(two)) == [0]
    assert tree(out) == tree(alone)
    assert made(out) == made(alone)


def test_more_shards_than_pictures(pictures: Path, tmp_path: Path) -> None:
    only = {"glob": "0.png"}
    assert convert(settings(pictures, tmp_path / "out", shard="2/2", **only)) == 0
    assert convert(settings(pictures, tmp_path / "out", shard="1/2", **only)) == 0
    assert tree(tmp_path / "out") == {"0.png", "index.html", "manifest.jsonl"}


def test_what_would_be_converted_is_the_shards(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(settings(pictures, tmp_path / "out", shard="1/2", dry_run=True)) == 0
    assert "3 would be converted" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_processes_of_torchrun_are_shards(pictures: Path, tmp_path: Path) -> None:
    """A picture that can't be read ends neither the other process nor this one's other pictures.

    They share a clip, too.
    """
    from filming import film, scene

    film(pictures / "clip.mp4", scene(96, (128, 96)))  # more than damaged.png counts for
    out, alone = tmp_path / "out", tmp_path / "alone"
    assert convert(settings(pictures, alone)) == 0
    (pictures / "damaged.png").write_bytes(b"no picture")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node", "2", "-m", "cyclegan", "convert", "--weights", str(FILE)]
    command += ["--input", str(pictures), "--output", str(out), "--precision", "fp32"]
    done = subprocess.run(
        [*command, "--compile", "off"], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 1
    assert "SIGTERM" not in done.stderr, done.stderr
    assert all(f"shard {n}/2: " in done.stdout for n in (1, 2))
    assert "damaged.png" in done.stderr
    assert done.stderr.count("clip.mp4: 48/48 frames") == 2
    assert tree(out) == tree(alone)
    assert made(out) == made(alone)
    assert (out / "clip.mp4").read_bytes() == (alone / "clip.mp4").read_bytes()


def test_of_torchruns_processes_the_last_tells_what_failed(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchrun would end the others."""
    (pictures / "damaged.png").write_bytes(b"no picture")  # weighs most: the first shard's
    monkeypatch.setenv("WORLD_SIZE", "2")
    codes = []
    for rank in "0", "1":
        monkeypatch.setenv("RANK", rank)
        codes.append(convert(settings(pictures, tmp_path / "out")))
    assert codes == [0, 1]
    assert "index.html" in tree(tmp_path / "out"), "what failed is no reason to wait"


def merge(folder: Path) -> int:
    return cli.run(["convert", "--merge", "--output", str(folder)])


def test_merging_needs_no_model_and_may_be_repeated(
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert convert(settings(pictures, out, shard="1/3")) == 0
    assert convert(settings(pictures, out, shard="3/3")) == 0
    before = made(out)
    monkeypatch.setattr(job_module, "load_generator", None)
    assert merge(out) == 0
    assert f"2 shards joined: {len(before)} converted, 0 failed" in capsys.readouterr().out
    assert noted(out).keys() == before.keys()
    assert tree(out) - before.keys() == {"index.html", "manifest.jsonl"}
    assert all(name in (out / "index.html").read_text() for name in before)
    kept = {name: (out / name).read_bytes() for name in tree(out)}
    assert merge(out) == 0
    assert {name: (out / name).read_bytes() for name in tree(out)} == kept
    monkeypatch.undo()
    assert convert(settings(pictures, out, shard="2/3")) == 0
    assert len(noted(out)) == COUNT


def test_both_directions_have_shards_each(pictures: Path, tmp_path: Path) -> None:
    save_run(tmp_path / "runs" / "small", {"ngf": 2, "n_blocks": 1}, {})
    out = tmp_path / "out"
    run = {"name": "small", "checkpoints_dir": tmp_path / "runs", "direction": "both"}
    asked = settings(pictures, out, weights=None, **run)
    assert convert(replace(asked, shard="2/2")) == 0
    assert len(made(out)) == 2 * (COUNT - 3)
    assert convert(replace(asked, merge=True)) == 0
    for way in "AtoB", "BtoA":
        assert tree(out / way) - made(out / way).keys() == {"index.html", "manifest.jsonl"}
        assert "Converted with small" in (out / way / "index.html").read_text()
    assert convert(replace(asked, shard="1/2")) == 0
    assert len(made(out)) == 2 * COUNT
    assert tree(out / "BtoA") - made(out / "BtoA").keys() == {"index.html", "manifest.jsonl"}


def test_clips_are_shared_too(pictures: Path, tmp_path: Path) -> None:
    from filming import film, scene

    film(pictures / "long.mp4", scene(48))  # as many frames as are made in one go
    film(pictures / "short.mp4", scene(3))
    out = tmp_path / "out"
    assert convert(settings(pictures, out, shard="1/2")) == 0
    assert tree(out) == {"long.mp4", "manifest-1-of-2.jsonl"}, "as much as all others together"
    assert convert(settings(pictures, out, shard="2/2")) == 0
    assert len(noted(out)) == COUNT + 2


def test_a_merge_that_is_killed_loses_nothing(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert convert(settings(pictures, out, shard="1/2")) == 0
    (out / "manifest.jsonl").write_text("")
    kept = (out / "manifest-1-of-2.jsonl").read_text()

    def killed() -> int:
        writer.write_page = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        return merge(out)

    assert at_once(killed) == [-signal.SIGKILL]
    assert tree(out) - made(out).keys() >= {"manifest.jsonl", "manifest-1-of-2.jsonl"}
    assert merge(out) == 0
    assert (out / "manifest.jsonl").read_text() == kept, "nothing lost, nothing twice"
    assert tree(out) - made(out).keys() == {"index.html", "manifest.jsonl"}


def test_what_is_noted_while_manifests_are_joined_is_kept(tmp_path: Path) -> None:
    """The writer has opened the shard's manifest, which is gone when its turn comes."""
    (tmp_path / "in.png").touch()
    origin = manifest.Origin.of(tmp_path / "in.png", "x")
    name = manifest.name_of(Shard(1, 2))
    note: Callable[[str], None] = lambda output: manifest.append(  # noqa: E731
        tmp_path, manifest.Entry(output, origin, "y"), name=name
    )
    note("first")
    joining, waits, lock = FORK.Event(), FORK.Event(), manifest.lock

    def write() -> None:
        def lock_and_tell(*args: object, **more: object) -> bool:
            waits.set()
            return lock(*args, **more)

        manifest.lock = lock_and_tell
        joining.wait(30)
        note("second")

    other = FORK.Process(target=write, daemon=True)  # now: a later one would have our locks, too
    other.start()
    with manifest.joined(tmp_path) as count:
        assert count == 1
        joining.set()
        assert waits.wait(30)
    other.join(30)
    assert other.exitcode == 0
    assert [path.name for path in manifest.paths(tmp_path)] == [name, manifest.NAME]
    assert manifest.read(tmp_path).keys() == {"first", "second"}


def test_the_manifest_that_changed_last_counts(tmp_path: Path) -> None:
    (tmp_path / "in.png").touch()
    for number, name in enumerate(["manifest.jsonl", "manifest-1-of-9.jsonl"]):
        for turn in 0, 1:
            origin = manifest.Origin.of(tmp_path / "in.png", f"{name} {turn}")
            manifest.append(tmp_path, manifest.Entry("in.png", origin, "y"), name=name)
        os.utime(tmp_path / name, ns=(0, number))
    assert manifest.read(tmp_path)["in.png"].origin.made_by == "manifest-1-of-9.jsonl 1"
    with (tmp_path / "manifest-1-of-9.jsonl").open("a") as file:
        file.write('{"half')
    os.utime(tmp_path / "manifest.jsonl", ns=(0, 1 << 62))
    assert manifest.read(tmp_path)["in.png"].origin.made_by == "manifest.jsonl 1"
    with manifest.joined(tmp_path):
        pass
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [line["made_by"] for line in lines] == [
        *("manifest-1-of-9.jsonl 0", "manifest-1-of-9.jsonl 1"),
        *("manifest.jsonl 0", "manifest.jsonl 1"),
    ]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"shard": "1/2"}, "--merge joins all shards: leave out --shard"),
        ({"output": None}, "missing --output"),
        ({"output": Path("s3://bucket/out")}, "--merge is for local folders"),
        ({}, "no manifest of a conversion there: nothing to merge"),
    ],
)
def test_what_cannot_be_merged_is_one_line(
    more: dict[str, object], words: str, tmp_path: Path
) -> None:
    asked = ConvertSettings(**{"merge": True, "output": tmp_path / "no", **more})
    with pytest.raises(UserError, match=words):
        asked.check()
        convert(asked)
    assert not (tmp_path / "no").exists()


def test_half_of_a_last_line_is_cut_off_and_a_whole_one_ended(tmp_path: Path) -> None:
    """A kill or a full disk leaves half of one; an editor may leave out the last line's end."""
    origin = manifest.Origin("in.png", 1, 1, "model")
    whole, half = (manifest.Entry(f"{name}.png", origin, "y") for name in ("whole", "half"))
    path = tmp_path / manifest.NAME
    manifest.append(tmp_path, whole, half)
    lines = path.read_bytes().splitlines()
    for last, left in ((lines[1][:50], 1), (lines[1], 2), (b"", 1)):
        path.write_bytes(lines[0] + b"\n" + last)
        manifest.append(tmp_path, manifest.Entry("new.png", origin, "y"))
        outputs = [json.loads(line)["output"] for line in path.read_text().splitlines()]
        assert outputs == [*["whole.png", "half.png"][:left], "new.png"]
