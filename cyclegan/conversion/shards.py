"""Shards of a conversion: disjoint shares of its jobs, the same in every process that asks.

A long clip is shared by its frames.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heapreplace
from typing import TypeVar

from cyclegan.distributed import started
from cyclegan.errors import UsageError

T = TypeVar("T")
_ARRAY = "SLURM_ARRAY_TASK_"


@dataclass(frozen=True)
class Shard:
    """One of `count` shares of the jobs of a conversion."""

    number: int
    """from 1 to `count`"""
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def asked(cls, given: str | None) -> "Shard | None":
        """Return the shard that `--shard` and torchrun ask of this process; None for the whole.

        Processes of torchrun divide what `--shard` gives them once more. Raises UsageError.
        """
        group = started()
        inner = None if group.size == 1 else cls(group.rank + 1, group.size)
        if given is None:
            return inner
        outer = cls._of_array(inner) if given == "auto" else cls._parsed(given)
        if inner is None or outer is inner:
            return outer
        return cls((outer.number - 1) * inner.count + inner.number, outer.count * inner.count)

    @classmethod
    def _parsed(cls, given: str) -> "Shard":
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", given)
        number, count = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= count:
            raise UsageError(
                f"--shard {given}: give i/n with i from 1 to n, as 1/4, or auto under SLURM"
            )
        return cls(number, count)

    @classmethod
    def _of_array(cls, inner: "Shard | None") -> "Shard":
        """Return the shard of this task of SLURM's array; `inner` where there is no array."""
        task, first, count, step = (
            os.environ.get(f"{_ARRAY}{name}", "") for name in ("ID", "MIN", "COUNT", "STEP")
        )
        if not task and inner is not None:
            return inner
        if not all(value.isdecimal() for value in (task, first, count)):
            raise UsageError(
                f"--shard auto: {_ARRAY}ID, {_ARRAY}MIN and {_ARRAY}COUNT are not set, and this "
                "is not running under torchrun: give --shard i/n"
            )
        stride = max(1, int(step)) if step.isdecimal() else 1
        place, left = divmod(int(task) - int(first), stride)
        if left or not 0 <= place < int(count):
            raise UsageError(
                f"--shard auto: task {task} of {count} from {first}: number the array in equal "
                "steps, as --array 1-8, or give --shard i/n"
            )
        return cls(place + 1, int(count))

    def stretch(self, count: int) -> range:
        """Return this shard's share of `count` things in a row."""
        return range(*(count * number // self.count for number in (self.number - 1, self.number)))

    def share(
        self, items: Sequence[T], weights: Sequence[int], before: Sequence[int] = ()
    ) -> list[T]:
        """Return the items of this shard, in their order.

        The heaviest item goes first, each to the shard that weighs least; among equals the first.
        `before` is what each shard weighs without them; by default nothing.
        """
        loads = [(load, shard) for shard, load in enumerate(before or [0] * self.count)]
        heapify(loads)
        own = []
        for place in sorted(range(len(items)), key=lambda place: -weights[place]):
            load, shard = loads[0]
            heapreplace(loads, (load + weights[place], shard))
            if shard == self.number - 1:
                own.append(place)
        return [items[place] for place in sorted(own)]


@dataclass(frozen=True)
class ClipPart:
    """A stretch of a clip's frames, of which a shard makes no others."""

    first: int
    """number of its first frame, from 0"""
    end: int
    """number of the frame behind its last one"""
    times: Sequence[int] = field(repr=False)
    """when each frame of the whole clip is shown, in the clip's time base"""

    def __str__(self) -> str:
        return f"frames {self.first + 1} to {self.end} of {len(self.times)}"
