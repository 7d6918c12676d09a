"""PatchNCE: each place of the fake should be most like the same place of the source."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from cyclegan.losses.context import Encode, Loss, LossContext

COUNT = 256  # places that are looked at in each map
TEMPERATURE = 0.07
WIDTH = 256  # features that a place is compared by


class Heads(nn.Module):
    """Two layers for each map of an encoder, which make places comparable: (P, C) -> (P, 256)."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(number, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
            for number in channels
        )

    def forward(self, number: int, places: Tensor) -> Tensor:
        made: Tensor = functional.normalize(self.heads[number](places), dim=-1)
        return made


def patch_nce(context: LossContext) -> Loss:
    """Return the loss from source to fake, with heads of its own."""
    encode, example = context.encode, context.example
    assert encode is not None
    assert example is not None
    with torch.no_grad():
        maps = encode(example)
    patches = Patches(encode, context.keep("heads", Heads([one.shape[1] for one in maps])))
    return lambda translation: patches.loss(translation.source, translation.fake)


@dataclass(frozen=True)
class Patches:
    """A generator's encoder and its PatchNCE heads."""

    encode: Encode
    """images (N, C, H, W) in [-1, 1] -> maps, from fine to coarse"""
    heads: Heads

    def loss(self, source: Tensor, fake: Tensor) -> Tensor:
        """Return the PatchNCE loss of `fake` against `source`, a scalar.

        Park et al. 2020, "Contrastive Learning for Unpaired Image-to-Image Translation", section 3:
        among all places of the same source, a place of the fake should find its own. Draws the
        places from torch's generator of the images' device.
        """
        pairs = zip(self.encode(fake), self.encode(source), strict=True)
        each = [self._of_map(number, one, other) for number, (one, other) in enumerate(pairs)]
        return torch.stack(each).mean()

    def _of_map(self, number: int, fake: Tensor, source: Tensor) -> Tensor:
        places = fake.shape[2] * fake.shape[3]
        chosen = torch.randperm(places, device=fake.device)[:COUNT]
        query, key = (self._seen(number, maps, chosen) for maps in (fake, source.detach()))
        alike = query @ key.transpose(1, 2) / TEMPERATURE  # (N, P, P)
        own = torch.arange(len(chosen), device=fake.device).expand(len(fake), -1)
        return functional.cross_entropy(alike.flatten(0, 1), own.flatten())

    def _seen(self, number: int, maps: Tensor, chosen: Tensor) -> Tensor:
        """Return features (N, P, 256) of the chosen places."""
        places = maps.flatten(2)[:, :, chosen].transpose(1, 2)
        seen: Tensor = self.heads(number, places.to(next(self.heads.parameters()).dtype))
        return seen
