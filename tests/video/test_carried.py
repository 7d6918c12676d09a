"""What a video file carries beside its pictures is in the converted one too."""

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from conftest import GOLDEN, smooth_image
from filming import film, scene

from cyclegan import cli
from cyclegan.video.clip import frame_times, frames, open_clip
from cyclegan.video.colours import Mastering

FILE = str(GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth")
SIZE = (64, 48)


def converted(source: Path, ending: str) -> Path:
    target = source.with_name(f"made{ending}")
    flags = ["--strength", "0", "--precision", "fp32", "--overwrite"]
    where = ["--input", str(source), "--output", str(target)]
    assert cli.run(["convert", "--weights", FILE, *where, *flags]) == 0
    return target


def described(path: Path) -> list[tuple[object, ...]]:
    """Fields of every stream that are true of the converted file as well."""
    with av.open(str(path)) as container:
        return [
            (
                stream.type,
                stream.language,
                stream.metadata.get("title"),
                stream.disposition,
                *(_of_pictures(stream) if stream.type == "video" else ()),
            )
            for stream in container.streams
        ]


def _of_pictures(stream: av.VideoStream) -> tuple[object, ...]:
    context = stream.codec_context
    rates = (stream.average_rate, stream.base_rate) if stream.codec_context.name != "mjpeg" else ()
    colours = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
    return (context.width, context.height, stream.sample_aspect_ratio, *rates, *colours)


def tagged(path: Path, rate: Fraction = Fraction(12), codec: str = "libx264") -> Path:
    """A film of two sound tracks, with everything said of it that can be."""
    with av.open(str(path), "w") as made:
        stream = made.add_stream(codec, rate=rate, options={"bf": "0"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = 1 / rate
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = 1
        context.color_range, context.sample_aspect_ratio, context.field_order = 1, Fraction(4, 3), 1
        stream.metadata.update({"language": "fra", "title": "Pictures"})
        stream.disposition = av.stream.Disposition.default
        tones = []
        for language in ("eng", "deu"):
            tone = made.add_stream("aac" if codec == "libx264" else "libopus", rate=48000)
            tone.metadata.update({"language": language, "title": f"In {language}"})
            tones.append(tone)
        tones[1].disposition = av.stream.Disposition.default | av.stream.Disposition.comment
        for number, picture in enumerate(scene(12, SIZE)):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts, frame.time_base = number, 1 / rate
            made.mux(stream.encode(frame))
        made.mux(stream.encode())
        for tone in tones:
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), "fltp", "mono")
            if codec != "libx264":
                quiet = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.int16), "s16", "mono")
            quiet.sample_rate, quiet.pts, quiet.time_base = 48000, 0, Fraction(1, 48000)
            made.mux(tone.encode(quiet))
            made.mux(tone.encode())
    return path


@pytest.mark.parametrize("rate", [Fraction(12), Fraction(24000, 1001)])
@pytest.mark.parametrize(
    ("ending", "codec"), [(".mkv", "libx264"), (".mov", "libx264"), (".webm", "libvpx-vp9")]
)
def test_rate_shape_colours_and_every_tracks_tags_stay(
    ending: str, codec: str, rate: Fraction, tmp_path: Path
) -> None:
    source = tagged(tmp_path / f"clip{ending}", rate, codec)
    made = converted(source, ending)
    assert described(made) == described(source)
    assert cv2.VideoCapture(str(made)).get(cv2.CAP_PROP_FPS) == pytest.approx(float(rate))


def test_a_broadcast_keeps_rate_and_length(tmp_path: Path) -> None:
    source = tmp_path / "cam.mts"
    with av.open(str(source), "w", format="mpegts", options={"muxdelay": "1"}) as made:
        stream = made.add_stream("mpeg2video", rate=25)
        stream.width, stream.height = SIZE
        for picture in scene(25, SIZE):
            made.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        made.mux(stream.encode())
    for ending in (".mkv", ".mp4"):
        with av.open(str(converted(source, ending))) as one:
            assert one.streams.video[0].average_rate == 25
            assert one.duration == pytest.approx(1_000_000, abs=2000)


def with_cover(path: Path) -> Path:
    """A film with the picture of an album, as the kind of file holds it."""
    picture = io.BytesIO()
    smooth_image(3).save(picture, "JPEG")
    plain = film(path.with_name("plain.mp4"), scene(4))
    with av.open(str(plain)) as source, av.open(str(path), "w") as made:
        copies = {one: made.add_stream_from_template(one) for one in source.streams}
        if path.suffix == ".mkv":
            made.add_attachment("front.jpg", "image/jpeg", picture.getvalue())
            made.add_attachment("letters.ttf", "font/ttf", b"letters")
        else:
            still = made.add_mux_stream("mjpeg", width=40, height=36)
            still.disposition = av.stream.Disposition.attached_pic
            packet = av.Packet(picture.getvalue())
            packet.stream, packet.pts, packet.dts = still, 0, 0
            packet.time_base = Fraction(1, 25)
            made.mux(packet)
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream]
                made.mux(packet)
    return path


def attached(path: Path) -> set[bytes]:
    """Covers and attachments."""
    with av.open(str(path)) as container:
        files = {one.data for one in container.streams if one.type == "attachment"}
        covers = [one for one in container.streams.video if one.codec_context.name == "mjpeg"]
        return files | {bytes(next(container.demux(one))) for one in covers}


@pytest.mark.parametrize(("ending", "to"), [(".mkv", ".mkv"), (".mp4", ".mp4"), (".mp4", ".mkv")])
def test_covers_and_attachments_stay(ending: str, to: str, tmp_path: Path) -> None:
    source = with_cover(tmp_path / f"clip{ending}")
    assert attached(converted(source, to)) == attached(source) != set()


def test_what_the_output_cannot_hold_is_told(tmp_path: Path, caplog) -> None:
    source = with_cover(tmp_path / "clip.mkv")
    made = converted(source, ".mp4")
    assert "clip.mkv: its attachments (letters.ttf) are dropped, a .mp4 file" in caplog.text
    assert len(attached(made)) == 1  # the cover


def test_a_further_video_is_copied_whole(tmp_path: Path, caplog) -> None:
    source = tmp_path / "two.mkv"
    one = film(tmp_path / "one.mkv", scene(20), bframes=2, sound=None)
    with av.open(str(one)) as first, av.open(str(one)) as second, av.open(str(source), "w") as made:
        for container in (first, second):
            made.add_stream_from_template(container.streams.video[0])
        for stream, container in zip(made.streams, (first, second), strict=True):
            for packet in container.demux():
                if packet.size:
                    packet.stream = stream
                    made.mux(packet)
    with av.open(str(converted(source, ".mkv"))) as made:
        assert len(list(made.decode(made.streams.video[1]))) == 20
    assert "only the first of its video streams is converted" in caplog.text


HDR = "mastering-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm"])
def test_light_of_high_dynamic_range_stays(ending: str, tmp_path: Path) -> None:
    source = tmp_path / "hdr.mkv"
    with av.open(str(source), "w") as made:
        options = {"x264-params": f"{HDR}:cll=1000,400"}
        stream = made.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p10le"
        for picture in scene(3, SIZE):
            made.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        made.mux(stream.encode())

    def told(path: Path) -> Mastering | None:
        with av.open(str(path)) as container:
            return Mastering.of(next(container.decode(video=0)))

    found = told(converted(source, ending))
    assert found == told(source)
    assert found is not None
    assert found.points[0] == (Fraction(17, 25), Fraction(8, 25))
    assert found.luminance == (Fraction(1, 200), 1000)
    assert found.content == (1000, 400)


Write = Callable[[Path], Path]


def transparent(codec: str, pixels: str) -> Write:
    def write(path: Path) -> Path:
        with av.open(str(path), "w") as made:
            options = {"crf": "4", "b": "0", "auto-alt-ref": "0"} if "vpx" in codec else {}
            stream = made.add_stream(codec, rate=25, options=options)
            stream.width, stream.height = SIZE
            stream.pix_fmt = pixels
            ramp = np.broadcast_to(np.arange(64, dtype=np.uint8) * 4, (48, 64))
            for picture in scene(4, SIZE):
                frame = av.VideoFrame.from_ndarray(np.dstack([picture, ramp]), format="rgba")
                made.mux(stream.encode(frame.reformat(format=pixels)))
            made.mux(stream.encode())
        return path

    return write


@pytest.mark.parametrize("to", [".webm", ".mkv", ".mov"])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("clip.webm", transparent("libvpx-vp9", "yuva420p")),
        ("clip.mov", transparent("prores_ks", "yuva444p10le")),
        ("clip2.mov", transparent("qtrle", "argb")),
    ],
)
def test_transparency_stays(name: str, write: Write, to: str, tmp_path: Path) -> None:
    source = write(tmp_path / name)
    before, after = (next(frames(open_clip(path))) for path in (source, converted(source, to)))
    assert before.alpha is not None
    assert after.alpha is not None
    shares = [
        one.alpha / (65535 if one.alpha.dtype == np.uint16 else 255) for one in (before, after)
    ]
    assert np.abs(shares[0] - np.arange(64) * 4 / 255).max() < 0.03
    assert np.abs(shares[0] - shares[1]).mean() < 0.02


def test_transparency_that_the_output_cannot_hold_is_told(tmp_path: Path, caplog) -> None:
    source = transparent("libvpx-vp9", "yuva420p")(tmp_path / "clip.webm")
    converted(source, ".mp4")
    assert "clip.webm: its alpha channel is dropped, a .mp4 file can't hold it" in caplog.text


def test_fields_become_whole_frames(tmp_path: Path, caplog, capfd) -> None:
    """Every second line is of another moment; afterwards neighbours are alike again."""
    moments = scene(40, SIZE)
    woven = [one.copy() for one in moments[::4]]
    for picture, later in zip(woven, moments[2::4], strict=True):
        picture[1::2] = np.roll(later, 6, axis=1)[1::2]
    source = tmp_path / "cam.mkv"
    with av.open(str(source), "w") as made:
        options = {"x264-params": "tff=1", "crf": "4"}
        stream = made.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height = SIZE
        for picture in woven:
            made.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        made.mux(stream.encode())
    clip = open_clip(source)
    assert clip.interlaced
    assert frame_times(source) == [], "a frame is made of its neighbours, too: not for shards"
    whole = list(frames(clip))
    assert len(whole) == 10
    assert torn(whole[5].pixels) < 0.5 * torn(woven[5])
    for start in (0, 4, 8):  # going on after any of them gives the same
        rest = list(frames(clip, whole[start].time))
        assert [one.time for one in rest] == [one.time for one in whole[start + 1 :]]
        assert all(
            np.array_equal(a.pixels, b.pixels)
            for a, b in zip(rest, whole[start + 1 :], strict=True)
        )
    converted(source, ".mp4")
    assert "cam.mkv: interlaced, deinterlacing it" in caplog.text
    assert "@ 0x" not in "".join(capfd.readouterr())  # as the library's own lines begin


def torn(picture: np.ndarray) -> float:
    """How much more lines differ from their neighbours than from those after them."""
    lines = picture.astype(float)
    return float(np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) / 2).mean())
