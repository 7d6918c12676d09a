"""Learning rates by the policies' names, and the optimizer."""

import math
from collections.abc import Callable, Iterable
from itertools import chain

from torch import nn
from torch.optim import Adam

from cyclegan.training import LrPolicy, TrainingSettings


def _linear(done: int, settings: TrainingSettings) -> float:
    over = max(0, done + settings.epoch_count - settings.n_epochs)
    return 1.0 - over / (settings.n_epochs_decay + 1)


def _cosine(done: int, settings: TrainingSettings) -> float:
    """Return half a cosine over the whole run. Loshchilov and Hutter 2017, section 3."""
    epochs = max(1, settings.last_epoch - settings.epoch_count + 1)
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
