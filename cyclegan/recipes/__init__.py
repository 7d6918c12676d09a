"""Recipes by the names that `--model` takes: each says what is trained together."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from cyclegan.kinds import Kind
from cyclegan.parts import Parts
from cyclegan.recipes.cyclegan import CycleGANSettings
from cyclegan.recipes.fusion import FusionSettings
from cyclegan.recipes.one_painting import OnePaintingSettings
from cyclegan.recipes.student import StudentSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from cyclegan.execution.choice import Work
    from cyclegan.layers import ChannelSettings
    from cyclegan.recipes.materials import Converter, Materials, Saved, Styles
    from cyclegan.training.step import Recipe

#: The one table of recipes.
RECIPES = Parts(
    "recipes",
    Kind,
    {
        "cycle_gan": Kind(CycleGANSettings),
        "one_painting": Kind(OnePaintingSettings),
        "fusion": Kind(FusionSettings),
        "student": Kind(StudentSettings),
    },
)

if TYPE_CHECKING:

    class WeightedTerms(Protocol):
        """Settings of losses with weights by name."""

        @property
        def weights(self) -> Mapping[str, float | str]:
            """Weights of further loss terms by their names."""

    class RecipeSettings(Protocol):
        """Settings of a recipe, which describe it before it is built, and build it.

        Its parts are dataclasses, each a table of a preset that has the field's name.
        """

        both_ways: ClassVar[bool]
        """whether it also converts back"""
        directions: ClassVar[tuple[str, ...]]
        """directions that it can be trained in"""
        needs_targets: ClassVar[bool]
        """whether it learns from images of B"""
        given_style: ClassVar[bool]
        """whether each conversion needs a style image"""
        fixed: ClassVar[tuple[str, ...]]
        """dotted keys that its runs can't change, besides those that no run can"""
        described: ClassVar[Mapping[str, Any]]
        """classes that describe its networks in exported files, by their netG"""
        offers: ClassVar[tuple[str, ...]]
        """what it provides to loss terms"""

        @property
        def model(self) -> str: ...
        @property
        def losses(self) -> WeightedTerms: ...
        @property
        def guessing(self) -> float | None:
            """A discriminator's loss when it can only guess; None where there is no such level."""

        @property
        def same_sizes(self) -> bool:
            """True where images of both domains have to be of one size."""

        @property
        def smallest_side(self) -> int:
            """Shortest image side, in pixels."""

        @property
        def frozen_networks(self) -> Mapping[str, str]:
            """Pretrained networks that the recipe learns by, by the key that names each."""

        def check(self, channels: ChannelSettings, crop_size: int) -> None:
            """Raise UsageError where settings contradict each other."""

        def starting_from(self, names: Sequence[str]) -> "RecipeSettings":
            """Return the settings of a run that starts from networks of these names."""

        def networks_of(self, channels: ChannelSettings) -> Sequence[nn.Module]:
            """Return networks that a checkpoint holds at least, by which its size is checked."""

        def probe(self, channels: ChannelSettings, batch_size: int, side: int) -> Work:
            """Return the workload by which an execution is chosen: most of a step."""

        def build(self, materials: Materials) -> Recipe:
            """Return the recipe. Raises UserError.

            Draws the initial weights from torch's global generator.
            """

        def converter(self, saved: Saved, styles: Styles) -> Converter:
            """Return the network of a checkpoint that paints in `styles`. Raises UserError."""

else:
    RecipeSettings = Any  # of a kind in the table


def recipe_named(name: object) -> type[RecipeSettings]:
    """Return the settings class of a recipe; the default one's where no recipe has that name."""
    found: type[RecipeSettings] = RECIPES[str(name) if name in RECIPES else "cycle_gan"].settings
    return found
