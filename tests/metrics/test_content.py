"""Content measures: nothing for the same, more for more."""

import pytest
import torch
from conftest import smooth_image
from skimage.metrics import structural_similarity

from cyclegan import images
from cyclegan.metrics.content import copies, feature_distance, ssim, structure_distance


def batch(count: int = 3) -> torch.Tensor:
    return torch.stack([images.to_tensor(smooth_image(n, (96, 80))) for n in range(count)])


def test_ssim_is_that_of_scikit_image() -> None:
    before = batch()
    after = (before + 0.2 * torch.randn(before.shape, generator=torch.Generator())).clamp(-1, 1)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    for one, other, value in zip(before, after, ssim(before, after), strict=True):
        _, everywhere = structural_similarity(
            (one * weights).sum(0).numpy(),
            (other * weights).sum(0).numpy(),
            data_range=2.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        assert value.item() == pytest.approx(everywhere.mean(), abs=5e-3)


def test_nothing_changed_is_nothing_lost() -> None:
    before = batch()
    assert torch.allclose(ssim(before, before), torch.ones(3))
    assert feature_distance([before], [before]).abs().max() == 0
    assert structure_distance(before, before).abs().max() == 0
    assert copies(before, before) == 1.0


def test_structure_does_not_mind_scaled_features() -> None:
    maps = torch.rand(2, 8, 5, 5)
    assert torch.allclose(structure_distance(maps, 3 * maps), torch.zeros(2), atol=1e-6)
    assert structure_distance(maps, maps.flip(3)).min() > 0.01


def test_opposite_features_are_farthest() -> None:
    maps = torch.rand(2, 8, 5, 5)
    assert torch.allclose(feature_distance([maps, maps], [maps, -maps]), torch.tensor([2.0, 2.0]))


def test_copies_are_counted() -> None:
    before = batch(4)
    after = before.clone()
    after[0] = -after[0]
    after[1] += 1 / 255
    assert copies(before, after) == 0.75
