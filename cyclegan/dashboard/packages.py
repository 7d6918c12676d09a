"""Pinned npm packages that hold the scripts of visdom's page, by visdom's version."""

from collections.abc import Iterable
from pathlib import Path

from cyclegan.npm import Package

SUMS = Path(__file__).with_name("SHA256SUMS")  # of the files as npm's registry has them


_FONTS = tuple(
    (f"fonts/{name}", f"dist/fonts/{name}")
    for name in (
        f"glyphicons-halflings-regular.{kind}" for kind in ("eot", "svg", "ttf", "woff", "woff2")
    )
)
_BOOTSTRAP = (
    ("js/bootstrap.min.js", "dist/js/bootstrap.min.js"),
    ("css/bootstrap.min.css", "dist/css/bootstrap.min.css"),
    *_FONTS,
)
# What plots with formulas in their titles load.
_MATHJAX_2 = (
    "MathJax.js",
    "config/Safe.js",
    "config/TeX-AMS-MML_HTMLorMML.js",
    "extensions/Safe.js",
    "jax/output/SVG/config.js",
    "jax/output/SVG/jax.js",
    "jax/output/SVG/fonts/TeX/fontdata.js",
    "jax/output/SVG/fonts/TeX/Size1/Regular/Main.js",
)
_SAME = (
    Package("jquery", "3.1.1", (("js/jquery.min.js", "dist/jquery.min.js"),)),
    Package("bootstrap", "3.3.7", _BOOTSTRAP),
    Package("react", "16.2.0", (("js/react-react.min.js", "umd/react.production.min.js"),)),
    Package("react-dom", "16.2.0", (("js/react-dom.min.js", "umd/react-dom.production.min.js"),)),
    Package("plotly.js-dist-min", "2.11.1", (("js/plotly-plotly.min.js", "plotly.min.js"),)),
    Package("sjcl", "1.0.7", (("js/sjcl.js", "sjcl.js"),)),
    Package(
        "layout-bin-packer", "1.4.0", (("js/layout_bin_packer.js", "dist/layout-bin-packer.js"),)
    ),
    Package("d3", "3.5.17", (("js/d3.v3.min.js", "d3.min.js"),)),
    Package(
        "d3-selection-multi",
        "1.0.1",
        (("js/d3-selection-multi.v1.js", "build/d3-selection-multi.js"),),
    ),
    Package("save-svg-as-png", "1.4.17", (("js/saveSvgAsPng.js", "lib/saveSvgAsPng.js"),)),
)


def _styles(name: str, version: str) -> Package:
    return Package(name, version, ((f"css/{name}-styles.css", "css/styles.css"),))


#: By the first two numbers of visdom's version, as its own server/build.py pins them.
PACKAGES = {
    "0.2": (
        *_SAME,
        _styles("react-resizable", "1.4.6"),
        _styles("react-grid-layout", "0.16.3"),
        Package(
            "mathjax", "2.7.5", tuple((f"js/mathjax/2.7.5/{path}", path) for path in _MATHJAX_2)
        ),
    ),
    "0.3": (
        *_SAME,
        _styles("react-resizable", "3.1.3"),
        _styles("react-grid-layout", "2.2.3"),
        Package(
            "mathjax",
            "3.2.2",
            (("js/mathjax/3.2.2/es5/tex-mml-svg.js", "es5/tex-mml-svg.js"),),
        ),
    ),
}


def pins(packages: Iterable[Package]) -> dict[str, str]:
    """Return the SHA-256 of the packages' files by path, the same for every source."""
    lines = SUMS.read_text(encoding="utf-8").splitlines()
    sums = {name: digest for digest, name in (line.split() for line in lines)}
    return {
        target: sums[f"{package.name}@{package.version}/{path}"]
        for package in packages
        for target, path in package.files
    }
