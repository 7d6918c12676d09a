"""Unpaired style translation: train a CycleGAN on two folders of images and convert with it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclegan.api import continue_training as continue_training
    from cyclegan.api import train as train
    from cyclegan.conversion.translator import Translator as Translator
    from cyclegan.errors import UserError as UserError
    from cyclegan.settings import Settings as Settings
    from cyclegan.settings import load_preset as load_preset

__version__ = "0.2.0"

# Loaded when asked for: the command line must answer before torch is imported.
_EXPORTS = {
    "Settings": "cyclegan.settings",
    "Translator": "cyclegan.conversion.translator",
    "UserError": "cyclegan.errors",
    "continue_training": "cyclegan.api",
    "load_preset": "cyclegan.settings",
    "train": "cyclegan.api",
}
__all__ = [
    *("Settings", "Translator", "UserError"),
    *("continue_training", "load_preset", "train"),
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
