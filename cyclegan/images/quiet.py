"""Decoders say nothing to the terminal: what is wrong with a file is said in a line of ours."""

import ctypes
import logging
import warnings

from PIL import Image, _imaging


def quiet_decoders() -> None:
    """Of the libraries that read images; what they log can still be had by a handler of one's own.

    For the whole process: a stream can't be turned off for one thread.
    """
    for name in ("PIL", "tifffile", "pydicom"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        warnings.filterwarnings("ignore", module=rf"{name}\b")
    warnings.filterwarnings("ignore", module=r"cyclegan\.images")  # that they lay at our door
    # Large pictures are what people convert; only what Pillow calls an attack stays an error.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    try:
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)
    except (AttributeError, OSError):  # a Pillow without libtiff, or one that has it built in
        return
