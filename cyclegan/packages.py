"""Packages that come with extras."""

import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from cyclegan.errors import UserError

#: What is built by an older setuptools than pip takes by itself: visdom 0.2.4, on Python 3.11.
_BUILT_BY_OLDER = {"dashboard"} if sys.version_info < (3, 12) else set()


def need(what: str, extra: str, *packages: str) -> None:
    """Raise UserError, with the way out, where one of `packages` is missing for `what`."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise UserError(f"{what}: needs {', '.join(missing)} ({install(extra)})")


def install(extra: str) -> str:
    """Return the command that adds an extra to this environment, from where the package came."""
    root = Path(__file__).parents[1]
    in_checkout = (root / "setup.cfg").is_file()
    package = f"-e {shlex.quote(f'{root}[{extra}]')}" if in_checkout else f"'cyclegan[{extra}]'"
    if extra in _BUILT_BY_OLDER:
        return f"{_pip()} 'setuptools<81' && {_pip()} --no-build-isolation {package}"
    return f"{_pip()} {package}"


def _pip() -> str:
    """This environment's pip: by its name where that is what the shell finds."""
    here, found = Path(sys.executable), shutil.which("pip")
    if found is not None and Path(found).parent == here.parent:
        return "pip install"
    return f"{shlex.quote(str(here))} -m pip install"
