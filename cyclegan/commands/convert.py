"""`cyclegan convert`."""

from collections.abc import Sequence

from cyclegan.flags import parse, refuse_classic
from cyclegan.progress import waiting

HELP = "convert images with a trained generator"
AFTER_STOP = "what is finished stays; the same command goes on with the rest"


def run(args: Sequence[str]) -> int:
    """Convert; return the exit code. Raises UserError."""
    from cyclegan.conversion.settings import ConvertSettings

    refuse_classic(args, "convert")
    about = HELP
    settings = parse(args, ConvertSettings, prog="cyclegan convert", about=about)
    settings.check()
    with waiting("starting convert"):
        from cyclegan.conversion.job import convert

    return convert(settings)
