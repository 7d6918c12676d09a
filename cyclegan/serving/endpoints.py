"""The endpoints: models, places in the queue, conversion and previews."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import quote

from fastapi import File, Form, HTTPException, Request, Response, UploadFile
from pydantic import BaseModel, Field

from cyclegan.errors import UserError
from cyclegan.images.formats import UPLOADED
from cyclegan.run import FolderDirection
from cyclegan.serving import ServeSettings
from cyclegan.serving.models import Model
from cyclegan.serving.queue import Queue
from cyclegan.serving.tasks import ConvertTask, CountPixels, Preview
from cyclegan.video import VIDEO

T = TypeVar("T")
_KINDS = "PNG, JPEG, WebP, GIF, BMP or TIFF"
_LONGEST = 100_000  # pixels of a side that may be asked for


class DirectionOffered(BaseModel):
    """A direction that a model converts in."""

    value: FolderDirection
    title: str


class ModelOffered(BaseModel):
    """A model and its directions, the trained one first; none where it has only one."""

    name: str
    directions: list[DirectionOffered]
    style: bool = Field(description="whether each picture needs another one, sent as style")


class Place(BaseModel):
    """A place in the queue."""

    ahead: int = Field(description="position in the queue; 0: being converted")
    seconds: float | None = Field(description="that it takes still, where that is known")


@dataclass(frozen=True)
class Received:
    """An upload in a folder of its own."""

    path: Path
    name: str
    """upload file name"""
    pixels: int
    """to compute"""

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return Path(self.name).stem

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name the upload, not its temporary file, in errors raised within the block."""
        try:
            yield
        except UserError as error:
            ours = rf"(--style )?{re.escape(str(self.path.parent))}/(made/)?{self.path.stem}\.\w+"
            raise type(error)(re.sub(ours, lambda _: self.name, str(error))) from None


@dataclass(frozen=True)
class Endpoints:
    """The endpoints; all work goes through the queues."""

    settings: ServeSettings
    models: Callable[[], dict[str, Model]]
    queue: Queue
    header_queue: Queue
    """for reading upload headers"""
    folder: Path
    """for uploads and results"""

    async def offered(self) -> list[ModelOffered]:
        """List the models that convert, by name."""
        return [
            ModelOffered(
                name=model.name,
                directions=[
                    DirectionOffered(value=value, title=title) for value, title in model.directions
                ],
                style=model.given_style,
            )
            for model in self.models().values()
        ]

    async def place(self, ticket: str) -> Place | None:
        """Return a conversion's place in the queue by its ticket; null if none waits by it."""
        wait = self.queue.wait_of(ticket)
        return None if wait is None else Place(ahead=wait.ahead, seconds=wait.seconds)

    async def convert(
        self,
        request: Request,
        file: Annotated[UploadFile, File(description=_KINDS)],
        style: Annotated[
            UploadFile | None,
            File(description=f"style image, for models that need one: {_KINDS}"),
        ] = None,
        model: Annotated[
            str | None, Form(description="name of the model; by default the first")
        ] = None,
        direction: Annotated[
            FolderDirection | None, Form(description="by default the trained direction")
        ] = None,
        strength: Annotated[
            float,
            Form(ge=0, le=1, description="blending strength: 0 gives the input, 1 the conversion"),
        ] = 1.0,
        load_size: Annotated[
            int | None,
            Form(ge=1, le=_LONGEST, description="pixels to scale the shorter side to"),
        ] = None,
        ticket: Annotated[
            str | None,
            Form(
                max_length=64,
                description="any ID of the client's choice, to poll the queue position with",
            ),
        ] = None,
    ) -> Response:
        """Convert a picture; the response is the file that `cyclegan convert` makes of it."""
        chosen = self._chosen(model, direction)
        _check_style(chosen, style)
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            received = await self._receive(file, Path(name), load_size)
            painting = await self._receive(style, Path(name), None, "style") if style else None
            task = ConvertTask(
                received.path, Path(name) / "made", chosen.path, chosen.epoch, direction,
                strength, load_size, painting.path if painting else None,
            )  # fmt: skip
            with received.named(), painting.named() if painting else nullcontext():
                pixels = received.pixels + (painting.pixels if painting else 0)
                work = self.queue.run(task, pixels, chosen.name, ticket)
                made = await _while_wanted(request, work)
            return await _sent(made, f"{received.stem}-{chosen.name}")

    async def preview(self, request: Request, file: UploadFile) -> Response:
        """Convert a picture to a PNG of at most 1600 pixels a side.

        For browsers that can't show the picture's own format (TIFF).
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            received = await self._receive(file, Path(name), None)
            task = Preview(received.path, Path(name))
            with received.named():
                work = self.queue.run(task, received.pixels, "preview")
                made = await _while_wanted(request, work)
            return await _sent(made, received.stem)

    def _chosen(self, name: str | None, direction: FolderDirection | None) -> Model:
        models = self.models()
        found = next(iter(models.values()), None) if name is None else models.get(name)
        if found is None:
            raise HTTPException(404, f"no such model; there are {', '.join(models)}")
        if direction and direction not in dict(found.directions):
            raise HTTPException(422, f"{found.name} converts in one direction: give none")
        return found

    async def _receive(
        self, file: UploadFile, folder: Path, load_size: int | None, what: str = "picture"
    ) -> Received:
        """Save an upload to a file; only the ending of the name sent with it is used."""
        given = Path(_printable(file.filename or "").replace("\\", "/")).name
        ending = Path(given).suffix
        if ending.lower() not in UPLOADED:
            raise HTTPException(415, _no_picture(ending, what))
        path = folder / f"{what}{ending}"

        def keep() -> None:
            with path.open("wb") as target, file.file as source:  # which is kept open no longer
                shutil.copyfileobj(source, target, 1 << 20)

        await asyncio.to_thread(keep)
        task = CountPixels(path, self.settings.most_pixels, load_size)
        try:
            pixels: int = await self.header_queue.run(task, 1, "header")
        except UserError as error:
            raise type(error)(f"{error}" if what == "picture" else f"the {what}: {error}") from None
        return Received(path, given, pixels)


def _check_style(model: Model, style: UploadFile | None) -> None:
    if model.given_style and style is None:
        raise HTTPException(422, f"{model.name} needs a style picture: send it as style")
    if style is not None and not model.given_style:
        raise HTTPException(422, f"{model.name} has its style from training: send none")


def _no_picture(ending: str, what: str) -> str:
    if ending.lower() in VIDEO:
        return "a video, which is not converted here: cyclegan convert --input FILE does that"
    return f"no {what}: its name should end in {', '.join(UPLOADED)}"


def _printable(text: str) -> str:
    """Return a text that can be encoded, with lone surrogates replaced."""
    return text.encode(errors="replace").decode()


async def _while_wanted(request: Request, work: Awaitable[T]) -> T:
    """Return the result of `work`, which is cancelled if the client disconnects."""
    doing = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise HTTPException(499, "the client closed the request")
        return doing.result()
    finally:
        for task in (doing, gone):
            task.cancel()
        await asyncio.gather(doing, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    """Wait until the client disconnects."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _sent(made: Path, stem: str) -> Response:
    name = quote(f"{stem}{made.suffix}".replace("/", "-"), safe="")
    return Response(
        await asyncio.to_thread(made.read_bytes),
        media_type=UPLOADED[made.suffix.lower()].media,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
    )
