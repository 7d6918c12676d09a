"""The one table of what is fuzzed: every place that opens a file or a request from outside."""

import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

from fuzz import corpus, mutate, servers
from fuzz.mutate import Change, Seed

from cyclegan.errors import UserError

#: Reads a file that may be anything; raises only what its target's `refusals` names.
Use = Callable[[Path], object]


@dataclass(frozen=True)
class Target:
    """A place that opens what comes from outside."""

    corpus: Callable[[], Iterator[tuple[str, bytes]]]
    use: Use
    change: Change = mutate.changed_bytes
    share: int = 4
    """how many of a round's inputs are for it"""
    refusals: tuple[type[Exception], ...] = (UserError,)
    """what it promises to raise"""
    whole: bool = True
    """whether every file of the corpus is read"""
    ready: Callable[[], None] = lambda: None
    """waits until the next input can be read, in no case's time; raises if that can never be"""

    def seeds(self) -> tuple[Seed, ...]:
        return _seeds(self.corpus)


@cache
def _seeds(corpus: Callable[[], Iterator[tuple[str, bytes]]]) -> tuple[Seed, ...]:
    return tuple(Seed(*made) for made in corpus())


_AS_FLOATS = 25_000_000  # pixels: whole pictures in Python take 12 bytes and more for each
_SHOWN = 6  # pages or frames that are looked at


def _read(path: Path) -> None:
    """As training and evaluation read a picture, and Python's users its bytes."""
    from cyclegan import images
    from cyclegan.conversion.inputs import open_picture

    if images.is_deep(path, 3):
        images.read_deep(path, 3, (0.0, 1.0))
    else:
        images.read(path, 3, lambda size: (size[0] // 4, size[1] // 4))
        images.read(path, 1)
    if prod(images.size(path)) < _AS_FLOATS:
        open_picture(path.read_bytes(), 3)


def _size(path: Path) -> None:
    from cyclegan import images
    from cyclegan.images.formats import ending_to_write, found_out

    images.size(path)
    images.is_deep(path, 1)
    found_out(path)
    ending_to_write(path)


def _document(path: Path) -> None:
    """As conversion reads pages and frames, with all their bits, and writes them again."""
    from cyclegan.images import Encoding
    from cyclegan.images.document import depth_to_write, open_document, write_document
    from cyclegan.images.formats import ending_to_write
    from cyclegan.images.picture import Document

    document = open_document(path, (0.0, 255.0))
    pictures = list(islice(document.pictures, _SHOWN))
    made = path.with_name(f"made{ending_to_write(path)}")
    as_it_is = depth_to_write(made, pictures[0]).type == pictures[0].pixels.dtype
    if as_it_is and max(pictures[0].size) < 2000:
        write_document(made, pictures[:1], Document(pictures[:1]), Encoding())


def _data_set(path: Path) -> None:
    """`cyclegan data check` on a folder that holds the file beside a whole one."""
    from cyclegan import cli

    folder = path.parent / "trainA"
    folder.mkdir()
    path.rename(folder / path.name)
    cli.run(["data", "check", str(folder)])


def _upload(path: Path) -> None:
    from cyclegan.serving.image_header import count_pixels

    for shorter in (None, 100):
        assert count_pixels(path, 25_000_000, shorter) <= 25_000_000


def continued(path: Path) -> None:
    """As far as `train --continue_train` goes before its first step."""
    import torch

    from cyclegan import assemble, checkpoint
    from cyclegan.resume import check_size, take_up
    from cyclegan.settings import from_table
    from cyclegan.training.best import Best

    saved = checkpoint.load(path)
    settings = from_table(saved.settings, str(path))
    check_size(settings, saved)
    execution = assemble.execution_from_table(saved.execution)
    recipe = assemble.make_recipe(settings, execution, torch.device("cpu"))
    take_up(recipe.state, saved, torch.device("cpu"), path)
    Best.of_row(saved.best, 0.1)


def _checkpoint(path: Path) -> None:
    """As a training goes on from a checkpoint, and as conversion takes it."""
    import torch

    from cyclegan.conversion import weights
    from cyclegan.recipes.materials import Styles

    if path.stem == "cycle_gan":  # the others train from pictures that they need
        with suppress(UserError):
            continued(path)
    painting = corpus.STORED / "paintings" / "10.png"
    styles = Styles((painting,)) if path.stem == "fusion" else Styles()
    mix = "10=0.7,11=0.3" if path.stem == "one_painting" else None
    generator = weights.load(path, None, styles=styles, style_mix=mix)
    generator.network(torch.zeros(1, generator.architecture.input_nc, 24, 24))


def _weights(path: Path) -> None:
    """As conversion and `--init_weights` take weights of others."""
    import torch

    from cyclegan.conversion import weights
    from cyclegan.resume import initial_weights

    with suppress(UserError):
        initial_weights(path, trust_code=False)
    generator = weights.load(path, None)
    generator.network(torch.zeros(1, generator.architecture.input_nc, 24, 24))


def _network(path: Path) -> None:
    """As conversion runs networks of other programs, by each runtime that takes them."""
    import torch

    from cyclegan.conversion import weights

    generator = weights.load(path, None)
    generator.network(torch.zeros(1, generator.architecture.input_nc, 24, 24))


def _openvino(path: Path) -> None:
    import torch

    from cyclegan.runtimes import openvino
    from cyclegan.runtimes.opened import Session

    graph = path.with_suffix(".xml")
    for seed in TARGETS["networks of OpenVINO"].seeds():
        if not (path.parent / seed.name).exists():
            (path.parent / seed.name).write_bytes(seed.content)
    opened = openvino.load(graph)
    channels = opened.metadata.architecture.input_nc
    Session(opened, graph)(torch.zeros(1, channels, 24, 24))


def _program(path: Path) -> None:
    """A program is refused before anything of it is run."""
    from cyclegan.conversion import weights
    from cyclegan.weights_file import PROGRAMS, ending_of

    weights.load(path, None)
    assert ending_of(path) not in PROGRAMS, "opened without --trust_code"


def _features(path: Path) -> None:
    from cyclegan.features.layered import read_convolutions
    from cyclegan.features.network import read_weights

    read_weights(path)
    read_convolutions(path, "vgg19")


def _preset(path: Path) -> None:
    """As `cyclegan train` reads a preset, runs their settings, and `serve` both."""
    from cyclegan.serving.models import _names_of_directions, _settings
    from cyclegan.settings import load_preset, load_record

    path.rename(path.parent / "settings.toml")
    _names_of_directions(_settings(path.parent))
    with suppress(UserError):
        load_record(path.parent / "settings.toml")
    load_preset(path.parent / "settings.toml").check()


def _command(path: Path) -> None:
    """A command line up to where its work would begin."""
    words = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    parsers = _parsers()
    parse = parsers.get(" ".join(words[:2]), parsers.get(words[0]))
    count = 2 if " ".join(words[:2]) in parsers else 1
    with suppress(SystemExit):  # of --help
        if parse is not None:
            parse(words[count:])
        elif words[0] not in {name.split()[0] for name in parsers}:
            from cyclegan import cli

            cli.run(words)


@cache
def _parsers() -> dict[str, Callable[[list[str]], object]]:
    from cyclegan.commands.runs import ReportCommand, RunsCommand
    from cyclegan.comparison import CompareSettings
    from cyclegan.conversion import ConvertSettings
    from cyclegan.dashboard import DashboardSettings
    from cyclegan.evaluation import EvaluateSettings
    from cyclegan.export import ExportSettings
    from cyclegan.flags import defaults_of, parse, parse_run, refuse_classic
    from cyclegan.serving import ServeSettings
    from cyclegan.study import StudySettings
    from cyclegan.stylize import StylizeSettings
    from cyclegan.sweep import SweepSettings

    def run(args: list[str]) -> None:
        parse_run(args, defaults_of(args), prog="cyclegan train", about="").settings.check()

    def convert(args: list[str]) -> None:
        refuse_classic(args, "convert")
        parse(args, ConvertSettings, prog="cyclegan convert", about="").check()

    plain = {
        "serve": ServeSettings, "export": ExportSettings, "evaluate": EvaluateSettings,
        "compare": CompareSettings, "study": StudySettings, "stylize": StylizeSettings,
        "dashboard": DashboardSettings, "report": ReportCommand, "runs": RunsCommand,
        "sweep": SweepSettings,
    }  # fmt: skip

    def of(kind: Any, name: str) -> Callable[[list[str]], object]:
        return lambda args: parse(args, kind, prog=f"cyclegan {name}", about="")

    both = {"train": run, "settings": run, "benchmark train": run, "convert": convert}
    return {**both, **{name: of(kind, name) for name, kind in plain.items()}}


def _list(path: Path) -> None:
    from cyclegan.conversion.domains import listed

    folder = path.parent / "pictures"
    (folder / "sub").mkdir(parents=True)
    for name in ("0.png", "sub/1.png", "2.png", "é.png"):
        (folder / name).touch()
    for found in listed(folder, path):
        assert "pictures" in found.parts


def _manifest(path: Path) -> None:
    from cyclegan.conversion import manifest

    shutil.copyfile(path, path.with_name("manifest-1-of-2.jsonl"))
    entries = manifest.read(path.parent)
    manifest.computed(path.parent, "x")
    manifest.append(path.parent, *entries.values())
    with manifest.joined(path.parent):
        pass


def _log(path: Path) -> None:
    """As a run that goes on, `runs`, `report` and the dashboard read a run's log."""
    from cyclegan.loggers import jsonl
    from cyclegan.loggers.report import write_report
    from cyclegan.runs import list_runs

    run = corpus.copy_run("cycle_gan", path.parent)
    path.rename(run / "losses.jsonl")
    list_runs(path.parent)
    write_report(run, {})
    jsonl.write_table(run)
    jsonl.cut_back(run / "losses.jsonl", 2)


def _note(path: Path) -> None:
    """As `runs`, `report`, `evaluate` and a run that goes on read what stands beside the log."""
    from cyclegan.loggers import evaluations
    from cyclegan.loggers.logger import finish
    from cyclegan.loggers.report import write_report
    from cyclegan.runs import list_runs

    run = corpus.copy_run("cycle_gan", path.parent)
    name = "evaluation.json" if path.name == "evaluation.json" else "journey.json"
    path.rename(run / name)
    list_runs(path.parent)
    tables = evaluations.read(run)
    evaluations.panel(tables)
    evaluations.charts(tables)
    evaluations.add(run, [])
    with suppress(UserError):
        finish(run)
    write_report(run, {})


def _journal(path: Path) -> None:
    from cyclegan.study.job import _Journal

    _Journal(path, {"minutes": 1})


def _video(path: Path) -> None:
    from cyclegan.video.clip import frames, open_clip

    clip = open_clip(path)
    for _ in islice(frames(clip), _SHOWN):
        pass


def _memory(path: Path) -> None:
    """A clip that is gone on with: what is not as its digest says is left out."""
    from cyclegan.video.segments import Segments

    folder = path.parent / "segments"
    folder.mkdir()
    shutil.copyfile(path, folder / "000000003.nut")
    path.rename(folder / "000000003.memory")
    segments = Segments(folder)
    segments.drop_damaged(steadied=True)
    segments.memory()


def _cache(path: Path) -> None:
    import numpy as np

    from cyclegan.data.cache import Cache

    cache = Cache(path.parent, "x")
    path.rename(path.parent / f"{cache._key(path, 3)}.npy")
    cache.get(path, 3, lambda: np.zeros((2, 2, 3), np.uint8))


def _package(path: Path) -> None:
    import asyncio

    from cyclegan import npm

    package = npm.Package("x", "1", (("js/x.js", "x.js"), ("css/y.css", "y.css")))
    files = npm.PinnedFolder(path.parent / "static", (package,), {}, ["js/x.js"])

    async def source(folder: Path, files: npm.PinnedFolder) -> bool:
        shutil.copyfile(path, folder / "x-1.tgz")
        npm._unpack(folder, files.packages)
        return False

    asyncio.run(npm.fetch(files, "x", {"x": source}))


#: The one table of targets, by the names that figures stand under.
TARGETS = {
    "pictures": Target(corpus.pictures, _read, share=14, whole=False),
    "sizes of pictures": Target(corpus.pictures, _size, share=8, whole=False),
    "documents and pages": Target(corpus.pictures, _document, share=12, whole=False),
    "data sets": Target(corpus.uploads, _data_set, share=2, whole=False),
    "headers of uploads": Target(corpus.uploads, _upload, share=6, whole=False),
    "checkpoints": Target(corpus.checkpoints, _checkpoint, mutate.changed_checkpoint, share=4),
    "classic weights": Target(corpus.classic, _weights, mutate.changed_weights, whole=False),
    "safetensors": Target(corpus.safetensors, _weights, mutate.changed_table),
    "feature networks": Target(
        corpus.features, _features, mutate.changed_weights, share=2, whole=False
    ),
    "networks in ONNX": Target(corpus.onnx, _network, share=2),
    "networks of OpenVINO": Target(corpus.openvino, _openvino, share=2),
    "programs": Target(corpus.programs, _program, mutate.changed_weights, share=3, whole=False),
    "presets and settings": Target(
        corpus.presets, _preset, mutate.changed_text, share=6, whole=False
    ),
    "command lines": Target(
        corpus.commands, _command, mutate.changed_command, share=5, whole=False
    ),
    "lists of pictures": Target(corpus.lists, _list, mutate.changed_text),
    "manifests": Target(corpus.manifests, _manifest, mutate.changed_json),
    "logs": Target(corpus.logs, _log, mutate.changed_json, share=3),
    "journeys and evaluations": Target(corpus.notes, _note, mutate.changed_json, share=3),
    "journals of studies": Target(
        corpus.journal, _journal, mutate.changed_json, share=2, whole=False
    ),
    "videos": Target(corpus.videos, _video, share=8, whole=False),
    "unfinished clips": Target(corpus.memories, _memory, share=2),
    "caches": Target(corpus.arrays, _cache, share=2),
    "packages of scripts": Target(corpus.packages, _package, share=2),
    "requests to serve": Target(
        corpus.conversions,
        servers.ask_serve,
        mutate.changed_request,
        share=6,
        ready=servers.await_serve,
    ),
    "requests to dashboard": Target(
        corpus.panes,
        servers.ask_dashboard,
        mutate.changed_request,
        share=6,
        ready=servers.await_dashboard,
    ),
}


def target_named(name: str) -> Target:
    """The target of that name, or the reader with that fault."""
    from fuzz.faulty import FAULTY

    return TARGETS[name] if name in TARGETS else FAULTY[name][0]


def made(target: str, seed: int, number: int) -> Seed:
    """The input of that number."""
    from random import Random

    of = TARGETS[target]
    return of.change(Random(f"{target}/{seed}/{number}"), of.seeds())


def spelt(target: str) -> str:
    """A target's name as a part of a file's name."""
    return shlex.quote(target.replace(" ", "-"))
