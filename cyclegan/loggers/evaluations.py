"""Results of `cyclegan evaluate`: kept in the run's folder, shown beside its curves."""

import json
import logging
import math
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any, NotRequired

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from cyclegan.atomic import atomic_write
from cyclegan.loggers.curves import Chart
from cyclegan.plain import DamagedTextError, from_json
from cyclegan.run import RunFolder

log = logging.getLogger(__name__)
WINDOW = "evaluation"  # what its Visdom windows' names begin with


class EstimateRow(TypedDict):
    """An estimate and its standard error."""

    value: float
    error: float


class FidRow(TypedDict):
    """FID as measured, extrapolated to infinitely many images, and whether there were enough."""

    value: float
    extrapolated: float
    enough: bool


class StyleRow(TypedDict):
    """Style distances to the twins."""

    converted: float
    unconverted: float
    ratio: float


class KeptRow(TypedDict):
    """Measures of how much converted pictures keep of their inputs."""

    ssim: float
    feature_distance: NotRequired[float]
    structure_distance: NotRequired[float]
    cycle: NotRequired[float]
    identity: NotRequired[float | None]
    copies: NotRequired[float]
    diversity: NotRequired[float]


class SetsRow(TypedDict):
    """A comparison of two sets of pictures."""

    images: NotRequired[int]
    real_images: NotRequired[int]
    kid: EstimateRow
    fid: NotRequired[FidRow]
    precision: NotRequired[float]
    recall: NotRequired[float]


class DirectionRow(SetsRow):
    """Results for one direction of a checkpoint; earlier versions measured fewer of them."""

    target: NotRequired[str]
    unconverted_kid: NotRequired[EstimateRow]
    progress: NotRequired[EstimateRow]
    style: NotRequired[StyleRow | None]
    content: KeptRow


@with_config(ConfigDict(strict=True))
class EvaluationRow(TypedDict):
    """Evaluation of one checkpoint: an entry of `evaluation.json` and of `--json`."""

    network: str
    resize: NotRequired[str]
    epoch: str
    images_seen: int
    side: int
    crops: NotRequired[int]
    A_to_B: DirectionRow
    B_to_A: DirectionRow


def read(folder: Path) -> list[EvaluationRow]:
    """Return all evaluations of a run in training order; damaged ones are reported and skipped."""
    path = RunFolder(folder).evaluations
    try:
        found = from_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, DamagedTextError) as error:
        log.warning("%s: can't be read (%s): its contents are not shown", path, error)
        return []
    whole = [table for table in found if _is_whole(table)] if isinstance(found, list) else []
    if whole != found:
        log.warning("%s: partly damaged: unreadable parts are not shown", path)
    return whole


def add(folder: Path, tables: Iterable[EvaluationRow]) -> list[EvaluationRow]:
    """Add `tables` to the stored evaluations; return all of them.

    An entry replaces that of the same checkpoint and network. A damaged file is kept beside the new
    one, under another name.
    """
    path = RunFolder(folder).evaluations
    known = {_key(table): table for table in [*read(folder), *tables]}
    ordered = sorted(known.values(), key=lambda table: table["images_seen"])
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
    try:
        _ROW.validate_python(table)
    except ValidationError:
        return False
    return True


_ROW = TypeAdapter(EvaluationRow)


def panel(tables: Iterable[EvaluationRow]) -> str:
    """Return an HTML table with a row for each checkpoint; empty without checkpoints."""
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


def charts(tables: Iterable[EvaluationRow]) -> list[Chart]:
    """Return charts of progress, KID and kept structure, for measures of several checkpoints."""
    groups: dict[tuple[str, int, int], list[EvaluationRow]] = {}
    for table in tables:  # figures of other networks or sizes can't be compared
        groups.setdefault(_measure(table), []).append(table)
    return [
        _chart(title, group, of)
        for group in groups.values()
        for title, of in _CURVES.items()
        if len({table["images_seen"] for table in group if math.isfinite(of(table["A_to_B"]))}) > 1
    ]


def _chart(title: str, tables: list[EvaluationRow], of: Callable[[DirectionRow], float]) -> Chart:
    chart = Chart(f"{title}, {tables[0]['side']} px, by {tables[0]['network']}", smooths=False)
    by_images = {table["images_seen"]: table for table in tables}
    for images, table in by_images.items():
        chart.add(images, {"A→B": of(table["A_to_B"]), "B→A": of(table["B_to_A"])})
    return chart


def _progress(measured: DirectionRow) -> float:
    """Return the progress; NaN for results of earlier versions, which did not measure it."""
    return measured["progress"]["value"] if "progress" in measured else math.nan


_CURVES: dict[str, Callable[[DirectionRow], float]] = {
    "progress of the test images": _progress,
    "KID of the test images": lambda measured: measured["kid"]["value"],
    "SSIM of luminance kept": lambda measured: measured["content"]["ssim"],
}


def _measure(table: EvaluationRow) -> tuple[str, int, int]:
    """Return what two evaluations must share to be comparable: network, side and crops."""
    return table["network"], table["side"], table.get("crops", 0)


def _key(table: EvaluationRow) -> tuple[str, tuple[str, int, int]]:
    return table["epoch"], _measure(table)


def _told(measured: DirectionRow) -> str:
    if not math.isfinite(_progress(measured)):
        return "-"
    return f"{measured['progress']['value']:.2f} ± {measured['progress']['error']:.2f}"


def _row(table: EvaluationRow) -> list[str]:
    directions = [table["A_to_B"], table["B_to_A"]]
    return [
        table["epoch"],
        f"{table['images_seen']:,}",
        *(_told(one) for one in directions),
        *(f"{one['kid']['value']:.4f} ± {one['kid']['error']:.4f}" for one in directions),
        *(f"{one['content']['ssim']:.3f}" for one in directions),
        table["network"],
    ]
