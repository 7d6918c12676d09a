"""What `cyclegan evaluate` found of a run, kept in its folder and shown beside its curves."""

import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from cyclegan.atomic import atomic_write
from cyclegan.loggers.curves import Chart
from cyclegan.plain import DamagedTextError, from_json
from cyclegan.run_folder import RunFolder

log = logging.getLogger(__name__)
WINDOW = "evaluation"  # what its Visdom windows' names begin with

Table = Mapping[str, Any]


def read(folder: Path) -> list[Table]:
    """All evaluations of a run, in the order of training; damaged ones are told and left out."""
    path = RunFolder(folder).evaluations
    try:
        found = from_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, DamagedTextError) as error:
        log.warning("%s: can't be read (%s): what it holds is not shown", path, error)
        return []
    whole = [table for table in found if _is_whole(table)] if isinstance(found, list) else []
    if whole != found:
        log.warning("%s: damaged in part: what can't be read is not shown", path)
    return whole


def add(folder: Path, tables: Iterable[Table]) -> list[Table]:
    """Keep `tables` with those there are, in place of the same checkpoint's by the same network.

    A damaged file stays beside the new one, under another name.
    """
    path = RunFolder(folder).evaluations
    known = {_key(table): table for table in [*read(folder), *tables]}
    ordered = sorted(known.values(), key=lambda table: int(table["images_seen"]))
    with atomic_write(path) as unfinished:
        unfinished.write_text(json.dumps(ordered, indent=1))
        if path.exists() and not _is_sound(path):
            path.replace(path.with_name(f"{path.name}.damaged"))
    return ordered


def _is_sound(path: Path) -> bool:
    try:
        found = from_json(path.read_bytes())
    except DamagedTextError:
        return False
    return isinstance(found, list) and all(map(_is_whole, found))


def _is_whole(table: Any) -> bool:
    """Whether all that is shown of a table is in it."""
    try:
        (
            _key(table),
            _row(table),
            [float(of(table[way])) for of in _CURVES.values() for way in ("A_to_B", "B_to_A")],
        )
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        return False
    return True


def panel(tables: Iterable[Table]) -> str:
    """A row for each checkpoint, as a small piece of HTML; empty where there are none."""
    rows = [_row(table) for table in tables]
    if not rows:
        return ""
    figures = (f"{name} {way}" for name in ("progress", "KID", "SSIM") for way in ("A→B", "B→A"))
    names = ("checkpoint", "images seen", *figures, "network")
    cell = "style='padding-right:1em;text-align:left'"
    head = "".join(f"<th {cell}>{name}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td {cell}>{escape(value)}</td>" for value in row) + "</tr>"
        for row in rows
    )
    return f"<table style='font-size:13px'><tr>{head}</tr>{body}</table>"


def charts(tables: Iterable[Table]) -> list[Chart]:
    """Progress, KID and kept structure, where alike measures saw more than one checkpoint."""
    groups: dict[tuple[str, int, int], list[Table]] = {}
    for table in tables:  # figures of other networks or sizes can't be compared
        groups.setdefault(_measure(table), []).append(table)
    return [
        _chart(title, group, of)
        for group in groups.values()
        for title, of in _CURVES.items()
        if len({table["images_seen"] for table in group if math.isfinite(of(table["A_to_B"]))}) > 1
    ]


def _chart(title: str, tables: list[Table], of: Callable[[Table], float]) -> Chart:
    chart = Chart(f"{title}, {tables[0]['side']} px, by {tables[0]['network']}", smooths=False)
    by_images = {int(table["images_seen"]): table for table in tables}
    for images, table in by_images.items():
        chart.add(images, {"A→B": of(table["A_to_B"]), "B→A": of(table["B_to_A"])})
    return chart


def _share(measured: Table, key: str = "value") -> float:
    """Progress, or its error; earlier versions did not know it."""
    return float(measured["progress"][key]) if "progress" in measured else math.nan


_CURVES: dict[str, Callable[[Table], float]] = {
    "progress of the test images": _share,
    "KID of the test images": lambda measured: measured["kid"]["value"],
    "SSIM of luminance kept": lambda measured: measured["content"]["ssim"],
}


def _measure(table: Table) -> tuple[str, int, int]:
    """What figures must share to be compared."""
    return str(table["network"]), int(table["side"]), int(table.get("crops", 0))


def _key(table: Table) -> tuple[str, tuple[str, int, int]]:
    return str(table["epoch"]), _measure(table)


def _told(measured: Table) -> str:
    value = _share(measured)
    return f"{value:.2f} ± {_share(measured, 'error'):.2f}" if math.isfinite(value) else "-"


def _row(table: Table) -> list[str]:
    directions = [table["A_to_B"], table["B_to_A"]]
    return [
        str(table["epoch"]),
        f"{table['images_seen']:,}",
        *(_told(one) for one in directions),
        *(f"{one['kid']['value']:.4f} ± {one['kid']['error']:.4f}" for one in directions),
        *(f"{one['content']['ssim']:.3f}" for one in directions),
        str(table["network"]),
    ]
