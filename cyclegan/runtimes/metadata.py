"""Metadata of exported files, as texts by name, which every format can hold."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import TypeAdapter

from cyclegan import plain
from cyclegan.classic import Architecture
from cyclegan.errors import UserError, in_one_line
from cyclegan.generators import GENERATORS
from cyclegan.layers import Norm
from cyclegan.plain import DamagedTextError, from_json
from cyclegan.recipes import RECIPES
from cyclegan.run import FolderDirection

FORMAT = "1"
#: Prefix of the names, where a file holds those of others too.
PREFIX = "cyclegan."
Arithmetic = Literal["fp32", "int8"]


@dataclass(frozen=True)
class Metadata:
    """The network in an exported file, which takes and returns images (N, C, H, W) in [-1, 1]."""

    architecture: Architecture
    direction: FolderDirection | None = None
    """None if unknown, as in files of the classic"""
    arithmetic: Arithmetic = "fp32"
    values: tuple[float, float] | None = None
    """of black and white, if the network's files don't say"""
    digest: str = ""
    """of its source weights"""

    @property
    def multiple(self) -> int:
        """Number of pixels to whose multiples sides are padded, at least to twice it."""
        return self.architecture.generator.multiple

    def texts(self) -> dict[str, str]:
        """Return the metadata as texts by name, with some for human readers."""
        generator = asdict(cast(Any, self.architecture.generator))
        return {
            f"{PREFIX}format": FORMAT,
            f"{PREFIX}generator": json.dumps(generator, sort_keys=True),
            f"{PREFIX}input_nc": str(self.architecture.input_nc),
            f"{PREFIX}output_nc": str(self.architecture.output_nc),
            f"{PREFIX}norm": self.architecture.norm,
            f"{PREFIX}direction": self.direction or "",
            f"{PREFIX}arithmetic": self.arithmetic,
            f"{PREFIX}values": json.dumps(self.values),
            f"{PREFIX}digest": self.digest,
            f"{PREFIX}range": "[-1, 1]",
            f"{PREFIX}layout": "NCHW",
            f"{PREFIX}channels": "RGB or grayscale",
            f"{PREFIX}sides": "any",
        }


def from_texts(texts: Mapping[str, str], path: Path) -> Metadata | None:
    """Read what `Metadata.texts` returned; None if the texts are not ours.

    Raises UserError, naming `path`, if the texts are damaged or of another version.
    """
    own = {key.removeprefix(PREFIX): text for key, text in texts.items() if key.startswith(PREFIX)}
    if not own:
        return None
    if own.get("format") != FORMAT:
        told = repr(str(own.get("format"))[:20])[1:-1]  # one line, whatever stands there
        raise UserError(
            f"{path}: exported in format {told}, this version reads {FORMAT}: export it again"
        )
    try:
        name = from_json(own["generator"])["netG"]
        settings = _DESCRIBED.get(name) or GENERATORS[name].settings
        channels = int(own["input_nc"]), int(own["output_nc"])
        plain.check(channels)
        architecture = Architecture(
            TypeAdapter(settings).validate_json(own["generator"]),
            *channels,
            _NORM.validate_python(own["norm"]),
        )
        direction = _DIRECTION.validate_python(own["direction"] or None)
        arithmetic = _ARITHMETIC.validate_python(own["arithmetic"])
        values = _VALUES.validate_json(own["values"])
        return Metadata(architecture, direction, arithmetic, values, own["digest"])
    except (KeyError, ValueError, TypeError, RecursionError) as error:  # pydantic's are some
        reason = in_one_line(str(error))
        raise UserError(f"{path}: its metadata can't be read ({reason}): export it again") from None


def required(texts: Mapping[str, str], path: Path) -> Metadata:
    """Read metadata for formats that tell nothing else of their network. Raises UserError."""
    metadata = from_texts(texts, path)
    if metadata is None:
        raise UserError(f"{path}: no metadata from cyclegan export: its input format is unknown")
    return metadata


_DESCRIBED = {
    name: described
    for recipe in RECIPES.values()
    for name, described in recipe.settings.described.items()
}
_NORM: TypeAdapter[Norm] = TypeAdapter(Norm)
_DIRECTION: TypeAdapter[FolderDirection | None] = TypeAdapter(FolderDirection | None)
_VALUES: TypeAdapter[tuple[float, float] | None] = TypeAdapter(tuple[float, float] | None)
_ARITHMETIC: TypeAdapter[Arithmetic] = TypeAdapter(Arithmetic)


#: The file's name within the archive.
NAME = "cyclegan.json"


def pack(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the extra files that torch puts into the archive beside the network."""
    return {NAME: json.dumps(texts)}


def unpack(files: Mapping[str, str | bytes]) -> dict[str, str]:
    """Return the texts given to `pack` from torch's extra files; empty if there are none."""
    try:
        found = from_json(files[NAME] or "{}")
    except (KeyError, DamagedTextError):
        return {}
    return {str(key): str(text) for key, text in found.items()} if isinstance(found, dict) else {}
