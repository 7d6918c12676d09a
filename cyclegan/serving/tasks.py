"""Tasks of the worker and the models it keeps; heavy modules are imported only when needed."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cyclegan.errors import UsageError, UserError
from cyclegan.execution import PrecisionChoice
from cyclegan.run import FolderDirection
from cyclegan.serving.image_header import count_pixels

if TYPE_CHECKING:
    from cyclegan.conversion.translator import Translator

KEPT = 3  # models in memory
_STYLE = 64  # pixels of the shorter side that tell whether a style can be seen
_PREVIEW = 1600  # pixels of its longer side


class Task(Protocol):
    """A task for the worker, done with the models that it keeps."""

    def __call__(self, models: "Models") -> Any:
        """Do the task. Raises UserError."""
        ...


class BrokenModelError(UserError):
    """A model that can't be loaded; the reason is for whoever runs the server."""


class Models:
    """The most recently used models; a changed file is loaded anew."""

    def __init__(self, device: str, precision: PrecisionChoice, *, trust_code: bool) -> None:
        self._device = device
        self._precision = precision
        self._trust_code = trust_code
        self._load = lru_cache(KEPT)(self._load_anew)

    def load(
        self, path: Path, epoch: str, direction: FolderDirection | None, style: Path | None = None
    ) -> "Translator":
        """Load the generator of a run's checkpoint or of a file.

        A model with a `style`, which must be readable, is always loaded anew. Raises
        BrokenModelError.
        """
        from cyclegan.conversion import weights

        try:
            file = weights.file_of(path, epoch, direction)
            state = file.stat() if file.is_file() else None
            known = None if state is None else (state.st_mtime_ns, state.st_size)
            load = self._load if style is None else self._load_anew
            found = load(file, direction, known, style)
            found.check_weights()
            return found
        except (UserError, OSError) as error:
            raise BrokenModelError(str(error)) from None

    def _load_anew(
        self,
        file: Path,
        direction: FolderDirection | None,
        state: tuple[int, int] | None,
        style: Path | None,
    ) -> "Translator":
        from cyclegan.conversion.translator import Translator
        from cyclegan.device import tune
        from cyclegan.recipes.materials import Styles

        translator = Translator.load(
            file,
            direction=direction,
            device=self._device,
            precision=self._precision,
            styles=Styles(() if style is None else (style,)),
            trust_code=self._trust_code,
        )
        tune(translator.device, same_size=False)
        return translator

    def holds_both(self, path: Path) -> bool:
        """Return whether a file holds the generators of both directions. Raises UserError."""
        from cyclegan.conversion import weights

        try:
            weights.load(path, None, back=True, trust_code=self._trust_code)
        except UsageError:  # there is no other generator in it
            return False
        return True


@dataclass(frozen=True)
class ConvertTask:
    """Task that converts one file; its result is the path of the new file."""

    source: Path
    folder: Path
    path: Path
    """of the model"""
    epoch: str
    direction: FolderDirection | None
    strength: float
    load_size: int | None
    style: Path | None = None
    """the style image"""

    def __call__(self, models: Models) -> Path:
        """Convert the file. Raises UserError."""
        from cyclegan.conversion.blend import Blend
        from cyclegan.conversion.network import convert_file
        from cyclegan.recipes.materials import open_style

        if self.style is not None:  # what is wrong with it is not the model's fault
            open_style(self.style, _STYLE)
        translator = models.load(self.path, self.epoch, self.direction, self.style)
        blend = Blend(self.strength)
        return convert_file(self.source, self.folder, translator, blend, self.load_size)


@dataclass(frozen=True)
class Preview:
    """Task that makes a PNG for any browser of a file's first picture; its result is the path."""

    source: Path
    folder: Path

    def __call__(self, models: Models) -> Path:
        """Make the PNG. Raises UserError."""
        from cyclegan import images
        from cyclegan.images.document import open_document

        picture = next(iter(open_document(self.source).pictures))
        scale = min(1.0, _PREVIEW / max(picture.size))
        width, height = (max(1, round(side * scale)) for side in picture.size)
        small = picture.scaled((width, height)).with_channels(3)
        made = self.folder / "preview.png"
        images.write(images.to_image(small.window(0, height, 0, width)[0]), made)
        return made


@dataclass(frozen=True)
class CountPixels:
    """Task that counts the pixels to compute for an upload by its header; `most` are allowed."""

    source: Path
    most: int
    load_size: int | None

    def __call__(self, models: Models) -> int:
        """Count the pixels. Raises NoPictureError, TooLargeError."""
        return count_pixels(self.source, self.most, self.load_size)


@dataclass(frozen=True)
class Inspect:
    """Task that tries to load a model file; its result is whether it holds both directions."""

    path: Path

    def __call__(self, models: Models) -> bool:
        """Check the file. Raises BrokenModelError."""
        models.load(self.path, "latest", None)
        return models.holds_both(self.path)
