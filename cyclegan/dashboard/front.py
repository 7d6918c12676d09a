"""Pages of our own in front of visdom's: the list of runs, what waits for a run, comparisons."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader

from cyclegan.dashboard.guard import nonce
from cyclegan.dashboard.overlay import overlay
from cyclegan.dashboard.page import notice
from cyclegan.runs import RunSummary, list_runs

_TEMPLATE = Environment(
    loader=PackageLoader("cyclegan.dashboard", ""), autoescape=True
).get_template("runs.html.j2")


def with_list(handler: Any, checkpoints_dir: Path) -> Any:
    """visdom's handler of the root address, which opens the only run or lists all."""

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
    """visdom's handler of an environment's page, which waits for one that is not there yet."""

    def get(self: Any, name: str) -> None:
        if _is_stranger(self) or name in self.state:
            handler.get(self, name)
            return
        self.set_status(404)
        self.write(notice(f"nothing has been sent as {name} yet: this page looks again"))

    return type("WaitingHandler", (handler,), {"get": get})


def with_overlay(handler: Any) -> Any:
    """visdom's handler of comparisons, which tells runs by colours and names."""

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
    """Environments with a page; visdom's own first one, only where something was sent to it."""
    return [name for name in state if name != "main" or state[name]["jsons"]]


def _rows(shown: list[str], runs: list[RunSummary]) -> list[dict[str, Any]]:
    """Runs, the newest first, and what else is shown; where it is shown, with a link."""
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
