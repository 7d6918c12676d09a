"""Which browsers mean this server, and whose pages may change what it holds."""

import ipaddress
import socket
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from cyclegan.dashboard.address import is_loopback

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Origins:
    """Names that a server is reached by, and pages whose requests count as its own."""

    names: frozenset[str]
    """by which it may be asked"""
    further: frozenset[str] = frozenset()
    """names of pages that are its own though a proxy hides them"""
    addresses: bool = False
    """whether any address in numbers is a name: no page can make such a one its own"""

    @classmethod
    def of(cls, host: str, hosts: Collection[str]) -> "Origins":
        """Those of a server that listens on `host`, given further names. Raises UserError."""
        further = frozenset(name.lower() for name in hosts)
        names = LOCAL | further | {host.lower()}
        if is_loopback(host):
            return cls(names, further - LOCAL)
        return cls(names | {socket.gethostname().lower()}, further - LOCAL, addresses=True)

    def is_known(self, host: str) -> bool:
        """Whether a request for `host`, as its header has it, is meant for this server.

        A page whose name was made to lead to this machine still sends its own name.
        """
        name = "" if "@" in host else _hostname(f"//{host}")
        return name in self.names or (self.addresses and _is_address(name))

    def is_own(self, origin: str, host: str) -> bool:
        """Whether a page of `origin` is the server's own, that is asked as `host`."""
        return origin.partition("://")[2] == host or _hostname(origin) in self.further


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
