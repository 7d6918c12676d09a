"""The pictures whose style a fusion model takes on."""

import os
from dataclasses import dataclass
from pathlib import Path

from cyclegan.errors import UsageError
from cyclegan.fusion.network import FusionNetwork, Painted
from cyclegan.fusion.pictures import open_style


@dataclass(frozen=True)
class Styles:
    """Files of pictures, and how much of each is taken."""

    files: tuple[Path, ...] = ()
    weights: tuple[float, ...] = ()
    """one for each file, not all 0; none: as much of each"""

    def paint(self, network: FusionNetwork, side: int, channels: int, model: Path) -> Painted:
        """The network that paints in these styles, seen at `side` pixels and in so many channels.

        Their maps are made here, once. Raises UserError, naming the `model`, where there is no
        style or one can't be read.
        """
        if not self.files:
            raise UsageError(
                f"{model}: paints in the style of a picture that is given with it: add "
                "--style FILE to convert or to export; what was exported so can be served"
            )
        if self.weights and len(self.weights) != len(self.files):
            raise UsageError(
                f"--style_weights: {len(self.weights)} for {len(self.files)} pictures of --style: "
                "give one for each"
            )
        if self.weights and not sum(self.weights):
            raise UsageError("--style_weights: all are 0, so no style is left: give one that isn't")
        once = self._each_once()
        opened = [open_style(file, side, channels) for file in once.files]
        return Painted(network, opened, once.weights)

    def _each_once(self) -> "Styles":
        """A picture that is given twice, perhaps by another path, as one with both its weights."""
        files: dict[str, Path] = {}
        weights: dict[str, float] = {}
        for number, file in enumerate(self.files):
            there = os.path.realpath(file)
            files.setdefault(there, file)
            if self.weights:
                weights[there] = weights.get(there, 0.0) + self.weights[number]
        return Styles(tuple(files.values()), tuple(weights.values()))

    def refuse(self, model: Path) -> None:
        """Raise UsageError where there are any: `model` can't take them on."""
        if self.files or self.weights:
            raise UsageError(
                f"--style: {model} has its style from training or export; only a model "
                "of --model fusion takes one now: leave --style out"
            )


#: What converts with any model but a fusion model.
NO_STYLES = Styles()
