"""Settings of a run as a whole."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.strict import STRICT

FolderDirection = Literal["AtoB", "BtoA"]


@dataclass(frozen=True, config=STRICT)
class RunSettings:
    """Which run it is, where it is kept and what computes it."""

    name: str = "cyclegan"
    """name of the run, and of its folder in checkpoints_dir"""
    checkpoints_dir: Path = Path("checkpoints")
    """folder that holds the runs"""
    direction: FolderDirection = "AtoB"
    """AtoB, or BtoA to let the folders change places"""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """the same seed gives the same run"""
    device: str = "auto"
    """auto (a GPU if there is one), cpu, cuda, cuda:1 or mps"""
    stop_exit_code: Annotated[int, Field(ge=0, le=255)] = 143
    """exit code of a training that SIGTERM stopped, once all of it is saved"""

    @property
    def folder(self) -> Path:
        """The run's own folder."""
        return self.checkpoints_dir / self.name

    def check(self) -> None:
        """Raise UsageError where the name is no name of a folder."""
        check_name(self.name)


def check_name(name: str) -> None:
    """Raise UsageError where a run's name is no name of a folder."""
    if name in ("", ".", "..") or any(sign in name for sign in "/\\\0"):
        raise UsageError(
            f"--name {name!r}: a plain name without a path; "
            "where runs are kept is --checkpoints_dir"
        )
