"""`cyclegan study`."""

from collections.abc import Sequence

from cyclegan.flags import parse
from cyclegan.progress import waiting

HELP = "compare presets after the same training time, with errors"
AFTER_STOP = "what is measured stays; the same command goes on with the rest"


def run(args: Sequence[str]) -> int:
    """Train, measure and compare; return the exit code. Raises UserError."""
    from cyclegan.study.settings import StudySettings

    about = HELP
    settings = parse(args, StudySettings, prog="cyclegan study", about=about)
    settings.check()
    with waiting("starting study"):
        from cyclegan.study.job import study

    return study(settings)
