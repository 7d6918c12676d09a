"""Training from Python: what `cyclegan train` does, with the caller listening."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cyclegan import assemble
from cyclegan.distributed import Group, joined
from cyclegan.loggers.logger import Logger, Record
from cyclegan.resume import recover
from cyclegan.settings import Settings, from_record
from cyclegan.training.loop import NOBODY, Caller


def train(
    settings: Settings,
    *,
    on_record: Callable[[Record], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Path:
    """Train a new run by `settings`; return its folder, which `Translator.load` takes.

    `on_record` is given what is logged, every `print_freq` images: `record.position` and
    `record.values`, numbers by name. `stop` is asked after each step, and ends the training where
    it returns True: the run is saved, and can be gone on with. Raises UserError, in one line, for
    anything that the user can fix, such as a run of that name.
    """
    settings.check()
    settings.training.check_epochs()
    with joined() as group:
        assemble.train(settings, group=group, caller=_caller(on_record, stop, group))
    return settings.run.folder


def continue_training(
    folder: Path | str,
    *,
    on_record: Callable[[Record], None] | None = None,
    stop: Callable[[], bool] | None = None,
    epochs: int = 0,
) -> Path:
    """Go on with the run in `folder` from its newest checkpoint, with its own settings.

    `epochs` are added to its last ones. Otherwise as `train`; a run that came to its last epoch
    stays as it is.
    """
    path = Path(folder)
    with joined() as group:
        saved = group.in_turn(lambda: recover(path))
        settings = from_record(saved.settings, str(path)).found_from(path)
        run = replace(settings.run, name=path.name, checkpoints_dir=path.parent)
        training = replace(settings.training, n_epochs=settings.training.n_epochs + epochs)
        if saved.position.epoch <= training.last_epoch:
            settings = replace(settings, run=run, training=training)
            caller = _caller(on_record, stop, group)
            assemble.train(settings, resume=saved, group=group, caller=caller)
    return path


@dataclass(frozen=True)
class _Listener(Logger):
    """Logger that gives its records to a function."""

    heard: Callable[[Record], None]

    def record(self, record: Record) -> None:
        self.heard(record)


def _caller(
    on_record: Callable[[Record], None] | None, stop: Callable[[], bool] | None, group: Group
) -> Caller:
    loggers = (_Listener(on_record),) if on_record and group.leads else ()
    return Caller(loggers, stop or NOBODY.stops)
