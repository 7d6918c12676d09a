"""Files of other programs: what is not written in them is assumed, and said."""

import logging
from collections.abc import Sequence
from pathlib import Path

from cyclegan.classic import Architecture
from cyclegan.errors import UserError
from cyclegan.generators import ResnetSettings
from cyclegan.runtimes.metadata import Metadata

log = logging.getLogger(__name__)

Side = int | None  # None where it is free


def assume(
    inputs: Sequence[Sequence[Side]], outputs: Sequence[Sequence[Side]], path: Path
) -> Metadata:
    """Metadata for a network from one (N, C, H, W) to one like it; says what is assumed.

    `inputs` and `outputs` are their shapes. Raises UserError where they are others.
    """
    channels = _channels(inputs, "input", path), _channels(outputs, "output", path)
    if any(side is not None for side in inputs[0][2:]):
        height, width = inputs[0][2:]
        raise UserError(
            f"{path}: takes images of {width}x{height} pixels only: export it with free sides"
        )
    log.warning(
        "%s: no metadata of cyclegan export: taken for images (N, %d, H, W) in [-1, 1], RGB, and "
        "for memory as a ResNet of 64 feature maps",
        path,
        channels[0],
    )
    return Metadata(Architecture(ResnetSettings(), *channels, "instance"))


def _channels(shapes: Sequence[Sequence[Side]], what: str, path: Path) -> int:
    shown = " and ".join(f"({', '.join(_word(side) for side in shape)})" for shape in shapes)
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1] not in (1, 3):
        raise UserError(
            f"{path}: its {what} is {shown}: only one of (N, 3, H, W) or (N, 1, H, W) can be used"
        )
    return shapes[0][1]


def _word(side: Side) -> str:
    return "?" if side is None else str(side)
