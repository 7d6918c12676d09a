"""Published data sets by name: downloaded, verified, unpacked without following what they name."""

import os
import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from cyclegan.data.cache import user_folder
from cyclegan.download import fetch_resumed
from cyclegan.errors import UsageError, UserError, in_words, suggest
from cyclegan.images.formats import EXTENSIONS
from cyclegan.progress import tracked

#: Where the authors of CycleGAN publish them. It has no HTTPS: hence the recorded digests.
SOURCE = "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets"


@dataclass(frozen=True)
class PublishedDataset:
    """A data set that others publish, as an archive `NAME.zip`."""

    domains: str
    """A and B"""
    megabytes: int
    """of the archive, about"""
    rights: str


_IMAGENET = "images of ImageNet: research and teaching only"
_FLICKR = "photographs of Flickr: each its photographer's"
_WIKIART = f"paintings of WikiArt, mostly in the public domain; {_FLICKR}"

DATASETS = {
    "apple2orange": PublishedDataset("apples, oranges", 75, _IMAGENET),
    "cezanne2photo": PublishedDataset("Cezanne, photographs", 267, _WIKIART),
    "facades": PublishedDataset("facades, label maps", 34, "CMP Facade Database: research"),
    "horse2zebra": PublishedDataset("horses, zebras", 111, _IMAGENET),
    "iphone2dslr_flower": PublishedDataset("flowers by a phone, by a camera", 324, _FLICKR),
    "maps": PublishedDataset("aerial photographs, maps", 1400, "Google Maps: its terms of use"),
    "monet2photo": PublishedDataset("Monet, photographs", 291, _WIKIART),
    "summer2winter_yosemite": PublishedDataset("summer, winter in Yosemite", 126, _FLICKR),
    "ukiyoe2photo": PublishedDataset("Ukiyo-e, photographs", 279, _WIKIART),
    "vangogh2photo": PublishedDataset("Van Gogh, photographs", 292, _WIKIART),
}

#: Not to be had from anyone but its owners.
_BY_ITS_OWNERS = {
    "cityscapes": "its licence allows no copies elsewhere: register at cityscapes-dataset.com, and "
    "put its photographs and label maps into trainA, trainB, testA and testB"
}


def listed() -> str:
    """Return the names there are, with sizes, domains and rights, as lines."""
    rows = (
        f"{name:24}{one.megabytes:5} MB  {one.domains}; {one.rights}\n"
        for name, one in DATASETS.items()
    )
    return "".join(rows)


def download(name: str, folder: Path, source: str = SOURCE) -> int:
    """Download a data set as `folder`; return its number of images. Raises UserError.

    The archive's digest is recorded at the first download, and compared at any later one.
    """
    known = _known(name)
    if folder.exists():
        raise UserError(f"{folder}: already exists, and is left as it is: give another folder")
    archive, url = folder.with_name(f".{name}.zip"), f"{source}/{name}.zip"
    try:
        fetch_resumed(url, archive, _ROOM * known.megabytes * 1_000_000)
    except OSError as error:
        raise UserError(
            f"{url}: can't be downloaded ({in_words(error)}); run the same command to resume the "
            "download"
        ) from error
    try:
        digest = _verified(archive, url)
        count = _unpacked(archive, folder, url, f"{url}\nSHA-256 {digest}\n{known.rights}\n")
    except _UnusableArchiveError:
        archive.unlink()
        raise
    _record(url, digest)
    archive.unlink()
    return count


class _UnusableArchiveError(UserError):
    """An archive that is not what was to come: it has to be downloaded again."""


_ROOM = 4  # times the size that is known: it may grow


def _known(name: str) -> PublishedDataset:
    if name in _BY_ITS_OWNERS:
        raise UserError(f"{name}: {_BY_ITS_OWNERS[name]}")
    if name not in DATASETS:
        raise UsageError(
            f"{name}: no such data set{suggest(name, DATASETS)}: cyclegan data download lists all"
        )
    return DATASETS[name]


def _verified(archive: Path, url: str) -> str:
    """Return the SHA-256 of an archive. Raises UserError if it was another one before."""
    import pooch

    digest = str(pooch.file_hash(str(archive)))
    before = _recorded().get(url, digest)
    if digest != before:
        raise _UnusableArchiveError(
            f"{url}: SHA-256 {digest[:12]}..., but {before[:12]}... at the first download: "
            f"damaged in transit, or changed; to accept it, remove its line in {_records()}"
        )
    return digest


def _records() -> Path:
    return user_folder("datasets") / "SHA256SUMS"


def _recorded() -> dict[str, str]:
    if not _records().exists():
        return {}
    rows = (line.split(maxsplit=1) for line in _records().read_text().splitlines())
    return {row[1]: row[0] for row in rows if len(row) == 2}


def _record(url: str, digest: str) -> None:
    if url not in _recorded():
        _records().parent.mkdir(parents=True, exist_ok=True)
        with _records().open("a") as file:
            file.write(f"{digest}  {url}\n")


def _unpacked(archive: Path, folder: Path, url: str, about: str) -> int:
    """Unpack the images of an archive as `folder`; return how many.

    They are written to a new folder, which gets its name when all are there.
    """
    begun = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with ZipFile(archive) as opened:
            wanted = list(_images(opened))
            _check(wanted, archive, folder)
            for info, path in tracked(wanted, f"unpacking {folder.name}", "images"):
                (begun / path).parent.mkdir(exist_ok=True)
                with opened.open(info) as source, (begun / path).open("xb") as target:
                    shutil.copyfileobj(source, target)
        (begun / "SOURCE.txt").write_text(about)
        begun.chmod(0o777 & ~_umask())
        begun.rename(folder)
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _UnusableArchiveError(
            f"{url}: damaged, or not an archive of images ({in_words(error)}); nothing was "
            "extracted"
        ) from error
    except OSError as error:
        raise UserError(f"{folder}: can't be written ({in_words(error)})") from error
    finally:
        shutil.rmtree(begun, ignore_errors=True)
    return len(wanted)


def _images(archive: ZipFile) -> Iterator[tuple[ZipInfo, PurePosixPath]]:
    """Yield the images of an archive and where they go: into a domain's folder, by their own name.

    All else is left out: links, folders by other names, and names that lead elsewhere.
    """
    seen = set()
    for info in archive.infolist():
        parts = PurePosixPath(info.filename).parts[-2:]
        path = PurePosixPath(*parts)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if len(parts) < 2 or parts[0] not in _DOMAINS or kind not in (0, stat.S_IFREG):
            continue
        plain = path.name.isprintable() and not set(path.name) & set('\\/:*?"<>|')
        if plain and not path.name.startswith(".") and path.suffix.lower() in EXTENSIONS:
            if path not in seen:
                yield info, path
            seen.add(path)


_DOMAINS = tuple(f"{phase}{domain}" for phase in ("train", "test", "val") for domain in "AB")


def _check(wanted: list[tuple[ZipInfo, PurePosixPath]], archive: Path, folder: Path) -> None:
    """Raise BadZipFile where there are no images, or they would be far larger than the archive."""
    size, free = sum(info.file_size for info, _ in wanted), shutil.disk_usage(folder.parent).free
    if not wanted:
        raise BadZipFile("there are no images in folders such as trainA")
    if size > _DENSEST * archive.stat().st_size:
        raise BadZipFile(f"{size:,} bytes of images in {archive.stat().st_size:,}")
    if size > free:
        raise UserError(
            f"{folder}: needs {size / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free there"
        )


_DENSEST = 20  # bytes of images in one of an archive: they are compressed already


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
