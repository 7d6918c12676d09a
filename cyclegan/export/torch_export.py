"""torch.export: the network's graph for torch itself, its compilers and ExecuTorch."""

from pathlib import Path

import torch

from cyclegan.export.network import Exportable, program
from cyclegan.runtimes.texts import pack


def write(given: Exportable, path: Path) -> None:
    """Write `path`: one input (N, C, H, W)."""
    torch.export.save(program(given), path, extra_files=pack(given.metadata.texts()))
