"""The writing stage of a conversion: outputs, manifest entries, the page and the comparison."""

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import fmean
from urllib.parse import quote

from jinja2 import Environment, PackageLoader
from PIL import Image
from rich.console import Console
from torch import Tensor

from cyclegan import images
from cyclegan.atomic import atomic_write, is_full
from cyclegan.conversion import Locations, manifest
from cyclegan.conversion.claims import Claims, claims
from cyclegan.conversion.files import Job, folder_of, is_video
from cyclegan.conversion.network import Made
from cyclegan.conversion.storage import LocalStorage, url_of
from cyclegan.errors import UserError, in_words
from cyclegan.execution.execution import Execution
from cyclegan.images import Encoding
from cyclegan.images.document import write_document
from cyclegan.metrics import METRICS
from cyclegan.progress import tracked

log = logging.getLogger(__name__)

_WAITING = 1 << 28  # bytes of pixels that may wait to be written, beside one file's


class OutputError(UserError):
    """An output that can't be written, so that all later ones would fail, too."""


@dataclass(frozen=True)
class Ledger:
    """A writer of jobs to the manifest of the output folder."""

    output: Path
    made_by: str
    """digest of model and options"""
    checkpoint: str
    """digest of the generator's weights"""
    execution: Execution
    """how the generator is computed"""
    notes: str = manifest.NAME
    """name of the manifest"""

    def entry(
        self, job: Job, width: int = 0, height: int = 0, seconds: float = 0.0
    ) -> manifest.Entry:
        """Return the entry of a job that took `seconds`."""
        origin = manifest.Origin.of(job.source, self.made_by)
        return manifest.Entry(
            job.name.as_posix(),
            origin,
            self.checkpoint,
            width,
            height,
            round(seconds, 3),
            precision=self.execution.precision,
            compiled=self.execution.compiled,
        )

    def note(self, *entries: manifest.Entry) -> None:
        """Write entries to the manifest, before the outputs appear: all are then known as ours.

        Raises OutputError if the manifest can't be written.
        """
        try:
            manifest.append(self.output, *entries, name=self.notes)
        except OSError as error:
            path = self.output / self.notes
            raise OutputError(f"{path}: can't be written ({in_words(error)})") from error

    def fail(self, job: Job, error: Exception) -> str:
        """Record that a job failed, whatever the error; return the line that says why.

        Raises OutputError if the disk is full or the folder can't be written to.
        """
        line = str(error) if isinstance(error, UserError) else f"{job.source}: {in_words(error)}"
        if isinstance(error, OutputError) or is_full(error) or is_full(error.__cause__):
            raise OutputError(line) from error
        if os.path.isfile(job.source):  # noqa: PTH113 - of a name of any length
            self.note(replace(self.entry(job), error=line))
        return line

    def fail_to_write(self, job: Job, error: Exception) -> str:
        """Record that a job's output can't be written; return the line that says why."""
        named = getattr(error, "filename", None)
        where = "" if named is None or Path(os.fsdecode(named)) == job.target else f"{named}: "
        told = UserError(f"{job.target}: can't be written ({where}{in_words(error)})")
        told.__cause__ = error
        return self.fail(job, told)


@dataclass(frozen=True)
class Output:
    """The folder of finished jobs, with its manifest, storage and claims."""

    ledger: Ledger
    storage: LocalStorage
    claims: Claims

    def fail(self, job: Job, error: Exception) -> str:
        """Record and release a job that failed; return the line that says why."""
        self.claims.release(job)
        return self.ledger.fail(job, error)


@dataclass
class Writer:
    """The third stage of a conversion: several threads write, and a bounded amount waits."""

    output: Output
    encoding: Encoding
    thread: Executor
    most: int
    """queue size"""
    failed: list[str]
    """gets a line for each that can't be written"""
    _waiting: deque[tuple[Future[list[str]], int]] = field(default_factory=deque)
    _bytes: int = 0

    def fail(self, job: Job, error: Exception) -> None:
        """Record a job that failed in an earlier stage."""
        self.failed.append(self.output.fail(job, error))

    def write(self, made: Iterable[Made], written: Callable[[], object]) -> None:
        """Begin to write files, in their order and noted together; `written` is called after each.

        The manifest comes first: a picture under its name is then always known as ours. A picture
        that may be replaced is removed before, or it would pass for the new one after a kill.
        """
        ready = [one for one in made if self._has_place(one)]
        if ready:
            entry = self.output.ledger.entry
            self.output.ledger.note(*(entry(one.job, *one.size, one.seconds) for one in ready))
        for one in ready:
            several = one.document.count > 1
            self._add(partial(self._write, one), 0 if several else _bytes_of(one))
            if several:  # made while they are written
                self.end()
            written()

    def end(self) -> None:
        """Wait for all files. Raises OutputError if nothing more can be written."""
        while self._waiting:
            self._end_first()

    def _has_place(self, made: Made) -> bool:
        try:
            made.job.target.parent.mkdir(parents=True, exist_ok=True)
            made.job.target.unlink(missing_ok=True)
        except OSError as error:
            self.output.claims.release(made.job)
            self.failed.append(self.output.ledger.fail_to_write(made.job, error))
            return False
        return True

    def _add(self, write: Callable[[], list[str]], size: int) -> None:
        """Submit a file of `size` bytes of pixels, once there is room for them."""
        while self._waiting and (len(self._waiting) >= self.most or self._bytes + size > _WAITING):
            self._end_first()
        self._waiting.append((self.thread.submit(write), size))
        self._bytes += size

    def _end_first(self) -> None:
        written, size = self._waiting.popleft()
        self._bytes -= size
        self.failed += written.result()

    def _write(self, made: Made) -> list[str]:
        """Write the pictures of a job; return what is wrong with them, if anything."""
        job, ledger, storage = made.job, self.output.ledger, self.output.storage
        try:
            for folder, pictures in made.pictures.items():
                path = ledger.output / folder / job.name
                write_document(path, pictures, made.document, self.encoding)
                storage.deliver(path)
            storage.drop(job.source)
        except UserError as error:
            return [ledger.fail(job, error)]
        except Exception as error:  # encoders raise nearly every kind
            return [ledger.fail_to_write(job, error)]
        finally:
            for pictures in made.pictures.values():
                if isinstance(pictures, Generator):
                    pictures.close()
            self.output.claims.release(job)
        return []


def _bytes_of(made: Made) -> int:
    """Return the bytes of pixels of the picture that was read."""
    return next(iter(made.document.pictures)).pixels.nbytes


PAGE = "index.html"
MOST = 1000  # pairs: a browser has to lay them all out


def write_page(jobs: Sequence[Job], output: Path, title: str) -> Path:
    """Write the page of those `jobs` whose picture exists; return its path."""
    template = Environment(
        loader=PackageLoader("cyclegan.conversion", ""), autoescape=True
    ).get_template("page.html.j2")
    pairs = [
        {
            "name": job.name.as_posix(),
            "input": _link(job.source, output),
            "output": _link(job.target, output),
            "moves": is_video(job.source),
        }
        for job in islice((job for job in jobs if job.is_done), MOST)
    ]
    path = output / PAGE
    page = template.render(title=title, pairs=pairs, pictures=len(jobs))
    with atomic_write(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8", errors="replace")  # names may be any bytes
    return path


def _link(path: Path, output: Path) -> str:
    return quote(os.fsencode(os.path.relpath(path.resolve(), output.resolve())))


def compare(jobs: Sequence[Job], reference: Path) -> list[str]:
    """Return a line for each metric: conversions to `reference`, beside the unconverted inputs.

    Files are paired by the name of the output; pictures without a counterpart are left out, those
    that can't be read with a warning.
    """
    pairs = [(job, reference / job.name) for job in jobs if (reference / job.name).is_file()]
    measured = [
        figures
        for job, path in tracked(pairs, "comparing", "pictures")
        if (figures := _figures(job, path)) is not None
    ]
    if not measured:
        return [f"{reference}: no picture of the same name as a converted one"]
    lines = []
    for number, name in enumerate(METRICS):
        converted, inputs = (
            fmean(figures[number][side] for figures in measured) for side in (0, 1)
        )
        lines.append(
            f"{name} to {reference} over {len(measured)} images: {converted:.4f} "
            f"(the unconverted input: {inputs:.4f})"
        )
    return lines


def _figures(job: Job, path: Path) -> list[tuple[float, float]] | None:
    """Return each metric of conversion and input; None, with a warning, if one is unreadable."""
    try:
        expected = images.read(path, 3)
        converted, source = _tensor(job.target, expected), _tensor(job.source, expected)
    except UserError as error:
        log.warning("not compared: %s", error)
        return None
    wanted = images.to_tensor(expected)
    return [(metric(converted, wanted), metric(source, wanted)) for metric in METRICS.values()]


def _tensor(path: Path, like: Image.Image) -> Tensor:
    image = images.read(path, 3)
    return images.to_tensor(image if image.size == like.size else image.resize(like.size))


@dataclass(frozen=True)
class Standing:
    """How far the jobs of all shards are."""

    left: int = 0
    """neither made nor failed"""
    failed: int = 0

    @classmethod
    def of(cls, jobs: Sequence[Job], folder: Path, made_by: str) -> "Standing":
        """Return how far `jobs` are, by the manifests in `folder` and the outputs there."""
        made = manifest.read(folder)
        left = failed = 0
        for job in jobs:
            try:
                entry = job.entry_in(made, made_by)
            except OSError:  # what a list names may be gone
                failed += 1
                continue
            if entry is not None and entry.error is not None:
                failed += 1
            elif entry is None or not job.is_done:
                left += 1
        return cls(left, failed)


def end(jobs: Sequence[Job], locations: Locations, title: str) -> None:
    """Write the page of all that was made, and join the manifests of shards."""
    folder = folder_of(locations)
    with manifest.joined(folder):
        if folder != locations.target or not any(job.is_done for job in jobs):
            return
        try:
            _tell(f"pictures: {write_page(jobs, folder, title)}")
        except OSError as error:  # the pictures are there
            log.warning("%s: can't be written (%s)", folder / PAGE, in_words(error))


def merge(folder: Path, title: str) -> int:
    """Join the manifests of the shards in `folder` and write its page; return the exit code.

    Where all is joined and the page is there, nothing is changed. Raises UserError.
    """
    if url_of(folder) is not None:
        raise UserError(
            f"--output {folder}: --merge is for local folders; conversions read the manifests of "
            "all shards behind a URL as they are"
        )
    parts = [path for path in folder.rglob(".*.parts") if path.is_dir()]
    if not manifest.paths(folder):
        found = f"only a part of a video ({parts[0]})" if parts else "no manifest of a conversion"
        raise UserError(f"--output {folder}: {found} there: nothing to merge")
    with claims(folder, overwrite=False) as ours, ours.alone(PAGE):
        with manifest.joined(folder) as count:
            entries = manifest.read(folder)
            jobs = [
                Job(Path(entry.origin.input), folder / name, Path(name))
                for name, entry in sorted(entries.items())
                if entry.error is None
            ]
            if count or not (folder / PAGE).exists():
                _tell(f"pictures: {write_page(jobs, folder, title)}")
        failed = len(entries) - len(jobs)
    _tell(f"{count} shards joined: {len(jobs)} converted, {failed} failed")
    for path in parts:
        _tell(
            f"{path}: segments of a video whose other parts are missing: rerun the shards that "
            "convert them"
        )
    return 0


def _tell(line: str) -> None:
    Console(soft_wrap=True, highlight=False).print(line, markup=False)
