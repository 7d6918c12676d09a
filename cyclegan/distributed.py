"""Processes that torchrun started for one training: what they share, and what they agree on."""

import logging
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cyclegan.errors import UsageError, UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class BatchShare:
    """What a process computes of a batch that all processes share."""

    start: int
    """the first of its images, counted in the whole batch"""
    stop: int
    whole: int
    """images of the whole batch"""
    counts: bool = True
    """False where there are fewer images than processes: it then computes along, with weight 0"""

    @classmethod
    def of(cls, whole: int, rank: int, processes: int) -> "BatchShare":
        """Return the share of process `rank`; shares differ by one image at most."""
        start, stop = (whole * place // processes for place in (rank, rank + 1))
        return cls(start, stop, whole) if start < stop else cls(whole - 1, whole, whole, False)


@dataclass(frozen=True)
class Group:
    """The processes of one training, seen from one of them; a process alone is one too."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """number among the processes of this machine"""

    @property
    def leads(self) -> bool:
        """True for the process that owns the run's folder and all that a clock decides."""
        return self.rank == 0

    def check_share(self, batch_size: int) -> None:
        """Raise UsageError where there are more processes than images in a batch."""
        if self.size > batch_size:
            raise UsageError(
                f"--batch_size {batch_size}: the {self.size} processes of torchrun share each "
                f"batch: give --batch_size {self.size} or more, or start fewer"
            )

    def share(self, images: int) -> BatchShare | None:
        """Return this process's share of a batch; None for a process alone."""
        return None if self.size == 1 else BatchShare.of(images, self.rank, self.size)

    def from_lead(self, make: Callable[[], T]) -> T:
        """Return what `make` returns in the leading process, in all of them."""
        if self.size == 1:
            return make()
        import torch
        from torch import distributed

        made = [make() if self.leads else None]
        distributed.broadcast_object_list(made, src=0, device=torch.device("cpu"))
        return made[0]  # type: ignore[return-value]

    def in_turn(self, do: Callable[[], T]) -> T:
        """Return what `do` returns, done in the leading process before the others begin it."""
        own = [do()] if self.leads else []
        self.wait()
        return own[0] if own else do()

    def gathered(self, value: T) -> list[T]:
        """Return the values of all processes, by rank."""
        if self.size == 1:
            return [value]
        from torch import distributed

        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, value)
        return found

    def spread(self, items: Sequence[S], do: Callable[[S], T]) -> list[T]:
        """Return what `do` returns for each item, done by one process each."""
        own = [do(item) for item in items[self.rank :: self.size]]
        by_rank = self.gathered(own)
        return [by_rank[n % self.size][n // self.size] for n in range(len(items))]

    def per_machine(self, make: Callable[[], T]) -> T:
        """Return what the first process of this machine makes, in all of this machine."""
        own = make() if self.local_rank == 0 else None
        found = self.gathered((platform.node(), self.local_rank == 0, own))
        here = platform.node()
        return next(made for host, first, made in found if first and host == here)  # type: ignore[return-value]

    def device_of(self, name: str) -> str:
        """Return the name of this process's device, where `name` leaves open which GPU it is."""
        import torch

        if self.size == 1 or name not in ("auto", "cuda") or not torch.cuda.is_available():
            return name
        return f"cuda:{self.local_rank % torch.cuda.device_count()}"

    def agreed(self, stop: int | None, *wishes: bool) -> tuple[int | None, list[bool]]:
        """Return a signal that any process was sent, and the wishes of the leading process."""
        if self.size == 1:
            return stop, list(wishes)
        import torch
        from torch import distributed

        own = [int(wish and self.leads) for wish in wishes]
        told = torch.tensor([stop or 0, *own], dtype=torch.int32)
        distributed.all_reduce(told, distributed.ReduceOp.MAX)
        signal, *granted = told.tolist()
        return signal or None, [bool(one) for one in granted]

    def any(self, own: bool) -> bool:
        """Return whether it is so in any process."""
        return bool(self.agreed(int(own))[0])

    def check_alike(self, networks: "Mapping[str, nn.Module]") -> None:
        """Raise UserError, naming the network, where the processes' weights differ in any bit."""
        if self.size == 1:
            return
        sums = self.gathered({name: _checksum(network) for name, network in networks.items()})
        apart = [name for name in networks if len({one[name] for one in sums}) > 1]
        if apart:
            raise UserError(
                f"{', '.join(apart)}: the weights of the {self.size} processes have diverged from "
                "each other, so training has stopped; the newest checkpoint is from before: "
                "resume from it"
            )

    def wait(self) -> None:
        """Wait for all processes."""
        self.gathered(None)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Leave warnings that all processes would give to the leading one, while entered."""
        logger = logging.getLogger("cyclegan")
        before = logger.level
        if not self.leads:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(before)


ALONE = Group()


def started() -> Group:
    """Return this process among those that torchrun started, without joining them."""
    size, rank, local = (_number(name) for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"))
    return Group(rank, size, local) if size > 1 else ALONE


_current: BatchShare | None = None


@contextmanager
def sharing(share: BatchShare | None) -> Iterator[None]:
    """Compute a share of a batch while entered: what is drawn at random is the whole batch's."""
    global _current
    before, _current = _current, share
    try:
        yield
    finally:
        _current = before


def drawn(count: int, draw: "Callable[[int], Tensor]") -> "Tensor":
    """Return what `draw` makes for `count` images: (count, ...).

    A process that computes a share of a batch, or several such shares behind each other, draws for
    the whole batch and keeps its own: so the number of processes changes nothing.
    """
    if _current is None:
        return draw(count)
    import torch

    stacked = count // (_current.stop - _current.start)
    each = torch.split(draw(stacked * _current.whole), _current.whole)
    return torch.cat([one[_current.start : _current.stop] for one in each])


def with_whole(part: "Tensor", use: "Callable[[Tensor], Tensor]") -> "Tensor":
    """Return this process's share of what `use` makes of the whole batch: (N, C, H, W)."""
    if _current is None:
        return use(part)
    from torch import distributed

    whole = part.new_zeros(_current.whole, *part.shape[1:])
    if _current.counts:
        whole[_current.start : _current.stop] = part
    distributed.all_reduce(whole)  # each place is 0 in all processes but one
    return use(whole)[_current.start : _current.stop]


@contextmanager
def joined() -> Iterator[Group]:
    """Join the processes that torchrun started, by its environment variables, if it started some.

    The first process that fails tells why; the others then exit with 1 and say nothing. What is
    printed of a training is printed by the leading process. Raises UserError.
    """
    group = started()
    size, rank = group.size, group.rank
    if size == 1:
        yield group
        return
    from torch import distributed
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    try:
        store, rank, size = next(rendezvous("env://", rank, size))
        if _number("LOCAL_WORLD_SIZE") == size:  # the addresses of killed processes lie in it still
            store = PrefixStore(f"start_{_number(_RESTARTS)}", store)
        distributed.init_process_group(_backend(), store=store, rank=rank, world_size=size)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"the {size} processes of torchrun can't reach each other ({error})"
        ) from None
    group = Group(rank, size, group.local_rank)
    try:
        with nullcontext() if group.leads else redirect_stdout(Path(os.devnull).open("w")):
            yield group
        group.wait()
    except SystemExit:
        _tells_first(store, rank)  # there is nothing to tell, for others neither
        raise
    except Exception as error:
        if not _tells_first(store, rank):
            raise SystemExit(1) from None
        if isinstance(error, RuntimeError) and any(word in str(error) for word in _CARRIERS):
            raise UserError(_LOST) from None
        raise
    distributed.destroy_process_group()


def _tells_first(store: Any, rank: int) -> bool:
    """Return whether no other process has told of a failure yet."""
    try:
        return bool(store.compare_set("failed", "", str(rank)) == str(rank).encode())
    except RuntimeError:  # torchrun itself, which keeps it, is gone
        return True


_CARRIERS = ("gloo", "NCCL", "onnection closed")  # in the messages of what carries tensors
_LOST = (
    "another process of this training exited unexpectedly; resume from the newest checkpoint with "
    "--continue_train, or have torchrun do so with --max-restarts"
)


def restart() -> str:
    """Return the name of the torchrun that started this training again; empty if none did."""
    return os.environ.get("TORCHELASTIC_RUN_ID", "torchrun") if _number(_RESTARTS) else ""


#: Differs between machines: each counts the failures of its own processes.
_RESTARTS = "TORCHELASTIC_RESTART_COUNT"


def _number(name: str) -> int:
    given = os.environ.get(name, "")
    return int(given) if given.isdecimal() else 0


def _backend() -> str:
    """Return what carries tensors: NCCL between GPUs, gloo else, also where some share a GPU."""
    import torch

    own = torch.cuda.is_available() and torch.cuda.device_count() >= _number("LOCAL_WORLD_SIZE")
    return "cpu:gloo,cuda:nccl" if own else "gloo"


def _checksum(network: "nn.Module") -> str:
    """Return a digest of all bits of a network's weights and statistics."""
    import torch

    found = sha256()
    for values in network.state_dict().values():
        found.update(values.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return found.hexdigest()
