"""Memory is looked at before, not found missing by a kill."""

import psutil
import torch

from cyclegan.classic import Architecture
from cyclegan.conversion.translator import padded_side
from cyclegan.errors import UserError


def estimate(architecture: Architecture, width: int, height: int) -> int:
    """Bytes that converting a picture of that size takes at the peak."""
    pixels = padded_side(width) * padded_side(height)
    channels = (architecture.input_nc, architecture.output_nc)
    return int(pixels * architecture.generator.bytes_per_pixel(*channels))


def check(architecture: Architecture, width: int, height: int, device: torch.device) -> None:
    """Raise UserError where the picture needs more memory than is free."""
    needed, free = estimate(architecture, width, height), _free(device)
    if needed > free:
        raise UserError(
            f"{width}x{height} pixels need about {needed / 2**30:.1f} GiB of memory, "
            f"{free / 2**30:.1f} GiB are free: scale down with --load_size"
        )


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
