"""Admission of uploads: their size, their speed, and how many at a time."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cyclegan.serving.middleware import told

UPLOAD = 120.0  # seconds that an upload may take
GRACE = 10.0  # seconds that it may be slower than
SLOWEST = 8000  # bytes a second
TOGETHER = 16  # uploads on their way; more make the slowest one give up
#: An upload that is too large by less is read to its end, so that a browser hears of the refusal.
_DRAINED = 4
_FULL = "the queue is full: try again later"


@dataclass
class Admission:
    """Middleware that limits concurrent POST requests and the bytes of each.

    A request takes its place once its upload is complete, so slow senders keep nobody out.
    """

    app: ASGIApp
    places: int
    largest: int
    retry_after: Callable[[], int]
    """seconds before a rejected client may retry"""
    _inside: int = 0
    _uploads: list["Upload"] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond with 503, 413 or 408, or pass the request to the application."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        length = int(Headers(scope=scope).get("content-length", "0"))
        with ExitStack() as place:
            client = (scope.get("client") or ("", 0))[0]
            upload = Upload(receive, self.largest, client, lambda: self._enter(place))
            place.enter_context(self._coming(upload))
            refusal = self._refusal(length)
            if refusal is None:
                await self._let_in(scope, upload, send, place)
                return
            await upload.drain(length)
        await refusal(scope, receive, send)

    async def _let_in(self, scope: Scope, upload: "Upload", send: Send, place: ExitStack) -> None:
        async def send_after_leaving(message: Message) -> None:
            place.close()  # one who takes a long time to receive keeps nobody waiting
            await send(message)

        await self.app(scope, upload, send_after_leaving)

    @contextmanager
    def _coming(self, upload: "Upload") -> Iterator[None]:
        """Count an upload within the block.

        If there are too many, the slowest upload of the client with the most gives up.
        """
        self._uploads.append(upload)
        coming = [each for each in self._uploads if not each.whole and not each.given_up]
        if len(coming) > TOGETHER:
            of_client = Counter(each.client for each in coming)
            max(coming, key=lambda each: (of_client[each.client], -each.until)).give_up()
        try:
            yield
        finally:
            self._uploads.remove(upload)

    def _refusal(self, length: int) -> JSONResponse | None:
        if self._inside >= self.places:
            return told(503, _FULL, self._later())
        return told(413, too_large(self.largest)) if length > self.largest else None

    def _enter(self, place: ExitStack) -> None:
        if self._inside >= self.places:
            raise HTTPException(503, _FULL, self._later())
        self._inside += 1
        place.callback(self._leave)

    def _leave(self) -> None:
        self._inside -= 1

    def _later(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after())}


@dataclass(eq=False)
class Upload:
    """A request's body, counted and timed."""

    receive: Receive
    largest: int
    client: str
    """its address"""
    arrived: Callable[[], None]
    """called once it is complete; may raise HTTPException"""
    whole: bool = False
    given_up: bool = False
    _seen: int = 0
    _begun: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    _waiting: asyncio.Timeout | None = None

    @property
    def until(self) -> float:
        """Deadline for the next bytes, in seconds of the loop's clock."""
        # In whole seconds: of two that have hardly sent anything, the earlier one is the slower.
        return self._begun + min(UPLOAD, GRACE + self._seen // SLOWEST)

    async def __call__(self) -> Message:
        """Return the next part; raise HTTPException for too many bytes or too slow ones."""
        before = self.whole
        message = await self._next()
        if self._seen > self.largest:
            raise HTTPException(413, too_large(self.largest))
        if self.whole and not before:
            self.arrived()
        return message

    def give_up(self) -> None:
        """Stop receiving the body."""
        self.given_up = True
        if self._waiting is not None:
            self._waiting.reschedule(0)

    async def drain(self, length: int) -> None:
        """Read a body of `length` bytes to its end, unless it is far too large."""
        most = _DRAINED * self.largest
        with suppress(HTTPException):
            while not self.whole and max(length, self._seen) <= most:
                await self._next()

    async def _next(self) -> Message:
        if self.whole:  # what comes now is that the other side is gone
            return await self.receive()
        try:
            async with asyncio.timeout_at(0 if self.given_up else self.until) as self._waiting:
                message = await self.receive()
        except TimeoutError:
            raise HTTPException(408, _SLOWER if self.given_up else _SLOW) from None
        finally:
            self._waiting = None
        self._seen += len(message.get("body", b""))
        self.whole = not message.get("more_body", False)
        return message


_SLOW = "the upload took too long"
_SLOWER = "too many uploads at once, and this one was the slowest: try again later"


def too_large(largest: int) -> str:
    """Return the error message for an upload that is larger than allowed."""
    return f"the file is larger than the {largest // 1_000_000} MB allowed here"
