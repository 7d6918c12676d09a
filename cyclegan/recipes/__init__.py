"""The one table of recipes (`--model`): what is trained together."""

from cyclegan.recipes.cyclegan import build as build_cyclegan

RECIPES = {"cycle_gan": build_cyclegan}
