"""A training that something happens to, beside the same one that nothing has happened to."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from conftest import smooth_image
from faults.processes import LostError, Program, require
from faults.trial import Kept, Trial, as_wrong
from training.test_loop import assert_same_run, flat

from cyclegan import checkpoint
from cyclegan.atomic import UNFINISHED
from cyclegan.run import RunFolder

IMAGES = 18
TRAINING = [
    *("--device", "cpu", "--load_size", "28", "--crop_size", "24", "--num_threads", "0"),
    *("--ngf", "2", "--n_blocks", "1", "--ndf", "2", "--pool_size", "3", "--save_epoch_freq", "0"),
    *("--save_latest_seconds", "0", "--save_latest_freq", "5", "--precision", "fp32"),
    *("--compile", "off", "--batching", "on", "--eval_freq", "0", "--print_freq", "1"),
    *("--display_freq", "0", "--no_html", "--no_visdom", "--n_epochs", "2"),
    *("--n_epochs_decay", "1", "--netD", "n_layers", "--n_layers_D", "1"),
    *("--lambda_identity", "0", "--diffaugment", "color", "--ema_decay", "0.9"),
]
NAME = "tiny"


def dataset(folder: Path) -> Path:
    """Write trainA with 6 pictures and trainB with 4."""
    for domain, count in {"trainA": 6, "trainB": 4}.items():
        (folder / domain).mkdir(parents=True)
        for number in range(count):
            smooth_image(number + 100 * (domain == "trainB")).save(
                folder / domain / f"{number}.png"
            )
    return folder


@dataclass
class Run:
    """A training that something happens to, and the same one that nothing has happened to."""

    trial: Trial
    reference: Path
    """the folder of the undisturbed run"""
    flags: list[str] = field(default_factory=list)
    disk: Path | None = None
    """where its folder is, other than with the rest"""

    def __post_init__(self) -> None:
        self.data = self.trial.folder / "data"
        shutil.copytree(self.trial.kept.once("data", dataset), self.data)
        self.runs = (self.disk or self.trial.folder) / "runs"
        self.path = self.runs / NAME
        self.where = ["--name", NAME, "--checkpoints_dir", str(self.runs)]

    @classmethod
    def of(cls, trial: Trial, *flags: str, disk: Path | None = None) -> "Run":
        """Prepare a training; any number of loading workers gives the same."""
        return cls(trial, undisturbed(trial.kept), list(flags), disk)

    def command(self) -> list[str]:
        """Return the command that starts it."""
        return ["train", *self.where, "--dataroot", str(self.data), *TRAINING, *self.flags]

    def again(self) -> list[str]:
        """Return the command that goes on with it; the same one before anything was saved."""
        if not RunFolder(self.path).saved():
            return self.command()
        return ["train", *self.where, "--continue_train"]

    def start(self, **faults: int) -> Program:
        """Start it."""
        return self.trial.start(*self.command(), **faults)

    def at_random(self, program: Program, first: int = 1, last: int = IMAGES - 2) -> None:
        """Wait for a moment between two of its steps, and a little longer."""
        images = self.trial.draw.randint(first, last)
        program.wait_for(f" {images}/{IMAGES} images")
        later = self.trial.pause(0.06)
        self.trial.tell(f"{1000 * later:.0f} ms after image {images}")

    def go_on(self, *allowed: str, log: bool = True, tells: bool = False) -> None:
        """Go on with it to its end, and check all that is left; `tells` of what was lost, or not.

        `allowed` may lie in its folder, too. `log` is whether that has to be the same.
        """
        last = self.trial.start(*self.again())
        code = last.wait()
        require(code == 0, f"going on ended with {code}: {last.last_line()}")
        told = [line for line in last.printed().splitlines() if "resuming from" in line]
        if told and not tells:
            raise LostError(f"work was lost: {told[0]}")
        self.check(*allowed, log=log)

    def check(self, *allowed: str, log: bool = True) -> None:
        """Raise WrongError where the run is not that which nothing has happened to, bit for bit."""
        with as_wrong("not the run that nothing has happened to"):
            if log:
                assert_same_run(self.reference, self.path)
            else:
                assert_same_state(self.reference, self.path)
        there, known = names(self.path), names(self.reference)
        require(known <= there, f"missing: {sorted(known - there)}")
        odd = there - known - set(allowed)
        require(not odd, f"left behind: {sorted(odd)}")

    def stopped(self, program: Program, number: int, code: int | None = None) -> None:
        """Check how a process ended that was sent a signal; it may have been through already."""
        ended = program.wait()
        expected = 128 + number if code is None else code
        require(ended in (expected, 0, -number), f"ended with {ended}: {program.printed()[-500:]}")
        if ended > 0:
            words = ("saved; resume with: cyclegan train --name", "same command again")
            require(any(word in program.printed() for word in words), "no word of how to go on")
        self._check_tidy()

    def failed(self, program: Program, *words: str, tidy: bool = True) -> None:
        """Check that a process ended with one line that holds one of `words`, if it did.

        Where nothing can be deleted it need not be `tidy`: what goes on deletes it.
        """
        if program.wait() == 0:
            return
        line = program.last_line()
        require(program.code == 1, f"ended with {program.code}: {line}")
        require(line.startswith("cyclegan: error: "), f"no error in one line: {line}")
        require(any(word in line for word in words), f"another error: {line}")
        if tidy:
            self._check_tidy()

    def _check_tidy(self) -> None:
        """Check that a process that ended by itself has left nothing half written."""
        left = sorted(self.path.glob(f".*{UNFINISHED}"))
        require(not left, f"half written: {left}")


def names(folder: Path) -> set[str]:
    """Return the names of all files in a folder, at any depth, and of empty folders."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def assert_same_state(one: Path, other: Path) -> None:
    """Assert that all that training goes on from is the same."""
    a, b = (checkpoint.load(folder / "latest.pt") for folder in (one, other))
    assert a.position == b.position
    a, b = flat(a.state), flat(b.state)
    assert a.keys() == b.keys()
    assert not [key for key in a if not _equal(a[key], b[key])]


def _equal(one: object, other: object) -> bool:
    return bool((one == other).all()) if hasattr(one, "all") else one == other


def undisturbed(kept: Kept) -> Path:
    """Return the folder of the run that nothing has happened to."""

    def make(folder: Path) -> Path:
        data = kept.once("data", dataset)
        flags = ["--name", NAME, "--checkpoints_dir", str(folder), "--dataroot", str(data)]
        program = kept.launcher.start(["train", *flags, *TRAINING], folder, {}, {})
        require(program.wait() == 0, program.printed())
        return folder / NAME

    return kept.once("undisturbed", make)
