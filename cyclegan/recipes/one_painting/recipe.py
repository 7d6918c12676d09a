"""The one-painting recipe: a generator that paints any photograph like a painting, in one pass.

With several paintings it learns scales and shifts for each.
"""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.func import functional_call

from cyclegan.classic import Architecture
from cyclegan.data.batch import Batch
from cyclegan.errors import UsageError, suggest
from cyclegan.execution.choice import Work
from cyclegan.layers import ChannelSettings
from cyclegan.layers.convolution import initialize
from cyclegan.layers.normalization import Scale
from cyclegan.losses import Direction
from cyclegan.losses.context import LossContext
from cyclegan.losses.objective import Objective, make_objective, proceeding
from cyclegan.losses.perceptual import Perceptual
from cyclegan.recipes.materials import (
    Converter,
    Materials,
    Saved,
    Styles,
    generator_work,
    open_style,
)
from cyclegan.recipes.one_painting import OnePaintingSettings
from cyclegan.training.state import Averages, TrainingState, adam
from cyclegan.training.step import Part, Phase, Recipe, Translations
from cyclegan.translation import Convert, Translation

NAME = "palette"
_NAMES = "names"
_AT = "/"  # stands for the dots of a layer's name, which names of parameters can't have


class Palette(nn.Module):
    """Scales and shifts (S, C) of each norm of a generator, a row for each of S paintings.

    Dumoulin et al. 2017, "A Learned Representation For Artistic Style", section 2.2.
    """

    def __init__(self, generator: nn.Module, names: Sequence[str]) -> None:
        """Copy the scales and shifts of `generator`, whose norm is "instance_affine".

        `names` are the paintings'.
        """
        super().__init__()
        text = json.dumps(list(names)).encode()
        self.register_buffer(_NAMES, torch.tensor(list(text), dtype=torch.uint8))
        self.rows = nn.ParameterDict(
            {
                f"{layer}.{part}".replace(".", _AT): values.detach().repeat(len(names), 1)
                for layer, module in generator.named_modules()
                if isinstance(module, Scale)
                for part, values in module.named_parameters()
            }
        )

    def weights(self, painting: int) -> dict[str, Tensor]:
        """Return one painting's values for the generator's own scales and shifts."""
        return {name.replace(_AT, "."): rows[painting] for name, rows in self.rows.items()}


class PaletteGenerator(nn.Module):
    """A generator that paints like one painting of a palette."""

    def __init__(self, generator: nn.Module, palette: Palette, painting: int) -> None:
        super().__init__()
        self.generator, self.palette, self.painting = generator, palette, painting

    def forward(self, images: Tensor) -> Tensor:
        """Paint images (N, C, H, W) in [-1, 1] -> the same shape and range."""
        made: Tensor = functional_call(
            self.generator, self.palette.weights(self.painting), (images,)
        )
        return made


def mixed(
    weights: Mapping[str, Tensor], palette: Mapping[str, Tensor], mix: str | None
) -> dict[str, Tensor]:
    """Return weights of a generator that paints as `mix` says.

    A mix is names with shares, starry=0.7,irises=0.3. `weights` and `palette` are state dicts. Rows
    are averaged, as in Dumoulin et al. 2017, section 4.2. Raises UsageError, naming the paintings
    there are.
    """
    names = json.loads(bytes(palette[_NAMES].tolist()))
    shares = _shares(mix, names)
    rows = {
        key.removeprefix("rows.").replace(_AT, "."): values
        for key, values in palette.items()
        if key.startswith("rows.")
    }
    return dict(weights) | {
        name: sum((row * share for row, share in zip(table, shares, strict=True)), table[0] * 0)
        for name, table in rows.items()
    }


def _shares(mix: str | None, names: Sequence[str]) -> list[float]:
    """Return the share of each painting; their sum is 1."""
    if not mix:
        raise UsageError(
            f"this model paints like {', '.join(names)}: say which with --style_mix {names[0]}, or "
            f"some with their shares, --style_mix {names[0]}=0.7,{names[-1]}=0.3"
        )
    asked: dict[str, float] = {}
    for part in mix.split(","):
        name, _, share = part.strip().partition("=")
        if name not in names:
            raise UsageError(
                f"--style_mix {name}: no such painting{suggest(name, names)}; choose from "
                f"{', '.join(names)}"
            )
        try:
            asked[name] = float(share or 1)
        except ValueError:
            raise UsageError(f"--style_mix {part}: {share} is not a number") from None
    total = sum(asked.values())
    if min(asked.values()) < 0 or total <= 0:
        raise UsageError(f"--style_mix {mix}: shares must be 0 or more, and not all 0")
    return [asked.get(name, 0.0) / total for name in names]


GENERATOR = "generator_a_to_b"


@dataclass(frozen=True)
class Painting:
    """A picture whose style is learned, and the generator that paints like it."""

    picture: Tensor
    """(1, 3, H, W) in [-1, 1]"""
    call: Convert
    """the generator as called in training"""
    shown: Convert
    """the generator for conversion: EMA if there is one, never compiled"""


@dataclass(frozen=True)
class OnePainting:
    """Content and style losses of one generator. Johnson et al. 2016, section 3."""

    networks: dict[str, nn.Module]
    objective: Objective
    paintings: Sequence[Painting]
    """trained in turn, one per step"""

    def parts(self, batch: Batch, made: Translations, step: int) -> Iterator[Part]:
        """Yield the painted photographs of A and the weighted losses; B is only shown."""
        painting = self.paintings[step % len(self.paintings)]
        fake = painting.call(batch.a)
        losses = self.objective(Translation(batch.a, painting.picture, fake, None, None))
        translation = Translation(batch.a, batch.b, fake, None, None).detach()
        named = {f"{name}_a_to_b": loss for name, loss in losses.items()}
        yield Part(named, {"a_to_b": translation})

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Translation]:
        """Paint the photographs in eval mode, painting after painting."""
        fakes = [
            self._shown(self.paintings[row % len(self.paintings)], batch.a[row : row + 1])
            for row in range(len(batch))
        ]
        return {"a_to_b": Translation(batch.a, batch.b, torch.cat(fakes), None, None)}

    @torch.no_grad()
    def convert(self, direction: Direction, images: Tensor) -> Tensor:
        """Paint images (N, C, H, W) in [-1, 1] like the first painting; there is no way back."""
        return self._shown(self.paintings[0], images)

    def _shown(self, painting: Painting, images: Tensor) -> Tensor:
        for network in self.networks.values():
            network.eval()
        shown = painting.shown(images.to(next(self.networks[GENERATOR].parameters()).device))
        for network in self.networks.values():
            network.train()
        return shown


def probe(settings: OnePaintingSettings, channels: ChannelSettings, batch: int, side: int) -> Work:
    """Return the workload of the generator, by whose passes a step is measured."""
    norm, passes = settings.networks.norm, 1 + settings.perceptual.share
    return generator_work(settings.generator, norm, channels, batch, side, passes)


def converter(settings: OnePaintingSettings, saved: Saved, styles: Styles) -> Converter:
    """Return the generator; one of several paintings paints as `styles` mixes them."""
    styles.refuse_files(saved.path)
    if NAME in saved.networks:
        weights = mixed(saved.weights, saved.networks[NAME], styles.mix)
        architecture = Architecture(settings.generator, *saved.channels, "instance_affine")
        return Converter(architecture, weights)
    styles.refuse_mix(saved.path)
    return Converter.as_trained(settings.generator, settings.networks.norm, saved)


def build(settings: OnePaintingSettings, materials: Materials) -> Recipe:
    """Make the generator, its optimizer and the one phase of a step.

    Draws the initial weights from torch's global generator. Raises UserError where a painting can't
    be used, or the style loss has no weight.
    """
    device, execution, training = materials.device, materials.execution, materials.training
    if not settings.losses.lambda_style:
        raise UsageError(
            "--lambda_style 0: no style would be learned; the preset one_painting has suitable "
            "weights"
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
        settings.losses.term_weights, LossContext(make_perceptual=lambda: seeing, device=device)
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
    if execution.backward_per_part:
        state.reserve()
    proceed = proceeding([objective], materials.steps)
    phase = Phase("generator", optimizer, tuple(made), recipe.parts, prepare=proceed)
    return Recipe(state, (phase,), recipe.preview, recipe.convert)


def _networks(settings: OnePaintingSettings, materials: Materials) -> dict[str, nn.Module]:
    """Return the generator, and the palette where there are several paintings."""
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
    """Read (1, 3, H, W) in [-1, 1]. Raises UserError where the layers need a larger picture."""
    remedy = "a larger picture, or earlier --style_layers"
    return open_style(path, settings.losses.painting_size, 3, perceptual.smallest, remedy)
