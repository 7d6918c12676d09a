"""The login of a dashboard; its password is never written, shown or handed to a process."""

import asyncio
import hashlib
import hmac
import ipaddress
import json
import os
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tornado import httputil, web

from cyclegan.dashboard.address import is_loopback
from cyclegan.errors import UsageError

USERNAME, PASSWORD = "VISDOM_USERNAME", "VISDOM_PASSWORD"
COOKIE = "user_password"  # visdom's name for it
PAUSE, LONGEST = 0.25, 4.0  # seconds that a login waits: doubled by each wrong one before it
QUEUE = 5  # logins from one network that may wait at a time
NETWORKS = 1000  # whose wrong logins are remembered


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
    return {"username": username, "password": hash_password(_sent(password))}


@dataclass
class _Network:
    """Those whose wrong logins make each other wait."""

    wrong: int = 0
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Logins:
    """Compares logins, and makes them wait, the right ones too, after wrong ones."""

    def __init__(self, login: tuple[str, str]) -> None:
        username, password = login
        self._expected = _packed(username, _sent(password))
        self._networks: OrderedDict[str, _Network] = OrderedDict()

    async def status(self, address: str, body: bytes) -> int:
        """200 for the login, 400 for another, 429 where too many of that network are waiting."""
        network = self._of(address)
        if network.waiting >= QUEUE:
            return 429
        network.waiting += 1
        try:
            async with network.turn:
                await asyncio.sleep(
                    min(PAUSE * (2**network.wrong), LONGEST) if network.wrong else 0
                )
                right = hmac.compare_digest(_given(body), self._expected)
                network.wrong = 0 if right else min(network.wrong + 1, 16)
        finally:
            network.waiting -= 1
        return 200 if right else 400

    def _of(self, address: str) -> _Network:
        key = _network(address)
        self._networks.setdefault(key, _Network())
        self._networks.move_to_end(key)
        if len(self._networks) > NETWORKS:
            self._networks.popitem(last=False)
        return self._networks[key]


def with_login(handler: Any, logins: Logins) -> Any:
    """visdom's handler of the page, with our answer to what is posted to it."""

    async def post(self: web.RequestHandler, arg: str, **kwargs: str) -> None:
        status = await logins.status(self.request.remote_ip or "", self.request.body)
        self.set_status(status)
        if status == 200:
            user = json.loads(self.request.body)["username"]
            self.set_signed_cookie(COOKIE, user, httponly=True, samesite="Strict")

    return type("LoginHandler", (handler,), {"post": post})


def is_signed_in(headers: httputil.HTTPHeaders, secret: str) -> bool:
    """Whether a request carries the cookie of a login."""
    cookie = httputil.parse_cookie(headers.get("Cookie", "")).get(COOKIE)
    return cookie is not None and web.decode_signed_value(secret, COOKIE, cookie) is not None


def _given(body: bytes) -> bytes:
    try:
        given = json.loads(body)
        return _packed(given["username"], given["password"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return b""


def _packed(username: str, sent: str) -> bytes:
    """One digest of both, so that comparing takes the same time for all."""
    return hashlib.sha256(json.dumps([username, sent]).encode()).digest()


def _sent(password: str) -> str:
    """What pages and clients send in place of the password."""
    return hashlib.sha256(password.encode("utf-8")).hexdigest()


def _network(address: str) -> str:
    """One address of IPv4; of IPv6 all that one customer has."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64 if found.version == 6 else 32), strict=False))


def write_secret(path: Path) -> None:
    """Write what cookies are signed with, for the owner's eyes only, if it is not there."""
    if path.exists() and path.stat().st_size:
        return
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32))
