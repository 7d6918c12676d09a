"""`losses.jsonl`: one line of JSON for each record."""

import json
from pathlib import Path

from PIL import Image

from cyclegan.loggers.record import Journey, Record
from cyclegan.loggers.settings import LoggerSettings
from cyclegan.position import Position


class JsonLinesLogger:
    """Appends epoch, images and all values of every record.

    What a run wrote after the checkpoint that it goes on from is cut off first, so that no place
    of the run appears twice.
    """

    def __init__(self, settings: LoggerSettings, journey: Journey) -> None:
        path = journey.folder / "losses.jsonl"
        cut_back(path, journey.start.images)
        self._file = path.open("a", encoding="utf-8")

    def step(self, position: Position) -> None:
        """Only records are written."""

    def record(self, record: Record) -> None:
        place = {"epoch": record.position.epoch, "images": record.position.images}
        self._file.write(json.dumps(place | dict(record.values)) + "\n")
        self._file.flush()

    def pictures(self, position: Position, grid: Image.Image) -> None:
        """Pictures are not for this file."""

    def close(self) -> None:
        self._file.close()


def cut_back(path: Path, images: int) -> None:
    """Keep the whole lines up to `images`; a kill may have left half a line at the end."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            place = json.loads(line)["images"]
        except (ValueError, KeyError, TypeError):
            break
        if place > images or not line.endswith("\n"):
            break
        kept.append(line)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text("".join(kept), encoding="utf-8")
    unfinished.replace(path)
