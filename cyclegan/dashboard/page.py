"""The folder that the server's page is served from: visdom's files and third-party scripts.

Visdom comes without the third-party scripts of its page. They are put beside a copy of visdom's own
files, so that nothing is written to where packages are installed.
"""

import hashlib
import html
import importlib.util
import re
from importlib.metadata import version
from pathlib import Path

from cyclegan.atomic import atomic_write
from cyclegan.dashboard.packages import PACKAGES, Package, pins
from cyclegan.errors import UsageError

#: What style sheets ask for; all else is named by the pages.
FONTS = tuple(f"fonts/glyphicons-halflings-regular.{kind}" for kind in ("woff2", "woff"))
PAGES = ("index.html", "login.html")
_NAMED = re.compile(r"""static_url\(\s*["']([^"']+)["']\s*\)""")
# No policy of a page keeps a meta element in a window's text from leading it elsewhere.
_NO_META = """<script>
    {
        const inner = Object.getOwnPropertyDescriptor(Element.prototype, 'innerHTML');
        Object.defineProperty(Element.prototype, 'innerHTML', {...inner, set(text) {
            inner.set.call(this, text === null ? '' : String(text).replace(/<meta/gi, '<no-meta'));
        }});
    }
    </script>"""
# The first is no file of the static folder, which newer tornados refuse; an icon is not there.
_MENDED = (
    ('{{ static_url("../user/style.css") }}', '"/user/style.css"'),
    ('<link rel="shortcut icon" href="favicon.png">', ""),
    ("<head>", '<head>\n    <link rel="icon" href="data:,">' + _NO_META),
    # MathJax evaluates what is of that type, which the page's policy forbids.
    ("type='text/x-mathjax-config'", "type='text/javascript'"),
    ("<script", '<script nonce="{{ once }}"'),
)

_NOTICE = """<!doctype html>
<html><head><meta charset="utf-8"><meta http-equiv="refresh" content="3"><title>visdom</title>
<link rel="icon" href="data:,"></head><body><p>{}</p></body></html>
"""
# A template of tornado, which visdom 0.2 asks for and does not bring.
_ERROR = """<!doctype html>
<html><head><meta charset="utf-8"><title>visdom</title><link rel="icon" href="data:,"></head>
<body><p>The server could not answer this: {{ escape(str(error)) }}</p></body></html>
"""


class PageFolder:
    """The page's folder for the installed visdom."""

    def __init__(self, dashboard: Path) -> None:
        self.visdom_version = version("visdom")
        self.folder = dashboard / f"static-{self.visdom_version}"
        spec = importlib.util.find_spec("visdom")
        assert spec is not None
        assert spec.origin is not None
        self._theirs = Path(spec.origin).parent / "static"

    @property
    def required(self) -> list[str]:
        """Files that the page needs and visdom does not ship, as paths below the folder."""
        named = [
            path
            for page in PAGES
            for path in _NAMED.findall((self._theirs / page).read_text(encoding="utf-8"))
        ]
        others = {path for path in named if ".." not in path and not (self._theirs / path).exists()}
        return sorted(others | set(FONTS))

    @property
    def packages(self) -> tuple[Package, ...]:
        """The npm packages that hold the required files; empty for an unknown version of visdom."""
        return PACKAGES.get(".".join(self.visdom_version.split(".")[:2]), ())

    @property
    def pins(self) -> dict[str, str]:
        """SHA-256 of all third-party files, by path below the folder."""
        return pins(self.packages)

    def missing(self, folder: Path | None = None) -> list[str]:
        """Return the required files that are missing from `folder` or differ from their pins.

        By default `folder` is the page's own.
        """
        where, known = self.folder if folder is None else folder, self.pins
        return [path for path in self.required if _digest(where / path) != known.get(path, "")]

    def forged(self, folder: Path) -> list[str]:
        """Return the files in `folder` whose bytes are not the pinned ones."""
        return [
            path for path, pin in self.pins.items() if _digest(folder / path) not in (pin, None)
        ]

    def prepare(self) -> None:
        """Copy visdom's own files into the folder, without its pages."""
        for path in sorted(self._theirs.rglob("*")):
            if path.is_file() and path.suffix != ".map" and path.name not in PAGES:
                content = _mended(path) if path.suffix == ".html" else path.read_bytes()
                place(content, self.folder / path.relative_to(self._theirs))
        if not (self._theirs / "error.html").exists():
            place(_ERROR.encode(), self.folder / "error.html")

    def show(self) -> None:
        """Put visdom's pages into the folder, to be served from now on."""
        for page in PAGES:
            place(_mended(self._theirs / page), self.folder / page)

    def tell(self, message: str) -> None:
        """Put pages into the folder that show `message` and reload every few seconds."""
        for page in PAGES:
            place(notice(message).encode(), self.folder / page)

    def take(self, source: Path) -> None:
        """Copy the files that match their pins from `source` into the folder."""
        for path, pin in self.pins.items():
            if _digest(source / path) == pin:
                place((source / path).read_bytes(), self.folder / path)

    def copy(self, source: Path) -> None:
        """Copy the page's files from `source`. Raises UsageError naming missing ones."""
        missing = self.missing(source)
        if missing:
            raise UsageError(
                f"--assets {source}: lacks {', '.join(missing)}; it should hold the same files as "
                f"the {self.folder} of a machine where the dashboard works"
            )
        self.take(source)


def notice(message: str) -> str:
    """Return a page that shows `message` and reloads every few seconds."""
    return _NOTICE.format(html.escape(message))


def _mended(page: Path) -> bytes:
    """Return one of visdom's pages, patched so that its own scripts carry a nonce."""
    text = "{% set once = nonce() %}" + page.read_text(encoding="utf-8")
    for old, new in _MENDED:
        text = text.replace(old, new)
    return text.encode()


def place(content: bytes, target: Path) -> None:
    """Write a file atomically."""
    with atomic_write(target) as unfinished:
        unfinished.write_bytes(content)


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file; None if there is no file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
