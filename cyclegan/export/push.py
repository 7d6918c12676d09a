"""The push and card commands: a run becomes a model on the hub, or its card a file."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import tomli_w

from cyclegan import images
from cyclegan.atomic import atomic_write, check_absent, temporary_folder
from cyclegan.conversion import weights
from cyclegan.errors import UserError
from cyclegan.export import CardSettings, PushSettings
from cyclegan.export.card import (
    PICTURES,
    Statements,
    TrainedModel,
    card_of,
    is_edited,
    paths_in,
    shared_settings,
)
from cyclegan.export.formats import FORMATS
from cyclegan.export.network import exportable
from cyclegan.hub import CARD, FETCHED, OTHER, WEIGHTS, HubModel, commit, look_at
from cyclegan.run import FolderDirection, RunFolder


def write_card(settings: CardSettings) -> int:
    """Write a run's model card, print where it is, and return the exit code. Raises UserError."""
    model = TrainedModel.open(settings.checkpoints_dir / settings.name, settings.epoch)
    path = settings.output or RunFolder(model.path.parent).card
    shown = [path.with_name(PICTURES)] if settings.pictures else []
    for target in (path, *shown):
        check_absent(target, overwrite=settings.overwrite)
    for target in shown:
        _write_pictures(model, target)
    said = Statements(
        settings.name, "hf://USER/MODEL", settings.license, settings.trained_on, settings.pictures
    )
    with atomic_write(path) as unfinished:
        unfinished.write_text(card_of(model, said), encoding="utf-8")
    sys.stdout.write(f"card: {path}\n")
    return 0


def push(settings: PushSettings) -> int:
    """Push a run's generators, settings and card in one commit, print its address.

    Returns the exit code. Raises UserError; the hub then shows what it showed before.
    """
    model = TrainedModel.open(settings.checkpoints_dir / settings.name, settings.epoch)
    target = HubModel.of(settings.target)
    with temporary_folder("cyclegan-push-") as folder:
        files = [*_weights(model, settings, folder), *_described(model, settings, target, folder)]
        check_private(files, model)
        head = look_at(target, private=settings.private)
        card = {CARD, PICTURES}
        kept = card if _keeps_card(head.card, settings) else set[str]()
        files = [path for path in files if path.name not in kept]
        gone = {*FETCHED, *card} - kept - {path.name for path in files}
        said = f"Push {model.path.stem}: {model.images:,} images seen"
        address = commit(target, head, files, sorted(gone), said)
    sys.stdout.write(f"pushed: {address}\nconvert with: cyclegan convert --weights {target} ")
    sys.stdout.write("--input DIR --output DIR\n")
    return 0


def _weights(model: TrainedModel, settings: PushSettings, folder: Path) -> Iterator[Path]:
    """Write the generators as `cyclegan export --format safetensors` does; yield the files."""
    files: dict[str, FolderDirection] = {WEIGHTS: model.direction}
    if model.back is not None:
        files[OTHER[model.back]] = model.back
    for name, direction in files.items():
        generator = weights.load(
            model.path, direction, average=settings.average, style_mix=settings.style_mix
        )
        FORMATS["safetensors"].write(exportable(generator), folder / name)
        yield folder / name


def _described(
    model: TrainedModel, settings: PushSettings, target: HubModel, folder: Path
) -> Iterator[Path]:
    """Write settings, card and pictures; yield the files."""
    table, said = RunFolder(folder).settings, settings.trained_on
    table.write_text(tomli_w.dumps(shared_settings(model.settings)), encoding="utf-8")
    yield table
    about = Statements(target.name, f"{target}", settings.license, said, settings.pictures)
    card = folder / CARD
    card.write_text(card_of(model, about), encoding="utf-8")
    yield card
    if settings.pictures:
        yield _write_pictures(model, folder / PICTURES)


def _write_pictures(model: TrainedModel, path: Path) -> Path:
    """Write the held-out pictures without the tags of their files; return `path`."""
    images.write(images.read(model.pictures(), channels=3), path)
    return path


def check_private(files: Iterable[Path], model: TrainedModel) -> None:
    """Raise UserError if one of the files holds a path of this machine."""
    for place in sorted(_places(model)):
        sign = re.compile(rb"(?<![\w/])" + re.escape(os.fsencode(place)) + rb"(?!\w)")
        for path in files:
            if sign.search(path.read_bytes()):
                raise UserError(
                    f"{path.name}: would reveal the local path {place}, so nothing is pushed: "
                    "reword --trained_on"
                )


def _places(model: TrainedModel) -> Iterator[str]:
    """Yield absolute paths of this machine: home, here, and all that the settings name."""
    named = model.settings.anchored()
    known = [Path.home(), Path.cwd(), model.path.parent.absolute(), *paths_in(named)]
    return (f"{path}" for path in known if len(path.parts) > 1)


def _keeps_card(card: str | None, settings: PushSettings) -> bool:
    """Return whether the card on the hub stays. Raises UserError where the user has to say so."""
    if card is None or settings.edited_card == "replace" or not is_edited(card):
        return False
    if settings.edited_card == "refuse":
        raise UserError(
            f"{settings.target}: its card was not written by cyclegan, or edited since: "
            "--edited_card keep leaves it there, --edited_card replace writes a new one"
        )
    return True
