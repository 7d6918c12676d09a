"""Loggers and their settings: what is shown and kept during training."""

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.kinds import STRICT


@dataclass(frozen=True, config=STRICT)
class LoggerSettings:
    """Frequency and destinations of losses and pictures."""

    print_freq: PositiveInt = 100
    """images between loss log entries"""
    display_freq: NonNegativeInt = 400
    """images between picture grids, the first after one step; 0: none"""
    display_seconds: NonNegativeFloat = 10.0
    """minimum seconds between grids, so that fast steps don't wait for drawing; 0: no limit"""
    display_images: PositiveInt = 2
    """held-out images of each domain shown in a grid, the same every time"""
    html: bool = True
    """write report.html to the run's folder, updated at every checkpoint"""
    tensorboard: bool = False
    """also write TensorBoard events"""
    use_wandb: bool = False
    """also log to Weights & Biases"""
    wandb_project_name: str = "CycleGAN"
    """Weights & Biases project"""
    use_loggers: tuple[str, ...] = ()
    """additional loggers from installed packages, by name"""

    def check(self) -> None:
        """Raise UsageError for an invalid environment name or an address that contains a login.

        Settings are kept in files, so a login does not belong there.
        """
        if not all(map(is_plain, (self.display_env or "main").split("/"))):
            raise UsageError(
                f"--display_env {self.display_env!r}: must be a plain name without a path"
            )
        if "@" in self.display_server:
            raise UsageError(
                "--display_server: must not contain a login; set the environment variables "
                "VISDOM_USERNAME and VISDOM_PASSWORD"
            )

    visdom: bool = True
    """send losses and images to a Visdom server, if one is running"""
    display_server: str = "http://localhost"
    """address of the Visdom server"""
    display_port: PositiveInt = 8097
    """port of the Visdom server"""
    display_env: str | None = None
    """Visdom environment; by default the name of the run"""


def is_plain(name: str) -> bool:
    """Return whether an environment may have this name, which also names its file on the server."""
    odd = any(sign in "/\\" or not sign.isprintable() for sign in name)
    return name.strip() not in ("", ".", "..") and not odd and len(name.encode()) <= _LONGEST


_LONGEST = 200  # bytes: with its ending, and that of an unfinished one, it is a file's name
