"""TorchScript: for C++ and phones, and for old versions of torch."""

from pathlib import Path

from cyclegan.export.network import Exportable, traced
from cyclegan.runtimes.texts import pack


def write(given: Exportable, path: Path) -> None:
    """Write `path`: one input (N, C, H, W)."""
    traced(given).save(str(path), _extra_files=pack(given.metadata.texts()))
