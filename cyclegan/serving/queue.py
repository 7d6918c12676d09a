"""The queue of tasks for a worker, and its estimates of waiting times."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from cyclegan.serving.tasks import Task
from cyclegan.serving.worker import Worker

_NEWEST = 0.5  # share of the newest measurement in what a pixel is expected to take


@dataclass(frozen=True)
class Wait:
    """A task's place in the queue and its remaining time."""

    ahead: int
    """requests ahead; 0: in progress"""
    seconds: float | None
    """estimated time left; None if unknown"""


@dataclass
class _Entry:
    ticket: str | None
    pixels: int
    pace: str
    begun: float | None = None


@dataclass
class Queue:
    """A queue of tasks: one is computed, the others wait; a cancelled one makes room."""

    worker: Worker
    _entries: list[_Entry] = field(default_factory=list)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _paces: dict[str, float] = field(default_factory=dict)
    """seconds per pixel, by kind of work"""

    async def run(self, task: Task, pixels: int, pace: str, ticket: str | None = None) -> Any:
        """Wait for the task's turn and its result; a cancelled task is computed no further.

        `pace` names a kind of task with a similar time for each of its `pixels`. Raises UserError.
        """
        entry = _Entry(ticket, pixels, pace)
        self._entries.append(entry)
        try:
            async with self._turn:
                entry.begun = time.monotonic()
                answer = await self._do(task)
                self._learn(entry, time.monotonic() - entry.begun)
                return answer
        finally:
            self._entries.remove(entry)

    def wait_of(self, ticket: str) -> Wait | None:
        """Return the wait of the task with this ticket; None if there is none."""
        for place, entry in enumerate(self._entries):
            if entry.ticket == ticket:
                return Wait(place, self._seconds(self._entries[: place + 1]))
        return None

    def seconds(self) -> float | None:
        """Return the seconds until all tasks are done; None if unknown."""
        return self._seconds(self._entries)

    async def _do(self, task: Task) -> Any:
        answer = asyncio.ensure_future(asyncio.to_thread(self.worker.do, task))
        # Nobody asks for it any more if this is cancelled once more while it waits below.
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            self.worker.kill()
            await asyncio.wait([answer])
            raise

    def _learn(self, entry: _Entry, seconds: float) -> None:
        pace = seconds / entry.pixels
        before = self._paces.get(entry.pace, pace)
        self._paces[entry.pace] = _NEWEST * pace + (1 - _NEWEST) * before

    def _seconds(self, entries: list[_Entry]) -> float | None:
        if any(entry.pace not in self._paces for entry in entries):
            return None
        now = time.monotonic()
        spent = sum(now - entry.begun for entry in entries if entry.begun is not None)
        needed = sum(self._paces[entry.pace] * entry.pixels for entry in entries)
        return max(0.0, needed - spent)
