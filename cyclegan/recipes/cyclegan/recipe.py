"""The CycleGAN recipe: its losses, networks, optimizers and phases."""

import copy
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from cyclegan.data.batch import Batch
from cyclegan.execution.choice import Work
from cyclegan.execution.execution import Execution
from cyclegan.layers import ChannelSettings
from cyclegan.layers.convolution import initialize
from cyclegan.losses import Direction, LossSettings, product
from cyclegan.losses.adversarial import (
    ADVERSARIAL,
    Adversary,
    Penalty,
    augmentation,
    gradient_penalty,
    zero_centred_penalty,
)
from cyclegan.losses.context import LossContext
from cyclegan.losses.objective import Objective, make_objectives, needed, proceeding
from cyclegan.losses.perceptual import Perceptual
from cyclegan.losses.pixels import PRETRAINING, restoration, with_gaps
from cyclegan.recipes.cyclegan import DISCRIMINATORS, CycleGANSettings
from cyclegan.recipes.materials import Converter, Materials, Saved, generator_work
from cyclegan.training.pool import ImagePool
from cyclegan.training.state import Averages, TrainingState, adam
from cyclegan.training.step import Part, Phase, Recipe, Translations
from cyclegan.translation import Convert, Translation, translate

GENERATORS = ("generator_a_to_b", "generator_b_to_a")
DIRECTIONS: tuple[Direction, ...] = ("a_to_b", "b_to_a")
#: For each direction the discriminator of the domain that it leads to.
JUDGES: Mapping[Direction, str] = {"a_to_b": "discriminator_b", "b_to_a": "discriminator_a"}
#: A step's generator passes: two translations, two cycles, two identities, and the rest.
PASSES = 6.5


@dataclass(frozen=True)
class CycleGAN:
    """Losses of both directions. Zhu et al. 2017, sections 3 and 4."""

    networks: dict[str, nn.Module]
    calls: dict[str, Convert]
    """the networks as called in training"""
    pools: dict[str, ImagePool]
    objectives: dict[Direction, Objective]
    identity_every: int
    identity_steps: int
    pretraining: int
    """initial steps in which the generators only restore images"""
    execution: Execution
    averages: Averages
    shown: dict[str, Convert]
    """the generators for conversion: EMA if there is one, never compiled"""
    proceed: Callable[[int], None]
    """sets the scheduled weights of a step"""
    identity_left: Tensor
    """what is left of a fading identity's weight, a scalar on the device"""

    def generator_parts(self, batch: Batch, made: Translations, step: int) -> Iterator[Part]:
        """Yield the parts of each direction: its translation, and its weighted loss terms."""
        if step < self.pretraining:
            yield self._restored("a_to_b", batch.a, batch.b)
            yield self._restored("b_to_a", batch.b, batch.a)
            return
        yield from self._direction("a_to_b", "b_to_a", batch.a, batch.b, step)
        yield from self._direction("b_to_a", "a_to_b", batch.b, batch.a, step)

    def discriminator_parts(self, batch: Batch, made: Translations, step: int) -> Iterator[Part]:
        """Yield one part per discriminator, on the fakes made before the generators' update."""
        if step < self.pretraining:
            return
        yield self._discriminator_part("discriminator_b", "a_to_b", made)
        yield self._discriminator_part("discriminator_a", "b_to_a", made)

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Translation]:
        """Translate both directions in eval mode, whatever the losses need."""
        networks = self.networks | self.averages.networks
        forward, backward = (networks[name].eval() for name in GENERATORS)
        identity = batch.a.shape[1] == batch.b.shape[1]
        shown = {
            "a_to_b": translate(forward, backward, batch.a, batch.b, identity=identity),
            "b_to_a": translate(backward, forward, batch.b, batch.a, identity=identity),
        }
        for network in (forward, backward):
            network.train()
        return shown

    @torch.no_grad()
    def convert(self, direction: Direction, images: Tensor) -> Tensor:
        """Translate images (N, C, H, W) in [-1, 1] in eval mode."""
        name = f"generator_{direction}"
        network = (self.networks | self.averages.networks)[name].eval()
        converted = self.shown[name](images.to(next(network.parameters()).device))
        network.train(name not in self.averages.networks)
        return converted

    def _direction(
        self, direction: Direction, back: Direction, source: Tensor, target: Tensor, step: int
    ) -> Iterator[Part]:
        """Yield one part, or the identity in a part of its own where graphs are kept small."""
        whole = self.objectives[direction]
        turn = whole.needs("identity") and self._has_identity(step)
        times = self.identity_every * (self.identity_left if self.identity_steps else 1.0)
        rest, identity = whole.without("identity"), whole.only("identity", times=times)
        batched = self.execution.batch_generator
        forward, backward = self.calls[f"generator_{direction}"], self.calls[f"generator_{back}"]
        made = translate(
            forward,
            backward,
            source,
            target,
            cycle=whole.needs("cycled"),
            identity=turn and batched,
            together=batched,
        )
        losses = rest(made) | (identity(made) if turn and batched else {})
        yield _part(direction, losses, made)
        if turn and not batched:
            made = replace(made.detach(), identity=forward(target))
            yield _part(direction, identity(made), made)

    def _restored(self, direction: Direction, *domains: Tensor) -> Part:
        """Return the part of a generator that fills gaps in images of both domains."""
        call = self.calls[f"generator_{direction}"]
        gaps = [(with_gaps(images), images) for images in domains]
        made = [Translation(given, whole, call(given), None, None) for given, whole in gaps]
        loss = torch.stack([restoration(each) for each in made]).mean()
        return Part({PRETRAINING.of(direction): loss}, {direction: made[0].detach()})

    def turn(self, step: int) -> tuple[bool, bool]:
        """Return what distinguishes the launches of a step from those of others."""
        return step < self.pretraining, self._has_identity(step)

    def prepare(self, step: int) -> None:
        """Set the weights that differ from step to step."""
        self.proceed(step)
        if self.identity_steps:
            self.identity_left.fill_(max(0.0, 1 - step / self.identity_steps))

    def _has_identity(self, step: int) -> bool:
        faded = self.identity_steps and step >= self.identity_steps
        return step % self.identity_every == 0 and not faded

    def _discriminator_part(self, name: str, direction: Direction, made: Translations) -> Part:
        translation: Translation = made[direction]
        fake = self.pools[name].query(translation.fake)
        adversary = self.objectives[direction].context.adversary
        return Part({name: adversary.loss(translation.target, fake)})


def _part(direction: Direction, losses: dict[str, Tensor], made: Translation) -> Part:
    named = {f"{term}_{direction}": loss for term, loss in losses.items()}
    return Part(named, {direction: made.detach()})


def probe(settings: CycleGANSettings, channels: ChannelSettings, batch: int, side: int) -> Work:
    """Return the workload of one generator, by whose passes a step is measured."""
    norm = settings.networks.norm
    return generator_work(settings.generator, norm, channels, batch, side, PASSES)


def converter(settings: CycleGANSettings, saved: Saved) -> Converter:
    """Return the wanted generator, as it was trained."""
    return Converter.as_trained(settings.generator, settings.networks.norm, saved)


def build(settings: CycleGANSettings, materials: Materials) -> Recipe:
    """Make the four networks, their optimizers and pools, and the phases of a step.

    Draws the initial weights from torch's global generator.
    """
    training, device, execution = materials.training, materials.device, materials.execution
    weights = {direction: settings.losses.term_weights(direction) for direction in DIRECTIONS}
    judges = DISCRIMINATORS if "discriminator" in needed(chain(*weights.values())) else ()
    made = _networks(settings, materials.channels, judges)
    for network in made.values():
        network.to(device).train()
    calls = {name: execution.prepare(network) for name, network in made.items()}
    objectives = make_objectives(weights, _contexts(settings, materials, made, calls))
    own: dict[str, nn.Module] = {}
    for direction, objective in objectives.items():
        own |= objective.networks(direction, device)
    made |= own
    pools = {
        name: ImagePool(settings.training.pool_size, seed=materials.seed + number)
        for number, name in enumerate(judges)
    }
    averages = _averages(made, training.ema_decay)
    recipe = CycleGAN(
        made,
        calls,
        pools,
        objectives,
        settings.losses.identity_every,
        settings.losses.identity_steps,
        math.ceil(settings.training.pretrain / materials.images_per_step),
        execution,
        averages,
        _shown(made | averages.networks, execution),
        proceeding(objectives.values(), materials.steps),
        torch.ones((), device=device),
    )
    trained: dict[str, tuple[str, ...]] = {"generators": (*GENERATORS, *own)}
    if judges:
        trained["discriminators"] = judges
    phases = _phases(recipe, settings, materials, trained)
    optimizers = {phase.name: phase.optimizer for phase in phases}
    scaler = GradScaler(device.type, enabled=execution.precision == "fp16")
    state = TrainingState(made, optimizers, pools, scaler, averages)
    if execution.backward_per_part:
        state.reserve()
    begins = settings.training.pretrain
    return Recipe(state, phases, recipe.preview, recipe.convert, begins)


def _phases(
    recipe: CycleGAN,
    settings: CycleGANSettings,
    materials: Materials,
    trained: Mapping[str, tuple[str, ...]],
) -> tuple[Phase, ...]:
    """Return the generators' phase, and the discriminators' where there are any."""
    parts = {"generators": recipe.generator_parts, "discriminators": recipe.discriminator_parts}
    warmup = (settings.training.discriminator_warmup or 0) if "discriminators" in trained else 0
    begins = {"generators": warmup, "discriminators": recipe.pretraining}
    training, fused = materials.training, materials.execution.fused
    return tuple(
        Phase(
            name,
            adam([recipe.networks[network] for network in networks], training, fused=fused),
            networks,
            parts[name],
            begins[name],
            recipe.turn,
            recipe.prepare,
            settings.training.discriminator_lr if name == "discriminators" else 1.0,
        )
        for name, networks in trained.items()
    )


def _networks(
    settings: CycleGANSettings, channels: ChannelSettings, judges: Collection[str]
) -> dict[str, nn.Module]:
    generator, discriminator, networks = (
        settings.generator,
        settings.discriminator,
        settings.networks,
    )
    a, b, norm = channels.input_nc, channels.output_nc, networks.norm
    made = {
        "generator_a_to_b": generator.build(a, b, norm),
        "generator_b_to_a": generator.build(b, a, norm),
    }
    for name, judged in zip(judges, (b, a), strict=False):
        made[name] = discriminator.build(judged, norm)
    for network in made.values():
        initialize(network, networks.init_type, networks.init_gain)
    return made


def _contexts(
    settings: CycleGANSettings,
    materials: Materials,
    networks: Mapping[str, nn.Module],
    calls: Mapping[str, Convert],
) -> dict[Direction, LossContext]:
    """Return the loss context of each direction; both share the frozen network."""
    execution, channels = materials.execution, materials.channels
    perceptual = cache(lambda: Perceptual.build(settings.perceptual, materials.device))

    def context(direction: Direction, source_nc: int) -> LossContext:
        generator, judge = cast(Any, networks[f"generator_{direction}"]), JUDGES[direction]
        made = LossContext(
            lambda: _adversary(settings.losses, networks[judge], calls[judge], execution, made),
            perceptual,
            lambda images: generator.encode(execution.cast(images)),
            torch.zeros(1, source_nc, 32, 32, device=materials.device),
            device=materials.device,
        )
        return made

    return {
        "a_to_b": context("a_to_b", channels.input_nc),
        "b_to_a": context("b_to_a", channels.output_nc),
    }


def _adversary(
    losses: LossSettings,
    discriminator: nn.Module,
    score: Convert,
    execution: Execution,
    context: LossContext,
) -> Adversary:
    objective = ADVERSARIAL[losses.gan_mode]
    penalties: list[tuple[Penalty, float | Tensor]] = []
    if objective.penalized:
        penalties.append((gradient_penalty, context.weigh(product(losses.lambda_gp))))
    if losses.lambda_r1:
        penalties.append((zero_centred_penalty, context.weigh(product(losses.lambda_r1))))
    augment = augmentation(losses.diffaugment)
    together = execution.batch_discriminator
    return Adversary(discriminator, score, objective, penalties, together, augment)


def _shown(networks: dict[str, nn.Module], execution: Execution) -> dict[str, Convert]:
    eager = replace(execution, compiled=False)
    return {name: eager.prepare(networks[name]) for name in GENERATORS}


def _averages(networks: dict[str, nn.Module], decay: float) -> Averages:
    if not decay:
        return Averages()
    copies = {name: copy.deepcopy(networks[name]).requires_grad_(False) for name in GENERATORS}
    return Averages(copies, decay)
