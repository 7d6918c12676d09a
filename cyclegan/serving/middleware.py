"""Client connections with timeouts and a limit, and the middleware for known hosts."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

ASKING = 10.0  # seconds from connecting, or the last answer, to the end of a request's headers
RECEIVING = 120.0  # seconds that a client may take to receive what is left of an answer
AT_ONCE = 32  # connections that are accepted before the first of them is looked at
QUEUE = 512  # connections that wait to be accepted
_MOST = 512


class Connection(H11Protocol):
    """A client's connection with a timeout for incomplete requests, which uvicorn's own lacks.

    If there are too many connections, the client with the most of them loses the one that has been
    idle for longest: nobody is shut out, and the process does not run out of files.
    """

    idle_since: float
    """in seconds of the loop's clock"""
    aborted = False
    _timer: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_request()
        _make_room(each for each in self.connections if isinstance(each, Connection))

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._timer.cancel()
        self._await_request()

    @property
    def idle(self) -> bool:
        """True while the connection waits for a request."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def host(self) -> str:
        """The client's address."""
        return self.client[0] if self.client else ""

    def has_received(self) -> bool:
        """Return whether the last response has been written completely."""
        return self.transport.get_write_buffer_size() == 0

    def abort(self) -> None:
        """Close the connection at once."""
        self.aborted = True
        self.transport.abort()

    def _await_request(self) -> None:
        self.idle_since = self.loop.time()
        self._timer = self.loop.call_later(ASKING, self._end)

    def _end(self) -> None:
        if not self.idle:  # its answer will begin the next wait
            return
        left = self.idle_since + RECEIVING - self.loop.time()
        if self.has_received() or left <= 0:
            self.abort()
        else:
            self._timer = self.loop.call_later(left, self._end)


def _make_room(connections: Iterable[Connection]) -> None:
    there = [each for each in connections if not each.aborted]
    if len(there) <= _most():
        return
    of_client = Counter(each.host for each in there)
    max(
        (each for each in there if each.idle),
        key=lambda each: (of_client[each.host], each.has_received(), -each.idle_since),
    ).abort()


def _most() -> int:
    """Return a third of the open file limit: uploads are files too, and some come at once."""
    try:
        import resource
    except ImportError:  # Windows
        return _MOST
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if files == resource.RLIM_INFINITY else min(_MOST, files // 3)


@dataclass(frozen=True)
class KnownHostsMiddleware:
    """Middleware that refuses unknown Host headers, and POST requests from other servers' pages.

    A page whose name was rebound to this machine still sends its own name.
    """

    app: ASGIApp
    names: Collection[str]
    """allowed host names; empty: any"""
    further: Collection[str]
    """additional allowed origins, for use behind a proxy"""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond with 400 or 403, or pass the request to the application."""
        if scope["type"] == "http":
            refusal = self._refusal(scope["method"], Headers(scope=scope))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.names and _hostname(f"//{host}") not in self.names:
            return told(400, f"unknown host {host[:100]!r}: allow it with --hosts")
        own = origin is None or origin.partition("://")[2] == host
        if method == "POST" and not own and _hostname(origin or "") not in self.further:
            return told(403, "cross-origin requests are not allowed")
        return None


def told(status: int, line: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return a response that states in one line what is wrong."""
    return JSONResponse({"detail": line}, status, headers)


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
