"""The compare command: the same inputs through several runs, on one page without a server."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from jinja2 import Environment, PackageLoader
from torch import Tensor

from cyclegan import checkpoint, images
from cyclegan.atomic import atomic_write, check_absent
from cyclegan.comparison import CompareSettings
from cyclegan.conversion.translator import Translator
from cyclegan.data import DataSettings
from cyclegan.data.folders import folder_of_test_images, list_images
from cyclegan.data.preprocess import CenterCrop
from cyclegan.errors import UserError
from cyclegan.evaluation import EvaluateSettings
from cyclegan.evaluation.domain import crops_of, spread_out, view_of, wholes
from cyclegan.evaluation.eval_set import make_eval_set
from cyclegan.evaluation.evaluate import evaluate_checkpoint
from cyclegan.evaluation.report import rows
from cyclegan.features.table import feature_network
from cyclegan.progress import tracked
from cyclegan.settings import Settings, from_record

QUALITY = 92  # of JPEG


@dataclass(frozen=True)
class _Run:
    """A checkpoint and its training settings."""

    label: str
    path: Path
    trained: Settings
    translator: Translator


def compare(settings: CompareSettings) -> int:
    """Write the page, print where it is, and return the exit code. Raises UserError."""
    settings.check()
    page = write_page(settings)
    sys.stdout.write(f"open in a browser: {page.resolve().as_uri()}\n")
    return 0


def write_page(settings: CompareSettings) -> Path:
    """Write the page; return its path. Raises UserError."""
    check_absent(settings.output, overwrite=settings.overwrite)
    runs = _opened(settings)
    labels = [run.label for run in runs]
    if len(set(labels)) < len(labels):
        labels = [str(run.path) for run in runs]
    rows_of_page = list(_rows(runs, settings))
    figures = _figures(runs, settings) if settings.figures else {}
    template = Environment(
        loader=PackageLoader("cyclegan.comparison", ""), autoescape=True
    ).get_template("page.html.j2")
    digest = sha256(repr((labels, rows_of_page)).encode()).hexdigest()[:16]
    page = template.render(labels=labels, rows=rows_of_page, figures=figures, digest=digest)
    with atomic_write(settings.output) as unfinished:
        unfinished.write_text(page, encoding="utf-8", errors="replace")
        check_absent(settings.output, overwrite=settings.overwrite)
    return settings.output


def converted(settings: CompareSettings) -> Iterator[dict[str, object]]:
    """Yield the rows of the page: an input, and what each run makes of it, as data URLs.

    Raises UserError.
    """
    return _rows(_opened(settings), settings)


def _opened(settings: CompareSettings) -> list[_Run]:
    return [_open(run, settings) for run in settings.runs]


def _open(given: str, settings: CompareSettings) -> _Run:
    """Load a run by name, file or folder. Raises UserError if there is no such run."""
    named = settings.checkpoints_dir / given
    path = named if named.is_dir() else Path(given)
    if not path.is_file():
        path = checkpoint.path_of(path if path.is_dir() else named, settings.epoch)
    saved = checkpoint.load(path, mapped=True)
    trained = from_record(saved.settings, str(path)).found_from(path.parent)
    translator = Translator.load(path, direction=settings.direction, device=settings.device)
    return _Run(trained.run.name if Path(given) == path else given, path, trained, translator)


def _rows(runs: list[_Run], settings: CompareSettings) -> Iterator[dict[str, object]]:
    """Yield the input and all outputs of each image."""
    first = runs[0].trained
    domain: Literal["A", "B"] = "A" if settings.direction == "AtoB" else "B"
    folder = settings.input or _test_images(first.data.below(settings.dataroot), domain)
    side = settings.size or first.data.crop_size
    channels = runs[0].translator.generator.architecture.input_nc
    paths = spread_out(list_images(folder), settings.images)
    crops = crops_of([list_images(folder)], side, None)
    view = view_of(paths, CenterCrop(side, channels, first.data.range), crops)
    pictures = [image for batch in wholes(paths, view) for image in batch]
    for image in tracked(pictures, "converting", "pictures"):
        outputs = [_url(run.translator.convert(image).cpu()) for run in runs]
        yield {"input": _url(image), "outputs": outputs}


def _test_images(data: DataSettings, domain: Literal["A", "B"]) -> Path:
    """Return the folder of test images. Raises UserError if the run's images are missing."""
    for _, lost in data.lost():
        raise UserError(f"{lost}: not found: give --dataroot DIR, or --input DIR --no_figures")
    return folder_of_test_images(data.folder(domain))


def _url(image: Tensor) -> str:
    return images.data_url(images.to_image(image), QUALITY)


def _figures(runs: list[_Run], settings: CompareSettings) -> dict[str, list[str]]:
    """Return the rows of the table: the evaluation of each run on the first one's data."""
    network = feature_network("efficientnet-lite0")
    asked = EvaluateSettings(
        name=runs[0].label,
        dataroot=settings.dataroot,
        size=settings.size,
        device=settings.device,
    )
    eval_set = make_eval_set(runs[0].trained, asked, network, network)
    found = []
    for run in tracked(runs, "measuring", "runs"):
        evaluation = evaluate_checkpoint(run.path, settings.epoch, eval_set, asked)
        seen = {"images seen in training": f"{evaluation.images:,}"}
        found.append(seen | rows(evaluation.directions[settings.direction]))
    return {name: [one[name] for one in found] for name in found[0]}
