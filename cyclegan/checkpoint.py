"""Checkpoints: one file each, with all that is needed to resume training or to convert."""

import os
import pickle
import platform
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

import torch
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    with_config,
)
from torch import Tensor
from typing_extensions import TypedDict

from cyclegan.atomic import UNFINISHED, atomic_write, hidden_name
from cyclegan.device import ran_out_of_memory
from cyclegan.errors import UserError, in_one_line, in_words
from cyclegan.parts import Parts
from cyclegan.run import LATEST, PREVIOUS, Position, RunFolder
from cyclegan.weights_file import (
    PROGRAMS,
    SAFE,
    check_content,
    check_records,
    ending_of,
    is_archive,
    other_than_weights,
)

FORMAT = 1
#: Where a state holds networks: as they are trained, and averaged over the steps.
GROUPS = ("networks", "averages")


class DamagedError(UserError):
    """A file that is not a checkpoint, or is no longer as it was saved."""


Count = Annotated[int, Field(ge=0, lt=2**53)]
Tensors = dict[str, Tensor]


class BestRow(TypedDict):
    """The best quality measured so far."""

    merit: NotRequired[float]
    kid: NotRequired[float]
    """of runs without progress data"""
    images: Count
    """seen by the run"""
    since: NotRequired[Count]
    """measurements after it"""


def _measured(row: BestRow) -> BestRow:
    """Return the row. Raises ValueError if it holds no figure."""
    if "merit" not in row and "kid" not in row:
        raise ValueError("holds neither merit nor kid")
    return row


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint, as tensors and plain builtins only."""

    settings: dict[str, Any]
    """the resolved settings, grouped by part"""
    state: dict[str, Any]
    """networks, optimizers, pools and random numbers, by name"""
    position: Position
    data: dict[str, int] = field(default_factory=dict)
    """number of images of each domain"""
    versions: dict[str, str] = field(default_factory=dict)
    """of the packages that wrote it"""
    execution: dict[str, Any] = field(default_factory=dict)
    """how it was computed; empty in the oldest files"""
    digests: dict[str, str] = field(default_factory=dict)
    """of each network's weights, by group and name; made when it is saved"""
    best: BestRow | None = None
    """None if none was measured"""
    rollbacks: int = 0
    """how often the run went back, each time to a lower learning rate"""


class _Position(TypedDict):
    epoch: Annotated[Count, Field(ge=1)]
    images_in_epoch: Count
    images: Count


class _Pool(TypedDict):
    images: list[Tensor]
    random: Tensor


class _Random(TypedDict):
    cpu: Tensor
    cuda: list[Tensor]


class _State(TypedDict):
    """The training state; converting needs only the networks."""

    networks: dict[str, Tensors]
    averages: NotRequired[dict[str, Tensors]]
    optimizers: NotRequired[dict[str, dict[int, Tensors]]]
    pools: NotRequired[dict[str, _Pool]]
    scaler: NotRequired[dict[str, float]]
    random: NotRequired[_Random]


@with_config(ConfigDict(strict=True, arbitrary_types_allowed=True))
class _Content(TypedDict):
    """The content that `save` writes; keys added by later versions are ignored."""

    format: Literal[1]
    settings: dict[str, dict[str, JsonValue]]
    state: _State
    position: _Position
    data: dict[str, Count]
    versions: dict[str, str]
    execution: NotRequired[dict[str, JsonValue]]
    digests: NotRequired[dict[str, str]]
    best: NotRequired[
        Annotated[BestRow, AfterValidator(_measured)] | Annotated[Tensors, Field(max_length=0)]
    ]
    rollbacks: NotRequired[Count]


CONTENT = TypeAdapter(_Content)


def path_of(run: Path, epoch: str) -> Path:
    """Return the path of a run's checkpoint of `epoch`: 'latest', 'previous', 'best' or a number.

    Raises UserError, naming the epochs there are, if it is missing.
    """
    path = RunFolder(run).checkpoint(epoch)
    if path.is_file():
        return path
    if not run.is_dir():
        raise UserError(f"{run}: no such run{_neighbours(run)}")
    there = RunFolder(run).saved()
    found = f"there are {', '.join(there)}" if there else "it holds no checkpoint"
    raise UserError(f"{path}: no such checkpoint; {found}")


def save(checkpoint: Checkpoint, run: Path, epoch: str = LATEST, keep: int = 0) -> Path:
    """Save a checkpoint atomically as `epoch` ('latest', 'best' or a number); return its path.

    The former latest file becomes the previous one. Of the numbered epochs only the newest `keep`
    files stay; 0 keeps all. Raises UserError if the file can't be written; what was saved before is
    then as it was.
    """
    folder = RunFolder(run)
    path = folder.checkpoint(epoch)
    content = {
        "format": FORMAT,
        "settings": checkpoint.settings,
        "state": checkpoint.state,
        "position": asdict(checkpoint.position),
        "data": checkpoint.data,
        "versions": checkpoint.versions,
        "execution": checkpoint.execution,
        "best": checkpoint.best or {},
        "rollbacks": checkpoint.rollbacks,
        "digests": {
            f"{group}/{name}": digest(weights)
            for group in GROUPS
            for name, weights in checkpoint.state.get(group, {}).items()
        },
    }
    try:
        with atomic_write(path) as unfinished:
            _write_through(content, unfinished)
            if epoch == LATEST:
                _keep_previous(folder)
        _sync_folder(run)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{path}: could not be saved ({_cause(error)}); the last good checkpoint is intact: "
            "free disk space, then resume with --continue_train"
        ) from error
    if epoch.isdecimal() and keep:
        for number in folder.saved_epochs()[:-keep]:
            folder.checkpoint(str(number)).unlink()
    return path


def load(path: Path, *, mapped: bool = False) -> Checkpoint:
    """Load a checkpoint onto the CPU; `mapped` is as for `load_plain`.

    Raises DamagedError if `path` is not a checkpoint, or not as it was saved.
    """
    return from_plain(load_plain(path, mapped=mapped), path)


def is_checkpoint(content: Any) -> bool:
    """Return whether the content of a file is a checkpoint of this program."""
    return isinstance(content, Mapping) and "format" in content


def from_plain(content: Any, path: Path) -> Checkpoint:
    """Build a checkpoint from `content`, which was read from `path`.

    Raises DamagedError if `content` is not a checkpoint, UserError if another version wrote it.
    """
    if not is_checkpoint(content):
        raise DamagedError(f"{path}: not a cyclegan checkpoint")
    written = content["format"]
    if isinstance(written, int) and written != FORMAT:
        raise UserError(
            f"{path}: written in format {written}, this version reads {FORMAT}: "
            "install the version that wrote it"
        )
    try:
        CONTENT.validate_python(content)
    except ValidationError as error:
        raise DamagedError(f"{path}: incomplete checkpoint ({_first_problem(error)})") from None
    return Checkpoint(
        content["settings"],
        content["state"],
        Position(**content["position"]),
        content["data"],
        content["versions"],
        content.get("execution", {}),
        content.get("digests", {}),
        content.get("best") or None,
        content.get("rollbacks", 0),
    )


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    return in_one_line(f"{'.'.join(map(str, problem['loc']))}: {problem['msg'].lower()}")


def digest(weights: Mapping[str, Tensor]) -> str:
    """Return a digest of names, types, shapes and values: equal digests mean equal weights."""
    whole = sha256()
    for name, tensor in sorted(weights.items()):
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        whole.update(plain.view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()[:16]


def load_plain(path: Path, *, mapped: bool = False) -> Any:
    """Load tensors and plain builtins onto the CPU; code in the file is never run.

    Tensors stay in the file until they are used. `mapped` skips the check for damaged tensors,
    which reads them all. Raises DamagedError if the file is damaged or holds anything else,
    UserError if it can't be read.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: not a weights file, but a folder or a device")
    try:
        archive = is_archive(path)
        if archive:
            check_records(path, data=not mapped)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the reader says of odd pickles is said below
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
        check_content(content, path)
        return content
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except PermissionError as error:
        raise UserError(f"{path}: can't be read ({error.strerror})") from None
    except Exception as error:  # a damaged file makes the reader raise nearly anything
        if ran_out_of_memory(error):
            raise UserError(f"{path}: not enough memory to load it") from error
        raise DamagedError(f"{path}: {_unreadable(path, error)}") from error


def _unreadable(path: Path, error: Exception) -> str:
    """Return what is wrong with a file that torch can't read."""
    other = other_than_weights(path) if path.is_file() else None
    if path.is_file() and not path.stat().st_size:
        return "damaged: it is empty; fetch it again"
    program = PROGRAMS.get(ending_of(path))
    if other is not None:
        return other
    if program is not None:
        return f"{program} (a program), not weights; {SAFE}"
    if isinstance(error, pickle.UnpicklingError):
        # The same error stands for a foreign class and for bytes that are no pickle at all.
        return "not a plain weights file (damaged, or it contains code, which is not run)"
    return f"damaged or not a weights file ({_cause(error)})"


def _keep_previous(folder: RunFolder) -> None:
    """Keep the latest file as the previous one, so that at no moment there is no checkpoint."""
    latest, previous = folder.latest, folder.checkpoint(PREVIOUS)
    link = latest.with_name(hidden_name(previous.name, UNFINISHED))
    link.unlink(missing_ok=True)
    if not latest.exists() or (previous.exists() and previous.samefile(latest)):
        return
    try:
        link.hardlink_to(latest)
    except OSError:  # a file system without links: for a moment it has the other name only
        latest.replace(previous)
    else:
        link.replace(previous)


def _write_through(content: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Sync a folder to disk, so that the new name survives a power cut too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cause(error: BaseException) -> str:
    """Return the system's message of an error; torch hides it behind an error of its writer."""
    deepest = error
    while not isinstance(deepest, OSError) and (deepest.__context__ or deepest.__cause__):
        deepest = deepest.__cause__ or deepest.__context__ or deepest
    if isinstance(deepest, OSError) and deepest.strerror:
        return deepest.strerror
    return in_words(error)


def _neighbours(run: Path) -> str:
    runs = sorted(path.name for path in run.parent.glob("*/") if RunFolder(path).saved())
    more = ", ..." if len(runs) > 10 else ""
    return f"; {run.parent} holds {', '.join(runs[:10])}{more}" if runs else ""


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a run depends on."""
    names = ("cyclegan", "torch", "torchvision", "pillow", "numpy", "albumentations")
    own = {"python": platform.python_version()} | {name: _version(name) for name in names}
    return own | Parts.used


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
