"""The only place where image files become tensors in [-1, 1], and tensors files.

`eight_bit` is what most training, pages and logs need; `document` and `picture` are what conversion
needs: every bit, transparency, pages, frames and tags; `deep` is that for training.
"""

from cyclegan.images.deep import is_deep, read_deep, read_whole, size
from cyclegan.images.eight_bit import (
    WRITABLE,
    Size,
    UnreadableImageError,
    as_colours,
    as_mode,
    data_url,
    read,
    to_image,
    to_tensor,
    write,
)
from cyclegan.images.formats import EXTENSIONS

__all__ = [
    "EXTENSIONS",
    "WRITABLE",
    "Size",
    "UnreadableImageError",
    "as_colours",
    "as_mode",
    "data_url",
    "is_deep",
    "read",
    "read_deep",
    "read_whole",
    "size",
    "to_image",
    "to_tensor",
    "write",
]
