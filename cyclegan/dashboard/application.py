"""Visdom's application, restricted to the dashboard's folder."""

import getpass
import hashlib
import logging
import os
import shutil
from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from cyclegan.dashboard.front import with_list, with_overlay, with_waiting
from cyclegan.dashboard.login import Logins, credential, with_login, write_secret
from cyclegan.dashboard.page import PageFolder
from cyclegan.loggers import is_plain

log = logging.getLogger(__name__)
Save = Callable[[Any, Sequence[str], str], object]


class Environments:
    """Writer of a server's changed environments, each atomically."""

    def __init__(self, app: Any, save: Save, folder: Path, scratch: Path) -> None:
        self._app = app
        self._save = save
        self._folder = folder
        self._scratch = scratch
        self._written: dict[str, bytes] = {}
        self._failed = False

    def save(self) -> None:
        """Save changed environments; a failure is logged once, and the server goes on."""
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
        """Save by visdom's own function to a scratch folder; move only changed files from it."""
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
        """Return the digest of the file as this server last knew it."""
        if target.name not in self._written:
            self._written[target.name] = hashlib.sha256(target.read_bytes()).digest()
        return self._written[target.name]


def is_loaded(environment: Any) -> bool:
    """Return whether an environment is in memory; others only name their file."""
    return getattr(environment, "_raw_dict", environment) is not None


class PlainNames(UserDict[str, Any]):
    """A server's environments by name; a name that is a path is refused.

    Visdom's handlers look a name up here before they build a path from it.
    """

    def __init__(self, environments: Mapping[str, Any], folder: Path) -> None:
        self._folder = folder
        super().__init__({name: env for name, env in environments.items() if is_plain(name)})

    def __contains__(self, name: object) -> bool:
        return _plain(name) in self.data

    def __getitem__(self, name: str) -> Any:
        return self.data[_plain(name)]

    def __setitem__(self, name: str, environment: Any) -> None:
        self.data[_plain(name)] = environment

    def __delitem__(self, name: str) -> None:
        """Forget an environment; handlers then delete its file, which a new one has not got yet."""
        del self.data[_plain(name)]
        (self._folder / f"{name}.json").touch()


def refusing_paths(escape: Callable[[str], str]) -> Callable[[str], str]:
    """Wrap visdom's function that replaces `/` by `_` in a name, to refuse names that are paths."""

    def escape_eid(eid: str) -> str:
        for part in eid.split("/") if isinstance(eid, str) else [eid]:
            _plain(part)
        return escape(eid)

    return escape_eid


def _plain(name: object) -> str:
    if not isinstance(name, str) or not is_plain(name):
        raise HTTPError(400, reason="the name of an environment must be a plain name")
    return name


def make_application(
    dashboard: Path, port: int, page: PageFolder, login: tuple[str, str] | None
) -> tuple[Any, Environments]:
    """Return a tornado application that serves `page`, and the writer of its environments."""
    folder = dashboard / "environments"
    folder.mkdir(exist_ok=True)
    _name_the_user()
    visdom = _visdom(folder)
    visdom.tornado_settings.update(
        static_path=str(page.folder.resolve()),
        template_path=str(page.folder.resolve()),
        autoreload=False,  # it would start the process anew when a module's file changes
    )
    if login is not None:
        write_secret(folder / "COOKIE_SECRET")
    app = visdom.Application(
        port=port,
        env_path=str(folder),
        user_credential=None if login is None else credential(login),
    )
    app.state = PlainNames(app.state, folder)
    for rule in app.wildcard_router.rules:
        rule.target = _robust(_ours(rule.target, visdom, dashboard.parent, login))
    return app, Environments(app, _save, folder, dashboard / f"saving-{port}")


def _ours(handler: Any, visdom: Any, checkpoints_dir: Path, login: tuple[str, str] | None) -> Any:
    """Return our replacement for one of visdom's handlers; the handler itself if it may stay."""
    if handler is visdom.EnvHandler:
        return with_waiting(handler)
    if handler is visdom.CompareHandler:
        return with_overlay(handler)
    if handler is not visdom.IndexHandler:
        return handler
    listing = with_list(handler, checkpoints_dir)
    return listing if login is None else with_login(listing, Logins(login))


#: What visdom's handlers raise for requests that lack something or hold something else.
_NONSENSE = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, NameError),
    *(RecursionError, TypeError, ValueError),
)


def _robust(handler: Any) -> Any:
    """Return visdom's handler, changed so that no client's fault is the server's or another's."""

    def send_error(self: Any, status_code: int = 500, **more: Any) -> None:
        error = more.get("exc_info", (None, None))[1]
        if status_code != 500 or not isinstance(error, _NONSENSE):
            handler.send_error(self, status_code, **more)
            return
        self.clear()
        self.set_status(422)  # to clients 400 is a wrong login
        self.set_header("Content-Type", "text/plain")
        self.finish(f"the request can't be used ({type(error).__name__})")

    def write_message(self: Any, message: Any, binary: bool = False) -> Any:
        with suppress(WebSocketClosedError):  # the page is gone; whoever sent this need not know
            return handler.write_message(self, message, binary)

    changed: dict[str, Any] = {"send_error": send_error}
    if issubclass(handler, WebSocketHandler):
        changed = {"write_message": write_message}
    return type(f"Robust{handler.__name__}", (handler,), changed)


def _visdom(folder: Path) -> Any:
    """Import visdom's application module with `folder` in place of the user's ~/.visdom.

    Visdom's modules copy the default path and `escape_eid` on import, so both are patched before.
    """
    from visdom.server import defaults

    defaults.DEFAULT_ENV_PATH = f"{folder}/"
    from visdom.utils import server_utils

    server_utils.escape_eid = refusing_paths(server_utils.escape_eid)
    if hasattr(server_utils, "serialize_env"):
        server_utils.serialize_env = _saving_what_is_loaded(server_utils.serialize_env)
    from visdom.server import app

    return app


def _saving_what_is_loaded(serialize: Any) -> Any:
    """Wrap visdom 0.2's function, which overwrites an environment nobody has opened with `null`."""

    def serialize_env(state: Any, eids: Sequence[str], env_path: str | None = None) -> list[str]:
        known = [eid for eid in eids if eid in state]
        serialize(state, [eid for eid in known if is_loaded(state[eid])], env_path=env_path)
        return known

    return serialize_env


def _save(state: Any, names: Sequence[str], folder: str) -> None:
    """Write environments as the installed visdom does: with a store since 0.3."""
    from visdom.utils import server_utils

    serialize: Any = getattr(server_utils, "serialize_env", None)
    if serialize is not None:
        serialize(state, names, env_path=folder)
        return
    from visdom.data_model.json_store import JSONStore

    JSONStore(folder).save_envs(state, names)


def _name_the_user() -> None:
    """Set a user name if there is none, as in containers; visdom's pages show it."""
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["LOGNAME"] = "user"
