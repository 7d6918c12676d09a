"""Signs that a generator has gone wrong, in one number each."""

import torch
from torch import Tensor

from cyclegan.logged import Logged

DIVERSITY = Logged(
    "diversity", title="diversity of held-out fakes (0: all alike)", smooth=False, brief=False
)
LIGHT_AGREEMENT = Logged(
    "light_agreement", title="light kept (below 0: inverted)", smooth=False, brief=False
)
_REC_601 = (0.299, 0.587, 0.114)


def diversity(sources: Tensor, fakes: Tensor) -> float:
    """How much the fakes differ from each other, relative to how much their sources do.

    (N, C, H, W) in [-1, 1] both, N at least 2; near 0 all fakes are one image, near 1 they differ
    as their sources do.
    """
    return (_spread(fakes) / _spread(sources).clamp_min(1e-6)).item()


def light_agreement(sources: Tensor, fakes: Tensor) -> float:
    """Correlation of luminance (Rec. 601) from sources to fakes, in [-1, 1].

    (N, C, H, W) in [-1, 1] both. Below 0, what was light has become dark.
    """
    light = torch.stack([luminance(sources).flatten(), luminance(fakes).flatten()])
    # A picture of one gray has no correlation: 0 says nothing against it.
    return torch.corrcoef(light)[0, 1].nan_to_num(0.0).item()


def _spread(images: Tensor) -> Tensor:
    return (images - images.mean(0)).abs().mean()


def luminance(images: Tensor) -> Tensor:
    """Rec. 601 luminance (N, H, W) in [-1, 1] of images (N, C, H, W).

    Where channels are no colours, their mean.
    """
    if images.shape[1] != 3:
        return images.mean(1)
    weights = torch.tensor(_REC_601, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(1)
