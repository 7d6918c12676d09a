"""Everything that changes while training."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from cyclegan.training.averages import Averages
from cyclegan.training.pool import ImagePool


@dataclass(frozen=True)
class TrainingState:
    """Networks, optimizers and pools by name; torch's random numbers go with them."""

    networks: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]
    pools: dict[str, ImagePool]
    scaler: GradScaler
    """keeps small float16 gradients from vanishing; does nothing in other precisions"""
    averages: Averages = field(default_factory=Averages)

    def reserve(self) -> None:
        """Make room for gradients and Adam's moments now.

        Made within the first step, between maps that come and go, they would leave holes in the
        memory for the whole run.
        """
        for optimizer in self.optimizers.values():
            for weights in (p for group in optimizer.param_groups for p in group["params"]):
                weights.grad = torch.zeros_like(weights)
                optimizer.state[weights] = {
                    "step": torch.zeros((), device=weights.device),
                    "exp_avg": torch.zeros_like(weights),
                    "exp_avg_sq": torch.zeros_like(weights),
                }

    def not_finite(self) -> list[str]:
        """The networks that hold NaN or infinite weights: nothing can go on from them."""
        return [
            name
            for name, network in self.networks.items()
            if not all(bool(values.isfinite().all()) for values in network.state_dict().values())
        ]

    def state_dict(self) -> dict[str, Any]:
        """All of it as tensors and plain builtins."""
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
            "random": {
                "cpu": torch.get_rng_state(),
                "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            },
        }

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on where `state` was taken, on another device too."""
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        averages = state.get("averages", {})
        for name, network in self.averages.networks.items():
            network.load_state_dict(averages.get(name, state["networks"][name]))
        for name, optimizer in self.optimizers.items():
            groups = optimizer.state_dict()["param_groups"]
            learnt = state["optimizers"][name]
            optimizer.load_state_dict({"state": learnt, "param_groups": groups})
        for name, pool in self.pools.items():
            pool.load_state_dict(state["pools"][name], device)
        if state.get("scaler") and self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"]["cpu"])
        if torch.cuda.is_available() and len(state["random"]["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["random"]["cuda"])
