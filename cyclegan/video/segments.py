"""Finished segments of a clip in a folder, so that a clip need not be made in one go."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cyclegan.atomic import atomic_write
from cyclegan.video.clip import Clip, Frame
from cyclegan.video.encoders import VideoEncoder, add_stream, packer
from cyclegan.video.stabilizer import LastFrame

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer
    from av.video.stream import VideoStream

LENGTH = 48  # frames: two seconds of a film
_DIGEST = 32  # bytes of SHA-256, behind the content of each file
_MEMORIES = 2  # kept: where the last segment is damaged, the one before it goes on

Steadied = tuple[Frame, LastFrame | None]
"""A converted frame, and what the stabilizer remembers after it."""


@dataclass(frozen=True)
class Segments:
    """Encoded frames of a clip, in files named by the number of frames up to their end.

    The files are NUT, which keeps times exactly; a digest behind each tells whether it is whole.
    What the stabilizer remembers after a segment lies beside it. A file that a kill left
    half-written has another name and is written anew.
    """

    folder: Path

    @property
    def paths(self) -> list[Path]:
        """Finished segments, in order."""
        return sorted(self.folder.glob("*.nut"))

    @property
    def frames(self) -> int:
        """Number of finished frames."""
        paths = self.paths
        return int(paths[-1].stem) if paths else 0

    def drop_damaged(self, *, steadied: bool) -> int:
        """Remove segments that are damaged, and those after them; return how many.

        With `steadied`, also remove segments without a sound memory of the stabilizer.
        """
        paths = self.paths
        sound = next((n for n, path in enumerate(paths) if not _is_whole(path)), len(paths))
        while steadied and sound and not _is_whole(_beside(paths[sound - 1])):
            sound -= 1
        for path in paths[sound:]:
            path.unlink()
        return len(paths) - sound

    def last_time(self, clip: Clip) -> int | None:
        """Return the last finished frame's time, in the clip's time base; None without frames."""
        times = [one.pts * one.time_base for one in packets(self.paths[-1:]) if one.pts is not None]
        return round(max(times) / clip.time_base) if times else None

    def memory(self) -> LastFrame | None:
        """Return what the stabilizer remembered after the last finished frame."""
        path = _beside(self.paths[-1]) if self.paths else None
        return LastFrame.from_bytes(path.read_bytes()[:-_DIGEST]) if path else None

    def write(
        self, frames: Iterable[Steadied], clip: Clip, encoder: VideoEncoder, crf: int | None
    ) -> int:
        """Add a segment of `frames`; return how many there were.

        A segment that did not come to its end is not kept: it would end elsewhere than in a run
        that nobody stopped, and so be encoded otherwise.
        """
        import av

        count, memory = 0, None
        path = self.folder / "unfinished"
        with av.open(str(path), "w", format="nut", options=dict(_BESIDE)) as container:
            stream, pack = add_stream(container, clip, encoder, crf), packer(clip, encoder)
            for frame, memory in frames:  # noqa: B007
                container.mux(stream.encode(pack(frame)))
                count += 1
            if count:
                container.mux(stream.encode())
        if count:
            self._keep(path, self.folder / f"{self.frames + count:09}.nut", memory)
        return count

    def _keep(self, made: Path, path: Path, memory: LastFrame | None) -> None:
        """Seal a segment with its digest; the stabilizer's memory is written before."""
        if memory is not None:
            content = memory.to_bytes()
            with atomic_write(_beside(path)) as unfinished:
                unfinished.write_bytes(content + sha256(content).digest())
        with made.open("r+b") as file:
            digest = file_digest(file, "sha256").digest()
            file.write(digest)
        made.replace(path)
        for old in sorted(self.folder.glob("[0-9]*.memory"))[:-_MEMORIES]:
            old.unlink()


# What Matroska keeps beside a packet, as alpha, stays beside it.
_BESIDE = {"strict": "experimental", "syncpoints": "none"}


@contextmanager
def opened_segment(path: Path) -> Iterator["InputContainer"]:
    """Open a segment's frames, without the digest behind them."""
    import av

    end = path.stat().st_size - _DIGEST
    with av.open(f"subfile,,start,0,end,{end},,:{path}") as container:
        yield container


def packets(paths: list[Path]) -> Iterator["Packet[VideoStream]"]:
    """Yield the encoded frames of segments, in order."""
    for path in paths:
        with opened_segment(path) as container:
            for packet in container.demux(video=0):
                if packet.dts is not None:  # the last one, which ends the stream
                    _mend_alpha(packet)
                    yield packet


def _mend_alpha(packet: "Packet[VideoStream]") -> None:
    """Remove the number that FFmpeg's NUT writes a second time before a packet's alpha."""
    from av.packet import PacketSideData, packet_sidedata_type_from_literal

    content = bytes(packet.get_sidedata(_ALPHA)) if packet.has_sidedata(_ALPHA) else b""
    if content[8:16] == content[:8] != b"":
        kind = packet_sidedata_type_from_literal(_ALPHA)
        mended = PacketSideData(kind, len(content) - 8)  # type: ignore[call-arg]
        mended.update(content[8:])
        packet.set_sidedata(mended)


_ALPHA: Final = "matroska_block_additional"


def _beside(segment: Path) -> Path:
    return segment.with_suffix(".memory")


def _is_whole(path: Path) -> bool:
    """Return whether the digest at a file's end is that of what is before it."""
    try:
        size = path.stat().st_size - _DIGEST
        with path.open("rb") as file:
            found = sha256()
            while size > 0 and (part := file.read(min(size, 1 << 20))):
                found.update(part)
                size -= len(part)
            return size == 0 and file.read() == found.digest()
    except FileNotFoundError:
        return False
