"""One painting: a generator that paints any photograph in a painting's style, in one go.

Of several paintings it learns each, with scales and shifts of their own.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from cyclegan.classic import Architecture
from cyclegan.data.feed import Batch
from cyclegan.errors import UsageError
from cyclegan.execution.choice import Work
from cyclegan.layers import ChannelSettings
from cyclegan.layers.initialization import initialize
from cyclegan.losses import Direction
from cyclegan.losses.context import LossContext
from cyclegan.losses.objective import Objective, make_objective
from cyclegan.losses.perceptual.look import Perceptual
from cyclegan.recipes.materials import Converter, Materials, Saved
from cyclegan.recipes.one_painting import OnePaintingSettings
from cyclegan.recipes.one_painting.palette import NAME, Palette, PaletteGenerator, mixed
from cyclegan.recipes.styles import Styles, open_style
from cyclegan.training.averages import Averages
from cyclegan.training.optimizers import adam
from cyclegan.training.phase import Part, Phase, Recipe, Translations
from cyclegan.training.state import TrainingState
from cyclegan.translation import Convert, Translation

GENERATOR = "generator_a_to_b"


@dataclass(frozen=True)
class Painting:
    """A picture whose style is learned, and what paints like it."""

    picture: Tensor
    """(1, 3, H, W) in [-1, 1]"""
    call: Convert
    """the generator as it is called while training"""
    shown: Convert
    """the generator as it converts: averaged if there is an average, and never compiled"""


@dataclass(frozen=True)
class OnePainting:
    """Content and style losses of one generator. Johnson et al. 2016, section 3."""

    networks: dict[str, nn.Module]
    objective: Objective
    paintings: Sequence[Painting]
    """learned in turn, step by step"""

    def parts(self, batch: Batch, made: Translations, step: int) -> Iterator[Part]:
        """The photographs of A painted, and the weighted losses; B is shown beside them only."""
        painting = self.paintings[step % len(self.paintings)]
        fake = painting.call(batch.a)
        losses = self.objective(Translation(batch.a, painting.picture, fake, None, None))
        translation = Translation(batch.a, batch.b, fake, None, None).detach()
        named = {f"{name}_a_to_b": loss for name, loss in losses.items()}
        yield Part(named, {"a_to_b": translation})

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Translation]:
        """The photographs and what became of them, in eval mode, painting after painting."""
        fakes = [
            self._shown(self.paintings[row % len(self.paintings)], batch.a[row : row + 1])
            for row in range(len(batch))
        ]
        return {"a_to_b": Translation(batch.a, batch.b, torch.cat(fakes), None, None)}

    @torch.no_grad()
    def convert(self, direction: Direction, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] like the first painting; there is no way back."""
        return self._shown(self.paintings[0], images)

    def _shown(self, painting: Painting, images: Tensor) -> Tensor:
        for network in self.networks.values():
            network.eval()
        shown = painting.shown(images.to(next(self.networks[GENERATOR].parameters()).device))
        for network in self.networks.values():
            network.train()
        return shown


def probe(settings: OnePaintingSettings, channels: ChannelSettings, batch: int, side: int) -> Work:
    """The generator, by whose passes a step is measured."""
    generator, norm = settings.generator, settings.networks.norm
    return Work(
        generator.build(channels.input_nc, channels.output_nc, norm),
        (batch, channels.input_nc, side, side),
        passes=1 + settings.perceptual.share,
        per_sample=norm != "batch" and not generator.dropout,
        widest=generator.widest,
    )


def converter(settings: OnePaintingSettings, saved: Saved, styles: Styles) -> Converter:
    """The generator; one of several paintings paints as `styles` mixes them."""
    styles.refuse_files(saved.path)
    if NAME in saved.networks:
        weights = mixed(saved.weights, saved.networks[NAME], styles.mix)
        architecture = Architecture(settings.generator, *saved.channels, "instance_affine")
        return Converter(architecture, weights)
    styles.refuse_mix(saved.path)
    norm = settings.networks.norm
    return Converter(Architecture(settings.generator, *saved.channels, norm), saved.weights)


def build(settings: OnePaintingSettings, materials: Materials) -> Recipe:
    """Make the generator, its optimizer and the one phase of a step.

    Draws the initial weights from torch's global generator. Raises UserError where a painting
    can't be used, or nothing says what is wanted of the pictures.
    """
    device, execution, training = materials.device, materials.execution, materials.training
    if not settings.losses.lambda_style:
        raise UsageError(
            "--lambda_style 0: nothing would be painted; the preset one_painting has weights"
        )
    perceptual = Perceptual.build(settings.perceptual, device)
    made = _networks(settings, materials)
    for network in made.values():
        network.to(device).train()
    averages = Averages()
    if training.ema_decay:
        followers = {name: copy.deepcopy(one).requires_grad_(False) for name, one in made.items()}
        averages = Averages(followers, training.ema_decay)
    eager = replace(execution, compiled=False)
    shown = made | averages.networks
    pictures = [_opened(path, settings, perceptual).to(device) for path in materials.targets]
    seeing = perceptual.keeping(style=pictures)
    objective = make_objective(
        settings.losses.term_weights, LossContext(make_perceptual=lambda: seeing)
    )
    own = objective.networks("a_to_b", device)
    paintings = [
        Painting(
            picture,
            execution.prepare(_painter(made, number)),
            eager.prepare(_painter(shown, number)),
        )
        for number, picture in enumerate(pictures)
    ]
    made |= own
    recipe = OnePainting(made, objective, paintings)
    optimizer = adam(made.values(), training, fused=execution.fused)
    scaler = GradScaler(device.type, enabled=execution.precision == "fp16")
    state = TrainingState(made, {"generator": optimizer}, {}, scaler, averages)
    if execution.apart:
        state.reserve()
    phase = Phase("generator", optimizer, tuple(made), recipe.parts)
    return Recipe(state, (phase,), recipe.preview, recipe.convert)


def _networks(settings: OnePaintingSettings, materials: Materials) -> dict[str, nn.Module]:
    """The generator, and where there are several paintings their palette."""
    networks, several = settings.networks, len(materials.targets) > 1
    norm = "instance_affine" if several else networks.norm
    channels = materials.channels
    network = settings.generator.build(channels.input_nc, channels.output_nc, norm)
    initialize(network, networks.init_type, networks.init_gain)
    made: dict[str, nn.Module] = {GENERATOR: network}
    if several:
        made[NAME] = Palette(network, [path.stem for path in materials.targets])
    return made


def _painter(networks: dict[str, nn.Module], number: int) -> nn.Module:
    palette = networks.get(NAME)
    if not isinstance(palette, Palette):
        return networks[GENERATOR]
    return PaletteGenerator(networks[GENERATOR], palette, number)


def _opened(path: Path, settings: OnePaintingSettings, perceptual: Perceptual) -> Tensor:
    """(1, 3, H, W) in [-1, 1]. Raises UserError where the layers that are looked at need more."""
    remedy = "a larger picture, or earlier --style_layers"
    return open_style(path, settings.losses.painting_size, 3, perceptual.smallest, remedy)
