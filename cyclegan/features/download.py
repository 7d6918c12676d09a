"""Weights that are downloaded once, into the folder that torchvision keeps its own in."""

import contextlib
import os
import re
import tempfile
from hashlib import sha256
from pathlib import Path

import requests
import torch

from cyclegan.errors import in_words
from cyclegan.features.network import NoWeightsError
from cyclegan.progress import progress_bar

PATIENCE = 10.0  # seconds without a byte
_PIECE = 2**20  # bytes


def downloaded(url: str, name: str) -> Path:
    """The file of `url`, which holds the weights of `name`, downloaded if it isn't there.

    It appears under its name whole or never. Raises NoWeightsError, with the way out.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(url, path)
    except OSError as error:  # requests' errors are some of these
        raise _advice(url, name, _reason(error)) from error
    return path


def _download(url: str, path: Path) -> None:
    handle, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with (
            os.fdopen(handle, "wb") as file,
            requests.get(url, stream=True, timeout=PATIENCE) as answer,
        ):
            answer.raise_for_status()
            whole = sha256()
            with progress_bar() as bar:
                total = int(answer.headers.get("Content-Length", 0)) / 1e6 or None
                task = bar.add_task(f"downloading {path.name}", total=total, unit="MB")
                for piece in answer.iter_content(_PIECE):
                    whole.update(piece)
                    file.write(piece)
                    bar.advance(task, len(piece) / 1e6)
        _check(path.name, whole.hexdigest())
        Path(unfinished).chmod(0o644)
        Path(unfinished).replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(unfinished).unlink()


def _check(name: str, digest: str) -> None:
    """Compare with the digits in the file's name. Raises OSError."""
    expected = re.search(r"-([0-9a-f]{8,})\.", name)
    if expected and not digest.startswith(expected[1]):
        raise OSError("what came is damaged or something else")


def _reason(error: OSError) -> str:
    """The innermost words of what went wrong, in a line."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server says {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"no answer in {PATIENCE:.0f} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return in_words(error)


def _advice(url: str, name: str, reason: str) -> NoWeightsError:
    return NoWeightsError(
        f"{name}: its weights can't be downloaded ({reason}): try again, or fetch {url} elsewhere "
        "and give the file with --feature_weights FILE"
    )
