"""Loading benchmark: Pillow's open, convert, resize, against the loader, cache empty and full."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from cyclegan.benchmark import BenchmarkSettings
from cyclegan.benchmark.report import BenchmarkReport, Pairs, measure
from cyclegan.data import CacheMode, DataSettings
from cyclegan.data.augment import Augmentation
from cyclegan.data.cache import open_cache
from cyclegan.data.folders import list_images
from cyclegan.data.preprocess import PREPROCESS
from cyclegan.data.unpaired import Domain
from cyclegan.errors import UserError
from cyclegan.images.pillow import open_image
from cyclegan.settings import Settings

AT_MOST = 64  # images a pass


def run(settings: Settings, benchmark: BenchmarkSettings) -> int:
    """Run the benchmark, print its report and return the exit code.

    Runs in one process with one thread, as each data loader worker does. Raises UserError where
    there are no images.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    data = settings.data
    paths = [path for domain in ("A", "B") for path in list_images(data.folder(domain))]
    paths = paths[:: -(-len(paths) // AT_MOST)]
    channels = settings.networks.input_nc
    first = measure(
        lambda: _plain(paths, data), lambda: _first_epoch(paths, data, channels), benchmark.pairs
    )
    cached = _from_cache(paths, data, channels, benchmark.pairs)
    figures = {"images": len(paths), "time": first.table(), "cached": cached.table()}
    times = {"first epoch": first, "later epochs": cached}
    lines = [
        f"{name}: {1 / pairs.ratio.median:.3g} times the images a second"
        for name, pairs in times.items()
    ]
    chosen = f"draft decoding and --cache {_mode(data)}, {len(paths)} images in one process"
    report = BenchmarkReport(
        "open, convert, bicubic resize", chosen, times, lines=lines, figures=figures
    )
    report.show(json_only=benchmark.json)
    return 0


def _plain(paths: Sequence[Path], data: DataSettings) -> None:
    mode = PREPROCESS[data.preprocess]
    for path in paths:
        try:
            with open_image(path) as image:
                size = mode.scaled(image.size, data)
                np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
        except OSError as error:
            raise UserError(f"{path}: can't be read ({error}); cyclegan data check") from error


def _first_epoch(paths: Sequence[Path], data: DataSettings, channels: int) -> None:
    domain, forget = _domain(paths, data, channels)
    try:
        _load(domain, epoch=1)
    finally:
        forget()


def _from_cache(paths: Sequence[Path], data: DataSettings, channels: int, pairs: int) -> Pairs:
    domain, forget = _domain(paths, data, channels)
    try:
        _load(domain, epoch=1)
        return measure(lambda: _plain(paths, data), lambda: _load(domain, epoch=2), pairs)
    finally:
        forget()


def _domain(
    paths: Sequence[Path], data: DataSettings, channels: int
) -> tuple[Domain, Callable[[], None]]:
    cache, forget = open_cache(replace(data, cache=_mode(data)), paths)
    return Domain("A", paths, channels, Augmentation(data, channels), cache), forget


def _mode(data: DataSettings) -> CacheMode:
    """Return the cache mode to measure: a lasting cache would be full before the first epoch."""
    return "off" if data.cache == "off" else "ram"


def _load(domain: Domain, epoch: int) -> None:
    for index in range(len(domain.paths)):
        domain.load(index, epoch * AT_MOST + index)
