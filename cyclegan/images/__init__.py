"""The only place where image files become tensors in [-1, 1], and tensors files.

`eight_bit` is what most training, pages and logs need; `document` and `picture` are what conversion
needs: every bit, transparency, pages, frames and tags; `formats` is the one table of formats.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclegan.images.document import is_deep as is_deep
    from cyclegan.images.document import read_deep as read_deep
    from cyclegan.images.document import read_whole as read_whole
    from cyclegan.images.document import size as size
    from cyclegan.images.eight_bit import as_colours as as_colours
    from cyclegan.images.eight_bit import as_mode as as_mode
    from cyclegan.images.eight_bit import data_url as data_url
    from cyclegan.images.eight_bit import read as read
    from cyclegan.images.eight_bit import to_image as to_image
    from cyclegan.images.eight_bit import to_tensor as to_tensor
    from cyclegan.images.eight_bit import write as write
    from cyclegan.images.picture import Size as Size
    from cyclegan.images.pillow import UnreadableImageError as UnreadableImageError

# Loaded when asked for: the table of formats must be there before torch is imported.
_EXPORTS = {
    "cyclegan.images.document": ("is_deep", "read_deep", "read_whole", "size"),
    "cyclegan.images.eight_bit": (
        *("as_colours", "as_mode", "data_url", "read", "to_image", "to_tensor", "write"),
    ),
    "cyclegan.images.picture": ("Size",),
    "cyclegan.images.pillow": ("UnreadableImageError",),
}
_PLACES = {name: module for module, names in _EXPORTS.items() for name in names}
__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_PLACES[name]), name)
    return found
