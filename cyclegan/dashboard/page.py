"""The folder that the server's page is served from: visdom's files and third-party scripts.

Visdom comes without the third-party scripts of its page. They are put beside a copy of visdom's own
files, so that nothing is written to where packages are installed.
"""

import html
import importlib.util
import logging
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from cyclegan.dashboard.packages import PACKAGES, pins
from cyclegan.npm import SOURCES, PinnedFolder, Source, fetch, place

log = logging.getLogger(__name__)
FETCHING = "downloading the page's scripts, only this once"
NOTHING = (
    "the page stays empty: its scripts could not be fetched; connect to the internet or install "
    "npm and start it again, or give --assets FOLDER (cyclegan dashboard) with a copy of {name} "
    "from a machine where it works; training can log to it all the same"
)

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
    def scripts(self) -> PinnedFolder:
        """The third-party files; there are no packages for an unknown version of visdom."""
        packages = PACKAGES.get(".".join(self.visdom_version.split(".")[:2]), ())
        return PinnedFolder(self.folder, packages, pins(packages), self._required())

    def _required(self) -> list[str]:
        """Return what the page needs and visdom does not ship, as paths below the folder."""
        named = [
            path
            for page in PAGES
            for path in _NAMED.findall((self._theirs / page).read_text(encoding="utf-8"))
        ]
        others = {path for path in named if ".." not in path and not (self._theirs / path).exists()}
        return sorted(others | set(FONTS))

    def prepare(self) -> None:
        """Copy visdom's own files into the folder, without its pages."""
        for path in sorted(self._theirs.rglob("*")):
            if path.is_file() and path.suffix != ".map" and path.name not in PAGES:
                content = _mended(path) if path.suffix == ".html" else path.read_bytes()
                place(content, self.folder / path.relative_to(self._theirs))
        if not (self._theirs / "error.html").exists():
            place(_ERROR.encode(), self.folder / "error.html")

    async def complete(self, sources: Mapping[str, Source] = SOURCES) -> bool:
        """Show the page after fetching the scripts it lacks; return whether it is complete.

        Logs a line when fetching starts and one when it fails.
        """
        scripts = self.scripts
        if scripts.missing():
            log.info("dashboard: %s", FETCHING)
            self.tell(f"{FETCHING}; this shows what training sends as soon as they are there")
            await fetch(scripts, "dashboard", sources)
        if scripts.missing():
            nothing = NOTHING.format(name=self.folder)
            log.warning("dashboard: %s", nothing)
            self.tell(nothing)
            return False
        self.show()
        return True

    def show(self) -> None:
        """Put visdom's pages into the folder, to be served from now on."""
        for page in PAGES:
            place(_mended(self._theirs / page), self.folder / page)

    def tell(self, message: str) -> None:
        """Put pages into the folder that show `message` and reload every few seconds."""
        for page in PAGES:
            place(notice(message).encode(), self.folder / page)


def notice(message: str) -> str:
    """Return a page that shows `message` and reloads every few seconds."""
    return _NOTICE.format(html.escape(message))


def _mended(page: Path) -> bytes:
    """Return one of visdom's pages, patched so that its own scripts carry a nonce."""
    text = "{% set once = nonce() %}" + page.read_text(encoding="utf-8")
    for old, new in _MENDED:
        text = text.replace(old, new)
    return text.encode()
