"""Dashboard: a local Visdom server, its page and environments; and its settings."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.kinds import STRICT


@dataclass(frozen=True, config=STRICT)
class DashboardSettings:
    """Address and contents of the dashboard."""

    port: Annotated[int, Field(ge=1, le=65535)] = 8097
    """port of the server; training sends to the same --display_port"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs; what is shown is kept in its folder .dashboard"""
    host: str = "127.0.0.1"
    """address to listen on; one that others reach needs VISDOM_USERNAME and VISDOM_PASSWORD"""
    hosts: tuple[str, ...] = ()
    """further names that browsers reach it by, where a proxy or a tunnel gives it some"""
    max_megabytes: PositiveInt = 64
    """refuse what is sent in larger pieces"""
    assets: Path | None = None
    """folder to take the page's scripts from, laid out like visdom's static folder"""

    @property
    def folder(self) -> Path:
        """The dashboard's own folder."""
        return self.checkpoints_dir / ".dashboard"

    @property
    def largest_body(self) -> int:
        """Largest allowed request body in bytes."""
        return self.max_megabytes * 1_000_000
