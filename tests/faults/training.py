"""Faults of a training in one process."""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from conftest import smooth_image
from faults import places
from faults.processes import Program, require, until
from faults.servers import BadServer
from faults.trained import IMAGES, Run, names
from faults.trial import Fault, Trial

from cyclegan import checkpoint
from cyclegan.resume import DAMAGED


def _workers(trial: Trial) -> list[str]:
    return ["--num_threads", trial.draw.choice(["0", "2"])]


# Killed.


def killed(trial: Trial) -> None:
    run = Run.of(trial, *_workers(trial))
    program = run.start()
    run.at_random(program)
    program.send(signal.SIGKILL)
    program.wait()
    run.go_on()


def killed_twice(trial: Trial) -> None:
    run = Run.of(trial)
    for _ in range(2):
        program = trial.start(*run.again())
        run.at_random(program)
        program.send(signal.SIGKILL)
        program.wait()
    run.go_on()


def killed_while_saving(trial: Trial) -> None:
    run = Run.of(trial)
    program = run.start()
    program.wait_for(f" {trial.draw.randint(1, IMAGES - 6)}/{IMAGES} images")
    before = _saved(run.path)
    until(lambda: _saved(run.path) != before or program.ended(), "a save", every=0.0005)
    later = trial.pause(0.008)
    program.send(signal.SIGKILL)
    program.wait()
    trial.tell(f"{1000 * later:.1f} ms after saving began")
    run.go_on()


def _saved(folder: Path) -> list[tuple[str, int, int]]:
    """Return the checkpoints of a run, finished or not, by name, place on the disk and size."""
    with os.scandir(folder) as files:
        found = [file for file in files if ".pt" in file.name]
        return sorted((file.name, file.inode(), _size(file)) for file in found)


def _size(file: "os.DirEntry[str]") -> int:
    with contextlib.suppress(FileNotFoundError):
        return file.stat().st_size
    return 0


def killed_at_start(trial: Trial) -> None:
    run = Run.of(trial)
    program = run.start()
    later = trial.pause(0.5)
    program.send(signal.SIGKILL)
    program.wait()
    trial.tell(f"{1000 * later:.0f} ms after the start")
    run.go_on()


def killed_at_the_end(trial: Trial) -> None:
    run = Run.of(trial)
    program = run.start()
    program.wait_for(f" {IMAGES}/{IMAGES} images")
    later = trial.pause(0.03)
    program.send(signal.SIGKILL)
    program.wait()
    trial.tell(f"{1000 * later:.1f} ms after the last image")
    run.go_on()


def killed_with_its_workers(trial: Trial) -> None:
    run = Run.of(trial, "--num_threads", "2")
    program = run.start()
    run.at_random(program)
    program.send(signal.SIGKILL, group=True)
    program.wait()
    run.go_on()


# Told to stop.


def signalled(number: signal.Signals) -> Callable[[Trial], None]:
    def strike(trial: Trial) -> None:
        run = Run.of(trial, *_workers(trial))
        program = run.start()
        run.at_random(program)
        program.send(number, group=True)
        run.stopped(program, number)
        run.go_on()

    return strike


def signalled_at_start(trial: Trial) -> None:
    run = Run.of(trial)
    program = run.start()
    program.wait_for_path(run.path)  # before, no handler is promised
    later = trial.pause(0.3)
    number = trial.draw.choice([signal.SIGTERM, signal.SIGINT])
    program.send(number)
    trial.tell(f"{number.name} {1000 * later:.0f} ms after its folder was made")
    run.stopped(program, number)
    run.go_on()


def signalled_twice(trial: Trial) -> None:
    run = Run.of(trial)
    program = run.start()
    run.at_random(program)
    first, second = (trial.draw.choice([signal.SIGTERM, signal.SIGINT]) for _ in range(2))
    program.send(first)
    later = trial.pause(1.5)
    program.send(second)
    trial.tell(f"{second.name} {later:.1f} s after {first.name}")
    code = program.wait()
    # All is saved where Python itself has let go of the signals already.
    known = (0, 128 + first, 128 + second, -second)
    require(code in known, f"ended with {code}: {program.last_line()}")
    run.go_on()


def held(trial: Trial) -> None:
    run = Run.of(trial, *_workers(trial))
    program = run.start()
    run.at_random(program)
    program.send(signal.SIGSTOP, group=True)
    trial.tell(f"held for {trial.pause(1):.1f} s")
    program.send(signal.SIGCONT, group=True)
    require(program.wait() == 0, f"ended with {program.code}: {program.last_line()}")
    run.check()


def worker(number: signal.Signals) -> Callable[[Trial], None]:
    def strike(trial: Trial) -> None:
        run = Run.of(trial, "--num_threads", "2", "--cache", "off")
        program = run.start()
        run.at_random(program)
        workers = program.children()
        if workers:
            trial.draw.choice(sorted(workers, key=lambda one: one.pid)).send_signal(number)
        require(program.wait() == 0, f"ended with {program.code}: {program.last_line()}")
        run.check()

    return strike


# Room.


def shared_memory_small(trial: Trial) -> None:
    places.needs_root()
    run = Run.of(trial, "--num_threads", "2")
    size = trial.draw.choice([4096, 16384, 65536])
    program = run.start(shared_memory=size)
    trial.tell(f"/dev/shm of {size} bytes")
    require(program.wait() == 0, f"ended with {program.code}: {program.last_line()}")
    run.check()


def disk_full(trial: Trial) -> None:
    with places.disk(trial.folder / "disk") as disk:
        run = Run.of(trial, disk=disk)
        program = run.start()
        run.at_random(program)
        places.fill(disk)
        run.failed(program, "No space left")
        places.empty(disk)
        run.go_on()


def folder_read_only(trial: Trial) -> None:
    run = Run.of(trial)
    program = run.start()
    run.at_random(program)
    with places.read_only(run.path):
        run.failed(program, "Read-only file system", tidy=False)
    run.go_on()


def quota(trial: Trial) -> None:
    run = Run.of(trial)
    whole = (run.reference / "latest.pt").stat().st_size
    size = trial.draw.randrange(4096, whole)
    program = run.start(file_size=size)
    trial.tell(f"no file larger than {size} bytes")
    run.failed(program, "File too large")
    require(program.code == 1, "a file that is too large was written")
    run.go_on()


# Damaged.


def _stopped_run(trial: Trial) -> Run:
    run = Run.of(trial)
    program = run.start()
    run.at_random(program, first=2)
    program.send(signal.SIGTERM)
    run.stopped(program, signal.SIGTERM)
    return run


def latest_damaged(how: str) -> Callable[[Trial], None]:
    def strike(trial: Trial) -> None:
        run = _stopped_run(trial)
        places.DAMAGES[how](run.path / "latest.pt", trial.draw)
        run.go_on(f"latest.pt{DAMAGED}", tells=True)

    return strike


def log_damaged(trial: Trial) -> None:
    run, how = _stopped_run(trial), trial.draw.choice(sorted(places.DAMAGES))
    places.DAMAGES[how](run.path / "losses.jsonl", trial.draw)
    trial.tell(how)
    run.go_on(log=False)


def settings_damaged(trial: Trial) -> None:
    run, how = _stopped_run(trial), trial.draw.choice(sorted(places.DAMAGES))
    name = trial.draw.choice(["settings.toml", "journey.json"])
    places.DAMAGES[how](run.path / name, trial.draw)
    trial.tell(f"{name} {how}")
    run.go_on()


# Images.


def image_vanishes(trial: Trial) -> None:
    run = Run.of(trial, "--cache", "off", *_workers(trial))
    program = run.start()
    run.at_random(program)
    gone = trial.draw.choice(sorted(run.data.rglob("*.png")))
    gone.unlink()
    _goes_on_without(run, program)


def image_changes(trial: Trial) -> None:
    run = Run.of(trial, "--cache", "off", *_workers(trial))
    program = run.start()
    run.at_random(program)
    changed = trial.draw.choice(sorted(run.data.rglob("*.png")))
    smooth_image(trial.draw.randrange(1000, 2000), (50, 44)).save(changed)
    _goes_on_without(run, program)


def _goes_on_without(run: Run, program: Program) -> None:
    """Check that a training of other images than before is as far as it should be."""
    require(program.wait() == 0, f"ended with {program.code}: {program.last_line()}")
    saved = checkpoint.load(run.path / "latest.pt")
    require(saved.position.images == IMAGES, f"it is at {saved.position}")
    require(names(run.path) == names(run.reference), f"left behind: {names(run.path)}")


def images_appear(trial: Trial) -> None:
    run = Run.of(trial, "--cache", "off", *_workers(trial))
    program = run.start()
    run.at_random(program)
    smooth_image(77).save(run.data / trial.draw.choice(["trainA", "trainB"]) / "new.png")
    require(program.wait() == 0, f"ended with {program.code}: {program.last_line()}")
    run.check()


def all_images_go(trial: Trial) -> None:
    run = Run.of(trial, "--cache", "off", *_workers(trial))
    program = run.start()
    run.at_random(program)
    folder = run.data / trial.draw.choice(["trainA", "trainB"])
    away = folder.rename(folder.with_name("away"))
    run.failed(program, "images can be read")
    away.rename(folder)
    run.go_on()


# Around it.


def clock_jumps(trial: Trial) -> None:
    run = Run.of(trial, *_workers(trial))
    program = run.start(clock=trial.draw.randrange(1 << 30))
    if trial.draw.random() < 0.5:
        run.at_random(program)
        program.send(signal.SIGTERM)
    run.stopped(program, signal.SIGTERM)
    run.go_on()


def visdom(how: str) -> Callable[[Trial], None]:
    def strike(trial: Trial) -> None:
        with BadServer(how, after=trial.draw.randrange(40)) as server:
            run = Run.of(trial, "--display_port", str(server.port), "--visdom")
            trial.tell(f"after {server.after} requests")
            program = run.start()
            require(program.wait() == 0, f"ended with {program.code}: {program.last_line()}")
        run.check()

    return strike


def second_trainer(trial: Trial) -> None:
    run = Run.of(trial)
    program = run.start()
    run.at_random(program, last=IMAGES // 2)
    program.send(signal.SIGSTOP)  # it is still there when the other one looks, however slow that is
    second = trial.start(*run.again())
    code = second.wait()
    program.send(signal.SIGCONT)
    require(code == 1, f"a second trainer ended with {code}")
    require("another process is training this run" in second.last_line(), second.last_line())
    require(program.wait() == 0, f"ended with {program.code}: {program.last_line()}")
    run.check()


def two_begin(trial: Trial) -> None:
    run = Run.of(trial)
    one = run.start()
    later = trial.pause(0.3)
    two = run.start()
    trial.tell(f"{1000 * later:.0f} ms apart")
    codes = sorted((one.wait(), two.wait()))
    require(codes == [0, 1], f"they ended with {codes}")
    loser = one if one.code else two
    words = ("another process is training this run", "already exists")
    require(any(word in loser.last_line() for word in words), loser.last_line())
    run.check()


_GOES_ON = "`--continue_train` ends with the weights of an undisturbed run, bit for bit"
_UNMOVED = "it goes on by itself, to the same weights, bit for bit"
_TOLD = f"one line says what and where; then {_GOES_ON}"

TRAINING_FAULTS = [
    Fault("kill", "kill -9 at a random moment", _GOES_ON, killed),
    Fault("kill-twice", "the same, and once more after going on", _GOES_ON, killed_twice),
    Fault("kill-saving", "kill -9 while a checkpoint is written", _GOES_ON, killed_while_saving),
    Fault("kill-start", "kill -9 before the first step", _GOES_ON, killed_at_start),
    Fault("kill-end", "kill -9 after the last step", _GOES_ON, killed_at_the_end),
    Fault("kill-group", "kill -9 to it and its workers", _GOES_ON, killed_with_its_workers),
    Fault("term", "SIGTERM to the group", f"saved, 143; {_GOES_ON}", signalled(signal.SIGTERM)),
    Fault("int", "Ctrl-C to the group", f"saved, 130; {_GOES_ON}", signalled(signal.SIGINT)),
    Fault("signal-start", "a signal before the first step", _GOES_ON, signalled_at_start),
    Fault("signal-twice", "two signals within 1.5 s", _GOES_ON, signalled_twice),
    Fault("hold", "SIGSTOP, later SIGCONT", _UNMOVED, held),
    Fault("worker-killed", "kill -9 to a loading worker", _UNMOVED, worker(signal.SIGKILL)),
    Fault("worker-held", "SIGSTOP to a loading worker", _UNMOVED, worker(signal.SIGSTOP)),
    Fault("shm-small", "a /dev/shm of some kilobytes", _UNMOVED, shared_memory_small),
    Fault("disk-full", "the disk is full", _TOLD, disk_full),
    Fault("read-only", "its folder becomes read-only", _TOLD, folder_read_only),
    Fault("quota", "no file may be as large as a checkpoint", _TOLD, quota),
    *(
        Fault(
            f"latest-{how}",
            f"the newest checkpoint is {how}",
            f"the one before it takes its place, which is told; {_GOES_ON}",
            latest_damaged(how),
        )
        for how in places.DAMAGES
    ),
    Fault("log-damaged", "the log is cut, garbled or gone", _GOES_ON, log_damaged),
    Fault("settings-damaged", "settings or manifest are", _GOES_ON, settings_damaged),
    Fault("image-vanishes", "an image is deleted", "it goes on with the others", image_vanishes),
    Fault("image-changes", "an image becomes another", "it goes on with the new", image_changes),
    Fault("images-appear", "a new image lies in the folder", _UNMOVED, images_appear),
    Fault("images-all-go", "all images are gone", _TOLD, all_images_go),
    Fault("clock", "the clock jumps by seconds to years", _UNMOVED, clock_jumps),
    Fault("visdom-dies", "the Visdom server ends", _UNMOVED, visdom("dies")),
    Fault("visdom-hangs", "it answers no more", _UNMOVED, visdom("hangs")),
    Fault("visdom-refuses", "it refuses all", _UNMOVED, visdom("refuses")),
    Fault("second-trainer", "another process goes on with it", _UNMOVED, second_trainer),
    Fault("two-begin", "the same command twice at once", "one trains; " + _UNMOVED, two_begin),
]
