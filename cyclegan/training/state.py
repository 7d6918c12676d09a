"""Training state: networks, their averages, optimizers, learning rates, pools, random numbers."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Adam, Optimizer

from cyclegan.device import random_numbers, restore_random_numbers
from cyclegan.distributed import Group
from cyclegan.errors import UserError
from cyclegan.training import LrPolicy, TrainingSettings
from cyclegan.training.pool import ImagePool


@dataclass(frozen=True)
class Averages:
    """Exponential moving averages of the trained networks' weights.

    Yazici et al. 2019, "The Unusual Effectiveness of Averaging in GAN Training".
    """

    networks: dict[str, nn.Module] = field(default_factory=dict)
    """by the names of the averaged networks"""
    decay: float = 0.0
    """EMA decay per step"""

    def restart(self, trained: Mapping[str, nn.Module]) -> None:
        """Take over the trained weights as they are: averages of other ones mean nothing."""
        for name, average in self.networks.items():
            average.load_state_dict(trained[name].state_dict())

    @torch.no_grad()
    def follow(self, trained: Mapping[str, nn.Module], step: int) -> None:
        """Update the averages after a step, counted from 0; the first steps don't count for long.

        Statistics of BatchNorm are copied: they are averages already.
        """
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, average in self.networks.items():
            torch._foreach_lerp_(
                list(average.parameters()), list(trained[name].parameters()), share
            )
            for kept, new in zip(average.buffers(), trained[name].buffers(), strict=True):
                kept.copy_(new)


@dataclass(frozen=True)
class TrainingState:
    """Networks, optimizers and pools by name, saved with torch's random numbers."""

    networks: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]
    pools: dict[str, ImagePool]
    scaler: GradScaler
    """keeps small float16 gradients from vanishing; does nothing in other precisions"""
    averages: Averages = field(default_factory=Averages)

    @property
    def device(self) -> torch.device:
        """Device that computes, where the weights are."""
        return next(next(iter(self.networks.values())).parameters()).device

    def reserve(self) -> None:
        """Allocate gradients and Adam's moments now.

        Allocated within the first step, between maps that come and go, they would leave holes in
        the memory for the whole run.
        """
        for optimizer in self.optimizers.values():
            for weights in (p for group in optimizer.param_groups for p in group["params"]):
                weights.grad = torch.zeros_like(weights)
                optimizer.state[weights] = {
                    "step": torch.zeros((), device=weights.device),
                    "exp_avg": torch.zeros_like(weights),
                    "exp_avg_sq": torch.zeros_like(weights),
                }

    def share(self, group: Group) -> None:
        """Take over all that the leading process of a group has.

        BatchNorm is synchronised on CUDA. Raises UserError elsewhere: torch can't do it there.
        """
        if group.size == 1:
            return
        for network in self.networks.values():
            if any(isinstance(part, nn.BatchNorm2d) for part in network.modules()):
                if self.device.type != "cuda":
                    raise UserError(
                        f"--norm batch: {group.size} processes can't synchronise batch statistics "
                        "without CUDA: give --norm instance, or start one process"
                    )
                nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        self.load_state_dict(group.from_lead(self.state_dict), self.device)

    def not_finite(self) -> list[str]:
        """Return the networks with NaN or infinite weights, which no training can go on from."""
        return [
            name
            for name, network in self.networks.items()
            if not all(bool(values.isfinite().all()) for values in network.state_dict().values())
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return the whole state as tensors and plain builtins."""
        return {
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "averages": {
                name: network.state_dict() for name, network in self.averages.networks.items()
            },
            "optimizers": {
                # Rates and betas follow from the settings; only what Adam has learnt is state.
                name: optimizer.state_dict()["state"]
                for name, optimizer in self.optimizers.items()
            },
            "pools": {name: pool.state_dict() for name, pool in self.pools.items()},
            "scaler": self.scaler.state_dict(),
            "random": random_numbers(self.device),
        }

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Resume where `state` was taken, on another device and in another layout too.

        Raises KeyError, RuntimeError, TypeError or ValueError where it is of other networks.
        """
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        averages = state.get("averages", {})
        for name, network in self.averages.networks.items():
            network.load_state_dict(averages.get(name, state["networks"][name]))
        for name, optimizer in self.optimizers.items():
            _load_moments(optimizer, state["optimizers"][name], name)
        for name, pool in self.pools.items():
            pool.load_state_dict(state["pools"][name], device)
        if state.get("scaler") and self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        restore_random_numbers(state["random"], device)


def _load_moments(
    optimizer: Optimizer, learnt: Mapping[int, Mapping[str, Tensor]], of: str
) -> None:
    """Load Adam's moments, laid out in memory as the weights are.

    Its fused kernels walk through weights and moments side by side, whatever their strides say.
    """
    groups = optimizer.state_dict()["param_groups"]
    weights = [each for group in optimizer.param_groups for each in group["params"]]
    if learnt and learnt.keys() != set(range(len(weights))):  # all, or none before its first step
        raise ValueError(f"{of}: moments are missing")
    for number, values in learnt.items():
        shapes = {name: value.shape for name, value in values.items()}
        if shapes != _shapes(weights[number]):
            raise ValueError(f"{of}: moments of other weights")
    optimizer.load_state_dict({"state": dict(learnt), "param_groups": groups})
    for one, values in optimizer.state.items():
        for name in _MOMENTS:
            values[name] = torch.empty_like(one).copy_(values[name])


def _shapes(weights: Tensor) -> dict[str, torch.Size]:
    """Return the shapes of what Adam learns about `weights`."""
    return {"step": torch.Size()} | dict.fromkeys(_MOMENTS, weights.shape)


_MOMENTS = ("exp_avg", "exp_avg_sq")


def _linear(done: int, settings: TrainingSettings) -> float:
    over = max(0, done + settings.epoch_count - settings.n_epochs)
    return 1.0 - over / (settings.n_epochs_decay + 1)


def _cosine(done: int, settings: TrainingSettings) -> float:
    """Return half a cosine over the whole run. Loshchilov and Hutter 2017, section 3."""
    epochs = max(1, settings.epochs)
    return (1 + math.cos(math.pi * min(1.0, done / epochs))) / 2


def _step(done: int, settings: TrainingSettings) -> float:
    return float(0.1 ** (done // settings.lr_decay_iters))


def _constant(done: int, settings: TrainingSettings) -> float:
    return 1.0


#: The one table of learning rate policies (`--lr_policy`).
POLICIES: dict[LrPolicy, Callable[[int, TrainingSettings], float]] = {
    "linear": _linear,
    "cosine": _cosine,
    "step": _step,
    "constant": _constant,
}


def learning_rate(settings: TrainingSettings, epoch: int) -> float:
    """Return the rate of an epoch, counted from 1, `epoch_count` being the run's first."""
    done = epoch - settings.epoch_count
    risen = min(1.0, (done + 1) / (settings.lr_warmup + 1))
    return settings.lr * risen * max(0.0, POLICIES[settings.lr_policy](done, settings))


def adam(networks: Iterable[nn.Module], settings: TrainingSettings, *, fused: bool) -> Adam:
    """Return Adam over all parameters of `networks`, as in the classic. Kingma and Ba 2015."""
    parameters = chain.from_iterable(network.parameters() for network in networks)
    how = {"fused": True} if fused else {"foreach": False}
    return Adam(parameters, lr=settings.lr, betas=(settings.beta1, 0.999), **how)
