"""Capture of a step as one CUDA graph: its thousands of launches become one."""

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from cyclegan.data.batch import Batch
from cyclegan.distributed import ALONE, Group
from cyclegan.errors import in_words
from cyclegan.execution.execution import Execution
from cyclegan.training.gradient_sum import GradientSum
from cyclegan.training.state import TrainingState
from cyclegan.training.step import Phase, StepResult, compute_step, run_step

log = logging.getLogger(__name__)

#: A step on batches, with its number in the run.
Step = Callable[[Sequence[Batch], int], StepResult]


def step_of(
    phases: Sequence[Phase], state: TrainingState, execution: Execution, group: Group = ALONE
) -> Step:
    """Return the function that computes steps by `execution`, shared by the processes of a group.

    Those take no capture of the whole step: what they sum stays outside of graphs.
    """
    alone = group.size == 1
    sums = None if alone else {one.name: GradientSum(one.optimizer, group) for one in phases}
    if (
        sums is None
        and execution.whole_step
        and execution.backward_per_part
        and not state.scaler.is_enabled()
    ):
        return CapturedStep(phases, state)
    return lambda batches, number: run_step(
        phases,
        state,
        batches,
        number=number,
        backward_per_part=execution.backward_per_part,
        sums=sums,
    )


class Graph(Protocol):
    """A graph whose captured launches can be repeated, on the same memory."""

    def warm_up(self, compute: Callable[[], StepResult]) -> StepResult:
        """Compute as usual, so that it can be captured later."""

    def capture(self, compute: Callable[[], StepResult]) -> StepResult:
        """Record what `compute` launches; only a replay computes it."""

    def replay(self) -> None:
        """Compute, into what `capture` returned."""


class CudaGraph:
    """A graph of the current CUDA device."""

    _stream: torch.cuda.Stream | None = None
    """shared by all graphs: they run sequentially and may share memory"""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()

    def warm_up(self, compute: Callable[[], StepResult]) -> StepResult:
        """Compute on the stream that captures, so that capturing waits for no other stream."""
        stream = self._side()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            made = compute()
        torch.cuda.current_stream().wait_stream(stream)
        return made

    def capture(self, compute: Callable[[], StepResult]) -> StepResult:
        """Record what `compute` launches."""
        with torch.cuda.graph(self._graph, stream=self._side()):
            return compute()

    def replay(self) -> None:
        """Compute, into what `capture` returned."""
        self._graph.replay()

    @classmethod
    def _side(cls) -> torch.cuda.Stream:
        cls._stream = cls._stream or torch.cuda.Stream()  # type: ignore[no-untyped-call]
        return cls._stream


@dataclass(frozen=True)
class _Captured:
    graph: Graph
    batches: Sequence[Batch]
    """where the graph reads its images"""
    result: StepResult
    """where it writes"""


class CapturedStep:
    """`run_step` for batches of a few shapes, each captured after some steps and then replayed.

    A result is overwritten by the next step. Steps of a rare shape or turn are computed as usual.
    """

    def __init__(
        self,
        phases: Sequence[Phase],
        state: TrainingState,
        make_graph: Callable[[], Graph] = CudaGraph,
    ) -> None:
        self._phases = phases
        self._state = state
        self._make_graph = make_graph
        self._captured: dict[Hashable, _Captured] = {}
        self._seen: Counter[Hashable] = Counter()
        self._most = _GRAPHS
        self._rates: list[Tensor] = []

    def __call__(self, batches: Sequence[Batch], number: int) -> StepResult:
        """Compute the step of that number in the run."""
        for phase in self._phases:
            phase.prepare(number)
        kind = self._kind(batches, number)
        self._seen[kind] += 1
        new = kind not in self._captured and len(self._captured) < self._most
        begun = all(pool.begun for pool in self._state.pools.values())
        due = new and begun and self._seen[kind] > _WARM_UP
        for pool in self._state.pools.values():
            if due:
                pool.keep_in_place()
            pool.decide(sum(len(batch) for batch in batches))
        if due:
            self._try_to_capture(kind, batches, number)
        if kind in self._captured:
            result = self._replayed(self._captured[kind], batches)
        else:
            result = self._make_graph().warm_up(lambda: self._compute(batches, number))
        self._state.averages.follow(self._state.networks, number)
        return result

    def _kind(self, batches: Sequence[Batch], number: int) -> Hashable:
        """Return the key that steps share which launch the same kernels."""
        shapes = tuple((batch.a.shape, batch.b.shape) for batch in batches)
        turns = tuple((number >= phase.begins, phase.turn(number)) for phase in self._phases)
        return shapes, turns

    def _compute(self, batches: Sequence[Batch], number: int) -> StepResult:
        return compute_step(
            self._phases, self._state, batches, number=number, backward_per_part=True
        )

    def _try_to_capture(self, kind: Hashable, batches: Sequence[Batch], number: int) -> None:
        """Capture a step; where that fails, compute it and all new kinds of steps as usual."""
        try:
            self._captured[kind] = self._capture(batches, number)
        except RuntimeError as error:  # no memory for it, or a loss that reads the GPU's results
            self._most = 0
            for pool in self._state.pools.values():
                pool.repeat_choices()
            log.warning(
                "CUDA graph capture of the training step failed, running without it, slower (%s)",
                in_words(error),
            )

    def _capture(self, batches: Sequence[Batch], number: int) -> _Captured:
        fixed = [Batch(batch.a.clone(), batch.b.clone()) for batch in batches]
        graph = self._make_graph()
        with self._rates_on_the_device():
            result = graph.capture(lambda: self._compute(fixed, number))
        return _Captured(graph, fixed, result)

    def _replayed(self, captured: _Captured, batches: Sequence[Batch]) -> StepResult:
        for fixed, batch in zip(captured.batches, batches, strict=True):
            fixed.a.copy_(batch.a, non_blocking=True)
            fixed.b.copy_(batch.b, non_blocking=True)
        for rate, group in zip(self._rates, self._groups(), strict=True):
            rate.fill_(group["lr"])
        captured.graph.replay()
        return captured.result

    @contextmanager
    def _rates_on_the_device(self) -> Iterator[None]:
        """Let the optimizers read their rates when a graph is replayed, not when it is captured."""
        groups = self._groups()
        usual = [group["lr"] for group in groups]
        self._rates = self._rates or [
            torch.tensor(group["lr"], device=group["params"][0].device) for group in groups
        ]
        for group, rate in zip(groups, self._rates, strict=True):
            group |= {"lr": rate, "capturable": True}
        try:
            yield
        finally:
            for group, rate in zip(groups, usual, strict=True):
                group |= {"lr": rate, "capturable": False}

    def _groups(self) -> list[dict[str, Any]]:
        return [group for phase in self._phases for group in phase.optimizer.param_groups]


_WARM_UP = 3  # steps: kernels are chosen, networks compiled
_GRAPHS = 4  # each keeps the memory of a step
