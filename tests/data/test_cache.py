"""The cache changes how long loading takes, and no pixel."""

import os
import pickle
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from conftest import smooth_image

from cyclegan import assemble, images
from cyclegan.data import DataSettings, PreprocessMode, cache
from cyclegan.data.cache import bytes_of_scaled, open_cache
from cyclegan.data.loader import Loader
from cyclegan.settings import Settings


def loader(settings: Settings, mode: str, workers: int = 0) -> Loader:
    return assemble._feed(
        replace(settings, data=replace(settings.data, cache=mode, num_threads=workers)),
        torch.device("cpu"),
    )


def pixels(loader: Loader, epochs: int = 2) -> list[torch.Tensor]:
    return [
        image
        for epoch in range(1, epochs + 1)
        for batch in loader.epoch(epoch)
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
    plain = pixels(loader(tiny_settings, "off"))
    cached = loader(tiny_settings, mode, workers)
    for expected, value in zip(plain, pixels(cached), strict=True):
        assert torch.equal(expected, value)
    cached.close()


def test_processes_that_are_not_forked_share_it(tiny_settings: Settings) -> None:
    cached = loader(tiny_settings, "ram")
    sent = pickle.loads(pickle.dumps(cached.images))
    assert torch.equal(sent.a.load(0, 1).image, cached.images.a.load(0, 1).image)
    assert sent.a.cache == cached.images.a.cache
    cached.close()


def test_nothing_is_decoded_twice(tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    original = images.read
    monkeypatch.setattr(
        images, "read", lambda path, *rest: read.append(path) or original(path, *rest)
    )
    for mode in ("ram", "disk"):
        read.clear()
        both = loader(tiny_settings, mode)
        pixels(both, epochs=6)
        assert len(read) == len(set(read)) == 10
    read.clear()
    pixels(loader(tiny_settings, "disk"))
    assert read == [], "the disk remembers between runs"
    pixels(loader(tiny_settings, "off"))
    assert len(read) == 24


def test_a_changed_file_is_read_anew(tiny_settings: Settings, dataroot: Path) -> None:
    cached, plain = loader(tiny_settings, "disk"), loader(tiny_settings, "off")
    before = pixels(cached)
    for path in (dataroot / "trainA").iterdir():
        smooth_image(77).save(path)
    after = pixels(cached)
    assert not torch.equal(before[0], after[0])
    for expected, value in zip(pixels(plain), after, strict=True):
        assert torch.equal(expected, value)


def test_other_scaling_is_another_picture(tiny_settings: Settings) -> None:
    pixels(loader(tiny_settings, "disk"))
    larger = replace(tiny_settings, data=replace(tiny_settings.data, load_size=32))
    for expected, value in zip(
        pixels(loader(larger, "off")), pixels(loader(larger, "disk")), strict=True
    ):
        assert torch.equal(expected, value)


def test_ram_is_given_back(tiny_settings: Settings) -> None:
    cached = loader(tiny_settings, "ram")
    pixels(cached)
    folder = cached.images.a.cache.folder
    assert folder is not None
    assert len(list(folder.iterdir())) == 10
    cached.close()
    assert not folder.exists()


def opens(settings: DataSettings, paths: list[Path]) -> bool:
    kept, remove = open_cache(settings, paths)
    remove()
    return kept.folder is not None


def test_auto_is_bounded(dataroot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted((dataroot / "trainA").iterdir())
    settings = DataSettings(load_size=28)
    monkeypatch.setattr(cache, "_bound", lambda: 28 * 28 * 3 * 5)
    assert opens(settings, paths[:5])
    assert not opens(settings, paths)
    assert opens(replace(settings, cache="ram"), paths)


@pytest.mark.parametrize(
    ("preprocess", "area"),
    [("resize_and_crop", 28 * 28), ("scale_width", 28 * 25), ("crop", 40 * 36), ("none", 40 * 36)],
)
def test_every_preprocessing_is_estimated(
    dataroot: Path, preprocess: PreprocessMode, area: int
) -> None:
    paths = sorted((dataroot / "trainA").iterdir())
    settings = DataSettings(preprocess=preprocess, load_size=28, crop_size=8)
    assert bytes_of_scaled(paths, settings) == 3 * area * len(paths)


def test_auto_looks_at_a_sample_and_passes_over_what_it_cannot_read(
    dataroot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    original = images.size
    monkeypatch.setattr(images, "size", lambda path: looked.append(path) or original(path))
    many = sorted((dataroot / "trainA").iterdir()) * 1000
    expected = bytes_of_scaled([tmp_path / "gone.png", *many], DataSettings(load_size=28))
    assert expected == 28 * 28 * 3 * 6001
    assert len(looked) < 128
    assert not opens(DataSettings(), [tmp_path / "gone.png"])


def test_a_disk_that_fills_up_keeps_nothing_more(
    tiny_settings: Settings,
    own_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    usage = shutil.disk_usage("/")._replace(free=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert len(pixels(loader(tiny_settings, "disk"))) == 24
    assert list(own_folder.glob("*.npy")) == []
    assert caplog.text.count("no more images are cached") == 1


def test_a_folder_that_cannot_be_made_is_told(
    tiny_settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(pixels(loader(tiny_settings, "disk"))) == 24
    assert caplog.text.count("--cache disk: no writable folder") == 1


def test_a_read_only_folder_is_told(
    tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(**folder: Path) -> None:  # root may write into any folder: no chmod
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert len(pixels(loader(tiny_settings, "disk"))) == 24
    assert caplog.text.count("--cache disk: no writable folder") == 1


def test_a_write_that_fails_is_told_once_and_leaves_nothing(
    tiny_settings: Settings,
    own_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fill(file: BinaryIO, pixels: np.ndarray) -> None:
        file.write(b"a part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", fill)
    assert len(pixels(loader(tiny_settings, "disk"))) == 24
    assert [path.name for path in own_folder.iterdir()] == [cache.TOLD]
    assert caplog.text.count("No space left") == 1


def test_memory_is_not_filled_up(tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_available", lambda: 1 << 20)
    cached = loader(tiny_settings, "ram")
    pixels(cached)
    folder = cached.images.a.cache.folder
    assert folder is not None
    assert list(folder.glob("*.npy")) == []
    cached.close()


def test_leftovers_of_killed_runs_are_removed(
    own_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    held, remove = cache.run_folder()
    left = tmp_path / f"{cache.PREFIX}left"
    left.mkdir()
    own_folder.mkdir(parents=True)
    old, new = own_folder / ".x.npy.1", own_folder / ".x.npy.2"
    for path in (old, new):
        path.touch()
    for path in (held, left, old):
        os.utime(path, (0, 0))
    for make in cache.FOLDERS.values():
        make()[1]()
    assert not left.exists()
    assert held.exists(), "another run's"
    assert not old.exists()
    assert new.exists(), "another run writes it"
    remove()
    assert not held.exists()


@pytest.mark.parametrize("length", [0, 40, 200])
def test_a_damaged_entry_is_made_again(
    tiny_settings: Settings, own_folder: Path, length: int
) -> None:
    plain = pixels(loader(tiny_settings, "disk"))
    for kept in own_folder.iterdir():
        os.truncate(kept, length)
    for expected, value in zip(plain, pixels(loader(tiny_settings, "disk")), strict=True):
        assert torch.equal(expected, value)


def test_a_change_that_keeps_the_size_is_seen(tmp_path: Path) -> None:
    path, kept = tmp_path / "x", cache.Cache(tmp_path)
    for value in (1, 2):
        path.write_bytes(b"same size")
        os.utime(path, ns=(value, value))
        made = kept.get(path, 3, lambda value=value: np.full((2, 2, 3), value, np.uint8))
        assert (made == value).all()
