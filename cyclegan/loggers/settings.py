"""Settings of what is shown and written while training."""

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from cyclegan.errors import UsageError
from cyclegan.strict import STRICT


@dataclass(frozen=True, config=STRICT)
class LoggerSettings:
    """How often losses and pictures come, and where they go."""

    print_freq: PositiveInt = 100
    """images between two entries of losses"""
    display_freq: NonNegativeInt = 400
    """images between two grids of pictures; 0: none"""
    display_seconds: NonNegativeFloat = 10.0
    """seconds between two grids at least, so that fast steps don't wait for drawing; 0: no limit"""
    display_images: PositiveInt = 2
    """held-out images of each domain that are shown in a grid, the same every time"""
    html: bool = True
    """keep report.html in the run's folder, refreshed at every checkpoint"""
    csv: bool = False
    """write losses.csv too, for spreadsheets"""
    tensorboard: bool = False
    """write events for TensorBoard too"""
    use_wandb: bool = False
    """send everything to Weights & Biases too"""
    wandb_project_name: str = "CycleGAN"
    """project of Weights & Biases"""

    def check(self) -> None:
        """Raise UsageError where the server's address holds a login: settings are kept in files."""
        if "@" in self.display_server:
            raise UsageError(
                "--display_server: an address without a login; VISDOM_USERNAME and "
                "VISDOM_PASSWORD in the environment hold that"
            )

    visdom: bool = True
    """send losses and pictures to a Visdom server, if one is running"""
    display_server: str = "http://localhost"
    """address of the Visdom server"""
    display_port: PositiveInt = 8097
    """port of the Visdom server"""
    display_env: str | None = None
    """Visdom environment; by default the name of the run"""
