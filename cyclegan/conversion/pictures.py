"""Converts pictures: one file after the other, or those of one size together."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from math import prod
from pathlib import Path
from typing import cast

from rich.progress import Progress, TaskID

from cyclegan.conversion import manifest
from cyclegan.conversion.claims import Claims
from cyclegan.conversion.files import Job, folder_of
from cyclegan.conversion.inputs import threads
from cyclegan.conversion.ledger import Ledger, OutputError
from cyclegan.conversion.look import Look
from cyclegan.conversion.painting import Painting, paint, paint_together
from cyclegan.conversion.remote import Here
from cyclegan.conversion.settings import ConvertSettings
from cyclegan.conversion.sizes import SizeAdvice, scaled
from cyclegan.conversion.translator import Translator
from cyclegan.device import cores
from cyclegan.errors import UserError, in_words
from cyclegan.images.document import (
    check_holds,
    depth_to_write,
    open_document,
    write_document,
)
from cyclegan.images.encoding import Encoding
from cyclegan.images.picture import Document, Picture
from cyclegan.progress import part
from cyclegan.tiling.means import Tell

log = logging.getLogger(__name__)
_TOGETHER_ON_A_GPU = 8
_SMALL = 1 << 22  # bytes of a file, and pixels in it, that may be read long before its turn
_WAITING = 1 << 28  # bytes of pixels that may wait to be written, beside one file's
#: Shows one picture, by its name, and what hears which share of it is done.
Shown = Callable[[str], AbstractContextManager[Tell]]


@dataclass(frozen=True)
class Read:
    """A job's file, opened."""

    job: Job
    document: Document
    painted: Callable[[], Picture] | None = None
    """waits for its picture, where a call for it and perhaps for others was begun"""
    seconds: float = 0.0
    """that this took; of a GPU, that giving it the work took"""


@dataclass(frozen=True)
class Made:
    """A job's pictures, ready to be written."""

    job: Job
    document: Document
    """what was read"""
    pictures: dict[str, Iterable[Picture]]
    """by the folder within the output that they go to; "" last"""
    entry: manifest.Entry


@dataclass
class Coming:
    """A job whose file is being read."""

    job: Job
    document: Future[Document | None]
    """None where it is to be read when its turn is near"""

    def waits(self) -> bool:
        """Whether it is. Waits until that is known."""
        return self.document.exception() is None and self.document.result() is None


@dataclass
class Writing:
    """What several threads write, and how much of it waits at the most."""

    threads: Executor
    most: int
    """files"""
    failed: list[str]
    """gets a line for each that can't be written"""
    _waiting: deque[tuple[Future[list[str]], int]] = field(default_factory=deque)
    _bytes: int = 0

    def add(self, write: Callable[[], list[str]], size: int) -> None:
        """Write a file of `size` bytes of pixels, when there is room for them."""
        while self._waiting and (len(self._waiting) >= self.most or self._bytes + size > _WAITING):
            self._end_first()
        self._waiting.append((self.threads.submit(write), size))
        self._bytes += size

    def end(self) -> None:
        """Wait for all. Raises OutputError where nothing more can be written."""
        while self._waiting:
            self._end_first()

    def _end_first(self) -> None:
        written, size = self._waiting.popleft()
        self._bytes -= size
        self.failed += written.result()


class Pictures:
    """Converts file after file with one generator."""

    def __init__(
        self,
        settings: ConvertSettings,
        translator: Translator,
        back: Translator | None,
        look: Look,
        ledger: Ledger,
        mirror: Here,
        claims: Claims,
        advice: SizeAdvice | None = None,
    ) -> None:
        """`back` is the other generator, where `--also` needs it."""
        self._settings = settings
        self._mirror = mirror
        self._claims = claims
        self._advice = advice or SizeAdvice()
        self._translator = translator
        self._back = back
        self._ledger = ledger
        self._values = settings.range or translator.generator.values
        self._look = look
        self._encoding = Encoding(settings.quality, settings.chroma)
        many = 1 if translator.device.type == "cpu" else _TOGETHER_ON_A_GPU
        self._at_once = settings.batch_size or many
        self._threads = max(1, cores() // 2)
        self._ahead = 2 * (self._at_once + self._threads - 1)

    def __call__(self, todo: Sequence[Job], bar: Progress) -> list[str]:
        """Return a line for each that failed.

        The next ones are read and the last ones written meanwhile, by as many threads each as half
        the cores; how much of that is in memory depends on no number of files.
        """
        task = bar.add_task("converting", total=len(todo), unit="pictures")
        failed: list[str] = []
        count = self._threads
        with threads(count) as reader, threads(count, always_end=True) as writer:
            writing = Writing(writer, self._ahead, failed)
            try:
                for jobs in self._claims.shared(todo):
                    groups = self._groups(self._read_ahead(reader, jobs), failed)
                    self._convert(groups, writing, bar, task)
            except OutputError:
                for line in failed:
                    log.warning("%s", line)
                raise
            bar.update(task, completed=len(todo))
        return failed

    def _convert(
        self, groups: Iterable[list[Read]], writing: Writing, bar: Progress, task: TaskID
    ) -> None:
        for group in groups:
            made = []
            for read in self._painted(group):
                try:
                    made.append(self._make(read, partial(part, bar, task)))
                except Exception as error:  # codecs raise nearly every kind
                    writing.failed.append(self._fail(read.job, error))
            for one in self._noted(made, writing.failed):
                several = one.document.count > 1
                size = 0 if several else _only(one.document).pixels.nbytes
                writing.add(partial(self._write, one), size)
                if several:  # made while they are written
                    writing.end()
                bar.advance(task)
        writing.end()

    def _fail(self, job: Job, error: Exception) -> str:
        self._claims.release(job)
        return self._ledger.fail(job, error)

    def _groups(
        self, documents: Iterable[tuple[Job, Future[Document]]], failed: list[str]
    ) -> Iterator[list[Read]]:
        """Files that follow one another and whose single pictures are alike."""
        group: list[Read] = []
        for job, coming in documents:
            try:
                read = Read(job, coming.result())
            except Exception as error:  # as decoders do
                failed.append(self._fail(job, error))
                continue
            if group and _shape(group[0].document) != _shape(read.document):
                yield group
                group = []
            group.append(read)
            if len(group) == self._at_once or read.document.count > 1:
                yield group
                group = []
        if group:
            yield group

    def _painted(self, group: Sequence[Read]) -> Iterable[Read]:
        """The same, their pictures begun in one call; one alone waits for a bar, on the CPU."""
        if len(group) == 1 and (
            group[0].document.count > 1 or self._translator.device.type == "cpu"
        ):
            return group
        begun = time.perf_counter()
        try:
            made = self._begun_together(group)
        except Exception:  # is told of each by its name
            return group
        if made is None:
            return group
        seconds = (time.perf_counter() - begun) / len(group)
        return [
            replace(read, painted=partial(made.picture, place), seconds=seconds)
            for place, read in enumerate(group)
        ]

    def _begun_together(self, group: Sequence[Read]) -> Painting | None:
        sources = [_only(read.document) for read in group]
        for read, source in zip(group, sources, strict=True):
            self._advice.look_at(read.job.source, source.size)
        depths = [
            depth_to_write(read.job.target, source)
            for read, source in zip(group, sources, strict=True)
        ]
        return paint_together(sources, self._translator, self._look, depths)

    def _read_ahead(
        self, reader: Executor, jobs: Iterable[Job]
    ) -> Iterator[tuple[Job, Future[Document]]]:
        """The jobs in their order, those that follow being read.

        So many small files are that all threads have something to do; of large ones no more than
        are converted together, and the next.
        """
        coming: deque[Coming] = deque()
        for job in jobs:
            near = len(coming) <= self._at_once
            read = partial(self._read, job, most=None if near else _SMALL)
            coming.append(Coming(job, reader.submit(read)))
            if len(coming) > self._ahead:
                yield self._next(coming, reader)
        while coming:
            yield self._next(coming, reader)

    def _next(self, coming: deque[Coming], reader: Executor) -> tuple[Job, Future[Document]]:
        for one in islice(coming, self._at_once + 1):
            if (one is coming[0] or one.document.done()) and one.waits():
                one.document = reader.submit(self._read, one.job)
        first = coming.popleft()
        return first.job, cast(Future[Document], first.document)

    def _read(self, job: Job, most: int | None = None) -> Document | None:
        """Pages and frames as they will be asked for, one picture scaled.

        None where the file or its picture has more than `most` bytes or pixels.
        """
        if most is not None and not _is_small(job.source, most):
            return None
        self._mirror.fetch(job.source)
        document = open_document(job.source, self._values)
        if most is not None and (document.size is None or prod(document.size) > most):
            return None
        if document.count > 1:
            return document
        return replace(document, pictures=[self._scaled(each) for each in document.pictures])

    def _make(self, read: Read, shown: Shown) -> Made:
        job, document = read.job, read.document
        check_holds(job.target, document)
        begun = time.perf_counter()
        ways = {kind: partial(self._also, kind) for kind in self._settings.also_made}
        make = partial(self._paint, job, shown)
        made: dict[str, Iterable[Picture]]
        if document.count > 1 and not ways:
            made, width, height = {"": map(make, document.pictures)}, 0, 0
        elif read.painted and not ways:
            made, (width, height) = {"": _arriving(read)}, _only(document).size
        else:
            document = replace(document, pictures=list(document.pictures))
            coming = _arriving(read) if read.painted else map(make, document.pictures)
            done = list(coming)
            made = {
                kind: [
                    way(before, after)
                    for before, after in zip(document.pictures, done, strict=True)
                ]
                for kind, way in ways.items()
            }
            made[""] = done
            width, height = done[0].size
        seconds = read.seconds + time.perf_counter() - begun
        return Made(job, document, made, self._ledger.entry(job, width, height, seconds))

    def _paint(self, job: Job, shown: Shown, picture: Picture) -> Picture:
        with _naming(job):
            self._advice.look_at(job.source, picture.size)
            picture = self._scaled(picture)
            chosen = depth_to_write(job.target, picture)
            width, height = picture.size
            with shown(f"{job.name.name} {width}x{height}") as tell:
                return paint(picture, self._translator, self._look, chosen, tell)

    def _scaled(self, picture: Picture) -> Picture:
        return picture.scaled(scaled(picture.size, self._settings.load_size))

    def _also(self, kind: str, before: Picture, after: Picture) -> Picture:
        assert self._back is not None
        source = after if kind == "cycled" else before.scaled(after.size)
        return paint(source, self._back, Look(), after.depth)

    def _noted(self, made: Iterable[Made], failed: list[str]) -> list[Made]:
        """Those that can be written, in their order and noted together.

        They are noted first: a picture under its name is then always known as ours. One that may be
        replaced goes before, or it would pass for the new one after a kill.
        """
        ready = []
        for one in made:
            try:
                one.job.target.parent.mkdir(parents=True, exist_ok=True)
                one.job.target.unlink(missing_ok=True)
            except OSError as error:
                self._claims.release(one.job)
                failed.append(self._ledger.fail_to_write(one.job, error))
            else:
                ready.append(one)
        if ready:
            self._ledger.note(*(one.entry for one in ready))
        return ready

    def _write(self, made: Made) -> list[str]:
        """Write what was made; return what is wrong with it, if anything."""
        job = made.job
        try:
            for folder, pictures in made.pictures.items():
                path = folder_of(self._settings) / folder / job.name
                write_document(path, pictures, made.document, self._encoding)
                self._mirror.deliver(path)
            self._mirror.drop(job.source)
        except UserError as error:
            return [self._ledger.fail(job, error)]
        except Exception as error:  # encoders raise nearly every kind
            return [self._ledger.fail_to_write(job, error)]
        finally:
            self._claims.release(job)
        return []


def _shape(document: Document) -> tuple[int, ...] | None:
    """Of the one picture that a file holds; None where it holds several."""
    return None if document.count > 1 else _only(document).pixels.shape


def _only(document: Document) -> Picture:
    """The picture of a file that holds one."""
    return next(iter(document.pictures))


def _is_small(path: Path, most: int) -> bool:
    """Whether a file has at most so many bytes; of one that isn't there it is told in its turn."""
    try:
        return path.stat().st_size <= most
    except OSError:
        return False


def _arriving(read: Read) -> Iterator[Picture]:
    """The picture of a call that was begun, when it is asked for."""
    assert read.painted is not None
    with _naming(read.job):
        picture = read.painted()
    yield picture


@contextmanager
def _naming(job: Job) -> Iterator[None]:
    """Name the file in what is raised of one picture only: its size, its values, its codec."""
    try:
        yield
    except Exception as error:
        said = str(error) if isinstance(error, UserError) else in_words(error)
        raise UserError(f"{job.source}: {said}") from error
