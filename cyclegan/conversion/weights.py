"""Generators loaded from checkpoints, files of the classic scripts and exported files."""

from dataclasses import dataclass, replace
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cyclegan import checkpoint, classic, hub
from cyclegan.checkpoint import Checkpoint
from cyclegan.classic import NETWORKS
from cyclegan.conversion import SAMPLE, NormStatistics
from cyclegan.data import is_there
from cyclegan.errors import UsageError, UserError
from cyclegan.recipes.materials import NO_STYLES, Converter, Saved, Styles, Teacher
from cyclegan.run import FolderDirection
from cyclegan.runtimes import Provider, Runtime, safetensors
from cyclegan.runtimes.opened import Session
from cyclegan.runtimes.table import Choice, choose, parts
from cyclegan.settings import from_record
from cyclegan.weights_file import ending_of


@dataclass(frozen=True)
class Generator:
    """A generator ready to convert, and where it came from."""

    network: nn.Module
    architecture: classic.Architecture
    origin: str
    digest: str
    """of the weights: equal digests convert equally"""
    values: tuple[float, float] | None = None
    """black and white in training, if files don't say"""
    direction: FolderDirection | None = None
    """source and target domain; None if the file doesn't say"""
    fixed: bool = False
    """an exported file with a fixed execution: nothing to choose"""
    trained_side: int | None = None
    """side in pixels of training images; None if they were not resized, or unknown"""


def shipped(path: Path) -> Path:
    """Return the package's own model for the name `sample`, where nothing else is called so."""
    return SAMPLE if path == Path(SAMPLE.stem) and not is_there(path) else path


def file_of(path: Path, epoch: str, direction: FolderDirection | None) -> Path:
    """Return the file of `epoch` with the generator of `direction`, if `path` is a folder.

    The folder is a run's, one of the classic scripts' files, or of a model of the hub, which `path`
    may be the address of. Raises UserError if it holds no such file.
    """
    if hub.is_model(path):
        return hub.weights_of(path, direction)
    if not classic.is_folder(path):
        return _of_run(path, epoch) if path.is_dir() else shipped(path)
    files = classic.find_files(path, epoch)
    ours = NETWORKS["G_B" if direction == "BtoA" else "G_A"]
    if ours not in files:
        other = next(file for name, file in files.items() if "generator" in name)
        raise UsageError(
            f"--direction {direction or 'AtoB'}: {path} holds only {other.name}: leave it out, or "
            f"give --weights {other}"
        )
    return files[ours]


def _of_run(folder: Path, epoch: str) -> Path:
    try:
        return checkpoint.path_of(folder, epoch)
    except UserError as error:
        if folder != Path(SAMPLE.stem):
            raise
        raise UserError(
            f"{error}; {folder} is also the model that comes with the package, where no folder is "
            "called so: convert from another place, or rename the folder"
        ) from error


def load(
    path: Path,
    direction: FolderDirection | None,
    *,
    epoch: str = "latest",
    average: bool = True,
    back: bool = False,
    runtime: Runtime = "auto",
    provider: Provider = "auto",
    style_mix: str | None = None,
    styles: Styles = NO_STYLES,
    trust_code: bool = False,
) -> Generator:
    """Load one generator of a checkpoint, or the generator of any other file, in eval mode.

    `path` may be a folder, of a run or of the classic scripts' files: `epoch` says which file. It
    may be the address of a model on the hub, hf://USER/MODEL, which is fetched.
    `average` takes the weights averaged over the training's steps, where there are any. `back`
    takes the generator of the other direction. `direction` counts by the folders of the training
    data; None is the direction that was trained. `runtime` opens exported files, "auto" goes by
    their content; onnxruntime computes by `provider`. `style_mix` names paintings of a model of
    several, with their shares; `styles` are pictures for a model whose style is given. Files that
    are programs are opened only with `trust_code`. Raises UserError if the file can't be used.
    """
    given = path
    if hub.is_model(path) and back:
        path, direction, back = hub.weights_of(path, direction, back=True), None, False
    if classic.is_folder(path) and back:
        direction, back = ("AtoB" if direction == "BtoA" else "BtoA"), False
    path = file_of(path, epoch, direction)
    choice = choose(path, runtime, provider, trust_code=trust_code)
    styles = replace(styles, mix=style_mix)
    if choice is not None:
        _check_one(path, back=back)
        styles.refuse(path)
        return _exported(path, direction, choice)
    found = _weights(path, direction, styles, average=average, back=back)
    architecture = found.converter.architecture
    classic.check_fit(architecture.build, found.converter.weights, path)
    # Weights are drawn and then replaced, in a quarter of the time that it takes not to draw them:
    # for the meta device torch loads sympy first.
    with torch.random.fork_rng(devices=()):
        network = architecture.build()
    classic.load_into(network, found.converter.weights, path)
    network.eval().requires_grad_(False)
    digest = checkpoint.digest(found.converter.weights)
    if found.converter.finish is not None:
        network = found.converter.finish(network).eval()
        digest = checkpoint.digest(network.state_dict())
    return Generator(
        network,
        architecture,
        hub.told(given) if hub.is_address(given) else f"{path}",
        digest,
        found.values,
        found.direction,
        trained_side=found.trained_side,
    )


def open_teacher(path: Path, direction: FolderDirection) -> Teacher:
    """Return the generator of a model, on the CPU, with the discriminator of what it makes.

    Raises UserError if there is no such model, or it is an exported file that a runtime computes.
    """
    if not is_there(path):
        raise UserError(f"--teacher {path}: no such run or weights file")
    held = load(path, direction)
    if held.fixed:
        raise UserError(
            f"--teacher {path}: an exported file with a fixed execution: give its checkpoint"
        )
    channels = (held.architecture.input_nc, held.architecture.output_nc)
    return Teacher(held.network, channels, _discriminator(Path(held.origin), direction))


def _discriminator(path: Path, direction: FolderDirection) -> nn.Module | None:
    """Return the discriminator beside a checkpoint's generator; None where there is none."""
    if ending_of(path) == ".safetensors":
        return None
    content = checkpoint.load_plain(path, mapped=True)
    if not checkpoint.is_checkpoint(content):
        return None
    saved = checkpoint.from_plain(content, path)
    settings = from_record(saved.settings, str(path))
    forth = direction == settings.run.direction
    recipe: Any = settings.recipe
    weights = saved.state["networks"].get(f"discriminator_{'b' if forth else 'a'}")
    if weights is None or not hasattr(recipe, "discriminator"):
        return None
    channels = settings.networks.output_nc if forth else settings.networks.input_nc
    with torch.random.fork_rng(devices=()):
        network: nn.Module = recipe.discriminator.build(channels, recipe.networks.norm)
    classic.load_into(network, weights, path)
    return network


def use_image_statistics(network: nn.Module) -> int:
    """Let BatchNorm layers normalise by the image at hand; return how many there are.

    Raises UsageError for an exported file, whose layers are fixed.
    """
    if isinstance(network, Session):
        raise UsageError(
            "--norm_statistics image: an exported file has the trained statistics baked in: "
            "convert with the checkpoint"
        )
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in layers:
        layer.track_running_stats = False
        layer.running_mean = layer.running_var = None
    return len(layers)


def looks_at_batches(network: nn.Module) -> bool:
    """Return whether an image's result depends on the others that are converted with it."""
    layers = (layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))
    return any(layer.running_mean is None for layer in layers)


def advice(generator: Generator, statistics: NormStatistics) -> str | None:
    """Return what a user of the classic scripts should know about this model's pictures, if any."""
    if generator.fixed:
        return None
    norm, dropout = generator.architecture.norm, generator.architecture.generator.dropout
    if norm == "batch" and statistics == "trained":
        return (
            "BatchNorm uses its trained statistics; --norm_statistics image gives the pictures "
            "of the classic's test without --eval"
        )
    if dropout:
        return "dropout is off when converting; the classic's test without --eval had it on"
    return None


@dataclass(frozen=True)
class _Weights:
    converter: Converter
    values: tuple[float, float] | None = None
    direction: FolderDirection | None = None
    trained_side: int | None = None
    """as in Generator"""


def _weights(
    path: Path,
    direction: FolderDirection | None,
    styles: Styles,
    *,
    average: bool,
    back: bool,
) -> _Weights:
    if ending_of(path) == ".safetensors":
        metadata, weights = safetensors.read(path)
        if metadata is None:
            return _foreign(weights, path, direction, styles, back=back)
        _check_one(path, back=back)
        styles.refuse(path)
        _check_direction(metadata.direction, direction, path)
        held = Converter(metadata.architecture, weights)
        return _Weights(held, metadata.values, metadata.direction)
    content = checkpoint.load_plain(path, mapped=True)  # a generator is a tenth of a checkpoint
    if checkpoint.is_checkpoint(content):
        saved = checkpoint.from_plain(content, path)
        if not saved.digests:  # of the first versions: the whole file tells whether it is damaged
            saved = checkpoint.load(path)
        return _of_checkpoint(saved, path, direction, styles, average=average, back=back)
    return _foreign(checkpoint.load_plain(path), path, direction, styles, back=back)


def _foreign(
    content: Any,
    path: Path,
    direction: FolderDirection | None,
    styles: Styles,
    *,
    back: bool,
) -> _Weights:
    """Return the generator of a file of other scripts, however it is wrapped."""
    styles.refuse(path)
    forth = (direction != "BtoA") != back
    ours = NETWORKS["G_A" if forth else "G_B"]
    weights, named = classic.generator_of(content, path, ours)
    if not named:
        _check_one(path, back=back)
    told: FolderDirection | None = (direction or "AtoB") if named else None
    held = Converter(classic.infer_architecture(weights, path), weights)
    return _Weights(held, direction=told)


def _check_one(path: Path, *, back: bool) -> None:
    if back:
        raise UsageError(f"--also needs the other generator: {path} holds one; give --name RUN")


def _exported(path: Path, direction: FolderDirection | None, choice: Choice) -> Generator:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    opened = choice.load(path)
    metadata = opened.metadata
    _check_direction(metadata.direction, direction, path)
    digest = sha256(choice.runtime.encode())
    for part in parts(path):
        with part.open("rb") as file:
            digest.update(file_digest(file, "sha256").digest())
    return Generator(
        Session(opened, path).eval(),
        metadata.architecture,
        f"{path}",
        digest.hexdigest()[:16],
        metadata.values,
        metadata.direction,
        fixed=True,
    )


def _check_direction(
    held: FolderDirection | None, asked: FolderDirection | None, path: Path
) -> None:
    if None not in (held, asked) and held != asked:
        raise UsageError(
            f"--direction {asked}: {path} was exported for {held}: export the other direction"
        )


def _of_checkpoint(
    saved: Checkpoint,
    path: Path,
    direction: FolderDirection | None,
    styles: Styles,
    *,
    average: bool,
    back: bool,
) -> _Weights:
    settings = from_record(saved.settings, str(path))
    trained = settings.run.direction
    forth = (direction in (None, trained)) != back
    name = "generator_a_to_b" if forth else "generator_b_to_a"
    group = "averages" if average and name in saved.state.get("averages", {}) else "networks"
    networks = saved.state[group]
    if name not in networks:
        raise UsageError(
            f"--{'also' if back else f'direction {direction}'}: {path} converts one way only, "
            f"{trained}: leave it out"
        )
    digest = saved.digests.get(f"{group}/{name}")
    if digest and digest != checkpoint.digest(networks[name]):
        raise UserError(f"{path}: damaged: the weights of {name} don't match their checksum")
    channels = (settings.networks.input_nc, settings.networks.output_nc)
    wanted = Saved(networks, name, channels if forth else channels[::-1], path)
    return _Weights(
        settings.recipe.converter(wanted, styles),
        settings.data.range,
        direction or trained,
        settings.data.scaled_to,
    )
