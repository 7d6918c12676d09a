"""A folder of finished segments, so that a clip need not be made in one go."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclegan.video.clip import Clip, Frame
from cyclegan.video.encoders import Encoder, add_stream, packer

if TYPE_CHECKING:
    from av import Packet
    from av.video.stream import VideoStream

LENGTH = 48  # frames: two seconds of a film


@dataclass(frozen=True)
class Segments:
    """Encoded frames of a clip, in files named by the number of frames up to their end.

    They are in NUT files, which keep times exactly. A file that a kill left half-written has
    another ending and is written anew.
    """

    folder: Path

    @property
    def paths(self) -> list[Path]:
        """Finished ones, in order."""
        return sorted(self.folder.glob("*.nut"))

    @property
    def frames(self) -> int:
        """How many frames are finished."""
        paths = self.paths
        return int(paths[-1].stem) if paths else 0

    def last(self, clip: Clip) -> Frame | None:
        """The last finished frame, as it was encoded; its time is in the clip's time base."""
        import av

        found = None
        for path in self.paths[-1:]:
            with av.open(str(path)) as container:
                for found in container.decode(video=0):  # noqa: B007
                    pass
        if found is None or found.pts is None or found.time_base is None:
            return None
        return Frame(
            clip.colours.pixels(found), round(found.pts * found.time_base / clip.time_base), 0
        )

    @contextmanager
    def writer(
        self, clip: Clip, encoder: Encoder, crf: int | None
    ) -> Iterator[Callable[[Frame], None]]:
        """A function that adds a frame to a new segment; kept whatever ends it, short of a kill."""
        import av

        before, added = self.frames, 0
        path = self.folder / "unfinished"
        container = av.open(str(path), "w", format="nut")
        stream, pack = add_stream(container, clip, encoder, crf), packer(clip)

        def add(frame: Frame) -> None:
            nonlocal added
            container.mux(stream.encode(pack(frame)))
            added += 1

        try:
            yield add
        finally:
            if added:
                container.mux(stream.encode())
            container.close()
            if added:
                path.replace(self.folder / f"{before + added:09}.nut")


def packets(paths: list[Path]) -> Iterator["Packet[VideoStream]"]:
    """Encoded frames of segments, in order."""
    import av

    for path in paths:
        with av.open(str(path)) as container:
            for packet in container.demux(video=0):
                if packet.dts is not None:  # the last one, which ends the stream
                    yield packet
