"""Models on the Hugging Face Hub: their addresses, fetching their weights, and commits to them."""

import gc
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from cyclegan.errors import UsageError, UserError, in_one_line, require_extra
from cyclegan.progress import waiting
from cyclegan.run import FolderDirection, RunFolder

#: The generator of the trained direction, and that of the other one: all that is ever fetched.
WEIGHTS = "model.safetensors"
OTHER: Mapping[FolderDirection, str] = {
    "AtoB": "model_AtoB.safetensors",
    "BtoA": "model_BtoA.safetensors",
}
FETCHED = (WEIGHTS, *OTHER.values())
CARD = "README.md"

T = TypeVar("T")


@dataclass(frozen=True)
class HubModel:
    """A model on the hub, at a revision; None for the newest one."""

    repo: str
    """USER/MODEL"""
    revision: str | None = None
    """branch, tag or commit"""

    def __str__(self) -> str:
        return f"hf://{self.repo}" + (f"@{self.revision}" if self.revision else "")

    @classmethod
    def of(cls, address: str | Path) -> "HubModel":
        """Read an address. Raises UsageError if it names no model."""
        found = _ADDRESS.fullmatch(str(address))
        if found is None:
            told = _SCHEME.sub("hf://", str(address))
            raise UsageError(
                f"{told}: not the address of a model: give hf://USER/MODEL, or "
                "hf://USER/MODEL@REVISION"
            )
        return cls(found[1], found[2])

    @property
    def name(self) -> str:
        """The model's name, without its owner's."""
        return self.repo.partition("/")[2]

    @property
    def owner(self) -> str:
        """The user or the organization that it belongs to."""
        return self.repo.partition("/")[0]


_SCHEME = re.compile("hf:/*")  # a Path keeps one slash of two
_ADDRESS = re.compile(r"hf:/{1,2}(\w[\w.-]*/\w[\w.-]*)(?:@([^\s@]+))?", re.ASCII)


def is_address(given: str | Path) -> bool:
    """Return whether a name or a path is an address on the hub, well spelt or not."""
    return str(given).startswith("hf:/")


def told(given: str | Path) -> str:
    """Return an address as users write it; any other path as it is."""
    return _SCHEME.sub("hf://", str(given), count=1) if is_address(given) else str(given)


def with_weights(settings: T) -> T:
    """Return settings in which models of the hub that `name` gives are `weights`.

    Settings that do not have both stay as they are, as do those whose `weights` are given already.
    """
    known: Any = settings
    name, weights = (getattr(known, field, ()) for field in ("name", "weights"))
    if isinstance(name, str) and weights is None and is_address(name):
        return _changed(settings, name=None, weights=Path(name))
    if isinstance(name, tuple) and any(map(is_address, name)):
        models = tuple(Path(one) for one in name if is_address(one))
        runs = tuple(one for one in name if not is_address(one))
        return _changed(settings, name=runs, weights=(*weights, *models))
    return settings


def _changed(settings: T, **values: object) -> T:
    return cast(T, replace(cast(Any, settings), **values))


def fetched(path: Path | None) -> str:
    """Fetch a model if `path` is its address, with bars of its own; return how users write it.

    Raises UserError.
    """
    if path is not None and is_address(path):
        fetch_model(HubModel.of(path))
    return "" if path is None else told(path)


@cache
def fetch_model(model: HubModel) -> Path:
    """Fetch the model's weights, and nothing else of it; return the folder that they are in.

    They stay in the client's cache, which is used where there is no connection. Raises UserError.
    """
    with _asking(model, f"fetching {model}", long=True):
        import huggingface_hub

        folder = Path(
            huggingface_hub.snapshot_download(
                model.repo, revision=model.revision, allow_patterns=list(FETCHED)
            )
        )
    if not (folder / WEIGHTS).is_file():
        raise UserError(
            f"{model}: holds no {WEIGHTS}, so it is no model of cyclegan push: download what it "
            "holds, and give --weights FILE"
        )
    return folder


def is_model(path: Path) -> bool:
    """Return whether a path is an address, or a folder that holds what a model on the hub holds."""
    return is_address(path) or ((path / WEIGHTS).is_file() and not RunFolder(path).saved())


def weights_of(model: Path, direction: FolderDirection | None, *, back: bool = False) -> Path:
    """Return the file of a model for a direction; None is the trained one.

    The model is fetched if `model` is its address. `back` is for the other generator than that of
    the direction. Raises UserError.
    """
    folder = fetch_model(HubModel.of(model)) if is_address(model) else model
    main, others = folder / WEIGHTS, [folder / name for name in OTHER.values()]
    others = [path for path in others if path.is_file()]
    asked = folder / OTHER[direction] if direction else main
    forth = asked if asked in others else main
    if not back:
        return forth
    if not others:
        raise UsageError(f"--also needs the other generator: {told(model)} holds one")
    return main if forth in others else others[0]


@dataclass(frozen=True)
class Head:
    """The newest state of a model on the hub."""

    commit: str
    files: frozenset[str]
    card: str | None
    """text of its card; None if it has none"""


def look_at(model: HubModel, *, private: bool) -> Head:
    """Return the model's newest state; a model that is missing is made.

    Raises UserError, also where it is public and asked to be private.
    """
    with _asking(model, f"looking at {model}"):
        from huggingface_hub import HfApi

        client = HfApi()
        if not client.repo_exists(model.repo):
            client.create_repo(model.repo, private=private)
        found = client.model_info(model.repo, revision=model.revision)
        commit, files = str(found.sha), [one.rfilename for one in found.siblings or ()]
        card = None
        if CARD in files:
            path = client.hf_hub_download(model.repo, CARD, revision=commit)
            card = Path(path).read_text(encoding="utf-8", errors="replace")
    if private and not found.private:
        raise UserError(
            f"--private: {model} is public: make it private in its settings on the hub, or leave "
            "the flag out"
        )
    return Head(commit, frozenset(files), card)


def commit(
    model: HubModel, head: Head, files: Sequence[Path], gone: Sequence[str], message: str
) -> str:
    """Commit files, and the removal of those in `gone`; return the address of the commit.

    Raises UserError, also if the model was changed after `head`.
    """
    with _asking(model, f"pushing to {model}", long=True):
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        added = [CommitOperationAdd(path.name, path) for path in files]
        removed = [CommitOperationDelete(name) for name in gone if name in head.files]
        done = HfApi().create_commit(
            model.repo,
            [*added, *removed],
            commit_message=message,
            revision=model.revision,
            parent_commit=head.commit,
        )
    return str(done.commit_url)


@contextmanager
def _asking(model: HubModel, what: str, *, long: bool = False) -> Iterator[None]:
    """Let the client talk to the hub, and show it. Raises UserError for all that it raises.

    What takes `long` has the client's own bars on a terminal.
    """
    require_extra(f"{model}", "hub", "huggingface_hub", "safetensors")
    try:
        with _told_by(what, bars=long and sys.stderr.isatty()):
            yield
    except Exception as error:  # the client's own, those of its HTTP library, the system's
        raise UserError(f"{model}: {_reason(error, model)}") from error


@contextmanager
def _told_by(what: str, *, bars: bool) -> Iterator[None]:
    """Show that the client works, by its own bars if asked to; its log is silent meanwhile."""
    from huggingface_hub.utils import logging as log
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    verbosity, hidden = log.get_verbosity(), are_progress_bars_disabled()
    log.set_verbosity(logging.CRITICAL)  # what fails is said by the caller, in one line
    try:
        if bars:
            yield
            gc.collect()  # which closes bars that the client has left open
            return
        disable_progress_bars()
        with waiting(what):
            yield
    finally:
        log.set_verbosity(verbosity)
        if not hidden:
            enable_progress_bars()


def _reason(error: BaseException, model: HubModel) -> str:
    """Return what went wrong, and the way out, in one line."""
    for met in _causes(error):
        response = getattr(met, "response", None)
        names = [kind.__name__ for kind in type(met).__mro__]
        status = str(getattr(response, "status_code", ""))
        known = next((_REASONS[key] for key in (*names, status) if key in _REASONS), None)
        if known is not None:
            return known.format(owner=model.owner, endpoint=_endpoint())
        if response is not None:
            said = getattr(met, "server_message", None)
            return in_one_line(f"the hub answered {status}" + (f" ({said})" if said else ""))
    return in_one_line(str(error)) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


_BROKEN = "the connection to {endpoint} broke off: run the same command again"
#: What is told of the client's errors, by their classes, and of answers, by their status.
_REASONS = {
    "GatedRepoError": "a gated model: request access on its page",
    "RevisionNotFoundError": "no such revision: give a branch, a tag or a commit after the @",
    "RepositoryNotFoundError": "no such model, or a private one: check how it is spelt; for a "
    "private one set HF_TOKEN, or run hf auth login",
    "HFValidationError": "not a valid model name: give hf://USER/MODEL",
    "OfflineModeIsEnabled": "not in the cache, and HF_HUB_OFFLINE forbids downloading it: unset it",
    "ConnectError": "no connection to {endpoint}: check the network, and HF_ENDPOINT if it is set",
    "TimeoutException": "{endpoint} does not answer: try again later",
    "TransportError": _BROKEN,
    "401": "the hub asks for a valid token (401): set HF_TOKEN, or run hf auth login",
    "403": "the token does not allow that (403): give one with write access to {owner}'s models",
    "409": "changed by someone else meanwhile: run the same command again",
    "412": "changed by someone else meanwhile: run the same command again",
}
