"""What a recipe gives to the trainer: phases, and the parts that each is made of."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor
from torch.optim import Optimizer

from cyclegan.data.feed import Batch
from cyclegan.losses import Direction
from cyclegan.training.state import TrainingState
from cyclegan.translation import Translation

Translations = Mapping[str, Translation]


@dataclass(frozen=True)
class Part:
    """The losses of one backward pass, and what was made on the way for later phases to use."""

    losses: dict[str, Tensor]
    """scalars by the names that are logged; their sum is minimised"""
    translations: Translations = field(default_factory=dict)
    """by direction, without graphs"""


@dataclass(frozen=True)
class Phase:
    """One optimizer's share of a step.

    Before the step `begins` nothing is learnt: the parts are only made for what later phases and
    logs need of them. `parts` takes the batch, all translations made so far of it and the number
    of the step, and yields one part per backward pass, so that the graphs of two parts never live
    together.
    """

    name: str
    optimizer: Optimizer
    trains: tuple[str, ...]
    parts: Callable[[Batch, Translations, int], Iterator[Part]]
    begins: int = 0
    turn: Callable[[int], Hashable] = lambda step: None
    """what the parts of the step of a number depend on: steps of one turn launch the same"""


@dataclass(frozen=True)
class Recipe:
    """What is trained together: its state, the phases of a step, and what shows how it does.

    `preview` translates a batch as a conversion would, and leaves the state as it is; so does
    `convert`, in one direction only and in the type that training computes in.
    """

    state: TrainingState
    phases: tuple[Phase, ...]
    preview: Callable[[Batch], Translations]
    convert: Callable[[Direction, Tensor], Tensor]
