"""The page, with all that it needs in it."""

import secrets
from functools import cache

from fastapi import Response
from jinja2 import Environment, PackageLoader, Template

from cyclegan.images.formats import UPLOADED
from cyclegan.serving.header import KINDS
from cyclegan.serving.settings import ServeSettings
from cyclegan.video.endings import VIDEO

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
    """The page; only scripts and styles that stand in it are run."""
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
