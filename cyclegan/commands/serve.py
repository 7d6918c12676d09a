"""`cyclegan serve`."""

from collections.abc import Sequence

from cyclegan.flags import parse

HELP = "convert pictures on a page in a browser, or over HTTP"


def run(args: Sequence[str]) -> int:
    """Serve until stopped; return the exit code. Raises UserError."""
    from cyclegan.serving.settings import ServeSettings

    about = HELP
    settings = parse(args, ServeSettings, prog="cyclegan serve", about=about)
    from cyclegan.serving.server import run as run_server

    return run_server(settings)
