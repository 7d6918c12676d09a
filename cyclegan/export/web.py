"""Web export: a folder with a page that converts pictures in the browser, on its own device."""

import asyncio
import base64
import hashlib
import re
import shutil
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader

from cyclegan.data.cache import user_folder
from cyclegan.errors import UserError, require_extra
from cyclegan.export import onnx
from cyclegan.export.network import Exportable
from cyclegan.npm import Package, PinnedFolder, fetch
from cyclegan.progress import waiting
from cyclegan.runtimes.metadata import PREFIX
from cyclegan.tiling.tiles import SMALLEST

VERSION = "1.30.0"
#: SHA-256 of onnxruntime-web's files, the smallest first: for devices by WebGPU, and for all else.
#: Modules are called .js, which every server sends as JavaScript.
DIGESTS = {
    "ort.wasm.bundle.min.js": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort.webgpu.bundle.min.js": "0730816731ce2cdfb06f273da065d4a1c7091eb9d1756a83b2916c8a89d015e2",
    "ort-wasm-simd-threaded.wasm": (
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"
    ),
    "ort-wasm-simd-threaded.asyncify.wasm": (
        "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da"
    ),
}
_PACKAGE = Package(
    "onnxruntime-web",
    VERSION,
    tuple((name, f"dist/{name.replace('.min.js', '.min.mjs')}") for name in DIGESTS),
)
NETWORK, PAGE = "generator.onnx", "index.html"
#: The package has no texts of its own licences; those of the same runtime for Python are the same.
_LICENSES = {"LICENSE": "LICENSE.txt", "ThirdPartyNotices.txt": "ThirdPartyNotices.txt"}
_SHARE = "onnxruntime-web"  # folder of its files beside the page
_SHOWN_CHANNELS = (1, 3)


def runtime(assets: Path | None) -> Path:
    """Return the folder of onnxruntime-web's files, copied from `assets` or fetched if need be.

    Raises UserError if they can't be had.
    """
    require_extra("--format web", "onnx", "onnx", "onnxscript", "onnxruntime")
    folder = user_folder(f"onnxruntime-web-{VERSION}")
    pinned = PinnedFolder(folder, (_PACKAGE,), DIGESTS, tuple(DIGESTS))
    if assets is not None:
        pinned.copy(assets)
    if pinned.missing():
        with waiting(f"downloading onnxruntime-web {VERSION}, only this once"):
            asyncio.run(fetch(pinned, "onnxruntime-web"))
    if pinned.missing():
        raise UserError(
            f"--format web: onnxruntime-web {VERSION} could not be fetched: connect to the "
            f"internet or install npm and run it again, or give --assets FOLDER with a copy of "
            f"{folder} from a machine where it works"
        )
    return folder


def write(given: Exportable, path: Path) -> None:
    """Write the folder `path`: the page, the network in ONNX, and what runs it.

    Raises UserError if the network takes or makes what no browser shows.
    """
    assert given.runtime is not None
    architecture = given.metadata.architecture
    for channels in (architecture.input_nc, architecture.output_nc):
        if channels not in _SHOWN_CHANNELS:
            raise UserError(
                f"--format web: pictures in a browser have 1 or 3 channels, this generator has "
                f"{channels}: give --format onnx"
            )
    path.mkdir()
    onnx.write(given, path / NETWORK)
    shared = path / _SHARE
    shared.mkdir()
    for name in DIGESTS:
        shutil.copyfile(given.runtime / name, shared / name)
    for name, copy in _LICENSES.items():
        (shared / copy).write_bytes((files("onnxruntime") / name).read_bytes())
    (path / PAGE).write_text(_page(given), encoding="utf-8")


def is_web(folder: Path) -> bool:
    """Return whether a folder is an export of this format, with nothing else in it."""
    names = {NETWORK, PAGE, *(f"{_SHARE}/{name}" for name in (*DIGESTS, *_LICENSES.values()))}
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    return found == names and _MARK in (folder / PAGE).read_text("utf-8", "replace")


_MARK = '<meta name="generator" content="cyclegan export --format web">'


def _page(given: Exportable) -> str:
    metadata = given.metadata
    architecture = metadata.architecture
    channels = (architecture.input_nc, architecture.output_nc)
    model = {
        "channels": architecture.input_nc,
        "bytesPerPixel": architecture.generator.bytes_per_pixel(*channels),
        "widest": architecture.generator.widest,
        "smallest": SMALLEST,
    }
    texts = metadata.texts()
    template = Environment(
        loader=PackageLoader("cyclegan.export", ""), autoescape=True
    ).get_template("web.html.j2")
    page = template.render(
        mark=_MARK,
        policy=_POLICY,
        name=given.name,
        direction=metadata.direction,
        credits=[texts[key] for key in _CREDITS if texts.get(key)],
        model=model,
        version=VERSION,
    )
    return page.replace(_POLICY, _policy(page), 1)


_POLICY = "content-security-policy"
_CREDITS = (f"{PREFIX}license", f"{PREFIX}credits")


def _policy(page: str) -> str:
    """Return the policy of a page: its own styles and scripts, and nothing of any other host.

    The worker begins as text in the page, so that the same policy holds for it.
    """
    script, style = (_sources(page, tag) for tag in ("script", "style"))
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {script} 'wasm-unsafe-eval'",
            f"style-src {style}",
            "worker-src 'self' blob:",
            "connect-src 'self'",
            "img-src blob: data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _sources(page: str, tag: str) -> str:
    """Return the digests of the page's blocks of a tag, as a policy names them."""
    blocks = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(block.encode()).digest()) for block in blocks)
    return " ".join(f"'sha256-{digest.decode()}'" for digest in digests)
