"""Serving: a page and an HTTP endpoint that convert pictures with trained generators."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.execution import PrecisionChoice
from cyclegan.kinds import STRICT


@dataclass(frozen=True, config=STRICT)
class ServeSettings:
    """Models, address and limits of the conversion server."""

    name: tuple[str, ...] = ()
    """names of the runs to offer; by default all in checkpoints_dir, new ones too"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs"""
    weights: tuple[Path, ...] = ()
    """files to offer: checkpoints, or generators of the classic scripts; or folders of them"""
    trust_code: bool = False
    """open --weights that are a program, too (TorchScript, torch.export): they can do anything
    here, so only what you trust"""
    host: str = "127.0.0.1"
    """address to listen on; by default only this machine reaches it. There is no login"""
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    """port to listen on"""
    hosts: tuple[str, ...] = ()
    """further names that browsers reach it by, where a proxy or a tunnel gives it some"""
    max_megabytes: PositiveInt = 50
    """refuse larger uploads"""
    max_megapixels: PositiveInt = 25
    """refuse pictures with more pixels, over all of their frames or pages"""
    queue: Annotated[int, Field(ge=0)] = 8
    """how many pictures may wait while one is converted; more are told to come back later"""
    precision: PrecisionChoice = "auto"
    """type that the generators compute in; auto takes bf16 on CPUs and GPUs built for it"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""

    @property
    def files(self) -> tuple[Path, ...]:
        """The weights, each file once, however often and by whatever path it is named."""
        return tuple({path.resolve(): path for path in self.weights[::-1]}.values())[::-1]

    @property
    def largest_upload(self) -> int:
        """Largest allowed upload in bytes."""
        return self.max_megabytes * 1_000_000

    @property
    def most_pixels(self) -> int:
        """Most pixels of one upload."""
        return self.max_megapixels * 1_000_000
