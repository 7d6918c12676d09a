"""The table of commands, by the words that call them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cyclegan.commands import jobs, runs, train


@dataclass(frozen=True)
class Command:
    """One command: what it does, in a line, and the function that takes its arguments."""

    help: str
    run: Callable[[Sequence[str]], int]
    after_stop: str = "nothing was changed; run the same command to start over"
    """message after Ctrl-C or SIGTERM: what is kept, and how to resume"""


#: The one table of commands.
COMMANDS = {
    "train": Command(train.HELP, train.run),
    "distill": Command(train.DISTILL, train.distill),
    "runs": Command(runs.RUNS, runs.runs),
    "report": Command(runs.REPORT, runs.report),
    "convert": Command(
        jobs.CONVERT, jobs.convert, "finished work is kept; run the same command to continue"
    ),
    "stylize": Command(jobs.STYLIZE, jobs.stylize),
    "serve": Command(jobs.SERVE, jobs.serve),
    "export": Command(jobs.EXPORT, jobs.export),
    "push": Command(
        jobs.PUSH,
        jobs.push,
        "a push is all or nothing; run the same command to start over",
    ),
    "card": Command(jobs.CARD, jobs.card),
    "evaluate": Command(jobs.EVALUATE, jobs.evaluate),
    "compare": Command(jobs.COMPARE, jobs.compare),
    "study": Command(
        jobs.STUDY, jobs.study, "finished measurements are kept; run the same command to continue"
    ),
    "sweep": Command(
        jobs.SWEEP, jobs.sweep, "finished measurements are kept; run the same command to continue"
    ),
    "dashboard": Command(jobs.DASHBOARD, jobs.dashboard),
    "data sample": Command(
        jobs.SAMPLE,
        jobs.data_sample,
        "written files are kept; run the same command to write the rest",
    ),
    "data download": Command(
        jobs.DOWNLOAD,
        jobs.data_download,
        "the partial download is kept; run the same command to resume it",
    ),
    "data check": Command(jobs.CHECK, jobs.data_check),
    "benchmark train": Command(jobs.BENCHMARK_TRAIN, jobs.benchmark_train),
    "benchmark scale": Command(jobs.BENCHMARK_SCALE, jobs.benchmark_scale),
    "benchmark load": Command(jobs.BENCHMARK_LOAD, jobs.benchmark_load),
    "benchmark convert": Command(jobs.BENCHMARK_CONVERT, jobs.benchmark_convert),
    "benchmark device": Command(jobs.BENCHMARK_DEVICE, jobs.benchmark_device),
    "settings": Command(runs.SETTINGS, runs.settings),
}
