"""Converts pictures: one file after the other, or those of one size together."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

from rich.progress import Progress, TaskID

from cyclegan.conversion import manifest
from cyclegan.conversion.claims import Claims
from cyclegan.conversion.files import Job, folder_of
from cyclegan.conversion.inputs import reading_thread
from cyclegan.conversion.ledger import Ledger, OutputError
from cyclegan.conversion.look import Look
from cyclegan.conversion.painting import Depth, paint, paint_together
from cyclegan.conversion.remote import Here
from cyclegan.conversion.settings import ConvertSettings
from cyclegan.conversion.sizes import SizeAdvice, scaled
from cyclegan.conversion.translator import Translator
from cyclegan.errors import UserError, in_words
from cyclegan.images.document import Document, open_document
from cyclegan.images.picture import Picture
from cyclegan.images.writing import Compression, check_holds, depth, write_document
from cyclegan.progress import part
from cyclegan.tiling.means import Tell

log = logging.getLogger(__name__)
_TOGETHER_ON_A_GPU = 8
#: Shows one picture, by its name, and what hears which share of it is done.
Shown = Callable[[str], AbstractContextManager[Tell]]


@dataclass(frozen=True)
class Read:
    """A job's file, opened."""

    job: Job
    document: Document
    painted: Picture | None = None
    """its picture, where it was converted together with others"""
    seconds: float = 0.0
    """that this took"""


@dataclass(frozen=True)
class Made:
    """A job's pictures, ready to be written."""

    job: Job
    document: Document
    """what was read"""
    pictures: dict[str, Iterable[Picture]]
    """by the folder within the output that they go to; "" last"""
    entry: manifest.Entry


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
        self._compression = Compression(settings.quality, settings.chroma)
        many = 1 if translator.device.type == "cpu" else _TOGETHER_ON_A_GPU
        self._at_once = settings.batch_size or many

    def __call__(self, todo: Sequence[Job], bar: Progress) -> list[str]:
        """Return a line for each that failed.

        The next ones are read and the last one written meanwhile, each in a thread of its own.
        """
        task = bar.add_task("converting", total=len(todo), unit="pictures")
        failed: list[str] = []
        with reading_thread() as reader, ThreadPoolExecutor(1) as writer:
            try:
                for jobs in self._claims.shared(todo):
                    groups = self._groups(self._read_ahead(reader, jobs), failed)
                    self._convert(groups, writer, failed, bar, task)
            except OutputError:
                for line in failed:
                    log.warning("%s", line)
                raise
            bar.update(task, completed=len(todo))
        return failed

    def _convert(
        self,
        groups: Iterable[list[Read]],
        writer: Executor,
        failed: list[str],
        bar: Progress,
        task: TaskID,
    ) -> None:
        written: Future[list[str]] | None = None
        for read in (read for group in groups for read in self._painted(group)):
            try:
                made = self._make(read, partial(part, bar, task))
            except Exception as error:  # codecs raise nearly every kind
                failed.append(self._fail(read.job, error))
                continue
            failed += written.result() if written else []
            written = writer.submit(self._keep, made)
            if made.document.count > 1:  # made while they are written
                failed += written.result()
                written = None
            bar.advance(task)
        failed += written.result() if written else []

    def _fail(self, job: Job, error: Exception) -> str:
        self._claims.release(job)
        return self._ledger.fail(job, error)

    def _groups(
        self, documents: Iterable[tuple[Job, Future[Document]]], failed: list[str]
    ) -> Iterator[list[Read]]:
        """Files that follow one another and whose single pictures are of one size."""
        group: list[Read] = []
        for job, coming in documents:
            try:
                read = Read(job, coming.result())
            except Exception as error:  # as decoders do
                failed.append(self._fail(job, error))
                continue
            if group and not self._joins(group, read):
                yield group
                group = []
            group.append(read)
        if group:
            yield group

    def _joins(self, group: Sequence[Read], read: Read) -> bool:
        if len(group) >= self._at_once:
            return False
        shapes = {_shape(one.document) for one in (group[0], read)}
        return len(shapes) == 1 and None not in shapes

    def _painted(self, group: Sequence[Read]) -> Iterable[Read]:
        """The same, converted in one call where they are several."""
        if len(group) == 1:
            return group
        begun = time.perf_counter()
        try:
            made = self._made_together(group)
        except Exception:  # is told of each by its name
            return group
        seconds = (time.perf_counter() - begun) / len(group)
        return [
            replace(read, painted=picture, seconds=seconds)
            for read, picture in zip(group, made, strict=True)
        ]

    def _made_together(self, group: Sequence[Read]) -> list[Picture]:
        sources = [
            self._scaled(read.job, picture) for read in group for picture in read.document.pictures
        ]
        depths = [
            Depth(*depth(read.job.target, source))
            for read, source in zip(group, sources, strict=True)
        ]
        return paint_together(sources, self._translator, self._look, depths)

    def _read_ahead(
        self, reader: Executor, jobs: Iterable[Job]
    ) -> Iterator[tuple[Job, Future[Document]]]:
        """Keep so many documents ahead as are converted together; no more, they may be large."""
        coming: deque[tuple[Job, Future[Document]]] = deque()
        for job in jobs:
            coming.append((job, reader.submit(self._read, job)))
            if len(coming) > self._at_once:
                yield coming.popleft()
        yield from coming

    def _read(self, job: Job) -> Document:
        self._mirror.fetch(job.source)
        document = open_document(job.source, self._values)
        if document.count > 1:
            return document
        return replace(document, pictures=list(document.pictures))

    def _make(self, read: Read, shown: Shown) -> Made:
        job, document = read.job, read.document
        check_holds(job.target, document)
        begun = time.perf_counter()
        ways = {kind: partial(self._also, kind) for kind in self._settings.also_made}
        make = partial(self._paint, job, shown)
        if document.count == 1 or ways:
            document = replace(document, pictures=list(document.pictures))
            done = [read.painted or make(picture) for picture in document.pictures]
            made: dict[str, Iterable[Picture]] = {
                kind: [
                    way(before, after)
                    for before, after in zip(document.pictures, done, strict=True)
                ]
                for kind, way in ways.items()
            }
            made[""] = done
            width, height = done[0].size
        else:
            made, width, height = {"": map(make, document.pictures)}, 0, 0
        seconds = read.seconds + time.perf_counter() - begun
        return Made(job, document, made, self._ledger.entry(job, width, height, seconds))

    def _paint(self, job: Job, shown: Shown, picture: Picture) -> Picture:
        try:
            picture = self._scaled(job, picture)
            chosen = Depth(*depth(job.target, picture))
            width, height = picture.size
            with shown(f"{job.name.name} {width}x{height}") as tell:
                return paint(picture, self._translator, self._look, chosen, tell)
        except Exception as error:  # of one picture only: its size, its values, its codec
            said = str(error) if isinstance(error, UserError) else in_words(error)
            raise UserError(f"{job.source}: {said}") from error

    def _scaled(self, job: Job, picture: Picture) -> Picture:
        self._advice.look_at(job.source, picture.size)
        return picture.scaled(scaled(picture.size, self._settings.load_size))

    def _also(self, kind: str, before: Picture, after: Picture) -> Picture:
        assert self._back is not None
        source = after if kind == "cycled" else before.scaled(after.size)
        return paint(source, self._back, Look(), Depth(after.pixels.dtype, after.range))

    def _keep(self, made: Made) -> list[str]:
        """Write what was made; return what is wrong with it, if anything."""
        job = made.job
        try:
            # Noted first: a picture under its name is then always known as ours. One that may be
            # replaced goes before, or it would pass for the new one after a kill.
            job.target.parent.mkdir(parents=True, exist_ok=True)
            job.target.unlink(missing_ok=True)
            self._ledger.note(made.entry)
            for folder, pictures in made.pictures.items():
                path = folder_of(self._settings) / folder / job.name
                write_document(path, pictures, made.document, self._compression)
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
    if document.count > 1:
        return None
    return next(iter(document.pictures)).pixels.shape
