"""The command `cyclegan train`: starting, resuming and ending a run."""

import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from cyclegan.data import is_there
from cyclegan.distributed import Group, joined, restart
from cyclegan.errors import UsageError, UserError, require_extra
from cyclegan.flags import Glance, RunCommand, defaults_of, parse_run, preset_of
from cyclegan.layers import ChannelSettings
from cyclegan.run import RunFolder, RunSettings
from cyclegan.settings import Settings, changes, from_record, is_fixed, load_record
from cyclegan.training.interrupt import CompilerInterrupted, Interrupted, StopRequest

HELP = "train two generators and two discriminators on two folders"
DISTILL = "distill a trained generator into a smaller one"


def run(args: Sequence[str]) -> int:
    """Start or resume a run; return the exit code. Raises UserError."""
    return _interruptible(lambda group: _run(args, defaults_of(args), group))


def distill(args: Sequence[str]) -> int:
    """Start or resume a student's run; return the exit code. Raises UserError.

    It is a run of a preset for students, with the photographs that its teacher was trained on
    unless others are given.
    """
    args = args if preset_of(args) else ["student", *args]
    glance, rest = Glance(["teacher"]).parse_known_args(args)
    defaults = defaults_of(rest)
    if defaults.recipe.model != "student":
        raise UsageError(
            f"cyclegan distill takes presets of --model student: {preset_of(rest)} is for --model "
            f"{defaults.recipe.model}, which cyclegan train trains"
        )
    if glance.teacher is None and "--continue_train" not in rest:
        raise UsageError(
            "cyclegan distill needs a trained model to learn from: add --teacher, the name of a "
            "run or a weights file"
        )
    if glance.teacher is not None:
        folder, _ = Glance(["checkpoints_dir"]).parse_known_args(rest)
        named = Path(folder.checkpoints_dir or defaults.run.checkpoints_dir) / glance.teacher
        teacher = named if named.is_dir() else Path(glance.teacher)
        if not is_there(teacher):
            raise UserError(f"--teacher {glance.teacher}: no such run in {named.parent}, or file")
        defaults = _taught(defaults, teacher)
        rest = [*rest, "--teacher", str(teacher)]
    return _interruptible(lambda group: _run(rest, defaults, group))


def _taught(settings: Settings, teacher: Path) -> Settings:
    """Return the settings of a student with the data and the channels of its teacher's run."""
    record = RunFolder(teacher).settings
    if not record.is_file():
        return settings  # weights of other programs don't say what they were trained on
    known = load_record(record).found_from(teacher)
    places = {name: getattr(known.data, name) for name in ("dataroot", "domain_A", "domain_B")}
    channels = ChannelSettings(known.networks.input_nc, known.networks.output_nc)
    return replace(
        settings,
        run=replace(settings.run, direction=known.run.direction),
        data=replace(settings.data, range=known.data.range, **places),
        networks=channels,
    )


def _interruptible(work: Callable[[Group], int]) -> int:
    try:
        with StopRequest() as stop, stop.at_once(), joined() as group:
            return work(group)
    except Interrupted as interrupted:  # before it was known what is to be trained
        return _stopped(interrupted)


def _run(args: Sequence[str], defaults: Settings, group: Group) -> int:
    glance, _ = Glance(["name", "checkpoints_dir"], ["continue_train"]).parse_known_args(args)
    if glance.continue_train or _goes_on(glance.checkpoints_dir, glance.name, defaults, group):
        return _resume(args, glance.checkpoints_dir, glance.name, defaults, group)
    command = _parse_train(args, defaults)
    command.settings.check()
    if command.init_weights is None:  # those alone can be saved as a run
        command.settings.training.check_epochs()
    folder = RunFolder(command.settings.run.folder)
    if not group.from_lead(folder.is_fresh):
        raise folder.taken()
    return _carried_out(lambda: _begin(command, group), command, group)


def _begin(command: RunCommand, group: Group) -> int:
    from cyclegan import assemble

    ended_by = assemble.train(
        command.settings,
        init_weights=command.init_weights,
        trust_code=command.trust_code,
        group=group,
    )
    return _end(ended_by, command.settings, group)


def _goes_on(
    checkpoints_dir: str | None, name: str | None, defaults: Settings, group: Group
) -> bool:
    """Return whether torchrun has started a run again, which then goes on by itself.

    Raises UserError where it failed twice at the same place.
    """
    folder = _folder(checkpoints_dir, name, defaults)
    return bool(restart()) and group.from_lead(lambda: _may_go_on(RunFolder(folder)))


def _may_go_on(folder: RunFolder) -> bool:
    """Return whether there is a checkpoint to go on from; remember the place.

    Raises UserError where the run was started again there before.
    """
    from cyclegan.loggers.logger import load_run_info

    if not folder.saved():
        return False
    place = f"{restart()}: {load_run_info(folder.path).reached}"
    before = folder.restarted.read_text() if folder.restarted.exists() else ""
    if before == _TOLD + place:  # torchrun tries on, however often it was told to
        raise SystemExit(1)
    if place == before:
        folder.restarted.write_text(_TOLD + place)
        raise UserError(
            f"{folder.path}: failed twice at the same place ({place.partition(': ')[2]}), so it is "
            "not started a third time: see the error above"
        )
    folder.restarted.write_text(place)
    return True


_TOLD = "given up "


def _folder(checkpoints_dir: str | None, name: str | None, defaults: Settings) -> Path:
    return Path(checkpoints_dir or defaults.run.checkpoints_dir) / (name or defaults.run.name)


def _resume(
    args: Sequence[str],
    checkpoints_dir: str | None,
    name: str | None,
    defaults: Settings,
    group: Group,
) -> int:
    """Resume a run with its checkpoint's settings, which typed flags override."""
    folder = _folder(checkpoints_dir, name, defaults)
    remembered = RunFolder(folder).settings
    # Without torch first, so that a mistyped flag is answered at once.
    command = _parse_train(args, _remembered(remembered, defaults))
    if command.init_weights is not None:
        raise UsageError(
            "--init_weights starts a new run: it can't be combined with --continue_train"
        )
    command.settings.run.check()
    return _carried_out(lambda: _go_on(args, folder, group), command, group)


def _go_on(args: Sequence[str], folder: Path, group: Group) -> int:
    from cyclegan import assemble
    from cyclegan.resume import recover

    saved = group.in_turn(lambda: recover(folder))
    path = RunFolder(folder).latest
    kept = from_record(saved.settings, str(path))
    old = _at(kept, folder)
    command = _parse_train(args, old)
    command.settings.check()
    _tell_moves(kept.anchored(), old)
    _tell_changes(old.anchored(), command.settings.anchored(), path)
    if saved.position.epoch > command.settings.training.last_epoch:
        sys.stdout.write(
            f"{folder}: trained to its last epoch, {command.settings.training.last_epoch}; give a "
            "larger --n_epochs or --n_epochs_decay to train on\n"
        )
        return 0
    for flag, lost in command.settings.data.lost():
        raise UserError(
            f"{lost}: not found, and the run was trained on it: give its new location with {flag}"
        )
    ended_by = assemble.train(command.settings, resume=saved, group=group)
    return _end(ended_by, command.settings, group)


def _watched(command: RunCommand) -> AbstractContextManager[None]:
    """Print where the run is shown; with --dashboard, run a server as long as the block lasts."""
    loggers, run = command.settings.loggers, command.settings.run
    if command.dashboard:
        require_extra("--dashboard", "dashboard", "visdom", "tornado")
        from cyclegan.dashboard.beside import dashboard_beside

        return dashboard_beside(loggers, run)
    from cyclegan.dashboard.address import told_early

    return told_early(loggers, run)


def _remembered(path: Path, defaults: Settings) -> Settings:
    """Load the settings beside the checkpoint, to read flags by until the checkpoint is loaded."""
    try:
        found = load_record(path)
    except UsageError:  # missing or damaged: the checkpoint holds them too
        found = defaults
    return _at(found, path.parent)


def _at(settings: Settings, folder: Path) -> Settings:
    """Return the settings with the run in `folder`, whatever it was called when it was saved."""
    here = replace(settings.run, name=folder.name, checkpoints_dir=folder.parent)
    return replace(settings.found_from(folder), run=here)


def _tell_moves(before: Settings, now: Settings) -> None:
    """Print what was found in another place than where the run had it."""
    for key, left, found in changes(before, now):
        part, _, flag = key.partition(".")
        if part != "run":
            sys.stdout.write(f"moved since the checkpoint: --{flag} {left} -> {found}\n")


def _tell_changes(old: Settings, new: Settings, path: Path) -> None:
    """Print what differs from the checkpoint. Raises UsageError for what a run can't change."""
    for key, before, after in changes(old, new):
        flag = f"--{key.rpartition('.')[2]}"
        if is_fixed(key, old.recipe):
            raise UsageError(
                f"{flag} {after}: {path} was trained with {before}, which a run can't change: "
                "leave the flag out, or start a new run with another --name"
            )
        sys.stdout.write(f"changed since the checkpoint: {flag} {before} -> {after}\n")


def _parse_train(args: Sequence[str], defaults: Settings) -> RunCommand:
    return parse_run(args, defaults, prog="cyclegan train", about=HELP)


def _carried_out(work: Callable[[], int], command: RunCommand, group: Group) -> int:
    """Return the exit code of the work, or of a signal before or during its first step."""
    try:
        with _watched(command) if group.leads else nullcontext():
            return work()
    except CompilerInterrupted as interrupted:
        code = _stopped(interrupted, command.settings.run)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # what the compiler has begun, it ends by itself
    except Interrupted as interrupted:
        return _stopped(interrupted, command.settings.run)


def _stopped(interrupted: Interrupted, run: RunSettings | None = None) -> int:
    """Print how to go on if no step was finished; return the exit code."""
    name = signal.Signals(interrupted.number).name
    sys.stderr.write(f"cyclegan: stopped by {name} before training; nothing is lost\n")
    if run is not None and RunFolder(run.folder).latest.is_file():
        return _saved(interrupted.number, run)
    sys.stdout.write("resume with: the same command again\n")
    return _exit_code(interrupted.number, run or RunSettings())


def _end(ended_by: int | None, settings: Settings, group: Group) -> int:
    """Print how the run ended; return the exit code.

    It is 0 for a stop of several processes: torchrun would start them again after any other.
    """
    run = settings.run
    if ended_by is not None:
        code = _saved(ended_by, run)
        return code if group.size == 1 else 0
    style = " --style FILE" if settings.recipe.given_style else ""
    sys.stdout.write(
        f"trained: {run.folder}\nconvert with: "
        f"cyclegan convert {_flags(run)} --input DIR{style} --output DIR\n"
    )
    return 0


def _saved(number: int, run: RunSettings) -> int:
    sys.stdout.write(f"saved; resume with: cyclegan train {_flags(run)} --continue_train\n")
    return _exit_code(number, run)


def _exit_code(number: int, run: RunSettings) -> int:
    """Return 130 after Ctrl-C; after SIGTERM the run's `stop_exit_code`."""
    return run.stop_exit_code if number == signal.SIGTERM else 128 + number


def _flags(run: RunSettings) -> str:
    """Return the flags that name the run."""
    words = ["--name", run.name]
    if run.checkpoints_dir != Path("checkpoints"):
        words += ["--checkpoints_dir", str(run.checkpoints_dir)]
    return shlex.join(words)
