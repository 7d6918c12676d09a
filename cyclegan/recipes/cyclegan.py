"""CycleGAN: two generators and two discriminators."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from cyclegan.data.feed import Batch
from cyclegan.discriminators import DiscriminatorSettings
from cyclegan.generators import GeneratorSettings
from cyclegan.layers.initialization import initialize
from cyclegan.layers.settings import NetworkSettings
from cyclegan.losses.adversarial import ADVERSARIAL, Judge
from cyclegan.losses.objective import Objective
from cyclegan.losses.settings import Direction, LossSettings
from cyclegan.training.phase import Part, Phase, Recipe, Translations
from cyclegan.training.pool import ImagePool
from cyclegan.training.settings import TrainingSettings
from cyclegan.training.state import TrainingState
from cyclegan.translation import Translation, translate

GENERATORS = ("generator_a_to_b", "generator_b_to_a")
# The discriminator of B first: the pools draw in this order, as in the classic.
DISCRIMINATORS = ("discriminator_b", "discriminator_a")


@dataclass(frozen=True)
class CycleGAN:
    """The losses of both directions. Zhu et al. 2017, sections 3 and 4."""

    networks: dict[str, nn.Module]
    pools: dict[str, ImagePool]
    objectives: dict[Direction, Objective]
    judges: dict[Direction, Judge]

    def generator_parts(self, batch: Batch, made: Translations) -> Iterator[Part]:
        """One part per direction: its translation and the weighted terms of its objective."""
        yield self._generator_part("a_to_b", "b_to_a", batch.a, batch.b)
        yield self._generator_part("b_to_a", "a_to_b", batch.b, batch.a)

    def discriminator_parts(self, batch: Batch, made: Translations) -> Iterator[Part]:
        """One part per discriminator, on the fakes made before the generators' update."""
        yield self._discriminator_part("discriminator_b", "a_to_b", made)
        yield self._discriminator_part("discriminator_a", "b_to_a", made)

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Translation]:
        """Both directions in eval mode, whatever the losses need."""
        forward, backward = (self.networks[name].eval() for name in GENERATORS)
        identity = batch.a.shape[1] == batch.b.shape[1]
        shown = {
            "a_to_b": translate(forward, backward, batch.a, batch.b, identity=identity),
            "b_to_a": translate(backward, forward, batch.b, batch.a, identity=identity),
        }
        for network in (forward, backward):
            network.train()
        return shown

    def _generator_part(
        self, direction: Direction, back: Direction, source: Tensor, target: Tensor
    ) -> Part:
        objective = self.objectives[direction]
        translation = translate(
            self.networks[f"generator_{direction}"],
            self.networks[f"generator_{back}"],
            source,
            target,
            cycle="cycle" in objective,
            identity="identity" in objective,
        )
        losses = objective(translation, self.judges[direction])
        return Part(
            {f"{term}_{direction}": loss for term, loss in losses.items()},
            {direction: translation.detach()},
        )

    def _discriminator_part(self, name: str, direction: Direction, made: Translations) -> Part:
        translation: Translation = made[direction]
        fake = self.pools[name].query(translation.fake)
        return Part({name: self.judges[direction].loss(translation.target, fake)})


def build(
    networks: NetworkSettings,
    generator: GeneratorSettings,
    discriminator: DiscriminatorSettings,
    losses: LossSettings,
    training: TrainingSettings,
    *,
    seed: int,
    device: torch.device,
) -> Recipe:
    """Make the four networks, their optimizers and pools, and the phases of a step.

    Draws the initial weights from torch's global generator.
    """
    a, b, norm = networks.input_nc, networks.output_nc, networks.norm
    made = {
        "generator_a_to_b": generator.build(a, b, norm),
        "generator_b_to_a": generator.build(b, a, norm),
        "discriminator_b": discriminator.build(b, norm),
        "discriminator_a": discriminator.build(a, norm),
    }
    for network in made.values():
        initialize(network, networks.init_type, networks.init_gain)
        network.to(device).train()
    pools = {
        name: ImagePool(training.pool_size, seed=seed + number)
        for number, name in enumerate(DISCRIMINATORS)
    }
    adversarial = ADVERSARIAL[losses.gan_mode]
    recipe = CycleGAN(
        made,
        pools,
        {
            "a_to_b": Objective(losses.term_weights("a_to_b")),
            "b_to_a": Objective(losses.term_weights("b_to_a")),
        },
        {
            "a_to_b": Judge(made["discriminator_b"], adversarial, losses.lambda_gp),
            "b_to_a": Judge(made["discriminator_a"], adversarial, losses.lambda_gp),
        },
    )
    optimizers: dict[str, Optimizer] = {
        "generators": _adam(made, GENERATORS, training),
        "discriminators": _adam(made, DISCRIMINATORS, training),
    }
    phases = (
        Phase("generators", optimizers["generators"], GENERATORS, recipe.generator_parts),
        Phase(
            "discriminators",
            optimizers["discriminators"],
            DISCRIMINATORS,
            recipe.discriminator_parts,
        ),
    )
    return Recipe(TrainingState(made, optimizers, pools), phases, recipe.preview)


def _adam(
    networks: dict[str, nn.Module], names: tuple[str, ...], settings: TrainingSettings
) -> Adam:
    parameters = chain.from_iterable(networks[name].parameters() for name in names)
    return Adam(parameters, lr=settings.lr, betas=(settings.beta1, 0.999))
