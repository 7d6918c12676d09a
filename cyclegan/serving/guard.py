"""What stands before the application: who may ask, how much, and how many at a time."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UPLOAD = 120.0  # seconds that an upload may take
#: An upload that is too large by less is read to its end, so that a browser hears of the refusal.
_DRAINED = 4


@dataclass(frozen=True)
class KnownHosts:
    """Only browsers that mean this server are answered, and only its own page may send pictures.

    A page of a foreign name whose address was changed to this machine's still sends its own name.
    """

    app: ASGIApp
    names: Collection[str]
    """by which it may be reached; empty where any may"""
    further: Collection[str]
    """names of pages that may send to it though a proxy hides them"""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 400 or 403, or let the application answer."""
        if scope["type"] == "http":
            refusal = self._refusal(scope["method"], Headers(scope=scope))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.names and _hostname(f"//{host}") not in self.names:
            return told(400, f"not known as {host[:100]!r}: --hosts gives this server more names")
        own = origin is None or origin.partition("://")[2] == host
        if method == "POST" and not own and _hostname(origin or "") not in self.further:
            return told(403, "pages of other servers may not send pictures")
        return None


@dataclass
class Admission:
    """Lets in so many POST requests at a time, and so many bytes of each."""

    app: ASGIApp
    places: int
    largest: int
    retry_after: Callable[[], int]
    """seconds after which one who is turned away may come again"""
    _inside: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 503, 413 or 408, or let the application answer."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        upload = Upload(receive, self.largest, asyncio.get_running_loop().time() + UPLOAD)
        length = int(Headers(scope=scope).get("content-length", "0"))
        if self._inside >= self.places:
            later = {"Retry-After": str(self.retry_after())}
            refusal = told(503, "the queue is full: try again in a while", later)
        elif length > self.largest:
            refusal = told(413, too_large(self.largest))
        else:
            await self._let_in(scope, upload, send)
            return
        await upload.drain(length)
        await refusal(scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        inside = ExitStack()
        inside.callback(self._leave)
        self._inside += 1

        async def send_after_leaving(message: Message) -> None:
            inside.close()  # one who takes a long time to receive keeps nobody waiting
            await send(message)

        with inside:
            await self.app(scope, receive, send_after_leaving)

    def _leave(self) -> None:
        self._inside -= 1


@dataclass
class Upload:
    """A request's body, counted and timed."""

    receive: Receive
    largest: int
    until: float
    """in seconds of the loop's clock"""
    _seen: int = 0
    _whole: bool = False

    async def __call__(self) -> Message:
        """The next part; HTTPException where there are too many bytes, or they come too slowly."""
        message = await self._next()
        if self._seen > self.largest:
            raise HTTPException(413, too_large(self.largest))
        return message

    async def drain(self, length: int) -> None:
        """Read a body of `length` bytes to its end, if it is not much too large."""
        most = _DRAINED * self.largest
        with suppress(HTTPException):
            while not self._whole and max(length, self._seen) <= most:
                await self._next()

    async def _next(self) -> Message:
        if self._whole:  # what comes now is that the other side is gone
            return await self.receive()
        try:
            async with asyncio.timeout_at(self.until):
                message = await self.receive()
        except TimeoutError:
            raise HTTPException(408, "the upload took too long") from None
        self._seen += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        return message


def told(status: int, line: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer that says in one line what is wrong."""
    return JSONResponse({"detail": line}, status, headers)


def too_large(largest: int) -> str:
    """What is said of an upload that is larger than allowed."""
    return f"the file is larger than {largest // 1_000_000} MB, which is allowed here"


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
