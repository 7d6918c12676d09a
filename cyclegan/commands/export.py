"""`cyclegan export`."""

from collections.abc import Sequence

from cyclegan.flags import parse
from cyclegan.progress import waiting

HELP = "write a trained generator as ONNX, TorchScript, OpenVINO and others"


def run(args: Sequence[str]) -> int:
    """Export; return the exit code. Raises UserError."""
    from cyclegan.export.settings import ExportSettings

    about = HELP
    settings = parse(args, ExportSettings, prog="cyclegan export", about=about)
    settings.check()
    with waiting("starting export"):
        from cyclegan.export.job import export

    return export(settings)
