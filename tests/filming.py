"""Small real video files, and what is in them."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
BASE = Fraction(1, 12800)
_CAREFUL = 0x200 | 0x2000 | 0x4000 | 0x40000  # Lanczos, full chroma, accurate rounding


def scene(count: int, size: tuple[int, int] = (64, 48), seed: int = 0) -> list[Array]:
    """Frames (H, W, 3) of something smooth that drifts; no two are alike."""
    width, height = size
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    wide = cv2.resize(coarse, (width + count, height), interpolation=cv2.INTER_CUBIC)
    return [np.ascontiguousarray(wide[:, n : n + width]) for n in range(count)]


def film(
    path: Path,
    pictures: list[Array],
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    times: list[int] | None = None,
    rotation: int = 0,
    sound: str | None = "aac",
    quality: int = 8,
    bframes: int = 2,
) -> Path:
    """Write a video of 25 frames a second, or shown at `times` in 1/12800 s, with a tone."""
    options = {"libx264": {"crf": str(quality), "bf": str(bframes)}}.get(codec, {})
    times = times or [number * 512 for number in range(len(pictures))]
    with av.open(str(path), "w") as made:
        stream = made.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.time_base = pixels, BASE
        if codec != "mpeg4":
            stream.codec_context.time_base = BASE
        if rotation:
            stream.set_display_rotation(rotation)
        tone = made.add_stream(sound, rate=48000) if sound else None
        for picture, time in zip(pictures, times, strict=True):
            kind = "rgb48le" if picture.dtype == np.uint16 else "rgb24"
            frame = av.VideoFrame.from_ndarray(picture, format=kind)
            frame.pts, frame.time_base = time, BASE
            if codec == "mpeg4":
                frame.pts, frame.time_base = time // 512, Fraction(1, 25)
            made.mux(stream.encode(frame))
        made.mux(stream.encode())
        if tone is not None:
            _play(made, tone, float((times[-1] + 512) * BASE))
    return path


def _play(made: av.container.OutputContainer, tone: av.AudioStream, seconds: float) -> None:
    for start in range(0, int(seconds * 48000), 1024):
        wave = np.sin(np.arange(start, start + 1024) / 20, dtype=np.float64) * 0.3
        planes = wave.astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        made.mux(tone.encode(frame))
    made.mux(tone.encode())


@dataclass(frozen=True)
class Film:
    """What a player would see and hear."""

    frames: list[Array]
    times: list[Fraction]
    """seconds"""
    length: float
    """seconds"""
    sound: list[bytes]
    rate: Fraction
    pixels: str
    codec: str


def watch(path: Path) -> Film:
    """Decode all of a video."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        last = (frames[-1].pts + frames[-1].duration) * stream.time_base
        found = (stream.average_rate, frames[0].format.name, stream.codec_context.name)
        times = [frame.pts * stream.time_base for frame in frames]
        pictures = [frame.to_ndarray(format="rgb24", interpolation=_CAREFUL) for frame in frames]
    with av.open(str(path)) as container:
        heard = container.demux(container.streams.audio) if container.streams.audio else []
        sound = [bytes(packet) for packet in heard]
    return Film(pictures, times, float(last), sound, *found)


def panned(count: int, name: str, size: tuple[int, int] = (192, 144)) -> tuple[list[Array], Floats]:
    """A photograph that pans, turns and comes nearer, with film grain; and the way it moves.

    Returns frames, and (count, 3, 3): places of a frame to places of the photograph.
    """
    from skimage import data

    photograph = getattr(data, name)().astype(np.float32)
    grain = np.random.default_rng(0)
    frames, ways = [], []
    for n in range(count):
        scale, angle = 1 + 0.004 * n, 0.003 * n
        cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
        way = np.array([[cos, -sin, 60 + 1.3 * n], [sin, cos, 40 + 0.7 * n]], np.float32)
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        frame = cv2.warpAffine(photograph, way, size, flags=how, borderMode=cv2.BORDER_REFLECT)
        frame = frame + grain.normal(0, 2, frame.shape)
        frames.append(frame.clip(0, 255).round().astype(np.uint8))
        ways.append(np.vstack([way, [0, 0, 1]]))
    return frames, np.asarray(ways, np.float32)


def warping_error(frames: list[Array], ways: Floats) -> float:
    """Mean squared difference of each frame to the last one moved as the camera truly moved.

    Lai et al. 2018, section 4.2, but of the motion that is known and not estimated; in [0, 1].
    """
    errors = []
    for n in range(1, len(frames)):
        height, width = frames[n].shape[:2]
        back = np.linalg.inv(ways[n - 1]) @ ways[n]
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        places = np.stack([x, y, np.ones_like(x)], axis=2) @ back.T
        there = [np.ascontiguousarray(places[..., k], np.float32) for k in (0, 1)]
        moved = cv2.remap(frames[n - 1].astype(np.float32), *there, cv2.INTER_CUBIC)
        inside = (there[0] > 1) & (there[1] > 1) & (there[0] < width - 2) & (there[1] < height - 2)
        errors.append((((frames[n] - moved) / 255) ** 2)[inside].mean())
    return float(np.mean(errors))


def sharpness(frames: list[Array]) -> float:
    """Mean length of the gradient of luminance."""
    grays = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in frames]
    slopes = [
        np.hypot(cv2.Sobel(g, cv2.CV_32F, 1, 0), cv2.Sobel(g, cv2.CV_32F, 0, 1)) for g in grays
    ]
    return float(np.mean(slopes))
