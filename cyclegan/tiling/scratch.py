"""Maps on disk, written and read by bands of rows."""

import errno
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import torch
from torch import Tensor
from typing_extensions import Buffer

from cyclegan.errors import UserError
from cyclegan.tiling.rows import Rows, Shape, bands


@dataclass(frozen=True)
class Scratch:
    """Where maps go that memory should not hold.

    Files, not memory maps: pages of a map count as memory of the process. They have no name, so
    that nothing is left of them however the process ends.
    """

    folder: Path
    count: int
    """bands that a map is written in"""
    limit: int
    """elements of the largest map that is kept and not computed again"""
    tick: Callable[[], None] = lambda: None
    """called after each band"""

    def keep(self, source: Rows, see: Callable[[Tensor], None] = lambda part: None) -> Rows:
        """Write `source`, and give it back as what is read; `see` is shown each band.

        What is too large is gone through all the same, and computed again when it is asked for.
        Raises UserError where the disk is full.
        """
        if source.shape.elements > self.limit:
            for band in bands(source.shape.height, self.count):
                see(source.rows(*band))
                self.tick()
            return source
        try:
            return self._write(source, see)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise UserError(
                f"{self.folder}: full ({error.strerror}): --scratch DIR names another folder for "
                "what memory should not hold, --tile fast needs none"
            ) from None

    def _write(self, source: Rows, see: Callable[[Tensor], None]) -> "Stored":
        file: BinaryIO = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115
        dtype, device = torch.float32, torch.device("cpu")
        for start, stop in bands(source.shape.height, self.count):
            part = source.rows(start, stop)
            see(part)
            dtype, device = part.dtype, part.device
            pixels = part[0].permute(1, 2, 0).contiguous().cpu()  # rows of pixels of channels
            _write_all(file, _bytes(pixels.flatten()))
            self.tick()
        return Stored(source.shape, dtype, device, file)


@dataclass(frozen=True)
class Stored:
    """Rows in a file; it is gone when nobody asks for them any more."""

    shape: Shape
    dtype: torch.dtype
    device: torch.device
    _file: BinaryIO = field(repr=False)

    def rows(self, start: int, stop: int) -> Tensor:
        """(1, C, stop - start, W), channels last."""
        one = self.shape.width * self.shape.channels
        part = torch.empty((stop - start) * one, dtype=self.dtype)
        into = _bytes(part)
        place, done = start * one * part.element_size(), 0
        while done < len(into):
            read = os.preadv(self._file.fileno(), [into[done:]], place + done)
            if not read:
                raise OSError(errno.EIO, "scratch file cut short")
            done += read
        pixels = part.view(1, stop - start, self.shape.width, self.shape.channels)
        return pixels.permute(0, 3, 1, 2).to(self.device)


def _write_all(file: BinaryIO, rest: memoryview) -> None:
    while len(rest):
        rest = rest[file.write(rest) :]


def _bytes(values: Tensor) -> memoryview:
    """The memory of `values` (n), to be read and written."""
    return memoryview(cast(Buffer, values.view(torch.uint8).numpy()))
