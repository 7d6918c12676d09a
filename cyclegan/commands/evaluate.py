"""`cyclegan evaluate`."""

from collections.abc import Sequence

from cyclegan.flags import parse
from cyclegan.progress import waiting

HELP = "measure how good a run's pictures are, or compare folders"


def run(args: Sequence[str]) -> int:
    """Measure; return the exit code. Raises UserError."""
    from cyclegan.evaluation.settings import EvaluateSettings

    about = HELP
    settings = parse(args, EvaluateSettings, prog="cyclegan evaluate", about=about)
    settings.check()
    with waiting("starting evaluate"):
        from cyclegan.evaluation.evaluate import evaluate

    return evaluate(settings)
