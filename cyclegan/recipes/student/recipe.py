"""The student recipe: a small generator learns the pictures and the maps of a trained one."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn import functional

from cyclegan.data.batch import Batch
from cyclegan.errors import UsageError, UserError
from cyclegan.execution.choice import Work
from cyclegan.execution.execution import Execution
from cyclegan.layers import ChannelSettings
from cyclegan.layers.convolution import Convolution, initialize
from cyclegan.losses import Direction, as_typed, product
from cyclegan.losses.context import LossContext
from cyclegan.losses.objective import Objective, make_objective, proceeding
from cyclegan.recipes.materials import Converter, Materials, Saved, Teacher, generator_work
from cyclegan.recipes.student import DistillationSettings, StudentSettings
from cyclegan.training.state import Averages, TrainingState, adam
from cyclegan.training.step import Part, Phase, Recipe, Translations
from cyclegan.translation import Convert, Translation

#: The converter's name for what makes B of A.
GENERATOR = "generator_a_to_b"
#: The checkpoint's name for what leads from the student's maps to the teacher's.
ADAPTERS = "adapters"
#: A step in passes of the student, with a teacher of ten times its multiply-adds.
PASSES = 6.0


@dataclass(frozen=True)
class Observed:
    """A network as it is called, and the layers in it whose maps are compared."""

    call: Convert
    layers: Sequence[nn.Module]

    def __call__(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the output for images (N, C, H, W) in [-1, 1], and the layers' maps in order."""
        maps: list[Tensor] = []
        hooks = [
            layer.register_forward_hook(lambda _layer, _given, made: maps.append(made))
            for layer in self.layers
        ]
        try:
            return self.call(images), maps
        finally:
            for hook in hooks:
                hook.remove()


@dataclass(frozen=True)
class Distillation:
    """Differences between the student's and the teacher's pictures of photographs A, and maps.

    Maps within the generators as in Li et al. 2020, "GAN Compression", section 3.2, by 1x1
    convolutions that are learned too; maps within the teacher's discriminator as in Li et al. 2021,
    "Revisiting Discriminator in GAN Compression", section 3.3.
    """

    student: Observed
    teacher: Observed
    judge: Observed | None
    adapters: nn.ModuleList
    weights: dict[str, float | Tensor]
    further: Objective
    shown: nn.Module
    """the student for conversion: EMA if there is one"""
    device: torch.device

    def parts(self, batch: Batch, made: Translations, step: int) -> Iterator[Part]:
        """Yield the student's pictures of A with the weighted differences to the teacher's."""
        with torch.no_grad():
            wanted, known = self.teacher(batch.a)
        fake, maps = self.student(batch.a)
        translation = Translation(batch.a, wanted, fake, None, None)
        losses = self._compared(fake, maps, wanted, known) | self.further(translation)
        named = {f"{name}_a_to_b": loss for name, loss in losses.items()}
        yield Part(named, {"a_to_b": translation.detach()})

    def _compared(
        self, fake: Tensor, maps: Sequence[Tensor], wanted: Tensor, known: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """Return each difference times its weight."""
        found = {"pixels": functional.l1_loss(fake, wanted)}
        if maps:
            led = [adapt(own) for adapt, own in zip(self.adapters, maps, strict=True)]
            found["features"] = difference(led, known)
        if self.judge is not None:
            found["discriminator_maps"] = self._judged(self.judge, fake, wanted)
        return {name: found[name] * weight for name, weight in self.weights.items()}

    def _judged(self, judge: Observed, fake: Tensor, wanted: Tensor) -> Tensor:
        with torch.no_grad():
            scores, maps = judge(wanted)
        own_scores, own_maps = judge(fake)
        return difference([*own_maps, own_scores], [*maps, scores])

    @torch.no_grad()
    def preview(self, batch: Batch) -> dict[str, Translation]:
        """Convert photographs as the student does, with the teacher's pictures as the target."""
        wanted, _ = self.teacher(batch.a)
        return {"a_to_b": Translation(batch.a, wanted, self._converted(batch.a), None, None)}

    @torch.no_grad()
    def convert(self, direction: Direction, images: Tensor) -> Tensor:
        """Convert images (N, C, H, W) in [-1, 1]; there is no way back."""
        return self._converted(images.to(self.device))

    def _converted(self, images: Tensor) -> Tensor:
        training = self.shown.training
        made: Tensor = self.shown.eval()(images)
        self.shown.train(training)
        return made


def difference(own: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Return the mean over pairs of maps of |own - wanted|, relative to the mean of |wanted|.

    Maps (N, C, h, w) of other sides are brought to those of `wanted`.
    """
    total = wanted[0].new_zeros(())
    for one, other in zip(own, wanted, strict=True):
        if one.shape[2:] != other.shape[2:]:
            one = functional.interpolate(one, other.shape[2:], mode="bilinear")
        total = total + functional.l1_loss(one, other) / other.abs().mean().clamp_min(_SMALLEST)
    return total / len(wanted)


_SMALLEST = 1e-4


def probe(settings: StudentSettings, channels: ChannelSettings, batch: int, side: int) -> Work:
    """Return the workload of the student, whose maps are compared, so it is never compiled."""
    norm = settings.networks.norm
    work = generator_work(settings.generator, norm, channels, batch, side, PASSES)
    return replace(work, adapts=False)


def converter(settings: StudentSettings, saved: Saved) -> Converter:
    """Return the student's generator."""
    return Converter.as_trained(settings.generator, settings.networks.norm, saved)


def build(settings: StudentSettings, materials: Materials) -> Recipe:
    """Make the student, open its teacher, and make the optimizer and the one phase of a step.

    Draws the initial weights from torch's global generator. Raises UserError where the teacher
    can't be opened, or converts images of other channels.
    """
    device, training, execution = materials.device, materials.training, materials.execution
    teacher, student = _teacher(settings.losses, materials), _student(settings, materials)
    own, known = _stages(settings.losses, student, teacher)
    adapters = _adapters((student, own), (teacher.generator, known), materials)
    averages, shown = Averages(), student
    if training.ema_decay:
        shown = copy.deepcopy(student).requires_grad_(False)
        averages = Averages({GENERATOR: shown}, training.ema_decay)
    terms = {name: product(weight) for name, weight in settings.losses.weights.items()}
    further = make_objective(terms, LossContext(device=device))
    recipe = Distillation(
        Observed(execution.prepare(student), own),
        Observed(execution.prepare_trained(teacher.generator), known),
        _judge(settings.losses, teacher, execution),
        adapters,
        _weights(settings.losses, further.context, teacher),
        further,
        shown,
        device,
    )
    networks = {GENERATOR: student, ADAPTERS: adapters, **further.networks("a_to_b", device)}
    optimizer = adam(networks.values(), training, fused=execution.fused)
    scaler = GradScaler(device.type, enabled=False)  # all is computed in float32
    state = TrainingState(networks, {"generator": optimizer}, {}, scaler, averages)
    proceed = proceeding([further], materials.steps)
    phase = Phase("generator", optimizer, tuple(networks), recipe.parts, prepare=proceed)
    return Recipe(state, (phase,), recipe.preview, recipe.convert)


def _teacher(losses: DistillationSettings, materials: Materials) -> Teacher:
    if losses.teacher is None:
        raise UsageError(
            "--model student needs a trained model to learn from: add --teacher, a run's folder or "
            "a weights file"
        )
    assert materials.open_teacher is not None
    teacher = materials.open_teacher(losses.teacher)
    channels = (materials.channels.input_nc, materials.channels.output_nc)
    if teacher.channels != channels:
        raise UserError(
            f"{losses.teacher}: converts {teacher.channels[0]} channels to {teacher.channels[1]}: "
            f"give --input_nc {teacher.channels[0]} --output_nc {teacher.channels[1]}"
        )
    for network in (teacher.generator, teacher.discriminator):
        if network is not None:
            network.to(materials.device).eval().requires_grad_(False)
    return teacher


def _student(settings: StudentSettings, materials: Materials) -> nn.Module:
    networks, channels = settings.networks, materials.channels
    network = settings.generator.build(channels.input_nc, channels.output_nc, networks.norm)
    initialize(network, networks.init_type, networks.init_gain)
    return network.to(materials.device).train()


Layers = Sequence[nn.Module]


def _stages(
    losses: DistillationSettings, student: nn.Module, teacher: Teacher
) -> tuple[Layers, Layers]:
    """Return the layers of both generators whose maps are compared, in order.

    Raises UserError where one of them names none.
    """
    if not losses.lambda_features:
        return (), ()
    found: list[Layers] = []
    for network in (student, teacher.generator):
        stages = getattr(network, "stages", None)
        if stages is None:
            raise UserError(
                f"--lambda_features {as_typed(losses.lambda_features)}: {type(network).__name__} "
                "does not declare which of its feature maps to compare: give --lambda_features 0"
            )
        found.append(stages())
    few = min(map(len, found))
    return found[0][-few:], found[1][-few:]


def _adapters(
    student: tuple[nn.Module, Layers], teacher: tuple[nn.Module, Layers], materials: Materials
) -> nn.ModuleList:
    """Return what leads from each map of the student to the channels of the teacher's."""
    image = torch.zeros(1, materials.channels.input_nc, _EXAMPLE, _EXAMPLE, device=materials.device)
    with torch.no_grad():
        own, known = (Observed(network, layers)(image)[1] for network, layers in (student, teacher))
    pairs = zip(own, known, strict=True)
    adapters = nn.ModuleList(Convolution(one.shape[1], other.shape[1], 1) for one, other in pairs)
    return adapters.to(materials.device).train()


_EXAMPLE = 32  # pixels a side


def _judge(losses: DistillationSettings, teacher: Teacher, execution: Execution) -> Observed | None:
    """Return the teacher's discriminator, observed behind each activation; None without one."""
    judge = teacher.discriminator
    if judge is None or not losses.lambda_discriminator:
        return None
    activations = [layer for layer in judge.modules() if isinstance(layer, nn.LeakyReLU)]
    return Observed(execution.prepare_trained(judge), activations)


def _weights(
    losses: DistillationSettings, context: LossContext, teacher: Teacher
) -> dict[str, float | Tensor]:
    """Return the weight of each difference that has one at any time of a run."""
    judged = losses.lambda_discriminator if teacher.discriminator is not None else 0.0
    weights = {
        "pixels": product(losses.lambda_pixels),
        "features": product(losses.lambda_features),
        "discriminator_maps": product(judged),
    }
    return {name: context.weigh(weight) for name, weight in weights.items() if weight}
