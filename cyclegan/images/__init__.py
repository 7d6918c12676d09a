"""Image files as tensors in [-1, 1], and tensors as files: the only place that converts them.

`document` reads and writes 8 bits, as training, pages and logs need them, and whole documents;
`picture` is what conversion needs: every bit, transparency, pages, frames and tags; `formats` is
the one table of formats.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cyclegan.images.document import as_colours as as_colours
    from cyclegan.images.document import as_mode as as_mode
    from cyclegan.images.document import data_url as data_url
    from cyclegan.images.document import is_deep as is_deep
    from cyclegan.images.document import read as read
    from cyclegan.images.document import read_deep as read_deep
    from cyclegan.images.document import read_whole as read_whole
    from cyclegan.images.document import size as size
    from cyclegan.images.document import to_image as to_image
    from cyclegan.images.document import to_tensor as to_tensor
    from cyclegan.images.document import write as write
    from cyclegan.images.picture import Size as Size
    from cyclegan.images.pillow import UnreadableImageError as UnreadableImageError

Chroma = Literal["444", "422", "420"]


@dataclass(frozen=True)
class Encoding:
    """Settings of lossy formats; None is as the input was compressed, or with hardly any loss."""

    quality: int | None = None
    """of JPEG and WebP, 1 to 100"""
    chroma: Chroma | None = None
    """of JPEG and videos"""
    crf: int | None = None
    """of videos: constant quality, lower is better"""


# Loaded when asked for: the table of formats must be there before torch is imported.
_EXPORTS = {
    "cyclegan.images.document": (
        *("as_colours", "as_mode", "data_url", "is_deep", "read", "read_deep", "read_whole"),
        *("size", "to_image", "to_tensor", "write"),
    ),
    "cyclegan.images.picture": ("Size",),
    "cyclegan.images.pillow": ("UnreadableImageError",),
}
_PLACES = {name: module for module, names in _EXPORTS.items() for name in names}
__all__ = sorted({"Chroma", "Encoding", *_PLACES})


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_PLACES[name]), name)
    return found
