"""Saving of checkpoints beside the training, from copies of what changes."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from cyclegan import checkpoint
from cyclegan.checkpoint import Checkpoint
from cyclegan.run import Position
from cyclegan.training import TrainingSettings

log = logging.getLogger(__name__)

#: Of the time, for each thing that is done now and then: there are two, saving and drawing.
SHARE = 0.045


class Pace:
    """Pace of an action: at least `seconds` apart, and at most a small share of the time.

    With 0 seconds the action may always run.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._again = 0.0

    def allows(self) -> bool:
        """Return whether the action may run now; the first time is at once."""
        return time.monotonic() >= self._again

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Time the action while entered: its duration decides when it may run again."""
        begun = time.monotonic()
        yield
        ended = time.monotonic()
        if self._seconds:
            self._again = ended + max(self._seconds, (ended - begun) / SHARE)


class Saver:
    """Background saver of checkpoints, one after the other; on exit the last one is complete.

    Errors of the background are raised by the next call. Raises UserError.
    """

    def __init__(
        self, take: Callable[[Position], Checkpoint], folder: Path, settings: TrainingSettings
    ) -> None:
        """Save what `take` returns, whose tensors may change afterwards."""
        self._take = take
        self._folder = folder
        self._settings = settings
        self._pool = ThreadPoolExecutor(1, "saver")
        self._job: Future[None] | None = None
        self.pace = Pace(settings.save_latest_seconds)
        self._asked = False
        self._saved = time.monotonic()
        self._kept: deque[Checkpoint] = deque(maxlen=2)

    def is_due(self, before: Position, position: Position) -> bool:
        """Return whether `latest.pt` has to be saved after the step between these positions.

        Saving is put off while the last one is being written, or was only just.
        """
        every, minutes = self._settings.save_latest_freq, self._settings.save_latest_minutes
        late = minutes > 0 and time.monotonic() - self._saved >= 60 * minutes
        return self.may_save(asked=late or position.passed(before, every))

    def may_save(self, *, asked: bool = True) -> bool:
        """Return whether a save that was asked for, now or before, can be done now."""
        self._asked |= asked
        if self._job is not None and self._job.done():
            self.wait()
        return self._asked and self._job is None and self.pace.allows()

    def save(self, position: Position, *epochs: str) -> None:
        """Copy what is to be saved; it is written as these epochs while training goes on."""
        self.wait()
        content = self._take(position)
        content = replace(content, state=copied(content.state))
        if self._settings.on_divergence == "rollback":
            self._kept.append(content)
        self._job = self._pool.submit(self._write, content, epochs)
        if "latest" in epochs:
            self._asked, self._saved = False, time.monotonic()

    @property
    def sound(self) -> Checkpoint | None:
        """The last checkpoint but one, if a run may go back: after it, all was well for a while."""
        return self._kept[0] if self._kept else None

    def _write(self, content: Checkpoint, epochs: tuple[str, ...]) -> None:
        for epoch in epochs:
            checkpoint.save(content, self._folder, epoch, self._settings.keep)

    def wait(self) -> None:
        """Wait until nothing is being written any more."""
        job, self._job = self._job, None
        if job is not None:
            job.result()

    def __enter__(self) -> "Saver":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        if error is None:
            self.wait()
        elif self._job is not None and self._job.exception() is not None:
            log.warning("%s", self._job.exception())  # the run ends by another error already


def copied(state: Any) -> Any:
    """Copy tensors, and tables of them, to the CPU: training may go on with the originals."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        table = type(state)((key, copied(value)) for key, value in state.items())  # type: ignore[call-arg]
        vars_of = getattr(state, "__dict__", {})
        getattr(table, "__dict__", {}).update(vars_of)  # versions of layers, in torch's own tables
        return table
    if isinstance(state, list | tuple):
        return type(state)(copied(value) for value in state)
    return state
