"""Several environments on one page: their charts drawn over each other, their pictures in a row."""

import colorsys
import secrets
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any
from urllib.parse import quote

Pane = dict[str, Any]
_Environments = Mapping[str, Mapping[str, Pane]]

#: One for each environment; what there is more of comes from all around the wheel.
_COLOURS = ("#2f6db3", "#d9722c", "#2a9d5c", "#8e5ea2", "#b0413e", "#5b6770")
_DASHES = ("solid", "dot", "dash", "dashdot")  # for the lines of one environment
# Pixels: a chart, the space around it, and a line of the legend below it.
_WIDTH, _CHART = 605, 220
_MARGINS = {"l": 50, "r": 12, "t": 44, "b": 64}
_ENTRY = 19


def overlay(environments: _Environments) -> list[Pane]:
    """What a page shows that compares `environments`, in the order of the first one's windows."""
    colours = dict(zip(environments, _palette(len(environments)), strict=True))
    panes = [_key(colours), *_charts(environments, colours), *_newest_pictures(environments)]
    return [pane | {"i": number} for number, pane in enumerate(panes)]


def _charts(environments: _Environments, colours: Mapping[str, str]) -> Iterator[Pane]:
    """Those that two of the environments have at least, known by their titles."""
    groups: dict[str, dict[str, Pane]] = {}
    for name, windows in environments.items():
        for pane in sorted(windows.values(), key=_place):
            if pane.get("type") == "plot" and pane.get("title") and _lines(pane):
                groups.setdefault(pane["title"], {})[name] = pane
    for title, panes in groups.items():
        if len(panes) > 1:
            lines = [
                _restyled(line, name, colours[name], _DASHES[number % len(_DASHES)])
                for name, pane in panes.items()
                for number, line in enumerate(_lines(pane))
            ]
            yield _chart(title, lines, next(iter(panes.values()))["content"]["layout"])


def _lines(pane: Pane) -> list[Pane]:
    """The named lines of a chart; faint ones, which have no place in its legend, are left out."""
    lines = [line for line in pane["content"]["data"] if line.get("name")]
    return [line for line in lines if line.get("showlegend", True)]


def _restyled(line: Pane, name: str, colour: str, dash: str) -> Pane:
    style = {"color": colour, "dash": dash, "width": 2}
    mode = "lines" if len(line["x"]) > 1 else "markers"  # a single point is no line
    own = {"line": style, "marker": {"color": colour}, "mode": mode, "showlegend": True}
    return line | own | {"name": f"{name}: {line['name']}"}


def _chart(title: str, lines: list[Pane], layout: Pane) -> Pane:
    """A chart with its legend below it, a line for each entry."""
    below = _MARGINS["b"] + _ENTRY * len(lines)
    height = _MARGINS["t"] + _CHART + below
    legend = {"orientation": "v", "x": 0, "y": -_MARGINS["b"] / _CHART, "yanchor": "top"}
    own = {
        "title": {"text": title, "font": {"size": 15}, "y": 1 - 20 / height},
        "showlegend": True,
        "legend": legend | {"xanchor": "left", "tracegroupgap": 0},
        "margin": _MARGINS | {"b": below},
        "width": _WIDTH,
        "height": height,
    }
    content = {"data": lines, "layout": layout | own}
    return _pane(f"overlay of {title}", title, "plot", content, _WIDTH, height)


def _newest_pictures(environments: _Environments) -> Iterator[Pane]:
    """The newest picture of each history, beside those of the other environments."""
    for name, windows in environments.items():
        for pane in sorted(windows.values(), key=_place):
            if pane.get("type") == "image_history" and pane["content"]:
                title = f"{name}: {pane['title']}"
                size = (pane.get("width"), pane.get("height"))
                yield _pane(f"newest of {title}", title, "image", pane["content"][-1], *size)


def _key(colours: Mapping[str, str]) -> Pane:
    """The names of the environments, in their colours, with links to their own pages."""
    rows = "".join(
        f"<p style='margin:0 0 6px'><span style='color:{colour}'>&#9632;</span>&nbsp; "
        f"<a href='/env/{quote(name, safe='')}'>{escape(name)}</a></p>"
        for name, colour in colours.items()
    )
    height = 34 + 26 * len(colours)
    text = f"<div style='padding:8px 12px;font-size:14px'>{rows}</div>"
    return _pane("overlaid", "runs compared", "text", text, _WIDTH, height)


def _pane(key: str, title: str, kind: str, content: object, *size: int | None) -> Pane:
    """A window as visdom's page takes it; by another contentID it knows that it must draw it."""
    width, height = size
    return {
        "command": "window", "id": key, "title": title, "type": kind, "content": content,
        "width": width, "height": height, "inflate": True,
        "contentID": f"overlay-{secrets.token_hex(8)}", "has_compare": True,
    }  # fmt: skip


def _place(pane: Pane) -> int:
    return int(pane.get("i", 0))


def _palette(count: int) -> list[str]:
    """As many colours as that, all different."""
    if count <= len(_COLOURS):
        return list(_COLOURS[:count])
    around = [colorsys.hls_to_rgb(number / count, 0.42, 0.65) for number in range(count)]
    return ["#" + "".join(f"{round(255 * part):02x}" for part in colour) for colour in around]
