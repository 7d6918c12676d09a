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
    study,
    stylize,
    train,
)


@dataclass(frozen=True)
class Command:
    """One command: what it does, in a line, and the function that takes its arguments."""

    help: str
    run: Callable[[Sequence[str]], int]
    after_stop: str = "nothing was changed; the same command begins again"
    """what is told after Ctrl-C or SIGTERM: what stays, and how to go on"""


#: The one table of commands.
COMMANDS = {
    "train": Command(train.HELP, train.run),
    "runs": Command(runs.HELP, runs.run),
    "report": Command(report.HELP, report.run),
    "convert": Command(convert.HELP, convert.run, convert.AFTER_STOP),
    "stylize": Command(stylize.HELP, stylize.run),
    "serve": Command(serve.HELP, serve.run),
    "export": Command(export.HELP, export.run),
    "evaluate": Command(evaluate.HELP, evaluate.run),
    "compare": Command(compare.HELP, compare.run),
    "study": Command(study.HELP, study.run, study.AFTER_STOP),
    "dashboard": Command(dashboard.HELP, dashboard.run),
    "data sample": Command(data.SAMPLE, data.sample, data.SAMPLE_AFTER_STOP),
    "data check": Command(data.CHECK, data.check),
    "benchmark train": Command(benchmark.TRAIN, benchmark.train),
    "benchmark load": Command(benchmark.LOAD, benchmark.load),
    "benchmark convert": Command(benchmark.CONVERT, benchmark.convert),
    "benchmark device": Command(benchmark.DEVICE, benchmark.device),
    "settings": Command(settings.HELP, settings.run),
}
