"""The guard in front of visdom's application: allowed hosts, origins, body sizes and headers."""

import ipaddress
import json
import secrets
import socket
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from http.client import responses
from urllib.parse import urlsplit

from tornado import httputil, web
from tornado.http1connection import HTTP1Connection

from cyclegan.dashboard.address import is_loopback
from cyclegan.dashboard.login import is_signed_in

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Origins:
    """Names by which a server is reached, and pages whose requests count as the server's own."""

    names: frozenset[str]
    """host names it answers to"""
    further: frozenset[str] = frozenset()
    """additional allowed origins, for use behind a proxy"""
    addresses: bool = False
    """whether every numeric address is allowed: no page can claim one"""

    @classmethod
    def of(cls, host: str, hosts: Collection[str]) -> "Origins":
        """Return the origins of a server on `host` with further names. Raises UserError."""
        further = frozenset(name.lower() for name in hosts)
        names = LOCAL | further | {host.lower()}
        if is_loopback(host):
            return cls(names, further - LOCAL)
        return cls(names | {socket.gethostname().lower()}, further - LOCAL, addresses=True)

    def is_known(self, host: str) -> bool:
        """Return whether a request with this Host header is meant for this server.

        A page whose name was rebound to this machine still sends its own name.
        """
        name = "" if "@" in host else _hostname(f"//{host}")
        return name in self.names or (self.addresses and _is_address(name))

    def is_own(self, origin: str, host: str) -> bool:
        """Return whether a page of `origin` belongs to the server that is requested as `host`."""
        return origin.partition("://")[2] == host or _hostname(origin) in self.further


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


STRANGER = 10_000  # bytes that someone may send who has not logged in yet: a login
#: A body that is too large by less is read to its end, so that its sender hears of the refusal.
_DRAINED = 4
_READING = ("GET", "HEAD", "OPTIONS")
#: Nothing but the server's own scripts runs, whatever is in a window's text; styles may be there.
_POLICY = (
    "default-src 'none'; script-src 'self'{}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY.format(""),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Refusal:
    """A refused request's status and one-line reason."""

    status: int
    line: str


class RequestGuard(httputil.HTTPServerConnectionDelegate):
    """Filter of requests for an application that trusts every client."""

    def __init__(self, app: web.Application, origins: Origins, largest: int) -> None:
        self.app = app
        self._origins = origins
        self._largest = largest
        app.add_transform(Protected)
        app.ui_methods["nonce"] = nonce

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        assert isinstance(request_conn, HTTP1Connection)
        return _Request(self, server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        self.app.on_close(server_conn)

    def largest(self, headers: httputil.HTTPHeaders) -> int:
        """Return the largest allowed body of a request in bytes."""
        secret = self.app.settings.get("cookie_secret")
        return self._largest if not secret or is_signed_in(headers, secret) else STRANGER

    def refusal(self, method: str, headers: httputil.HTTPHeaders) -> Refusal | None:
        """Return why a request is refused, judging by its headers; None if it is allowed."""
        host = headers.get("Host", "")
        if not self._origins.is_known(host):
            return Refusal(
                400,
                f"unknown host {host[:100]!r}: allow it with cyclegan dashboard --hosts",
            )
        if not self._is_own(method, headers, host):
            return Refusal(403, "cross-origin requests are not allowed")
        kind = headers.get("Content-Type", "").strip().lower()
        if method not in _READING and kind.startswith("text/plain"):
            return Refusal(415, "the request body must be JSON, not text/plain")
        if _length(headers) > self.largest(headers):
            return Refusal(413, f"larger than the {self.largest(headers):,} bytes allowed")
        return None

    def _is_own(self, method: str, headers: httputil.HTTPHeaders, host: str) -> bool:
        """Return whether a request comes from the server's page, from no page, or follows a link.

        Browsers name the page for every request that does more than read.
        """
        origin = headers.get("Origin", headers.get("Sec-WebSocket-Origin"))
        following = method in _READING and "Upgrade" not in headers
        if origin is not None:
            return following or self._origins.is_own(origin, host)
        foreign = headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
        return not foreign or (following and headers.get("Sec-Fetch-Mode") == "navigate")


class _Request(httputil.HTTPMessageDelegate):
    """A request that is passed to the application, or whose body is discarded."""

    def __init__(self, guard: RequestGuard, server: object, connection: HTTP1Connection) -> None:
        self._guard = guard
        self._server = server
        self._connection = connection
        self._inner: httputil.HTTPMessageDelegate | None = None
        self._answer: Callable[[], None] | None = None

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, httputil.RequestStartLine)
        largest = self._guard.largest(headers)
        refusal = self._guard.refusal(start_line.method, headers)
        if refusal is None:
            self._connection.set_max_body_size(largest)
            self._inner = self._guard.app.start_request(self._server, self._connection)
            return self._inner.headers_received(start_line, headers)
        self._connection.set_max_body_size(max(_length(headers), _DRAINED * largest))
        self._answer = lambda: _answer(self._connection, start_line.method, refusal)
        if _length(headers) > _DRAINED * largest:
            self.finish()
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._inner.data_received(chunk) if self._inner else None

    def finish(self) -> None:
        if self._inner:
            self._inner.finish()
        elif self._answer:
            self._answer()

    def on_connection_close(self) -> None:
        if self._inner:
            self._inner.on_connection_close()


class Protected(web.OutputTransform):
    """Transform that adds the security headers to every response."""

    def __init__(self, request: httputil.HTTPServerRequest) -> None:
        """Ignore the request: all responses get the same headers."""

    def transform_first_chunk(
        self, status_code: int, headers: httputil.HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, httputil.HTTPHeaders, bytes]:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        return status_code, headers, chunk


def nonce(handler: web.RequestHandler) -> str:
    """Return a nonce for the scripts of this page, which scripts injected later don't have."""
    word = secrets.token_urlsafe(16)
    handler.set_header("Content-Security-Policy", _POLICY.format(f" 'nonce-{word}'"))
    return word


def _answer(connection: HTTP1Connection, method: str, refusal: Refusal) -> None:
    body = json.dumps({"detail": refusal.line}).encode()
    start_line = httputil.ResponseStartLine("HTTP/1.1", refusal.status, responses[refusal.status])
    headers = httputil.HTTPHeaders(
        {**HEADERS, "Content-Type": "application/json", "Content-Length": str(len(body))}
    )
    connection.write_headers(start_line, headers, None if method == "HEAD" else body)
    connection.finish()


def _length(headers: httputil.HTTPHeaders) -> int:
    given = headers.get("Content-Length", "")
    return int(given) if given.isdecimal() and len(given) < 20 else 0
