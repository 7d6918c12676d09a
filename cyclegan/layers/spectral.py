"""Spectral normalisation."""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def with_spectral_norm(network: nn.Module) -> nn.Module:
    """Let every convolution's weights be divided by their largest singular value, in place.

    Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks". Returns the
    network.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d):
            spectral_norm(module)
    return network
