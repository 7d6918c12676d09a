"""The bar of work that takes a while."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from cyclegan.durations import spoken


class TimeLeft(ProgressColumn):
    """The time left as people say it; nothing while it is not known."""

    def render(self, task: Task) -> Text:
        """Return "2 min left"."""
        left = task.time_remaining
        return Text("" if left is None else f"{spoken(left)} left", style="progress.remaining")


def progress_bar() -> Progress:
    """What is done, how much of it, and the time left; on stderr."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeLeft(),
        console=Console(stderr=True),
    )
