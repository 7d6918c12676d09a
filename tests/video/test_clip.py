"""Videos as frames: times, depth, what is upright, going on in the middle, damage."""

from pathlib import Path

import numpy as np
import pytest
from filming import film, scene, watch

from cyclegan.errors import UserError
from cyclegan.video.clip import DamagedClipError, frames, open_clip

UNEVEN = [0, 512, 1700, 2048, 2560, 4000, 4001, 5000, 6000, 9000]


def test_frames_have_the_files_times_and_pixels(tmp_path: Path) -> None:
    path = film(tmp_path / "uneven.mp4", scene(10), times=UNEVEN)
    clip = open_clip(path)
    assert (clip.size, clip.frames, clip.colours.deep) == ((64, 48), 10, False)
    found, seen = list(frames(clip)), watch(path)
    assert [frame.time * clip.time_base for frame in found] == seen.times
    for frame, picture in zip(found, seen.frames, strict=True):
        assert np.abs(frame.pixels.astype(int) - picture).mean() < 0.1


@pytest.mark.parametrize(("rotation", "turns"), [(90, 1), (-90, 3), (180, 2)])
def test_frames_are_upright(rotation: int, turns: int, tmp_path: Path) -> None:
    path = film(tmp_path / "turned.mp4", scene(3), rotation=rotation)
    clip = open_clip(path)
    assert clip.size == ((64, 48) if rotation == 180 else (48, 64))
    lying = watch(path).frames[0]
    # Counter-clockwise, as the file's matrix counts.
    assert np.abs(next(frames(clip)).pixels.astype(int) - np.rot90(lying, turns)).mean() < 0.1


def test_more_than_8_bits_stay(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(0, 64, dtype=np.uint16)[None, :, None] * 64, (48, 64, 3))
    path = film(
        tmp_path / "deep.mp4", [np.ascontiguousarray(ramp)] * 3, pixels="yuv420p10le", quality=0
    )
    clip = open_clip(path)
    pixels = next(frames(clip)).pixels
    assert clip.colours.deep
    assert pixels.dtype == np.uint16
    assert len(np.unique(pixels[:, :, 1])) > 32  # of 16 that 8 bits would leave


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("bframes.mp4", {"bframes": 3}),
        ("uneven.mkv", {"times": UNEVEN + [9000 + 700 * n for n in range(1, 51)]}),
        ("old.avi", {"codec": "mpeg4", "sound": None}),
        ("raw.ts", {"sound": None}),
    ],
)
def test_it_goes_on_after_any_frame(name: str, how: dict[str, object], tmp_path: Path) -> None:
    clip = open_clip(film(tmp_path / name, scene(60), **how))
    whole = list(frames(clip))
    assert len(whole) == 60
    for start in (0, 1, 17, 40, 58, 59):
        rest = list(frames(clip, whole[start].time))
        assert [frame.time for frame in rest] == [frame.time for frame in whole[start + 1 :]]
        for one, other in zip(rest, whole[start + 1 :], strict=True):
            assert np.array_equal(one.pixels, other.pixels)


def test_a_file_that_ends_in_the_middle_gives_what_there_is(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mkv", scene(100))
    content = whole.read_bytes()
    path = tmp_path / "part.mkv"
    path.write_bytes(content[: len(content) // 2])
    found = []
    with pytest.raises(DamagedClipError, match=r"part\.mkv: ends after \d\.\d of 4\.\d seconds"):
        found.extend(frames(open_clip(path)))
    assert 10 < len(found) < 90


def test_damage_in_the_middle_is_said_after_the_last_frame(tmp_path: Path) -> None:
    path = film(tmp_path / "hurt.mp4", scene(100, (128, 96)), sound=None)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(content)
    found = []
    with pytest.raises(DamagedClipError, match=r"hurt\.mp4: parts of it can't be decoded"):
        found.extend(frames(open_clip(path)))
    assert 40 < len(found) <= 100


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.mp4", b"not a video at all", "text.mp4: can't be read as a video"),
        ("empty.mkv", b"", "empty.mkv: can't be read as a video"),
    ],
)
def test_no_videos(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        open_clip(tmp_path / name)
    assert len(str(caught.value).splitlines()) == 1


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    import av
    from filming import _play

    with av.open(str(tmp_path / "song.mp4"), "w") as made:
        _play(made, made.add_stream("aac", rate=48000), 0.2)
    with pytest.raises(UserError, match=r"song\.mp4: has no video stream"):
        open_clip(tmp_path / "song.mp4")
