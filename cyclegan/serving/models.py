"""The table of offered models; requests name its entries, never paths."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclegan.conversion import SAMPLE
from cyclegan.data.folders import domain_names
from cyclegan.errors import UsageError, UserError
from cyclegan.hub import HubModel, is_address
from cyclegan.plain import DamagedTextError, from_toml
from cyclegan.recipes import RecipeSettings, recipe_named
from cyclegan.run import FolderDirection, RunFolder, check_name
from cyclegan.serving import ServeSettings

log = logging.getLogger(__name__)

#: The checkpoints that are offered of a run, and what they are called behind its name.
EPOCHS = {"latest": "", "best": " (best)", "previous": " (previous)"}
BOTH: dict[FolderDirection, str] = {"AtoB": "A to B", "BtoA": "B to A"}


@dataclass(frozen=True)
class Model:
    """One generator, or the two of a run."""

    name: str
    path: Path
    """a run's folder, or a file"""
    epoch: str = "latest"
    directions: tuple[tuple[FolderDirection, str], ...] = ()
    """available directions and their labels; empty if a file holds one generator"""
    given_style: bool = False
    """whether each picture needs a style image"""


def offered(settings: ServeSettings, files: Mapping[Path, bool]) -> dict[str, Model]:
    """Return the models by name; `files` tells for each weights file if it has both directions.

    Where there is no model at all, it is the one that comes with the package. Raises UserError if
    a requested run is missing.
    """
    for name in settings.name:
        check_name(name)
    runs = [settings.checkpoints_dir / name for name in dict.fromkeys(settings.name)]
    found = [model for run in runs for model in _required(run)]
    if not runs and not files:
        found = [model for run in _all_runs(settings.checkpoints_dir) for model in _of_run(run)]
    found += [
        Model(_name(path, files), path, directions=_ways(path, both))
        for path, both in files.items()
    ]
    if not found:
        log.warning(
            "--checkpoints_dir %s: no trained run: serving the model that comes with cyclegan",
            settings.checkpoints_dir,
        )
        found = [Model(SAMPLE.stem, SAMPLE)]
    models = {model.name: model for model in found}
    if len(models) < len(found):
        raise UsageError(
            "--weights: two files have the same name, or a file has the name of a run: rename one"
        )
    return models


def _all_runs(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*/") if not path.name.startswith("."))


def _required(run: Path) -> list[Model]:
    found = _of_run(run)
    if not found:
        raise UserError(f"--name {run.name}: {run} holds no checkpoint")
    return found


def _of_run(run: Path) -> list[Model]:
    settings = _settings(run)
    ways = tuple(_names_of_directions(settings).items())
    given_style = _recipe(settings).given_style
    return [
        Model(f"{run.name}{EPOCHS[epoch]}", run, epoch, ways, given_style) for epoch in _epochs(run)
    ]


def _epochs(run: Path) -> list[str]:
    """Return the run's checkpoints of `EPOCHS`; the previous one only if the latest was lost."""
    there = [epoch for epoch in EPOCHS if RunFolder(run).checkpoint(epoch).is_file()]
    return [epoch for epoch in there if epoch != "previous" or "latest" not in there]


def _settings(run: Path) -> dict[str, Any]:
    try:
        tables = from_toml(RunFolder(run).settings.read_bytes())
    except (OSError, DamagedTextError):  # the checkpoints hold all that is needed
        return {}
    return {name: table for name, table in tables.items() if isinstance(table, dict)}


def _recipe(settings: Mapping[str, Any]) -> type[RecipeSettings]:
    return recipe_named(settings.get("run", {}).get("model"))


def _names_of_directions(settings: Mapping[str, Any]) -> dict[FolderDirection, str]:
    """Return the directions, named after the folders of the training images."""
    if not settings:
        return BOTH
    if not _recipe(settings).both_ways:
        return {}
    trained: Any = settings.get("run", {}).get("direction", "AtoB")
    data: Any = settings.get("data", {})
    root = Path(str(data.get("dataroot", "")))
    own = (data.get(f"domain_{domain}") or root / f"train{domain}" for domain in "AB")
    a, b = domain_names(*(Path(str(folder)) for folder in own))
    ways: dict[FolderDirection, str] = {"AtoB": f"{a} to {b}", "BtoA": f"{b} to {a}"}
    return ways if trained == "AtoB" else dict(reversed(ways.items()))


def _name(path: Path, files: Iterable[Path]) -> str:
    """Return a file's name, with its folder's if others share it, as the classic's files do."""
    if is_address(path):
        return HubModel.of(path).name
    alike = [other for other in files if other.stem == path.stem]
    return path.stem if len(alike) == 1 else f"{path.resolve().parent.name}/{path.name}"


def _ways(path: Path, both: bool) -> tuple[tuple[FolderDirection, str], ...]:
    """Return the directions of a file, which may be in the folder of a run."""
    return tuple(_names_of_directions(_settings(path.parent)).items()) if both else ()
