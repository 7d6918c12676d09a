"""Whitening and colouring: content takes on how the style's features go together."""

import torch
from torch import Tensor, nn

# Of the largest eigenvalue: directions that hold less are noise, and whitening would blow it up.
_FLOOR = 1e-6


class WhiteningColouring(nn.Module):
    """Content maps (N, C, h, w), style maps (N, C, h', w') -> maps (N, C, h, w); no weights.

    Li et al. 2017, "Universal Style Transfer via Feature Transforms", section 3.2. Computed in
    float64: eigenvectors of nearly equal eigenvalues are as good as random in less.
    """

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        device = "cpu" if content.device.type == "mps" else content.device  # has no float64
        flat = content.to(device, torch.float64).flatten(2)
        wanted = style.to(device, torch.float64).flatten(2)
        whitened = _root(_covariance(flat), -0.5) @ _centred(flat)
        coloured = _root(_covariance(wanted), 0.5) @ whitened
        made = coloured + wanted.mean(2, keepdim=True)
        return made.to(content.device, content.dtype).view_as(content)


def _centred(flat: Tensor) -> Tensor:
    return flat - flat.mean(2, keepdim=True)


def _covariance(flat: Tensor) -> Tensor:
    """Features (N, C, places) -> (N, C, C)."""
    centred = _centred(flat)
    return centred @ centred.transpose(1, 2) / flat.shape[2]


def _root(covariance: Tensor, power: float) -> Tensor:
    """The matrices (N, C, C) to that power, within the directions that hold anything."""
    values, vectors = torch.linalg.eigh(covariance)
    least = values[:, -1:].clamp_min(torch.finfo(values.dtype).tiny) * _FLOOR
    powers = torch.where(values > least, values.clamp_min(least).pow(power), 0.0)
    root: Tensor = (vectors * powers[:, None]) @ vectors.transpose(1, 2)
    return root
