"""The FastAPI application: its routes, middleware and error responses."""

import logging
import secrets
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, Template

from cyclegan import __version__
from cyclegan.dashboard.address import is_loopback
from cyclegan.errors import UserError
from cyclegan.images.formats import UPLOADED
from cyclegan.serving import ServeSettings
from cyclegan.serving.admission import Admission
from cyclegan.serving.endpoints import Endpoints, ModelOffered, Place
from cyclegan.serving.image_header import KINDS, NoPictureError, TooLargeError
from cyclegan.serving.middleware import KnownHostsMiddleware, told
from cyclegan.serving.tasks import BrokenModelError
from cyclegan.serving.worker import DiedError, TooLongError
from cyclegan.video import VIDEO

log = logging.getLogger(__name__)

_POLICY = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; img-src data: blob:; "
    "connect-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@cache
def _template() -> Template:
    loader = PackageLoader("cyclegan.serving", "")
    return Environment(loader=loader, autoescape=True).get_template("page.html.j2")


def page(settings: ServeSettings) -> Response:
    """Return the page, with a policy that allows only its own scripts and styles."""
    nonce = secrets.token_urlsafe(16)
    shown = _template().render(
        nonce=nonce,
        endings=list(UPLOADED),
        kinds=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}",
        videos=sorted(VIDEO),
        megabytes=settings.max_megabytes,
        megapixels=settings.max_megapixels,
    )
    headers = {"Content-Security-Policy": _POLICY.format(nonce)}
    return Response(shown, media_type="text/html", headers=headers)


ABOUT = """Converts pictures with trained generators.

    curl -F file=@holiday.jpg -F model=NAME http://localhost:8000/api/convert -o converted.jpg

Errors are one line: `{"detail": "..."}`.
"""
#: What an answer that is no picture means.
_REFUSALS = {
    404: "no such model",
    408: "the upload took too long",
    413: "more bytes or pixels than are allowed",
    415: "not an image in a supported format",
    422: "an invalid value, or an image that can't be converted",
    500: "the model can't be loaded, or the conversion failed",
    503: "the queue is full: Retry-After says when to retry",
}
_STATUS: dict[type[UserError], int] = {
    NoPictureError: 415,
    TooLargeError: 413,
    TooLongError: 413,
    DiedError: 500,
    BrokenModelError: 500,
}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def make_application(endpoints: Endpoints) -> FastAPI:
    """Return the application around `endpoints`."""
    app = FastAPI(
        title="cyclegan serve",
        description=ABOUT,
        version=__version__,
        docs_url=None,  # its page comes from the internet
        redoc_url=None,
    )
    app.router.route_class = _Route
    app.add_api_route("/", _page_of(endpoints.settings), include_in_schema=False)
    app.add_api_route("/api/models", endpoints.offered, response_model=list[ModelOffered])
    app.add_api_route("/api/queue/{ticket}", endpoints.place, response_model=Place | None)
    for name, endpoint in {"convert": endpoints.convert, "preview": endpoints.preview}.items():
        app.add_api_route(
            f"/api/{name}",
            endpoint,
            methods=["POST"],
            response_class=Response,
            responses=_responses(),
        )
    app.add_exception_handler(UserError, _tell)
    app.add_exception_handler(RequestValidationError, _tell_values)
    _guard(app, endpoints)
    return app


class _Form(Request):
    """A request of few fields and a picture and a style at most: each may take a file on disk."""

    def form(self, **limits: Any) -> Any:
        return super().form(**limits | {"max_files": 2, "max_fields": 16})


class _Route(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handle(_Form(request.scope, request.receive))

        return bounded


def _guard(app: FastAPI, endpoints: Endpoints) -> None:
    settings = endpoints.settings
    app.add_middleware(
        Admission,
        places=settings.queue + 1,
        largest=settings.largest_upload,
        retry_after=lambda: max(1, round(endpoints.queue.seconds() or _LATER)),
    )
    app.add_middleware(KnownHostsMiddleware, names=_names(settings), further=settings.hosts)
    app.middleware("http")(_with_headers)


def _names(settings: ServeSettings) -> frozenset[str]:
    """Return the names by which the server may be reached; empty for any if others reach it."""
    if not is_loopback(settings.host) and not settings.hosts:
        return frozenset()
    return frozenset({"localhost", "127.0.0.1", "::1", settings.host, *settings.hosts})


def _page_of(settings: ServeSettings) -> Callable[[], Response]:
    def show() -> Response:
        return page(settings)

    return show


def _responses() -> dict[int | str, dict[str, Any]]:
    line = {"type": "object", "properties": {"detail": {"type": "string"}}}
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"description": what, "content": {"application/json": {"schema": line}}}
        for status, what in _REFUSALS.items()
    }
    picture = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
    return {200: {"description": "the picture", "content": picture}, **refusals}


async def _with_headers(request: Request, call_next: Callable[[Request], Any]) -> Response:
    response: Response = await call_next(request)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


async def _tell(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 422)
    if isinstance(error, BrokenModelError):  # its line names a place on this machine's disk
        log.warning("%s", error)
        return told(status, "this model can't be loaded; the server's log says why")
    return told(status, str(error))


async def _tell_values(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field, said = first["loc"][-1], str(first["msg"])
    return told(422, f"{field}: {said[0].lower()}{said[1:]}")


_LATER = 10  # seconds, where nothing is known
