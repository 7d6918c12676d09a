"""Sum of gradients over processes, begun while the rest of them is still computed."""

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from functools import partial
from itertools import accumulate, pairwise

import torch
from torch import Tensor, distributed
from torch.optim import Optimizer

from cyclegan.distributed import Group


class GradientSum:
    """Gradients of an optimizer and, behind them, losses: summed in place over the processes.

    The gradients become views of one flat buffer, so that nothing is copied. A bucket of it is
    summed as soon as nothing will be added to it any more; Li et al. 2020, "PyTorch Distributed:
    Experiences on Accelerating Data Parallel Training", section 3.2. How often each bucket grows,
    and which is complete first, is seen in the first step of a kind. There is no wrapper around the
    networks: several passes share weights, phases freeze networks, penalties differentiate twice,
    and each part has a backward of its own.
    """

    def __init__(self, optimizer: Optimizer, group: Group) -> None:
        self._group = group
        weights = _weights(optimizer)
        *starts, end = accumulate(map(_room, weights), initial=0)
        first = weights[0]
        buffer = torch.zeros(end + _LOSSES, device=first.device, dtype=first.dtype)
        self._losses = buffer[end:]
        bounds = [*_bucket_starts(starts, BUCKET // first.element_size()), end]
        self._buckets = [buffer[start:stop] for start, stop in pairwise(bounds)]
        bucket = -1
        for weight, start in zip(weights, starts, strict=True):
            weight.grad = buffer.as_strided(weight.shape, weight.stride(), start)
            bucket += start in bounds
            _after_each_backward(weight, partial(self._grown_by_one, bucket))
        self._known: dict[Hashable, dict[int, int]] = {}
        """by the kind of step: how often each bucket grows, in the order of completion"""
        self._growths: dict[int, int] | None = None
        """of the present step; None between steps"""
        self._kind: Hashable = None
        self._due: deque[int] = deque()
        self._running: list[distributed.Work] = []

    def begin(self, kind: Hashable) -> None:
        """Begin to follow the gradients of a step, zeroed before; equal kinds grow equally."""
        self._kind, self._growths, self._running = kind, {}, []
        self._due = deque(self._known.get(kind, ()))

    def finish(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Wait until the gradients of the step are summed; return the sums of `losses`."""
        if self._kind not in self._known:
            growths = self._group.from_lead(lambda: self._growths or {})
            self._known[self._kind] = growths
            self._due = deque(growths)
        while self._due:
            self._sum(self._buckets[self._due.popleft()])
        told = self._losses[: len(losses)]
        if losses:
            told.copy_(torch.stack(list(losses.values())))
            self._sum(told)
        for work in self._running:
            work.wait()
        self._growths = None
        return dict(zip(losses, told.clone().unbind(), strict=True))

    def _grown_by_one(self, bucket: int, _: Tensor) -> None:
        """Note that a weight's gradient grew; sum the buckets that this completes, in order."""
        if self._growths is None:
            return
        grown = self._growths.pop(bucket, 0) + 1  # inserted anew: the last to grow stands last
        self._growths[bucket] = grown
        known = self._known.get(self._kind)
        if known is None:
            return
        if grown > known.get(bucket, 0):
            raise RuntimeError(f"a gradient grew after it was summed, in a step of {self._kind}")
        while self._due and self._growths.get(self._due[0]) == known[self._due[0]]:
            self._sum(self._buckets[self._due.popleft()])

    def _sum(self, values: Tensor) -> None:
        self._running.append(distributed.all_reduce(values, async_op=True))


def bytes_summed(optimizer: Optimizer) -> int:
    """Return the bytes that an optimizer's step sums over processes."""
    weights = _weights(optimizer)
    return (sum(map(_room, weights)) + _LOSSES) * weights[0].element_size()


def _bucket_starts(starts: Sequence[int], each: int) -> Iterator[int]:
    """Yield where buckets start, of about `each` numbers: always with a weight."""
    before = -1
    for start in starts:
        if start // each != before:
            yield start
        before = start // each


def _after_each_backward(weight: Tensor, do: partial[None]) -> None:
    """Call `do` whenever a backward has added to the gradient of a weight, frozen now or not."""
    learns = weight.requires_grad
    weight.requires_grad_(True).register_post_accumulate_grad_hook(do)  # type: ignore[no-untyped-call]
    weight.requires_grad_(learns)


def _weights(optimizer: Optimizer) -> list[Tensor]:
    return [one for group in optimizer.param_groups for one in group["params"]]


def _room(weight: Tensor) -> int:
    return -(-weight.numel() // _ALIGNED) * _ALIGNED


#: Bytes of a bucket.
BUCKET = 6_000_000
_LOSSES = 64  # that a phase has at most
_ALIGNED = 16  # numbers: kernels read several at once
