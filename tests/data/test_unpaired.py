"""The sequence of samples: seeded, independent of workers, resumable."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from conftest import smooth_image

from cyclegan import assemble
from cyclegan.benchmark import train
from cyclegan.data import DataSettings
from cyclegan.data.augment import Augmentation
from cyclegan.data.batch import Batch
from cyclegan.data.folders import list_images
from cyclegan.data.loader import Loader
from cyclegan.data.unpaired import Domain, UnpairedImages
from cyclegan.errors import UserError
from cyclegan.settings import Settings

SETTINGS = DataSettings(load_size=28, crop_size=24)


def feed_of(
    root: Path, *, seed: int = 0, workers: int = 0, batch: int = 1, serial: bool = False
) -> Loader:
    a, b = (
        Domain(name, list_images(root / f"train{name}"), 3, Augmentation(SETTINGS, 3))
        for name in "AB"
    )
    images = UnpairedImages(a, b, seed=seed, serial=serial)
    return Loader(images, batch_size=batch, workers=workers, seed=seed, serial=serial)


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(x.a, y.a) and torch.equal(x.b, y.b) for x, y in zip(one, other, strict=True)
    )


def test_as_long_as_the_larger_domain(dataroot: Path) -> None:
    loader = feed_of(dataroot)
    assert len(loader) == 6
    batches = list(loader.epoch(1))
    assert len(batches) == 6
    assert batches[0].a.shape == (1, 3, 24, 24)
    assert batches[0].a.abs().max() <= 1


def test_an_epoch_may_hold_several_crops_of_each_image(dataroot: Path) -> None:
    settings = Settings(data=DataSettings(dataroot=dataroot, crops_per_image=3, crop_size=24))
    domains = (feed_of(dataroot).images.a, feed_of(dataroot).images.b)
    images = UnpairedImages(*domains, seed=0, serial=False, repeats=3)
    loader = Loader(images, batch_size=1, workers=0, seed=0, serial=False)
    assert len(loader) == train._images(settings) == 3 * 6
    seen = Counter(images.paths_of(place)[0] for place in loader.order(1))
    assert seen == dict.fromkeys(domains[0].paths, 3)
    crops = [
        batch.a
        for batch, place in zip(loader.epoch(1), loader.order(1), strict=True)
        if place.index % 6 == 0
    ]
    assert len(crops) == 3
    assert not torch.equal(crops[0], crops[1])


def test_the_last_batch_may_be_smaller(dataroot: Path) -> None:
    assert [len(batch) for batch in feed_of(dataroot, batch=4).epoch(1)] == [4, 2]


def test_the_number_of_workers_changes_nothing(dataroot: Path) -> None:
    alone, two = feed_of(dataroot, workers=0), feed_of(dataroot, workers=2)
    for epoch in (1, 2):
        assert same(list(alone.epoch(epoch)), list(two.epoch(epoch)))


def test_the_seed_and_the_epoch_change_the_sequence(dataroot: Path) -> None:
    first = list(feed_of(dataroot, seed=1).epoch(1))
    assert same(first, list(feed_of(dataroot, seed=1).epoch(1)))
    assert not same(first, list(feed_of(dataroot, seed=2).epoch(1)))
    assert not same(first, list(feed_of(dataroot, seed=1).epoch(2)))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_goes_on_where_it_was_left(dataroot: Path, workers: int) -> None:
    whole = list(feed_of(dataroot, workers=workers).epoch(3))
    rest = list(feed_of(dataroot, workers=workers).epoch(3, skip=4))
    assert same(whole[4:], rest)


def test_loading_leaves_torchs_random_numbers_alone(dataroot: Path) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(feed_of(dataroot).epoch(1))
    assert torch.equal(torch.get_rng_state(), before)


def test_serial_pairs_by_index_in_order(dataroot: Path) -> None:
    loader = feed_of(dataroot, serial=True)
    pairs = [loader.images[place] for place in loader.order(1)]
    assert [a.path.name for a, _ in pairs] == [f"{number}.png" for number in range(6)]
    assert [b.path.name for _, b in pairs] == [f"{number % 4}.png" for number in range(6)]


def test_b_is_drawn_independently(dataroot: Path) -> None:
    loader = feed_of(dataroot)
    drawn = set()
    for epoch in range(1, 30):
        for place in loader.order(epoch):
            a, b = loader.images[place]
            drawn.add((a.path.name, b.path.name))
    assert len(drawn) == 6 * 4


def test_unreadable_files_are_passed_over_and_told(dataroot: Path) -> None:
    bad = dataroot / "trainA" / "3.png"
    bad.write_bytes(bad.read_bytes()[:50])
    batches = list(feed_of(dataroot, workers=2).epoch(1))
    assert len(batches) == 6
    assert frozenset().union(*(batch.unreadable for batch in batches)) == {bad}


@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_readable_is_an_error(dataroot: Path, workers: int) -> None:
    for path in (dataroot / "trainB").iterdir():
        path.write_bytes(b"")
    loader = feed_of(dataroot, workers=workers)
    with pytest.raises(UserError, match=r"^domain B: none of its 4 images can be read$"):
        next(iter(loader.epoch(1)))
    loader.close()


def test_grayscale_domains(dataroot: Path) -> None:
    smooth_image(9, mode="L").save(dataroot / "trainA" / "gray.png")
    domain = Domain("A", list_images(dataroot / "trainA"), 1, Augmentation(SETTINGS, 1))
    assert domain.load(0, seed=1).image.shape == (1, 24, 24)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_batches_are_pinned_only_where_a_gpu_reads_them(
    dataroot: Path, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    """Whether a GPU is there or not; what pins is a stand-in, for it needs one."""
    pinned: list[Batch] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(Batch, "pin_memory", lambda batch: pinned.append(batch) or batch)
    loader = assemble._feed(tiny_settings, torch.device(device))
    assert len(list(loader.epoch(1))) == 6
    assert len(pinned) == (6 if device == "cuda" else 0)
