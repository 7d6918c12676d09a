"""Memory is looked at before, not found missing by a kill."""

import torch

from cyclegan.classic import Architecture
from cyclegan.device import free_memory
from cyclegan.tiling.reflected import padded_side


def estimate(architecture: Architecture, width: int, height: int) -> int:
    """Bytes that converting a picture of that size takes at the peak."""
    pixels = padded_side(width) * padded_side(height)
    channels = (architecture.input_nc, architecture.output_nc)
    return int(pixels * architecture.generator.bytes_per_pixel(*channels))


def free(device: torch.device) -> int:
    """Bytes that are free now."""
    return free_memory(device)
