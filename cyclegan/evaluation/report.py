"""Evaluation reports: a table for people, JSON for programs, curves in the run's report."""

import json
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cyclegan.errors import UserError
from cyclegan.evaluation.direction import Evaluation, Measured
from cyclegan.evaluation.eval_set import ComparedWith
from cyclegan.evaluation.quality import Kept, Likeness, StyleDistances
from cyclegan.features.network import FeatureNetwork
from cyclegan.loggers import evaluations as evaluations_of_run
from cyclegan.loggers.evaluations import (
    DirectionRow,
    EstimateRow,
    EvaluationRow,
    FidRow,
    KeptRow,
    SetsRow,
    StyleRow,
)
from cyclegan.loggers.logger import load_run_info
from cyclegan.loggers.report import write_report
from cyclegan.loggers.visdom import RefusedError, connect
from cyclegan.loggers.visdom_page import draw
from cyclegan.metrics.distances import ENOUGH, Kid, Progress
from cyclegan.run import RunFolder
from cyclegan.settings import load_record
from cyclegan.training.training_logger import LOGGED

log = logging.getLogger(__name__)


def tell_folders(found: Likeness, network: FeatureNetwork, *, as_json: bool) -> None:
    """Print the figures of two folders."""
    if as_json:
        sys.stdout.write(
            json.dumps({"network": network.name, "resize": network.resize, **_of_sets(found)})
            + "\n"
        )
        return
    table = Table("", f"{found.images} pictures to {found.real_images} real ones")
    for name, text in _rows_of_sets(found).items():
        table.add_row(name, text)
    _print(table, network, [found])


def tell_model(evaluation: Evaluation, network: FeatureNetwork, *, as_json: bool) -> None:
    """Print the figures of a model that is no run of this machine."""
    if as_json:
        sys.stdout.write(json.dumps(_row(evaluation, network)) + "\n")
        return
    _tell([evaluation], network)


def tell_run(
    evaluations: Sequence[Evaluation], network: FeatureNetwork, folder: Path, *, as_json: bool
) -> None:
    """Print the figures of a run's checkpoints, and show them with its curves."""
    tables = [_row(evaluation, network) for evaluation in evaluations]
    shown = _show_with_curves(tables, folder)
    if as_json:
        whole = tables[0] if len(tables) == 1 else {"checkpoints": tables}
        sys.stdout.write(json.dumps(whole) + "\n")
        return
    _tell(evaluations, network)
    if len(evaluations) > 1 and shown:
        where = RunFolder(folder).report.resolve().as_uri()
        console = Console(soft_wrap=True, highlight=False)
        console.print(f"drawn as curves: {where}", markup=False)


def _tell(evaluations: Sequence[Evaluation], network: FeatureNetwork) -> None:
    found = [one.likeness for each in evaluations for one in each.directions.values()]
    _print(_curve(evaluations) if len(evaluations) > 1 else _figures(*evaluations), network, found)
    console = Console(soft_wrap=True, highlight=False)
    console.print(
        "progress: 0 is the unconverted input, 1 is like the target domain, below 0 is worse than "
        "the input"
    )


def _figures(evaluation: Evaluation) -> Table:
    """Return a table of one checkpoint, a row for each figure."""
    seen = f"epoch {evaluation.epoch}, {evaluation.images} images seen"
    table = Table(seen if evaluation.images else evaluation.epoch, "A→B", "B→A")
    columns = [rows(measured) for measured in evaluation.directions.values()]
    for name in columns[0]:
        table.add_row(name, *(column[name] for column in columns))
    return table


def _curve(evaluations: Sequence[Evaluation]) -> Table:
    """Return a table with a row for each checkpoint, in the order of training."""
    figures = ("progress", "SSIM")
    table = Table("epoch", "images seen", *(f"{f} {w}" for f in figures for w in ("A→B", "B→A")))
    for evaluation in evaluations:
        measured = list(evaluation.directions.values())
        table.add_row(
            evaluation.epoch,
            f"{evaluation.images:,}",
            *(_share(one.progress) for one in measured),
            *(f"{one.kept.content.ssim:.3f}" for one in measured),
        )
    return table


def _show_with_curves(tables: Sequence[EvaluationRow], folder: Path) -> bool:
    """Show the figures in the run's report, and in its Visdom environment if a server answers.

    Return whether the report could be written.
    """
    known = evaluations_of_run.add(folder, tables)
    try:
        run_info = load_run_info(folder)
        write_report(folder, LOGGED)
    except UserError as error:  # a run that was moved, or whose logs are gone, is measured too
        log.warning("%s: the figures are in %s only", error, RunFolder(folder).evaluations.name)
        return False
    settings = load_record(RunFolder(folder).settings).loggers
    if settings.visdom:
        with suppress(OSError, RefusedError, UserError):  # nobody answers, or nobody can be asked
            client = connect(settings, settings.display_env or run_info.name)
            win = evaluations_of_run.WINDOW
            opts = {"title": "evaluation", "width": 860, "height": 240}
            client.text(evaluations_of_run.panel(known), win=win, opts=opts)
            for number, chart in enumerate(evaluations_of_run.charts(known)):
                draw(client, f"{win}_{number}", chart, chart.rows)
    return True


def _row(evaluation: Evaluation, network: FeatureNetwork) -> EvaluationRow:
    return EvaluationRow(
        network=network.name,
        resize=network.resize,
        epoch=evaluation.epoch,
        images_seen=evaluation.images,
        side=evaluation.side,
        crops=evaluation.crops,
        A_to_B=_of_direction(evaluation.directions["AtoB"]),
        B_to_A=_of_direction(evaluation.directions["BtoA"]),
    )


def _of_sets(found: Likeness) -> SetsRow:
    fid, manifold = found.fid, found.manifold
    return SetsRow(
        images=found.images,
        real_images=found.real_images,
        kid=_estimate(found.kid),
        fid=FidRow(value=fid.value, extrapolated=fid.extrapolated, enough=fid.enough),
        precision=manifold.precision,
        recall=manifold.recall,
    )


def _of_direction(one: Measured) -> DirectionRow:
    return DirectionRow(
        **_of_sets(one.likeness),
        target=one.target,
        unconverted_kid=_estimate(one.unconverted),
        progress=_estimate(one.progress),
        style=None if one.style is None else _of_style(one.style),
        content=_of_kept(one.kept),
    )


def _of_style(style: StyleDistances) -> StyleRow:
    return StyleRow(converted=style.converted, unconverted=style.unconverted, ratio=style.ratio)


def _of_kept(kept: Kept) -> KeptRow:
    content = kept.content
    return KeptRow(
        ssim=content.ssim,
        feature_distance=content.feature_distance,
        structure_distance=content.structure_distance,
        cycle=kept.cycle,
        identity=kept.identity,
        copies=kept.copies,
        diversity=kept.diversity,
    )


def _estimate(found: Kid | Progress) -> EstimateRow:
    return EstimateRow(value=found.value, error=found.error)


def rows(one: Measured) -> dict[str, str]:
    """Return the figures of one direction for people, by row; arrows point to the better."""
    found, kept = one.likeness, one.kept
    diversity = f"{kept.diversity:.2f}{' (!)' if kept.diversity < 0.1 else ''}"
    style = "-" if one.style is None else f"{one.style.ratio:.2f}"
    identity = "-" if kept.identity is None else f"{kept.identity:.4f}"
    return {
        "pictures, real ones": f"{found.images}, {found.real_images}{_OF[one.target]}",
        "progress ↑": _share(one.progress),
        "style: distance left to twins ↓": style,
        **_rows_of_sets(found),
        "KID of the unconverted": _kid(one.unconverted),
        "kept: SSIM of luminance ↑": f"{kept.content.ssim:.3f}",
        "kept: distance of features ↓": f"{kept.content.feature_distance:.3f}",
        "kept: distance of structure ↓": f"{kept.content.structure_distance:.3f}",
        "cycle, identity error ↓": f"{kept.cycle:.4f}, {identity}",
        "copies of their input ↓": f"{kept.copies:.0%}{' (!)' if kept.copies > 0.5 else ''}",
        "diversity to the inputs' ↑": diversity,
    }


_OF: dict[ComparedWith, str] = {"domain": "", "twins": " (twins)"}


def _rows_of_sets(found: Likeness) -> dict[str, str]:
    manifold = found.manifold
    return {
        "KID ↓": _kid(found.kid),
        "FID, extrapolated ↓": f"{found.fid.value:.3g}, {found.fid.extrapolated:.3g}",
        "precision, recall ↑": f"{manifold.precision:.2f}, {manifold.recall:.2f}",
    }


def _share(progress: Progress) -> str:
    return f"{progress.value:.2f} ± {progress.error:.2f}"


def _kid(kid: Kid) -> str:
    return f"{kid.value:.4f} ± {kid.error:.4f}"


def _print(table: Table, network: FeatureNetwork, found: Sequence[Likeness]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    console.print(f"↑ more is better, ↓ less; network: {network.name}; pictures {network.resize}")
    if not all(one.fid.enough for one in found):
        console.print(
            f"FID is biased below {ENOUGH} pictures a set: compare it only between sets of equal "
            "size; KID is not biased"
        )
