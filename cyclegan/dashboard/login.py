"""The login of a dashboard; its password is never written, shown or handed to a process."""

import hashlib
import os
import secrets
from pathlib import Path
from typing import Any

from cyclegan.dashboard.address import is_loopback
from cyclegan.errors import UsageError

USERNAME, PASSWORD = "VISDOM_USERNAME", "VISDOM_PASSWORD"


def read_login(host: str) -> tuple[str, str] | None:
    """User name and password out of the environment variables, if there are any.

    Raises UsageError where others reach `host` and there are none, or there is one of the two.
    """
    username, password = os.environ.get(USERNAME), os.environ.get(PASSWORD)
    if username and password:
        return username, password
    if not is_loopback(host):
        raise UsageError(
            f"--host {host}: others reach it, so it takes a login: "
            f"set the environment variables {USERNAME} and {PASSWORD}"
        )
    if username or password:
        raise UsageError(f"a login takes both environment variables, {USERNAME} and {PASSWORD}")
    return None


def credential(login: tuple[str, str]) -> dict[str, Any]:
    """The login as visdom's server takes it."""
    from visdom.utils import server_utils

    hash_password: Any = server_utils.hash_password
    username, password = login
    # Pages and clients send a hash in place of the password.
    sent = hashlib.sha256(password.encode("utf-8")).hexdigest()
    return {"username": username, "password": hash_password(sent)}


def write_secret(path: Path) -> None:
    """Write what cookies are signed with, for the owner's eyes only, if it is not there."""
    if path.exists() and path.stat().st_size:
        return
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32))
