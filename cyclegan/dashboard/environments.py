"""The server's environments, kept in files."""

import hashlib
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)
Save = Callable[[Any, Sequence[str], str], object]


class Environments:
    """Writes those of a server's environments that changed, each whole or not at all."""

    def __init__(self, app: Any, save: Save, folder: Path, scratch: Path) -> None:
        self._app = app
        self._save = save
        self._folder = folder
        self._scratch = scratch
        self._written: dict[str, bytes] = {}
        self._failed = False

    def save(self) -> None:
        """Save what changed; what can't be saved is said once, and the server goes on."""
        try:
            for name in list(self._app.state):
                if is_loaded(self._app.state[name]):
                    self._save_one(name)
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.warning("dashboard: %s: can't be saved: %s", error.filename, error.strerror)
            self._failed = True

    def _save_one(self, name: str) -> None:
        """By visdom's own function, into a folder from where only changed files are moved."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        self._save(self._app.state, [name], str(self._scratch))
        for path in list(self._scratch.iterdir()):
            target = self._folder / path.name
            digest = hashlib.sha256(path.read_bytes()).digest()
            if target.exists() and self._last(target) == digest:
                continue
            path.replace(target)
            self._written[target.name] = digest
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _last(self, target: Path) -> bytes:
        """Digest of what this server last knew to be in the file."""
        if target.name not in self._written:
            self._written[target.name] = hashlib.sha256(target.read_bytes()).digest()
        return self._written[target.name]


def is_loaded(environment: Any) -> bool:
    """Whether an environment is in memory; others only name the file that they are in."""
    return getattr(environment, "_raw_dict", environment) is not None
