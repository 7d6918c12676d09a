"""Files of random weights in the forms that feature networks come in."""

from pathlib import Path

import torch


def save_vgg(path: Path, layers: int = 3, *, normalised: bool = False) -> Path:
    """The first convolutions of VGG-19 with random weights, as one of the two kinds of files."""
    torch.manual_seed(0)
    widths = (3, 64, 64, 128, 128, 256)[: layers + 1]
    numbers = (2, 5, 9, 12, 16) if normalised else (0, 2, 5, 7, 10)
    state = {}
    if normalised:
        state = {"0.weight": torch.randn(3, 3, 1, 1), "0.bias": torch.randn(3)}
    start = "" if normalised else "features."
    for number, seen, made in zip(numbers, widths, widths[1:], strict=False):
        state[f"{start}{number}.weight"] = torch.randn(made, seen, 3, 3) * (2 / seen / 9) ** 0.5
        state[f"{start}{number}.bias"] = torch.randn(made) * 0.1
    torch.save(state, path)
    return path
