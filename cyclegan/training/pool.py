"""The image pool: discriminators also see converted images of earlier steps."""

from typing import Any

import torch
from torch import Tensor


class ImagePool:
    """Keeps up to `size` converted images. Shrivastava et al. 2017, section 2.3.

    While it fills, images are stored and returned. Then half of the time, image by image, a
    stored image is returned and the new one takes its place. Size 0 passes everything through.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        self._size = size
        self._images: list[Tensor] = []
        self._random = torch.Generator().manual_seed(seed)

    def query(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W): each image itself or a stored one instead."""
        if self._size == 0:
            return images
        return torch.stack([self._exchange(image) for image in images.detach()])

    def choose(self) -> int | None:
        """The slot to exchange with, or None to return the new image."""
        if torch.rand((), generator=self._random) < 0.5:
            return None
        return int(torch.randint(self._size, (), generator=self._random))

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides what comes next, as tensors on the CPU."""
        return {
            "images": [image.cpu() for image in self._images],
            "random": self._random.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on where `state` was taken."""
        self._images = [image.to(device, copy=True) for image in state["images"]]
        self._random.set_state(state["random"])

    def _exchange(self, image: Tensor) -> Tensor:
        if len(self._images) < self._size:
            self._images.append(image.clone())
            return image
        slot = self.choose()
        if slot is None:
            return image
        stored, self._images[slot] = self._images[slot], image.clone()
        return stored
