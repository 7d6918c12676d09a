"""A generator's file as the classic scripts write and read it."""

from pathlib import Path

import torch

from cyclegan.classic import Architecture
from cyclegan.errors import UserError
from cyclegan.export.network import Exportable
from cyclegan.generators.settings import ResnetSettings


def write(given: Exportable, path: Path) -> None:
    """Write the state dict alone. Raises UserError for a generator that they can't build."""
    other = _unknown(given.metadata.architecture)
    if other:
        raise UserError(
            f"--format classic: the classic scripts can't build this generator ({other}): give "
            "another --format"
        )
    # torch reads the older layout in every version, the newer one from 1.6.
    torch.save(given.network.state_dict(), path, _use_new_zipfile_serialization=False)


def _unknown(architecture: Architecture) -> str | None:
    """What of the generator is not the classic's, if anything."""
    generator = architecture.generator
    if not isinstance(generator, ResnetSettings):
        return generator.netG
    if architecture.norm == "instance_affine":
        return "norms with scales and shifts"
    if generator.n_blocks not in (6, 9):
        return f"{generator.n_blocks} blocks, not 6 or 9"
    ways = {
        f"--upsampling {generator.upsampling}": generator.upsampling != "transposed",
        f"--downsampling {generator.downsampling}": generator.downsampling != "strided",
        "--residual": generator.residual,
    }
    return next((way for way, differs in ways.items() if differs), None)
