"""`cyclegan dashboard`."""

from collections.abc import Sequence

from cyclegan.flags import parse
from cyclegan.packages import need

HELP = "show training runs live in a browser (a Visdom server)"


def run(args: Sequence[str]) -> int:
    """Serve until stopped; return the exit code. Raises UserError."""
    from cyclegan.dashboard.settings import DashboardSettings

    about = HELP
    settings = parse(args, DashboardSettings, prog="cyclegan dashboard", about=about)
    need("cyclegan dashboard", "dashboard", "visdom", "tornado")
    from cyclegan.dashboard.server import run as run_server

    return run_server(settings)
