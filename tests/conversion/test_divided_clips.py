"""Shards that share one clip by its segments: the same file, whoever makes which and when."""

import gc
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import pytest
from conftest import smooth_image
from conversion.test_claims import FORK, at_once, tree
from conversion.test_claims import settings as asked
from exporting import save_run
from filming import film, scene, watch

from cyclegan import cli
from cyclegan.conversion import ConvertSettings
from cyclegan.conversion.files import Job
from cyclegan.conversion.job import convert
from cyclegan.conversion.reader import shared_out
from cyclegan.conversion.shards import Shard
from cyclegan.errors import UserError
from cyclegan.video.clip import frame_times
from cyclegan.video.segments import Segments

COUNT = 98  # frames: three segments, of which the first of two shards makes one
ENDS = ["000000048.nut", "000000096.nut", "000000098.nut"]
SIZE = (128, 48)  # x264 itself varies where films are narrower


@dataclass(frozen=True)
class Clips:
    """A clip with sound in a folder of its own, and what one process makes of it."""

    folder: Path
    model: Path
    whole: bytes

    def settings(self, out: Path, shard: str | None = None, **more: object) -> ConvertSettings:
        return asked(self.folder, out, weights=self.model, shard=shard, **more)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    root = tmp_path_factory.mktemp("divided")
    (root / "in").mkdir()
    film(root / "in" / "clip.mp4", scene(COUNT, SIZE))
    model = save_run(root / "run", {"ngf": 2, "n_blocks": 1}, {})
    assert convert(asked(root / "in", root / "whole", weights=model)) == 0
    return Clips(root / "in", model, (root / "whole" / "clip.mp4").read_bytes())


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the segments that this process finishes."""
    names: list[str] = []
    keep = Segments._keep

    def keep_and_tell(self: Segments, made: Path, path: Path, memory: object) -> None:
        keep(self, made, path, memory)
        names.append(path.name)

    monkeypatch.setattr(Segments, "_keep", keep_and_tell)
    return names


def parts(out: Path) -> list[Path]:
    return sorted(out.glob(".clip.mp4.*.parts/*"))


def forked(*work: Callable[[], int]) -> list[int]:
    """The exit codes of processes that begin together.

    They must not end decoders that lie about here: the threads of these stay in this process.
    """
    gc.collect()
    return at_once(*work)


def harm(segment: Path) -> None:
    segment.write_bytes(segment.read_bytes()[: segment.stat().st_size // 2])


FINISHED = {"clip.mp4", "index.html", "manifest.jsonl"}
OWN = {"1/2": ENDS[:1], "2/2": ENDS[1:]}


@pytest.mark.parametrize("order", [("1/2", "2/2"), ("2/2", "1/2")])
def test_two_shards_make_the_file_that_one_process_makes(
    order: tuple[str, str], clips: Clips, tmp_path: Path, written: list[str], capsys
) -> None:
    first, last = order
    out = tmp_path / "out"
    assert convert(clips.settings(out, first)) == 0
    assert [path.name for path in parts(out)] == written == OWN[first]
    frames = {"1/2": "frames 1 to 48 of 98", "2/2": "frames 49 to 98 of 98"}[first]
    assert f"clip.mp4: {frames} are made; the last shard joins all" in (
        told := capsys.readouterr().out
    )
    assert "1 files of the whole job are not finished yet" in told
    assert not (out / "clip.mp4").exists()
    assert convert(clips.settings(out, last)) == 0
    assert written == OWN[first] + OWN[last], "disjoint, and together all"
    assert tree(out) == FINISHED
    assert (out / "clip.mp4").read_bytes() == clips.whole
    source = watch(clips.folder / "clip.mp4")
    assert watch(out / "clip.mp4").sound == source.sound != []
    for shard in order:
        assert convert(clips.settings(out, shard)) == 0
        assert "0 converted, 1 skipped" in capsys.readouterr().out
    assert len(written) == len(ENDS)


def test_at_once_with_pictures_beside_and_one_shard_twice(clips: Clips, tmp_path: Path) -> None:
    """Neither shard has finished a segment before the other one has made one, too."""
    source, out, alone = tmp_path / "in", tmp_path / "out", tmp_path / "alone"
    shutil.copytree(clips.folder, source)
    for number in range(3):
        smooth_image(number).save(source / f"{number}.png")
    both = [asked(source, out, weights=clips.model, shard=f"{n}/2") for n in (1, 2, 2)]
    meeting = FORK.Barrier(2)

    def run(one: ConvertSettings) -> int:
        keep = Segments._keep

        def keep_together(*args: object) -> None:
            Segments._keep = keep
            meeting.wait(60)
            keep(*args)

        Segments._keep = keep_together
        return convert(one)

    assert forked(*[lambda one=one: run(one) for one in both]) == [0] * 3
    assert convert(asked(source, alone, weights=clips.model)) == 0
    assert tree(out) == tree(alone) == FINISHED | {f"{number}.png" for number in range(3)}
    for name in tree(alone) - {"manifest.jsonl"}:
        assert (out / name).read_bytes() == (alone / name).read_bytes()
    lines = (out / "manifest.jsonl").read_text().splitlines()
    assert len(lines) == 4, "each noted once"


def test_a_killed_shard_is_run_again_alone(
    clips: Clips, tmp_path: Path, written: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    first, second = (clips.settings(out, f"{n}/2") for n in (1, 2))

    def killed() -> int:
        keep = Segments._keep

        def keep_once(*args: object) -> None:
            keep(*args)
            os.kill(os.getpid(), signal.SIGKILL)

        Segments._keep = keep_once
        return convert(second)

    assert forked(killed) == [-signal.SIGKILL]
    assert [path.name for path in parts(out)] == ENDS[1:2]
    assert convert(second) == 0
    assert written == ENDS[2:], "what it lacks, and nothing else"
    harm(parts(out)[0])
    assert convert(second) == 0
    assert written == [*ENDS[2:], ENDS[1]], "what is behind a damaged one stays"
    assert "clip.mp4: redoing damaged segments of an earlier run" in caplog.text
    harm(parts(out)[1])
    assert convert(first) == 0
    assert not (out / "clip.mp4").exists(), "a damaged one is joined by nobody"
    assert convert(second) == 0
    assert written == [*ENDS[2:], ENDS[1], ENDS[0], ENDS[2]]
    assert tree(out) == FINISHED
    assert (out / "clip.mp4").read_bytes() == clips.whole


@pytest.mark.parametrize("later", [None, "1/3"])
def test_others_go_on_with_what_a_shard_left(
    later: str | None, clips: Clips, tmp_path: Path, written: list[str]
) -> None:
    """A plain run, or as many shards as there were not before."""
    out = tmp_path / "out"
    assert convert(clips.settings(out, "2/2")) == 0
    assert convert(clips.settings(out, later)) == 0
    assert written == [*ENDS[1:], ENDS[0]]
    assert tree(out) == FINISHED
    assert (out / "clip.mp4").read_bytes() == clips.whole


def test_merging_says_what_is_missing(clips: Clips, tmp_path: Path, capsys) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(clips.folder, source)
    smooth_image(0).save(source / "0.png")
    glob = {"glob": "*.mp4", "weights": clips.model}
    assert convert(asked(source, out, shard="1/2", **glob)) == 0
    merge = ["convert", "--merge", "--output", str(out)]
    with pytest.raises(UserError, match=r"only a part of a video \(.*\) there: nothing to merge"):
        cli.run(merge)
    assert convert(asked(source, out, shard="2/2", weights=clips.model, glob="*.png")) == 0
    assert convert(asked(source, out, shard="1/2", weights=clips.model, glob="*.png")) == 0
    capsys.readouterr()
    assert cli.run(merge) == 0
    told = capsys.readouterr().out
    assert ".parts: segments of a video whose other parts are missing: rerun the shards" in told
    assert convert(asked(source, out, shard="2/2", **glob)) == 0
    assert cli.run(merge) == 0
    assert (out / "clip.mp4").read_bytes() == clips.whole
    assert ".parts" not in capsys.readouterr().out


@pytest.fixture(scope="module", params=["1/2", "2/2"])
def harmed(clips: Clips, request, tmp_path_factory) -> tuple[Clips, str]:
    """The clip with packets overwritten in the middle of what a shard makes; and that shard."""
    root = tmp_path_factory.mktemp("harmed")
    (root / "in").mkdir()
    source = shutil.copy(clips.folder / "clip.mp4", root / "in" / "clip.mp4")
    with av.open(str(source)) as container:
        packets = [one for one in container.demux(video=0) if one.pts is not None]
    content = bytearray(source.read_bytes())
    first = {"1/2": 20, "2/2": 70}[request.param]
    for packet in packets[first : first + 5]:
        content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    source.write_bytes(content)
    assert convert(asked(root / "in", root / "whole", weights=clips.model)) == 1
    made = (root / "whole" / "clip.mp4").read_bytes()
    return Clips(root / "in", clips.model, made), request.param


def test_a_clip_that_cannot_be_decoded_ends_as_in_one_process(
    harmed: tuple[Clips, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its packets look sound, so that it is divided; who meets the damage makes the whole."""
    clips, shard = harmed
    out, other = tmp_path / "out", {"1/2": "2/2", "2/2": "1/2"}[shard]
    assert len(frame_times(clips.folder / "clip.mp4")) == COUNT
    assert convert(clips.settings(out, other)) == 0
    assert [path.name for path in parts(out)] == OWN[other]
    assert convert(clips.settings(out, shard)) == 1
    (line,) = [one for one in caplog.messages if "what could be decoded is in" in one]
    assert "clip.mp4: parts of it can't be decoded (" in line
    assert "converting the whole video here" in caplog.text
    assert tree(out) == FINISHED
    assert (out / "clip.mp4").read_bytes() == clips.whole


def test_damage_waits_for_those_who_are_at_other_parts(
    harmed: tuple[Clips, str], tmp_path: Path
) -> None:
    clips, shard = harmed
    both = [clips.settings(tmp_path / "out", f"{n}/2") for n in (1, 2)]
    codes = forked(*[lambda one=one: convert(one) for one in both])
    assert dict(zip(["1/2", "2/2"], codes, strict=True))[shard] == 1
    assert (tmp_path / "out" / "clip.mp4").read_bytes() == clips.whole
    assert not parts(tmp_path / "out")


def jobs_of(*sources: Path) -> list[Job]:
    return [Job(path, Path("out") / path.name, Path(path.name)) for path in sources]


def test_only_what_is_more_than_a_fair_share_is_divided(tmp_path: Path) -> None:
    long = film(tmp_path / "long.mp4", scene(400, (32, 24)), sound=None)
    short = film(tmp_path / "short.mp4", scene(60, (32, 24)), sound=None)
    smooth_image(0, (64, 60)).save(tmp_path / "0.png")
    jobs = jobs_of(long, tmp_path / "0.png", short)
    for count in (1, 2, 3, 4, 20):
        shares = [shared_out(jobs, Shard(n, count), None, divide=True) for n in range(1, count + 1)]
        mine = [job.part for share in shares for job in share if job.source == long]
        if count == 1:
            assert mine == [None]
            continue
        frames = [frame for part in mine for frame in range(part.first, part.end)]
        assert frames == list(range(400)), "disjoint, in order and complete"
        assert all(part.first % 48 == 0 for part in mine)
        others = [job for share in shares for job in share if job.source != long and not job.part]
        if count < 20:
            assert {job.source for job in others} == {short, tmp_path / "0.png"}
            loads = [sum(_weight(job) for job in share) for share in shares]
            assert max(loads) - min(loads) <= 60 * 32 * 24, "balanced, up to a clip's weight"
    undivided = [shared_out(jobs, Shard(n, 2), None, divide=False) for n in (1, 2)]
    assert [job for share in undivided for job in share if job.part] == []


def _weight(job: Job) -> int:
    if job.part is not None:
        return (job.part.end - job.part.first) * 32 * 24
    return 60 * 32 * 24 if job.source.name == "short.mp4" else 64 * 60


@pytest.fixture
def cut(clips: Clips, tmp_path: Path) -> Path:
    (tmp_path / "cut").mkdir()
    content = film(tmp_path / "whole.mkv", scene(COUNT)).read_bytes()
    (tmp_path / "cut" / "clip.mkv").write_bytes(content[: len(content) // 2])
    return tmp_path / "cut"


def test_what_cannot_be_divided_goes_to_one_shard(
    cut: Path, clips: Clips, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steadied clips, those cut short, and where shards do not see each other's files."""

    def planned(source: Path, out: Path | str, **more: object) -> list[str]:
        for shard in ("1/2", "2/2"):
            given = {"weights": clips.model, "dry_run": True, "shard": shard} | more
            assert convert(asked(source, Path(out), **given)) == 0
        return [line for line in capsys.readouterr().out.splitlines() if "->" in line]

    divided = planned(clips.folder, tmp_path / "out")
    assert [line.partition(" (")[2] for line in divided] == [
        "frames 1 to 48 of 98)", "frames 49 to 98 of 98)",
    ]  # fmt: skip
    whole: list[Callable[[], list[str]]] = [
        lambda: planned(clips.folder, tmp_path / "out", temporal=True),
        lambda: planned(cut, tmp_path / "out"),
        lambda: planned(clips.folder, "memory://made"),
    ]
    for plan in whole:
        (line,) = plan()
        assert "frames" not in line
