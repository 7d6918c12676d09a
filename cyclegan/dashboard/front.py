"""Our pages in front of visdom's: the list of runs, waiting for a run, comparisons."""

import colorsys
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader

from cyclegan.dashboard.guard import nonce
from cyclegan.dashboard.page import notice
from cyclegan.runs import RunSummary, list_runs

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
    """Return the windows of a page that compares `environments`, in the first one's order."""
    colours = dict(zip(environments, _palette(len(environments)), strict=True))
    panes = [_key(colours), *_charts(environments, colours), *_newest_pictures(environments)]
    return [pane | {"i": number} for number, pane in enumerate(panes)]


def _charts(environments: _Environments, colours: Mapping[str, str]) -> Iterator[Pane]:
    """Yield the charts that at least two environments share, matched by title."""
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
    """Return the named lines of a chart, without faint ones, which have no legend entry."""
    lines = [line for line in pane["content"]["data"] if line.get("name")]
    return [line for line in lines if line.get("showlegend", True)]


def _restyled(line: Pane, name: str, colour: str, dash: str) -> Pane:
    style = {"color": colour, "dash": dash, "width": 2}
    mode = "lines" if len(line["x"]) > 1 else "markers"  # a single point is no line
    own = {"line": style, "marker": {"color": colour}, "mode": mode, "showlegend": True}
    return line | own | {"name": f"{name}: {line['name']}"}


def _chart(title: str, lines: list[Pane], layout: Pane) -> Pane:
    """Return a chart with its legend below, one line for each entry."""
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
    """Yield the newest picture of each history of each environment."""
    for name, windows in environments.items():
        for pane in sorted(windows.values(), key=_place):
            if pane.get("type") == "image_history" and pane["content"]:
                title = f"{name}: {pane['title']}"
                size = (pane.get("width"), pane.get("height"))
                yield _pane(f"newest of {title}", title, "image", pane["content"][-1], *size)


def _key(colours: Mapping[str, str]) -> Pane:
    """Return a window with the environments' names in their colours, linked to their own pages."""
    rows = "".join(
        f"<p style='margin:0 0 6px'><span style='color:{colour}'>&#9632;</span>&nbsp; "
        f"<a href='/env/{quote(name, safe='')}'>{escape(name)}</a></p>"
        for name, colour in colours.items()
    )
    height = 34 + 26 * len(colours)
    text = f"<div style='padding:8px 12px;font-size:14px'>{rows}</div>"
    return _pane("overlaid", "runs compared", "text", text, _WIDTH, height)


def _pane(key: str, title: str, kind: str, content: object, *size: int | None) -> Pane:
    """Return a window as visdom's page takes it; the new contentID makes the page redraw it."""
    width, height = size
    return {
        "command": "window", "id": key, "title": title, "type": kind, "content": content,
        "width": width, "height": height, "inflate": True,
        "contentID": f"overlay-{secrets.token_hex(8)}", "has_compare": True,
    }  # fmt: skip


def _place(pane: Pane) -> int:
    return int(pane.get("i", 0))


def _palette(count: int) -> list[str]:
    """Return `count` distinct colours."""
    if count <= len(_COLOURS):
        return list(_COLOURS[:count])
    around = [colorsys.hls_to_rgb(number / count, 0.42, 0.65) for number in range(count)]
    return ["#" + "".join(f"{round(255 * part):02x}" for part in colour) for colour in around]


_TEMPLATE = Environment(
    loader=PackageLoader("cyclegan.dashboard", ""), autoescape=True
).get_template("runs.html.j2")


def with_list(handler: Any, checkpoints_dir: Path) -> Any:
    """Return visdom's handler of the root address, changed to open the only run or list all."""

    def get(self: Any, path: str, **kwargs: str) -> None:
        if path not in ("", "/") or _is_stranger(self):
            handler.get(self, path, **kwargs)
            return
        shown = _shown(self.state)
        runs = list_runs(checkpoints_dir)
        if len(shown) == 1 and {run.display_env for run in runs} <= set(shown):
            self.redirect(f"env/{quote(shown[0], safe='')}")
        else:
            self.write(_TEMPLATE.render(rows=_rows(shown, runs), once=nonce(self)))

    return type("ListHandler", (handler,), {"get": get})


def with_waiting(handler: Any) -> Any:
    """Return visdom's handler of an environment's page, changed to wait for a missing one."""

    def get(self: Any, name: str) -> None:
        if _is_stranger(self) or name in self.state:
            handler.get(self, name)
            return
        self.set_status(404)
        self.write(notice(f"nothing has been logged as {name} yet: this page reloads by itself"))

    return type("WaitingHandler", (handler,), {"get": get})


def with_overlay(handler: Any) -> Any:
    """Return visdom's handler of comparisons, changed to tell runs apart by colours and names."""

    def post(self: Any, names: str) -> None:
        if _is_stranger(self):
            self.set_status(400)
            return
        page = self.subs.get(json.loads(self.request.body)["sid"])
        known = dict.fromkeys(name for name in names.split("+") if name in self.state)
        if page is None:
            return
        for pane in overlay({name: self.state[name]["jsons"] for name in known}):
            page.write_message(pane)
        page.write_message({"command": "layout"})
        page.eid = list(known)

    return type("OverlayHandler", (handler,), {"post": post})


def _is_stranger(handler: Any) -> bool:
    return bool(handler.login_enabled and not handler.current_user)


def _shown(state: Mapping[str, Any]) -> list[str]:
    """Return the environments with a page; visdom's default one only if it is not empty."""
    return [name for name in state if name != "main" or state[name]["jsons"]]


def _rows(shown: list[str], runs: list[RunSummary]) -> list[dict[str, Any]]:
    """Return rows for the runs, newest first, and other environments; those shown have a link."""
    known = {run.display_env for run in runs}
    rows = [_row(run.display_env in shown, run) for run in runs]
    return rows + [_other(name) for name in sorted(shown) if name not in known]


def _row(is_shown: bool, run: RunSummary) -> dict[str, Any]:
    name, state, images, progress, best = run.cells
    return {
        "name": name, "env": run.display_env if is_shown else None, "state": state,
        "images": images, "progress": progress, "share": run.progress or 0.0, "best": best,
        "updated": time.strftime("%Y-%m-%d %H:%M", time.localtime(run.updated)),
    }  # fmt: skip


def _other(name: str) -> dict[str, Any]:
    return {"name": name, "env": name}
