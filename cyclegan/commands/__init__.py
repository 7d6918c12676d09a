"""Commands by the words that call them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cyclegan.commands import (
    benchmark,
    compare,
    convert,
    dashboard,
    data,
    evaluate,
    export,
    report,
    runs,
    serve,
    settings,
    stylize,
    train,
)


@dataclass(frozen=True)
class Command:
    """One command: what it does, in a line, and the function that takes its arguments."""

    help: str
    run: Callable[[Sequence[str]], int]


#: The one table of commands.
COMMANDS = {
    "train": Command(train.HELP, train.run),
    "runs": Command(runs.HELP, runs.run),
    "report": Command(report.HELP, report.run),
    "convert": Command(convert.HELP, convert.run),
    "stylize": Command(stylize.HELP, stylize.run),
    "serve": Command(serve.HELP, serve.run),
    "export": Command(export.HELP, export.run),
    "evaluate": Command(evaluate.HELP, evaluate.run),
    "compare": Command(compare.HELP, compare.run),
    "dashboard": Command(dashboard.HELP, dashboard.run),
    "data sample": Command(data.SAMPLE, data.sample),
    "data check": Command(data.CHECK, data.check),
    "benchmark train": Command(benchmark.TRAIN, benchmark.train),
    "benchmark load": Command(benchmark.LOAD, benchmark.load),
    "benchmark convert": Command(benchmark.CONVERT, benchmark.convert),
    "settings": Command(settings.HELP, settings.run),
}
