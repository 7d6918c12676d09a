"""Progress of long work on stderr: bars on a terminal, else lines for a log."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID
from rich.table import Column, Table
from rich.text import Text

from cyclegan.errors import format_duration, printable

T = TypeVar("T")

EVERY = 30.0  # seconds between two lines where the output is no terminal
PATIENCE = 1.0  # seconds that a part takes before it has a bar of its own
_PERIOD = 300.0  # seconds that the speed is measured over: a single step may take a minute


def progress_bar(*, transient: bool = False) -> Progress:
    """Return a display of what is done, how much of it, and the time left.

    If stderr is no terminal, a line is printed at a task's start, every 30 s, and at the end.
    `transient` leaves nothing behind on a terminal, and no last line in a log.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    return (_Bars if console.is_interactive else _Lines)(console, transient=transient)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show that work of unknown length is in progress."""
    with progress_bar(transient=True) as bar:
        bar.add_task(what, total=None)
        yield


def tracked(items: Sequence[T], what: str, unit: str = "", *, is_part: bool = False) -> Iterator[T]:
    """Yield the items and show the progress meanwhile, which leaves nothing behind.

    With `is_part`, for part of other work, nothing is shown unless it takes longer than a second.
    """
    with progress_bar(transient=True) as bar:
        task = bar.add_task(what, total=len(items), unit=unit, is_part=is_part)
        for item in items:
            yield item
            bar.advance(task)


@contextmanager
def part(bar: Progress, whole: TaskID, what: str) -> Iterator[Callable[[float], None]]:
    """Show a bar of its own for a long step of `whole`; yield a function to tell its share done.

    The share is from 0 to 1.
    """
    task = bar.add_task(what, total=None, unit="%", is_part=True)
    bar.update(whole, step_began=bar.get_time())
    done = 0.0

    def tell(share: float) -> None:
        nonlocal done
        bar.update(task, total=100, completed=100 * share)
        bar.advance(whole, share - done)  # or its time left would be that of its quick steps
        done = share

    try:
        yield tell
    finally:
        bar.remove_task(task)
        bar.advance(whole, -done)
        bar.update(whole, step_began=None)


class _Bars(Progress):
    """Progress as bars that fit the terminal."""

    def __init__(self, console: Console, *, transient: bool) -> None:
        columns = (_Name(console), BarColumn(), _Told(_amount), _Told(_time))
        super().__init__(
            *columns, console=console, transient=transient, speed_estimate_period=_PERIOD
        )

    def make_tasks_table(self, tasks: Iterable[Task]) -> Table:
        return super().make_tasks_table(filter(_is_shown, tasks))


class _Lines(Progress):
    """Progress as lines, for logs."""

    def __init__(self, console: Console, *, transient: bool) -> None:
        super().__init__(console=console, disable=True, speed_estimate_period=_PERIOD)
        self._transient = transient
        self._ended = Event()
        self._thread = Thread(target=self._tell_regularly, name="progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        if not self._transient:
            self._tell(task for task in self.tasks if _is_shown(task) and _amount(task))

    def add_task(self, description: str, *args: Any, **fields: Any) -> TaskID:
        task = super().add_task(description, *args, **fields)
        self._tell(one for one in self.tasks if one.id == task and _is_shown(one))
        return task

    def _tell_regularly(self) -> None:
        while not self._ended.wait(EVERY):
            self._tell(filter(_is_shown, self.tasks))

    def _tell(self, tasks: Iterable[Task]) -> None:
        if line := "; ".join(map(_line, tasks)):
            self.console.print(line, markup=False)


class _Name(ProgressColumn):
    """A column of descriptions, a third of the terminal wide; long names lose their middle."""

    def __init__(self, console: Console) -> None:
        super().__init__(Column(no_wrap=True))
        self._console = console

    def render(self, task: Task) -> Text:
        widest = self._console.width // 3
        words = printable(task.description).split(" ")
        text = Text(" ".join(_shortened(word, widest) for word in words))
        return Text("\n").join(text.wrap(self._console, widest))


class _Told(ProgressColumn):
    """A column of texts that are never cut."""

    def __init__(self, text: Callable[[Task], str]) -> None:
        super().__init__(Column(no_wrap=True))
        self._text = text

    def render(self, task: Task) -> Text:
        return Text(self._text(task))


def _shortened(word: str, widest: int) -> str:
    """Shorten a word to `widest` cells but keep its end: a name's ending says what it is."""
    if cell_len(word) <= widest:
        return word
    end = word[-8:]
    return f"{set_cell_size(word, max(1, widest - cell_len(end) - 1)).rstrip()}…{end}"


def _is_shown(task: Task) -> bool:
    is_part = task.fields.get("is_part", False)
    return task.visible and not (is_part and (task.elapsed or 0) < PATIENCE)


def _amount(task: Task) -> str:
    """Return how much is done, such as "3/7 pictures" or "45 %"; empty if that is not known."""
    if task.total is None:
        return ""
    unit = task.fields.get("unit", "")
    done = f"{int(task.completed + 1e-6)}"  # whole steps, whatever their parts sum up to
    return f"{done if unit == '%' else f'{done}/{task.total:.0f}'} {unit}".rstrip()


def _time(task: Task) -> str:
    """Return the time left; the time it took if nothing is left or a single step takes longer."""
    if task.finished:
        return f"in {format_duration(task.finished_time or 0)}"
    began, left = task.fields.get("step_began"), task.time_remaining
    if left is not None and (began is None or task.get_time() - began <= left):
        return f"{format_duration(left)} left"
    return format_duration(task.elapsed or 0) if (task.elapsed or 0) >= 1 else ""


def _line(task: Task) -> str:
    """Return the line of a task in a log."""
    told = (" " if task.finished else ", ").join(filter(None, (_amount(task), _time(task))))
    return printable(f"{task.description}: {told}" if told else task.description)
