"""Login of the dashboard; the password is never written, shown or handed to a process."""

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
    """Return user name and password from the environment variables; None without them.

    Raises UsageError if others reach `host` and there is no login, or if only one of the two is
    set.
    """
    username, password = os.environ.get(USERNAME), os.environ.get(PASSWORD)
    if username and password:
        return username, password
    if not is_loopback(host):
        raise UsageError(
            f"--host {host}: reachable by others, so it needs a login: set the environment "
            f"variables {USERNAME} and {PASSWORD}"
        )
    if username or password:
        raise UsageError(f"a login needs both environment variables, {USERNAME} and {PASSWORD}")
    return None


def credential(login: tuple[str, str]) -> dict[str, Any]:
    """Return the login as visdom's server takes it."""
    from visdom.utils import server_utils

    hash_password: Any = server_utils.hash_password
    username, password = login
    return {"username": username, "password": hash_password(_sent(password))}


@dataclass
class _Network:
    """Logins from one network, whose wrong ones delay each other."""

    wrong: int = 0
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Logins:
    """Checker of logins that delays all of a network's logins after wrong ones."""

    def __init__(self, login: tuple[str, str]) -> None:
        username, password = login
        self._expected = _packed(username, _sent(password))
        self._networks: OrderedDict[str, _Network] = OrderedDict()

    async def status(self, address: str, body: bytes) -> int:
        """Return 200 for the right login, 400 for another, 429 if too many of a network wait."""
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
    """Return visdom's handler of the page, with our answer to POST requests."""

    async def post(self: web.RequestHandler, arg: str, **kwargs: str) -> None:
        status = await logins.status(self.request.remote_ip or "", self.request.body)
        self.set_status(status)
        if status == 200:
            user = json.loads(self.request.body)["username"]
            self.set_signed_cookie(COOKIE, user, httponly=True, samesite="Strict")

    return type("LoginHandler", (handler,), {"post": post})


def is_signed_in(headers: httputil.HTTPHeaders, secret: str) -> bool:
    """Return whether a request carries the cookie of a login."""
    cookie = httputil.parse_cookie(headers.get("Cookie", "")).get(COOKIE)
    return cookie is not None and web.decode_signed_value(secret, COOKIE, cookie) is not None


def _given(body: bytes) -> bytes:
    try:
        given = json.loads(body)
        return _packed(given["username"], given["password"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return b""


def _packed(username: str, sent: str) -> bytes:
    """Return one digest of both, so that every comparison takes the same time."""
    return hashlib.sha256(json.dumps([username, sent]).encode()).digest()


def _sent(password: str) -> str:
    """Return the hash that pages and clients send instead of the password."""
    return hashlib.sha256(password.encode("utf-8")).hexdigest()


def _network(address: str) -> str:
    """Return the network of an address: one IPv4 address, or a customer's IPv6 prefix (/64)."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64 if found.version == 6 else 32), strict=False))


def write_secret(path: Path) -> None:
    """Write the key that signs cookies, readable by the owner only, unless it exists."""
    if path.exists() and path.stat().st_size:
        return
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32))
