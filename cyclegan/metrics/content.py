"""Metrics of how much of a picture's content a conversion keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.image import structural_similarity_index_measure

from cyclegan.metrics.collapse import luminance

COPY = 2 / 255  # mean difference in parts of the range below which a picture is its input


@dataclass(frozen=True)
class Content:
    """Content that conversions keep, as means over pictures."""

    ssim: float
    """structural similarity of luminance, in [-1, 1]; 1 keeps everything"""
    feature_distance: float
    """of normalised feature maps per position, in [0, 4]; 0 keeps everything"""
    structure_distance: float
    """of self-similarity between positions, in [0, 2]; mostly ignores colours"""


def ssim(before: Tensor, after: Tensor) -> Tensor:
    """Return the structural similarity of luminance of each image; (N, C, H, W) in [-1, 1].

    Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity".
    """
    light = (luminance(before).unsqueeze(1), luminance(after).unsqueeze(1))
    similar = structural_similarity_index_measure(*light, data_range=2.0, reduction="none")
    return cast(Tensor, similar)


def feature_distance(before: Sequence[Tensor], after: Sequence[Tensor]) -> Tensor:
    """Return the squared distance of unit vectors place by place of each image, averaged over maps.

    As LPIPS without its trained weights: Zhang et al. 2018, "The Unreasonable Effectiveness of Deep
    Features as a Perceptual Metric", section 3.
    """
    each = [
        (functional.normalize(one, dim=1) - functional.normalize(other, dim=1)).square().sum(1)
        for one, other in zip(before, after, strict=True)
    ]
    return torch.stack([distance.mean(dim=(1, 2)) for distance in each]).mean(0)


def structure_distance(before: Tensor, after: Tensor) -> Tensor:
    """Return the mean difference of cosine similarities between all places, for each image.

    The self-similarity of Tumanyan et al. 2022, "Splicing ViT Features for Semantic Appearance
    Transfer", section 3.1, on a map (N, C, h, w) of any network.
    """
    return (_self_similarity(before) - _self_similarity(after)).abs().mean(dim=(1, 2))


def copies(before: Tensor, after: Tensor) -> float:
    """Return the share of pictures that equal their inputs within two levels of 255 on average."""
    difference = (before - after).abs().flatten(1).mean(1) / 2
    return (difference < COPY).float().mean().item()


def _self_similarity(maps: Tensor) -> Tensor:
    places = functional.normalize(maps.flatten(2), dim=1)  # (N, C, h * w)
    return places.transpose(1, 2) @ places
