"""The cache changes how long loading takes, and no pixel."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import smooth_image

from cyclegan import assemble, images
from cyclegan.data import cache
from cyclegan.data.cache import open_cache
from cyclegan.data.feed import Feed
from cyclegan.data.settings import DataSettings
from cyclegan.settings import Settings


def feed(settings: Settings, mode: str, workers: int = 0) -> Feed:
    return assemble._feed(
        replace(settings, data=replace(settings.data, cache=mode, num_threads=workers))
    )


def pixels(feed: Feed, epochs: int = 2) -> list[torch.Tensor]:
    return [
        image
        for epoch in range(1, epochs + 1)
        for batch in feed.epoch(epoch)
        for image in (batch.a, batch.b)
    ]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "cyclegan" / "images"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("mode", ["ram", "disk", "auto"])
def test_every_cache_gives_the_same_pixels(
    tiny_settings: Settings, mode: str, workers: int
) -> None:
    plain = pixels(feed(tiny_settings, "off"))
    cached = feed(tiny_settings, mode, workers)
    for expected, value in zip(plain, pixels(cached), strict=True):
        assert torch.equal(expected, value)
    cached.close()


def test_nothing_is_decoded_twice(tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    original = images.read
    monkeypatch.setattr(
        images, "read", lambda path, *rest: read.append(path) or original(path, *rest)
    )
    for mode in ("ram", "disk"):
        read.clear()
        both = feed(tiny_settings, mode)
        pixels(both, epochs=6)
        assert len(read) == len(set(read)) == 10
    read.clear()
    pixels(feed(tiny_settings, "disk"))
    assert read == [], "the disk remembers between runs"
    pixels(feed(tiny_settings, "off"))
    assert len(read) == 24


def test_a_changed_file_is_read_anew(tiny_settings: Settings, dataroot: Path) -> None:
    cached, plain = feed(tiny_settings, "disk"), feed(tiny_settings, "off")
    before = pixels(cached)
    for path in (dataroot / "trainA").iterdir():
        smooth_image(77).save(path)
    after = pixels(cached)
    assert not torch.equal(before[0], after[0])
    for expected, value in zip(pixels(plain), after, strict=True):
        assert torch.equal(expected, value)


def test_other_scaling_is_another_picture(tiny_settings: Settings) -> None:
    pixels(feed(tiny_settings, "disk"))
    larger = replace(tiny_settings, data=replace(tiny_settings.data, load_size=32))
    for expected, value in zip(
        pixels(feed(larger, "off")), pixels(feed(larger, "disk")), strict=True
    ):
        assert torch.equal(expected, value)


def test_ram_is_given_back(tiny_settings: Settings) -> None:
    cached = feed(tiny_settings, "ram")
    pixels(cached)
    folder = cached.images.a.cache.folder
    assert folder is not None
    assert len(list(folder.iterdir())) == 10
    cached.close()
    assert not folder.exists()


def test_auto_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = DataSettings(load_size=100)
    monkeypatch.setattr(cache, "_bound", lambda: 100 * 100 * 3 * 10)
    kept, remove = open_cache(settings, 10)
    assert kept.folder is not None
    remove()
    assert open_cache(settings, 11)[0].folder is None
    assert open_cache(replace(settings, preprocess="none"), 1)[0].folder is None


def test_a_disk_that_fills_up_keeps_nothing_more(
    tiny_settings: Settings, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert len(pixels(feed(tiny_settings, "disk"))) == 24
    assert list(own_folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(
    tiny_settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(pixels(feed(tiny_settings, "disk"))) == 24
    assert "--cache disk: no folder can be made" in caplog.text


def test_a_damaged_entry_is_made_again(tiny_settings: Settings, own_folder: Path) -> None:
    plain = pixels(feed(tiny_settings, "disk"))
    for kept in own_folder.iterdir():
        os.truncate(kept, 40)
    for expected, value in zip(plain, pixels(feed(tiny_settings, "disk")), strict=True):
        assert torch.equal(expected, value)


def test_a_change_that_keeps_the_size_is_seen(tmp_path: Path) -> None:
    path, kept = tmp_path / "x", cache.Cache(tmp_path)
    for value in (1, 2):
        path.write_bytes(b"same size")
        os.utime(path, ns=(value, value))
        made = kept.get(path, 3, lambda value=value: np.full((2, 2, 3), value, np.uint8))
        assert (made == value).all()
