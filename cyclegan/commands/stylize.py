"""`cyclegan stylize`."""

from collections.abc import Sequence

from cyclegan.flags import parse
from cyclegan.progress import waiting

HELP = "paint one picture like another one, without training"


def run(args: Sequence[str]) -> int:
    """Paint; return the exit code. Raises UserError."""
    from cyclegan.stylize.settings import StylizeSettings

    about = HELP
    settings = parse(args, StylizeSettings, prog="cyclegan stylize", about=about)
    settings.check()
    with waiting("starting stylize"):
        from cyclegan.stylize.job import stylize

    return stylize(settings)
