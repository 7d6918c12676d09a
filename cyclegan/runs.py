"""Overview of the runs in a checkpoints folder by their logs: fast, as torch is not imported."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cyclegan.errors import UserError
from cyclegan.loggers.jsonl import newest_and_holding
from cyclegan.loggers.logger import Record, RunInfo, load_run_info
from cyclegan.run import RunFolder, is_trained

State = Literal["running", "finished", "stopped"]


@dataclass(frozen=True)
class BestFigure:
    """The best progress measured while training, as the mean of both directions."""

    value: float
    images: int
    """images seen by then"""
    measure: str = "progress"

    def __str__(self) -> str:
        return f"{self.measure} {self.value:.3f} at {self.images:,}"


#: What names of the log say how good a run is at best; earlier versions knew its KID only.
_BEST = {"quality_best": "progress", "kid_best": "KID"}


@dataclass(frozen=True)
class RunSummary:
    """The state and the progress of one run."""

    name: str
    state: State
    images: int
    """images of each domain seen so far"""
    planned: int | None
    """total images planned; None if its journey.json can't be read"""
    best: BestFigure | None
    display_env: str
    """its environment on a dashboard"""
    updated: float
    """time of its last update, in seconds since 1970"""

    @property
    def progress(self) -> float | None:
        """Share of the planned images that was seen, in [0, 1]; None if the plan is not known."""
        return min(1.0, self.images / max(1, self.planned)) if self.planned is not None else None

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """Cells of a table: name, state, images, progress and best figure."""
        seen = f"{self.images:,}" + (f" of {self.planned:,}" if self.planned is not None else "")
        share = "not known" if self.progress is None else f"{self.progress:.0%}"
        return self.name, self.state, seen, share, str(self.best or "none yet")


def list_runs(checkpoints_dir: Path) -> list[RunSummary]:
    """Return all runs in a folder, the one with the latest sign of life first."""
    folders = [path for path in checkpoints_dir.glob("*/") if not path.name.startswith(".")]
    runs = [folder for folder in folders if RunFolder(folder).is_run()]
    return sorted(map(summarize, runs), key=lambda run: (-run.updated, run.name))


def summarize(folder: Path) -> RunSummary:
    """Summarize the run in `folder`; damaged or missing parts of its logs are left out."""
    newest, measured = newest_and_holding(RunFolder(folder).losses, *_BEST)
    run_info, running = _run_info(folder), is_trained(folder)
    finished = run_info is not None and _is_finished(folder, run_info)
    logged = 0 if newest is None else newest.position.images
    return RunSummary(
        folder.name,
        "running" if running else "finished" if finished else "stopped",
        # After a kill the log is ahead of the checkpoint, from which the run will go on.
        logged if running or run_info is None else _saved(run_info, logged, finished),
        None if run_info is None else run_info.images,
        _best(measured),
        folder.name if run_info is None else run_info.display_env,
        _updated(folder),
    )


def _run_info(folder: Path) -> RunInfo | None:
    try:
        return load_run_info(folder)
    except UserError:
        return None


def _is_finished(folder: Path, run_info: RunInfo) -> bool:
    """Return whether a run came to its end; earlier versions tell by the last checkpoint."""
    return run_info.finished or RunFolder(folder).checkpoint(f"{run_info.last_epoch}").exists()


def _saved(run_info: RunInfo, logged: int, finished: bool) -> int:
    """Return how many images the newest checkpoint had seen; estimated if that is not recorded."""
    if run_info.reached is not None:
        return run_info.reached.images
    return run_info.images if finished else logged


def _best(measured: Sequence[Record]) -> BestFigure | None:
    """Return the best value so far, the newest one, measured where it was logged first."""
    if not measured:
        return None
    (name,) = _BEST.keys() & measured[-1].values.keys()
    value = measured[-1].values[name]
    first = next(record for record in measured if record.values.get(name) == value)
    return BestFigure(value, first.position.images, _BEST[name])


def _updated(folder: Path) -> float:
    """Return when the log last grew; when the folder changed if there is no log."""
    log = RunFolder(folder).losses
    return (log if log.exists() else folder).stat().st_mtime
