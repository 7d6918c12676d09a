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
    """runs to serve, by name, or hf://USER/MODEL; by default all in checkpoints_dir, also new
    ones"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs"""
    weights: tuple[Path, ...] = ()
    """files to serve: checkpoints, or generators of the classic scripts; folders of them; or
    hf://USER/MODEL, models on the Hugging Face Hub"""
    trust_code: bool = False
    """allow --weights that contain code (TorchScript, torch.export): it can do anything here; only
    for files you trust"""
    host: str = "127.0.0.1"
    """address to listen on; by default only this machine has access. There is no login"""
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    """port to listen on"""
    hosts: tuple[str, ...] = ()
    """additional host names to accept, for access through a proxy or a tunnel"""
    max_megabytes: PositiveInt = 50
    """maximum upload size"""
    max_megapixels: PositiveInt = 25
    """maximum size of an image, summed over its frames or pages"""
    queue: Annotated[int, Field(ge=0)] = 8
    """images that may wait while one is converted; further ones are told to retry later"""
    precision: PrecisionChoice = "auto"
    """compute precision of the generators; auto picks bf16 on CPUs and GPUs with hardware support
    for it"""
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
