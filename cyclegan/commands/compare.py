"""`cyclegan compare`."""

from collections.abc import Sequence

from cyclegan.flags import parse
from cyclegan.progress import waiting

HELP = "show runs side by side on a page, and vote blind"


def run(args: Sequence[str]) -> int:
    """Write the page; return the exit code. Raises UserError."""
    from cyclegan.comparison.settings import CompareSettings

    about = HELP
    settings = parse(args, CompareSettings, prog="cyclegan compare", about=about)
    with waiting("starting compare"):
        from cyclegan.comparison.compare import compare

    return compare(settings)
