"""The optimizer of all networks that are trained."""

from collections.abc import Iterable
from itertools import chain

from torch import nn
from torch.optim import Adam

from cyclegan.training import TrainingSettings


def adam(networks: Iterable[nn.Module], settings: TrainingSettings, *, fused: bool) -> Adam:
    """Adam over all parameters of `networks`, as in the classic. Kingma and Ba 2015."""
    parameters = chain.from_iterable(network.parameters() for network in networks)
    how = {"fused": True} if fused else {"foreach": False}
    return Adam(parameters, lr=settings.lr, betas=(settings.beta1, 0.999), **how)
