"""What stands before the application: who may ask."""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


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


def told(status: int, line: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer that says in one line what is wrong."""
    return JSONResponse({"detail": line}, status, headers)


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
