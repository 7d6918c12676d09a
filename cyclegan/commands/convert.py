"""`cyclegan convert`."""

from collections.abc import Sequence

from cyclegan import classic_flags
from cyclegan.flags import parse, refuse_replaced

HELP = "convert images with a trained generator"


def run(args: Sequence[str]) -> int:
    """Convert; return the exit code. Raises UserError."""
    from cyclegan.conversion.settings import ConvertSettings

    refuse_replaced(args, classic_flags.CONVERT, "cyclegan convert")
    about = HELP
    settings = parse(args, ConvertSettings, prog="cyclegan convert", about=about)
    from cyclegan.conversion.job import convert

    return convert(settings)
