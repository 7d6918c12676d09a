"""Model cards: what a model is, was trained on and reaches, written from its run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from cyclegan import checkpoint
from cyclegan.checkpoint import Checkpoint
from cyclegan.errors import UserError
from cyclegan.loggers import evaluations
from cyclegan.loggers.evaluations import EstimateRow, EvaluationRow
from cyclegan.loggers.grid import saved_pictures
from cyclegan.loggers.jsonl import newest_and_holding
from cyclegan.recipes import RECIPES
from cyclegan.run import FolderDirection, RunFolder
from cyclegan.settings import Settings, from_record
from cyclegan.training.best import KID, PROGRESS, SSIM

#: The name of the pictures beside the card.
PICTURES = "held_out.jpg"


@dataclass(frozen=True)
class TrainedModel:
    """A checkpoint of a run, and what its run knows of it."""

    path: Path
    saved: Checkpoint
    settings: Settings

    @classmethod
    def open(cls, run: Path, epoch: str) -> "TrainedModel":
        """Open the checkpoint of `epoch`. Raises UserError if there is none."""
        path = checkpoint.path_of(run, epoch)
        saved = checkpoint.load(path, mapped=True)
        return cls(path, saved, from_record(saved.settings, str(path)))

    @property
    def direction(self) -> FolderDirection:
        """The trained direction."""
        return self.settings.run.direction

    @property
    def back(self) -> FolderDirection | None:
        """The other direction; None if the model has one generator."""
        if not self.settings.recipe.both_ways:
            return None
        return "BtoA" if self.direction == "AtoB" else "AtoB"

    @property
    def images(self) -> int:
        """Images of each domain seen in training."""
        return self.saved.position.images

    @property
    def counts(self) -> str:
        """A sentence on the numbers of images; empty where they are not known."""
        data = self.saved.data
        if {"A", "B"} - data.keys():
            return ""
        # The run's own A is what it translates, whatever the folder is called.
        a, b = ("A", "B") if self.direction == "AtoB" else ("B", "A")
        return f"{data[a]:,} images of A and {data[b]:,} of B."

    def pictures(self) -> Path:
        """Return the newest grid of held-out pictures up to here. Raises UserError."""
        folder = RunFolder(self.path.parent).pictures / "held_out"
        there = [path for place, path in saved_pictures(folder) if place.images <= self.images]
        if not there:
            raise UserError(f"--pictures: {folder} holds none of this checkpoint: leave it out")
        return there[-1]

    def evaluated(self) -> list[EvaluationRow]:
        """Return the newest results of `cyclegan evaluate`, one for each way of measuring."""
        found = {
            (row["network"], row["side"], row.get("crops", 0)): row
            for row in evaluations.read(self.path.parent)
            if row["images_seen"] == self.images
        }
        return list(found.values())

    def measured(self) -> tuple[int, dict[str, list[str]]]:
        """Return what was last measured while training, and after how many images.

        By the figures' names, A to B first; empty if nothing was measured.
        """
        ways = ("a_to_b", "b_to_a") if self.direction == "AtoB" else ("b_to_a", "a_to_b")
        names = {one: [one.of(way) for way in ways] for one in (PROGRESS, SSIM, KID)}
        log = RunFolder(self.path.parent).losses
        _, records = newest_and_holding(log, *names[PROGRESS])
        for record in reversed(records):
            if record.position.images <= self.images:
                return record.position.images, {
                    _ARROWS[one.name]: [f"{record.values[name]:.3f}" for name in of]
                    for one, of in names.items()
                    if all(name in record.values for name in of)
                }
        return 0, {}


_ARROWS = {"progress": "progress ↑", "ssim": "kept: SSIM of luminance ↑", "kid": "KID ↓"}


@dataclass(frozen=True)
class Statements:
    """What a card says that no run knows."""

    title: str
    address: str
    """where the model can be had"""
    license: str | None
    trained_on: str | None
    pictures: bool
    """whether there are pictures beside the card"""


def card_of(model: TrainedModel, said: Statements) -> str:
    """Return the model card, Markdown below a table of metadata, as the hub reads it."""
    at, measured = model.measured()
    shared = shared_settings(model.settings)
    text = _TEMPLATE.render(
        title=said.title,
        address=said.address,
        license=said.license and said.license.lower(),
        trained_on=said.trained_on and said.trained_on.strip(),
        pictures=PICTURES if said.pictures else None,
        both_ways=model.back is not None,
        way=_WORDS[model.direction],
        back=model.back,
        counts=model.counts,
        images=model.images,
        evaluations=model.evaluated(),
        measured=measured,
        measured_at=at,
        held_out=model.settings.quality.eval_images,
        side=model.settings.data.crop_size,
        model=model.settings.recipe.model,
        settings=dict(_differing(shared, model.settings.recipe.model)),
        versions=", ".join(
            f"{name} {model.saved.versions[name]}"
            for name in ("cyclegan", "torch")
            if name in model.saved.versions
        ),
    )
    return text + _MARK.format(sha256(text.encode()).hexdigest())


_WORDS: Mapping[FolderDirection, str] = {"AtoB": "A to B", "BtoA": "B to A"}
#: The last line, by which a card that nobody edited is known.
_MARK = "\n<!-- written by cyclegan; sha256 of what is above: {} -->\n"
_START = _MARK.partition("{")[0]


def is_edited(card: str) -> bool:
    """Return whether somebody changed a card after it was written, or wrote it."""
    text, mark, _ = card.rpartition(_START)
    return not mark or card != text + _MARK.format(sha256(text.encode()).hexdigest())


def shared_settings(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the settings that make the model, by part.

    All that may name a place, a machine or a person is left out: paths, loggers, the run's name.
    """
    table, paths = settings.table(), {key for key, _ in _paths(settings)}
    own = {"model", "direction", "seed"}
    table["run"] = {key: value for key, value in table["run"].items() if key in own}
    return {
        part: {
            key: value
            for key, value in values.items()
            if key not in paths and not any(map(_may_be_place, _texts(value)))
        }
        for part, values in table.items()
        if part != "loggers"
    }


def paths_in(part: Any) -> Iterator[Path]:
    """Yield every path in a tree of settings."""
    return (value for _, value in _paths(part))


def _paths(part: Any) -> Iterator[tuple[str, Path]]:
    for one in fields(part):
        value = getattr(part, one.name)
        if is_dataclass(value):
            yield from _paths(value)
        elif isinstance(value, Path):
            yield one.name, value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for pair in value.items() for one in pair for text in _texts(one))
    elif isinstance(value, list | tuple):
        yield from (text for one in value for text in _texts(one))


def _may_be_place(text: str) -> bool:
    return any(sign in text for sign in ("/", "\\", "~"))


def _differing(shared: Mapping[str, dict[str, Any]], model: str) -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys and values that differ from the model's defaults."""
    plain = shared_settings(Settings(recipe=RECIPES[model].settings()))
    for part, values in shared.items():
        for key, value in values.items():
            if key not in plain.get(part, {}) or plain[part][key] != value:
                yield f"{part}.{key}", value


def _estimate(found: EstimateRow, digits: int) -> str:
    return f"{found['value']:.{digits}f} ± {found['error']:.{digits}f}"


_ENVIRONMENT = Environment(
    loader=PackageLoader("cyclegan.export", ""),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    autoescape=select_autoescape(("html",)),  # this is Markdown
)
_ENVIRONMENT.filters["estimate"] = _estimate
_TEMPLATE = _ENVIRONMENT.get_template("card.md.j2")
