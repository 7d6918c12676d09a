"""The style-transfer objective: one picture's content in another one's style."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from cyclegan.losses.perceptual.look import Maps, Perceptual
from cyclegan.losses.perceptual.smooth import total_variation


@dataclass(frozen=True)
class StyleTransfer:
    """L = lambda_content * L_content + lambda_style * L_style + lambda_tv * L_tv."""

    perceptual: Perceptual
    content: float = 1.0
    style: float = 1.0
    total_variation: float = 0.0

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each loss by its name; those of weight 0 are left out."""
        named = {
            "content": self.content,
            "style": self.style,
            "total_variation": self.total_variation,
        }
        return {name: weight for name, weight in named.items() if weight}

    def __call__(self, made: Tensor, content: Maps, style: Maps) -> dict[str, Tensor]:
        """Each loss of `made` (N, C, H, W) in [-1, 1] times its weight; their sum is minimised.

        `content` and `style` come from `perceptual.content_of` and `perceptual.style_of`: of as
        many pictures, or of one painting for all.
        """
        weights = self.weights
        maps: Maps = {} if weights.keys() <= {"total_variation"} else self.perceptual.maps(made)
        losses: Mapping[str, Callable[[], Tensor]] = {
            "content": lambda: self.perceptual.content(maps, content),
            "style": lambda: self.perceptual.style(maps, style),
            "total_variation": lambda: total_variation(made),
        }
        return {name: losses[name]() * weight for name, weight in weights.items()}
