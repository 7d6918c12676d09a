"""Cache of decoded and scaled images: decoding is most of the work of loading."""

import contextlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import PIL
import psutil
from numpy.typing import NDArray

from cyclegan import images
from cyclegan.atomic import atomic_write, remove_folders, temporary_folder
from cyclegan.data import CacheMode, DataSettings
from cyclegan.data.preprocess import PREPROCESS

log = logging.getLogger(__name__)

PREFIX = "cyclegan-images-"
TOLD = ".told"  # made by the first process that says why nothing more is kept
_OLD = 3600.0  # seconds after which no process still writes a file

_Folder = tuple[Path, Callable[[], None]]


def user_folder(what: str = "images") -> Path:
    """Return the user's folder for files that are kept between runs and can be made again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cyclegan" / what


def lasting_folder() -> _Folder:
    """Return the user's folder, which stays at the end. Raises OSError if it is not writable."""
    folder = user_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass  # a folder that is there may still be read-only
    (folder / TOLD).unlink(missing_ok=True)
    for unfinished in folder.glob(".*.npy.*"):
        with contextlib.suppress(OSError):  # another run may have been here
            if _age(unfinished) > _OLD:
                unfinished.unlink()
    return folder, lambda: None


def run_folder() -> _Folder:
    """Return a folder of this run and what removes it. Raises OSError if none can be made."""
    stack = contextlib.ExitStack()
    return stack.enter_context(temporary_folder(PREFIX)), stack.close


#: The one table of places (`--cache`).
FOLDERS: dict[CacheMode, Callable[[], _Folder]] = {"ram": run_folder, "disk": lasting_folder}


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


_LOOKED_AT = 64  # files: their headers are read in moments, from a network's disk too


def bytes_of_scaled(paths: Sequence[Path], settings: DataSettings) -> int:
    """Estimate the bytes of all scaled images from the headers of some; 0 if none is readable."""
    mode = PREPROCESS[settings.preprocess]
    pixels, readable = 0, 0
    for path in paths[:: max(1, len(paths) // _LOOKED_AT)]:
        try:
            width, height = mode.scaled(images.size(path), settings)
        except images.UnreadableImageError:
            continue
        pixels += width * height
        readable += 1
    each = 3 * pixels / max(1, readable)  # bytes, as many as the most channels take
    return round(each * len(paths))


#: 8-bit in [0, 255], or float32 in [0, 1] of files that hold more.
Pixels = NDArray[np.uint8] | NDArray[np.float32]
FORMAT = 3


@dataclass(frozen=True)
class Cache:
    """Files of pixels shared by all data loader workers; the system keeps them in memory.

    The key is the image's path, size, time of change and scaling: a changed file is read anew.
    """

    folder: Path | None = None
    """None keeps nothing"""
    scaling: str = ""
    """all that determines scaled pixels"""
    room: int = 0
    """bytes that must stay free on the disk"""
    memory: int = 0
    """bytes that must stay free in memory, where the folder may lie in it"""

    def get(self, path: Path, channels: int, make: Callable[[], Pixels]) -> Pixels:
        """Return the pixels of `path` from the cache, or from `make`, then kept if possible."""
        if self.folder is None:
            return make()
        place = self.folder / f"{self._key(path, channels)}.npy"
        try:
            kept: Pixels = np.load(place)
            return kept
        except (OSError, ValueError, EOFError):  # not there yet, or cut off by a power failure
            pixels = make()
        self._keep(pixels, place)
        return pixels

    def _key(self, path: Path, channels: int) -> str:
        try:
            state = path.stat()
            told = (state.st_size, state.st_mtime_ns)
        except OSError:
            told = (0, 0)  # reading it will say what is wrong
        text = f"{FORMAT} {path.resolve()} {told} {channels} {self.scaling}"
        return sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]

    def _keep(self, pixels: Pixels, place: Path) -> None:
        try:
            if not self._has_room(place.parent, pixels.nbytes):
                _tell_once(place.parent, "too little disk space is left")
                return
            with atomic_write(place, shared=True) as unfinished, unfinished.open("wb") as file:
                np.save(file, pixels)
        except OSError as error:  # a full disk makes loading slow, no more
            _tell_once(place.parent, str(error))

    def _has_room(self, folder: Path, needed: int) -> bool:
        if shutil.disk_usage(folder).free - needed < self.room:
            return False
        return not self.memory or _available() - needed >= self.memory


def open_cache(settings: DataSettings, paths: Sequence[Path]) -> tuple[Cache, Callable[[], None]]:
    """Return the cache for a data set of these images, and what removes it at the end."""
    remove_folders(PREFIX)  # of killed runs: in a folder in memory they take it up for good
    mode = settings.cache
    if mode == "auto":
        mode = "ram" if 0 < bytes_of_scaled(paths, settings) <= _bound() else "off"
    if mode == "off":
        return Cache(), lambda: None
    try:
        folder, remove = FOLDERS[mode]()
    except OSError as error:
        log.warning("--cache %s: no writable folder (%s), so nothing is cached", mode, error)
        return Cache(), lambda: None
    # Another Pillow may decode and scale to other pixels.
    scaling = f"{PIL.__version__} {settings.preprocess} {settings.load_size} {settings.crop_size}"
    scaling += f" {settings.range}"
    return Cache(folder, scaling, _ROOM, _MEMORY if mode == "ram" else 0), remove


_ROOM = 2 << 30  # bytes: what else needs the disk shall not meet a full one
_MEMORY = 1 << 30  # bytes, likewise; files on a disk that the system can drop count as free


def _tell_once(folder: Path, reason: str) -> None:
    """Log the reason once, from whichever data loader worker meets it first."""
    with contextlib.suppress(OSError):  # told already
        (folder / TOLD).touch(exist_ok=False)
        log.warning("--cache: no more images are cached in %s (%s)", folder, reason)


def _bound() -> int:
    """Return a quarter of the free memory, in which the system keeps files while there is room."""
    return _available() // 4


def _available() -> int:
    return int(psutil.virtual_memory().available)
