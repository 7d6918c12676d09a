"""The weights that a new run starts from."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from cyclegan import checkpoint, classic, wrapped
from cyclegan.errors import UserError
from cyclegan.run_folder import RunFolder
from cyclegan.runtimes.tensors import read_tensors
from cyclegan.training.phase import Phase, Recipe
from cyclegan.wrapped import NETWORKS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Initial:
    """The weights of one network, and the file they are from."""

    weights: Mapping[str, Tensor]
    path: Path

    def __post_init__(self) -> None:
        """Raises UserError where training would begin with what is no number."""
        broken = [key for key, tensor in self.weights.items() if not tensor.isfinite().all()]
        if broken:
            raise UserError(f"{self.path}: NaN or infinite ({broken[0]}): give other weights")


def initial_weights(source: Path, *, trust_code: bool) -> dict[str, Initial]:
    """What `source` holds, by our names of the networks.

    It is a run's folder, a folder of the classic's files, a checkpoint, or a file of other scripts
    with one network or several. Programs are opened only with `trust_code`. Raises UserError.
    """
    if source.is_dir() and not RunFolder(source).saved():
        return {
            name: Initial(classic.clean(read_tensors(path, trust_code=trust_code), path), path)
            for name, path in classic.find_files(source).items()
        }
    path = source
    if source.is_dir():
        path = checkpoint.path_of(source, RunFolder(source).newest())
    content = read_tensors(path, trust_code=trust_code)
    if checkpoint.is_checkpoint(content):
        found = checkpoint.from_plain(content, path).state["networks"]
    else:
        found = _named(content, path)
    return {name: Initial(weights, path) for name, weights in found.items()}


def _named(content: Any, path: Path) -> dict[str, Mapping[str, Tensor]]:
    """The networks of a file of other scripts; one alone may be named by the file.

    A generator that nothing names is that of the direction that is trained: published weights are
    one generator, latest_net_G.pth.
    """
    found = classic.every(content, path)
    named: dict[str, Mapping[str, Tensor]] = {}
    for name, weights in found.items():
        alone = len(found) == 1 and wrapped.is_generator(weights)
        ours = wrapped.known(name) or wrapped.known(path.stem)
        ours = ours or (NETWORKS["G_A"] if alone else None)
        if ours is None or ours in named:
            raise UserError(
                f"{path}: holds {', '.join(n or 'a network' for n in found)}, and which of "
                f"{', '.join(NETWORKS.values())} that is, is not clear: call the file "
                "latest_net_G_A.pth, or the networks netG_A, netG_B, netD_A and netD_B"
            )
        named[ours] = weights
    return named


def take_in(recipe: Recipe, given: Mapping[str, Initial]) -> None:
    """Load what there is, and tell what starts fresh. Raises UserError where nothing fits."""
    networks = recipe.state.networks
    taken = [name for name in networks if name in given]
    source = next(iter(given.values())).path
    if not taken:
        raise UserError(
            f"{source}: holds {', '.join(given)}, and this run trains {', '.join(networks)}"
        )
    for name in taken:
        classic.load_into(networks[name], given[name].weights, given[name].path)
    fresh = [name for name in networks if name not in given]
    if fresh:
        log.warning(
            "%s: holds %s; %s start fresh%s",
            source,
            ", ".join(taken),
            ", ".join(fresh),
            _learning_alone(recipe.phases),
        )


def _learning_alone(phases: Sequence[Phase]) -> str:
    """What learns before the rest does, and for how many steps."""
    warmup = max(phase.begins for phase in phases)
    first = " and ".join(phase.name for phase in phases if not phase.begins)
    return f", and for {warmup} steps the {first} learn alone" if warmup else ""
