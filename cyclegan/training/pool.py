"""The image pool: discriminators also see converted images of earlier steps."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from cyclegan.distributed import with_whole


class ImagePool:
    """Pool of up to `size` converted images. Shrivastava et al. 2017, section 2.3.

    While it fills, images are stored and returned. Then half of the time, image by image, a stored
    image is returned and the new one takes its place. Size 0 passes everything through.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        self._size = size
        self._images: list[Tensor] = []
        self._random = torch.Generator().manual_seed(seed)
        self._in_place: Tensor | None = None  # (size, C, H, W): all of them, for a captured graph
        self._choices = torch.empty(0)  # (N, 3): slot, whether to store there, whether to return it
        self._count = 0
        self._places: Iterator[Tensor] = iter(())

    def query(self, images: Tensor) -> Tensor:
        """Return each image or a stored one instead: (N, C, H, W) -> (N, C, H, W).

        Processes that share a batch each run the same pool, on the images of all.
        """
        if self._size == 0:
            return images
        return with_whole(images.detach(), self._query)

    def _query(self, images: Tensor) -> Tensor:
        if self._in_place is not None:
            return torch.cat([self._chosen(self._in_place, one) for one in torch.split(images, 1)])
        return torch.stack([self._exchange(image) for image in images])

    @property
    def begun(self) -> bool:
        """Whether images were asked for: before, nothing can be kept in place."""
        return self._size == 0 or bool(self._images)

    def keep_in_place(self) -> None:
        """Keep all images in one tensor from now on: a captured graph can't look into a list.

        From then on `decide` precedes `query` for each batch. Raises IndexError where no image
        gives the size yet.
        """
        if self._size == 0 or self._in_place is not None:
            return
        first = self._images[0]
        self._in_place = first.new_zeros(self._size, *first.shape)
        self._in_place[: len(self._images)] = torch.stack(self._images)
        self._images = list(self._in_place[: len(self._images)])
        self._choices = torch.zeros(_MOST, 3, dtype=torch.long, device=first.device)

    def decide(self, count: int) -> None:
        """Draw the choices for the next `count` images, where they are kept in place.

        They are drawn as for images in a list. The choices go where the graph reads them, and
        nothing waits for that.
        """
        if self._in_place is None:
            return
        drawn = torch.tensor([self._draw(self._in_place) for _ in range(count)])
        if self._choices.is_cuda:
            drawn = drawn.pin_memory()
        self._choices[:count].copy_(drawn, non_blocking=True)
        self._count = count
        self.repeat_choices()

    def repeat_choices(self) -> None:
        """Use the choices of the last `decide` again: a capture that failed may have used some."""
        self._places = iter(torch.split(self._choices[: self._count], 1))

    def choose(self) -> int | None:
        """Return the slot to exchange with, or None to return the new image."""
        if torch.rand((), generator=self._random) < 0.5:
            return None
        return int(torch.randint(self._size, (), generator=self._random))

    def state_dict(self) -> dict[str, Any]:
        """Return everything that decides what comes next, as tensors on the CPU."""
        return {
            "images": [image.to("cpu", copy=True) for image in self._images],
            "random": self._random.get_state(),
        }

    def _draw(self, kept: Tensor) -> tuple[int, bool, bool]:
        """Return the next image's slot, whether to store it there, and to return the stored one."""
        if len(self._images) < self._size:
            self._images.append(kept[len(self._images)])
            return len(self._images) - 1, True, False
        slot = self.choose()
        return (0, False, False) if slot is None else (slot, True, True)

    def _chosen(self, kept: Tensor, image: Tensor) -> Tensor:
        """Exchange one image (1, C, H, W) like `_exchange`, with its choice in a tensor."""
        slot, stores, returns = torch.split(next(self._places)[0], 1)
        stored = kept.index_select(0, slot)
        kept.index_copy_(0, slot, torch.where(stores.bool(), image, stored))
        return torch.where(returns.bool(), stored, image)

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Resume where `state` was taken."""
        self._in_place = None
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


_MOST = 1 << 16  # images in a step
