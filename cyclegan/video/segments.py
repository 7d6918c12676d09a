"""Finished segments of a clip in a folder, so that a clip need not be made in one go."""

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import file_digest, sha256
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cyclegan.atomic import atomic_write
from cyclegan.video import SEGMENT_LENGTH
from cyclegan.video.clip import Clip, Frame
from cyclegan.video.encoders import VideoEncoder, add_stream, packer
from cyclegan.video.stabilizer import LastFrame

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer
    from av.video.stream import VideoStream

_DIGEST = 32  # bytes of SHA-256, behind the content of each file
_MEMORIES = 2  # kept: where the last segment is damaged, the one before it goes on

Steadied = tuple[Frame, LastFrame | None]
"""A converted frame, and what the stabilizer remembers after it."""


@dataclass(frozen=True)
class Segments:
    """Encoded frames of a clip or of a part, in files named by the number of frames to their end.

    The files are NUT, which keeps times exactly; a digest behind each tells whether it is whole.
    What the stabilizer remembers after a segment lies beside it. A file that a kill left
    half-written has another name and is written anew.
    """

    folder: Path
    first: int = 0
    """number of the clip's frame that they begin with; of a segment's first"""
    end: int | None = None
    """number of the frame that they end before; None for the clip's end, wherever that is"""

    @property
    def paths(self) -> list[Path]:
        """Finished segments, in order."""
        found = [path for path in self.folder.glob("*.nut") if int(path.stem) > self.first]
        return sorted(one for one in found if self.end is None or int(one.stem) <= self.end)

    @property
    def frames(self) -> int:
        """Number of the clip's frames up to the last finished one."""
        paths = self.paths
        return int(paths[-1].stem) if paths else self.first

    @property
    def scattered(self) -> list[Path]:
        """Finished segments behind one that is missing, which other processes made."""
        for number, path in enumerate(paths := self.paths):
            begin = self.first + number * SEGMENT_LENGTH
            if not begin < int(path.stem) <= begin + SEGMENT_LENGTH:
                return paths[number:]
        return []

    @property
    def ends(self) -> list[int]:
        """The names of all segments of a part, finished or not."""
        assert self.end is not None
        firsts = range(self.first, self.end, SEGMENT_LENGTH)
        return [min(first + SEGMENT_LENGTH, self.end) for first in firsts]

    @property
    def gaps(self) -> "list[Segments]":
        """What is missing of a part, as parts of their own."""
        there, found = {int(path.stem) for path in self.paths}, list[Segments]()
        for first, end in pairwise([self.first, *self.ends]):
            if end not in there:
                begun = found.pop().first if found and found[-1].end == first else first
                found.append(replace(self, first=begun, end=end))
        return found

    @property
    def is_complete(self) -> bool:
        """Whether a part has all its segments and no others, and all are sound."""
        paths = self.paths
        return [int(path.stem) for path in paths] == self.ends and all(map(_is_whole, paths))

    def drop_damaged(self, *, steadied: bool = False) -> int:
        """Remove segments that are damaged, and those after them; return how many.

        With `steadied`, also remove segments without a sound memory of the stabilizer. Those after
        damaged ones of a part stay: it is known which frames are missing then.
        """
        damaged = self._damaged_of_part() if self.end is not None else self._from_damaged(steadied)
        for path in damaged:
            path.unlink()
        return len(damaged)

    def _damaged_of_part(self) -> list[Path]:
        named = set(self.ends)
        return [path for path in self.paths if int(path.stem) not in named or not _is_whole(path)]

    def _from_damaged(self, steadied: bool) -> list[Path]:
        paths = self.paths
        sound = next((n for n, path in enumerate(paths) if not _is_whole(path)), len(paths))
        while steadied and sound and not _is_whole(_beside(paths[sound - 1])):
            sound -= 1
        return paths[sound:]

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
        path = self.folder / f"unfinished-{platform.node()}-{os.getpid()}"  # others write beside it
        try:
            with av.open(str(path), "w", format="nut", options=dict(_BESIDE)) as container:
                stream, pack = add_stream(container, clip, encoder, crf), packer(clip, encoder)
                for frame, memory in frames:  # noqa: B007
                    container.mux(stream.encode(pack(frame)))
                    count += 1
                if count:
                    container.mux(stream.encode())
            if count:
                self._keep(path, self.folder / f"{self.frames + count:09}.nut", memory)
        finally:
            path.unlink(missing_ok=True)
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
