"""The one table of recipes (`--model`): what is trained together."""

from collections.abc import Callable, Mapping

from cyclegan.recipes.cyclegan import build as build_cyclegan
from cyclegan.recipes.fusion import build as build_fusion
from cyclegan.recipes.materials import Materials
from cyclegan.recipes.one_painting import build as build_one_painting
from cyclegan.run import Model
from cyclegan.training.phase import Recipe

RECIPES: Mapping[Model, Callable[[Materials], Recipe]] = {
    "cycle_gan": build_cyclegan,
    "one_painting": build_one_painting,
    "fusion": build_fusion,
}
