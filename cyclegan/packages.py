"""Packages that come with extras."""

from importlib.util import find_spec

from cyclegan.errors import UserError


def need(what: str, extra: str, *packages: str) -> None:
    """Raise UserError, with the way out, where one of `packages` is missing for `what`."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise UserError(f"{what}: needs {', '.join(missing)} (pip install 'cyclegan[{extra}]')")
