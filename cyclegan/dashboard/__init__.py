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
    """folder that holds the runs; its subfolder .dashboard keeps what is shown"""
    host: str = "127.0.0.1"
    """address to listen on; a non-local one needs VISDOM_USERNAME and VISDOM_PASSWORD"""
    hosts: tuple[str, ...] = ()
    """additional host names to accept, for access through a proxy or a tunnel"""
    max_megabytes: PositiveInt = 64
    """maximum size of a request body"""
    assets: Path | None = None
    """folder of the page's scripts, laid out like visdom's static folder"""

    @property
    def folder(self) -> Path:
        """The dashboard's own folder."""
        return self.checkpoints_dir / ".dashboard"

    @property
    def largest_body(self) -> int:
        """Largest allowed request body in bytes."""
        return self.max_megabytes * 1_000_000
