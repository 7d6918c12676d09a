"""Faults of conversions: of many pictures, of a clip, of one large picture, of shards."""

import json
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from conftest import smooth_image
from exporting import save_run
from faults import places
from faults.processes import LostError, Program, require, until
from faults.trial import Fault, Kept, Trial
from filming import film, scene

from cyclegan.atomic import UNFINISHED

NETWORK = {"ngf": 2, "n_blocks": 1}
_SIDE = (20, 16)


def _pictures(folder: Path, count: int) -> None:
    for number in range(count):
        name = f"deep/{number:03}.png" if number % 3 else f"{number:03}.png"
        (folder / name).parent.mkdir(exist_ok=True)
        smooth_image(number, _SIDE).save(folder / name)


def _clip(folder: Path) -> None:
    film(folder / "clip.mp4", scene(110, (128, 96)))  # x264 itself varies where they are narrower


def _large(folder: Path) -> None:
    smooth_image(1, (420, 320)).save(folder / "large.png")


@dataclass(frozen=True)
class Kind:
    """What is converted, by how many processes, with which flags."""

    what: str
    write: Callable[[Path], None]
    files: int
    """in the output folder, about as many at most"""
    flags: tuple[str, ...] = ()
    shards: int = 0
    later: float = 0.05
    """seconds at most that a fault comes after a file"""


KINDS = {
    "pictures": Kind("200 pictures", lambda folder: _pictures(folder, 200), 200),
    "clip": Kind("a clip", _clip, 4, later=0.4),
    "temporal": Kind("a clip with --temporal", _clip, 6, ("--temporal",), later=0.4),
    "bands": Kind("a picture in bands", _large, 2, ("--tile", "exact"), later=0.8),
    "tiles": Kind("a picture in tiles", _large, 2, ("--tile", "fast"), later=0.8),
    "shards": Kind("pictures in two shards", lambda folder: _pictures(folder, 80), 80, shards=2),
}


def _model(folder: Path) -> Path:
    save_run(folder / "small", NETWORK, {})
    return folder


@dataclass
class Conversion:
    """A conversion that something happens to, and what it makes otherwise."""

    trial: Trial
    kind: Kind
    output: Path
    source: Path
    made: dict[str, bytes]

    @classmethod
    def of(cls, trial: Trial, name: str, disk: Path | None = None) -> "Conversion":
        """Prepare a conversion."""
        kept, kind = trial.kept, KINDS[name]
        source = trial.folder / "in"
        shutil.copytree(_sources(kept, name), source)  # with the times of their last change
        return cls(trial, kind, (disk or trial.folder) / "out", source, _undisturbed(kept, name))

    def start(self, *more: str) -> list[Program]:
        """Start its processes."""
        base = _command(self.trial.kept, self.source, self.output, self.kind)
        return [self.trial.start(*base, *flags, *more) for flags in _shares(self.kind)]

    def at_random(self, *programs: Program) -> None:
        """Wait until some of its files are there, and a little longer."""
        count = self.trial.draw.randint(1, self.kind.files)

        def there() -> bool:
            self.check_sizes()
            return len(_files(self.output)) >= count or all(one.ended() for one in programs)

        until(there, "the first files", every=0.001)
        later = self.trial.pause(self.kind.later)
        self.trial.tell(f"{1000 * later:.0f} ms after file {count}")

    def go_on(self) -> None:
        """Run the same commands to their end, and check all that is left."""
        for program in self.start():
            code = program.wait()
            require(code == 0, f"going on ended with {code}: {program.last_line()}")
        self.check()

    def check(self, *, noted: bool = True) -> None:
        """Raise WrongError where the output is not that which nothing has happened to.

        `noted` is whether the manifest has to be whole, too.
        """
        there = _files(self.output)
        if missing := self.made.keys() - there.keys():
            raise LostError(f"missing: {sorted(missing)[:5]}")
        odd = there.keys() - self.made.keys()
        require(not odd, f"left behind: {sorted(odd)[:5]}")
        for name, path in there.items():
            if name.endswith((".jsonl", ".html")):
                continue
            require(path.read_bytes() == self.made[name], f"not the same bytes: {name}")
        if noted:
            self._check_manifest(there.keys())

    def _check_manifest(self, there: "set[str] | frozenset[str]") -> None:
        lines = (self.output / "manifest.jsonl").read_text().splitlines()
        noted = {json.loads(line)["output"] for line in lines}
        pictures = {name for name in there if not name.endswith((".jsonl", ".html"))}
        require(noted == pictures, f"noted otherwise than made: {sorted(noted ^ pictures)[:5]}")

    def failed(self, program: Program, *words: str) -> None:
        """Check that a process ended with lines of which one holds a word, if it did."""
        if program.wait() == 0:
            return
        require(program.code == 1, f"ended with {program.code}: {program.last_line()}")
        told = any(word in program.printed() for word in words)
        require(told, f"another error: {program.printed()[-500:]}")

    def check_sizes(self) -> None:
        """Check, at any moment, that what has its name already is as large as it will be."""
        for name, made in self.made.items():
            path = self.output / name
            with suppress(FileNotFoundError):
                whole = name.endswith((".jsonl", ".html")) or path.stat().st_size == len(made)
                require(whole, f"has its name before it is whole: {name}")

    def check_whole(self) -> None:
        """Check that each picture or clip has its name only once it is whole."""
        for name in sorted(self.made.keys() & (there := _files(self.output)).keys()):
            if not name.endswith((".jsonl", ".html")):
                whole = there[name].read_bytes() == self.made[name]
                require(whole, f"half written under its own name: {name}")

    def check_tidy(self) -> None:
        """Check that processes that ended by themselves have left nothing half written."""
        left = [name for name in _files(self.output) if name.endswith(UNFINISHED)]
        require(not left, f"half written: {left}")


def _sources(kept: Kept, name: str) -> Path:
    def make(folder: Path) -> Path:
        (folder / "in").mkdir()
        KINDS[name].write(folder / "in")
        return folder / "in"

    return kept.once(f"source of {name}", make)


def _command(kept: Kept, source: Path, output: Path, kind: Kind) -> list[str]:
    runs = kept.once("model", _model)
    return [
        *("convert", "--name", "small", "--checkpoints_dir", str(runs), "--device", "cpu"),
        *("--input", str(source), "--output", str(output), "--precision", "fp32"),
        *("--compile", "off", *kind.flags),
    ]


def _shares(kind: Kind) -> list[list[str]]:
    if not kind.shards:
        return [[]]
    return [["--shard", f"{number + 1}/{kind.shards}"] for number in range(kind.shards)]


def _files(folder: Path) -> dict[str, Path]:
    """Return all files in a folder by name, hidden ones too; some may go while it is read."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in (folder.rglob("*") if folder.exists() else ())
        if not path.is_dir()
    }


def _undisturbed(kept: Kept, name: str) -> dict[str, bytes]:
    def make(folder: Path) -> dict[str, bytes]:
        command = _command(kept, _sources(kept, name), folder / "out", KINDS[name])
        program = kept.launcher.start(command, folder, {}, {})
        require(program.wait() == 0, program.printed())
        return {each: path.read_bytes() for each, path in _files(folder / "out").items()}

    return kept.once(f"undisturbed {name}", make)


def signalled(name: str, number: signal.Signals) -> Callable[[Trial], None]:
    def strike(trial: Trial) -> None:
        conversion = Conversion.of(trial, name)
        programs = conversion.start()
        conversion.at_random(*programs)
        struck = trial.draw.choice(programs)
        struck.send(number, group=True)
        for program in programs:
            _check_stopped(program, number if program is struck else 0)
        conversion.check_whole()
        if number != signal.SIGKILL:
            conversion.check_tidy()
        conversion.go_on()

    return strike


def _check_stopped(program: Program, number: int) -> None:
    """Check how a conversion ended; once all is done, a signal ends Python as any program."""
    code = program.wait()
    stopped = {-number} if number == signal.SIGKILL else {128 + number, -number}
    require(code in {0, *(stopped if number else ())}, f"ended with {code}: {program.last_line()}")
    if code > 0:
        require("stopped by" in program.last_line(), f"no word of it: {program.last_line()}")


def disk_full(name: str) -> Callable[[Trial], None]:
    def strike(trial: Trial) -> None:
        with places.disk(trial.folder / "disk") as disk:
            conversion = Conversion.of(trial, name, disk)
            programs = conversion.start()
            conversion.at_random(*programs)
            places.fill(disk)
            for program in programs:
                conversion.failed(program, "No space left", "can't be written")
            conversion.check_tidy()
            conversion.check_whole()
            places.empty(disk)
            conversion.go_on()

    return strike


def read_only(name: str) -> Callable[[Trial], None]:
    def strike(trial: Trial) -> None:
        conversion = Conversion.of(trial, name)
        programs = conversion.start()
        conversion.at_random(*programs)
        with places.read_only(conversion.output):
            for program in programs:
                conversion.failed(program, "Read-only file system", "can't be written")
        conversion.check_whole()
        conversion.go_on()

    return strike


def manifest_damaged(name: str) -> Callable[[Trial], None]:
    """What a damaged line has noted may be refused as unknown: then `--overwrite` makes all."""

    def strike(trial: Trial) -> None:
        conversion = Conversion.of(trial, name)
        programs = conversion.start()
        conversion.at_random(*programs)
        for program in programs:
            program.send(signal.SIGKILL)
            program.wait()
        conversion.check_whole()
        manifests = sorted(conversion.output.glob("manifest*.jsonl"))
        how = trial.draw.choice(sorted(places.DAMAGES))
        for path in manifests:
            places.DAMAGES[how](path, trial.draw)
        trial.tell(how)
        again = conversion.start()
        for program in again:
            conversion.failed(program, "already exists")
        if any(program.code for program in again):
            for program in conversion.start("--overwrite"):
                require(program.wait() == 0, f"ended with {program.code}: {program.last_line()}")
        conversion.check(noted=False)

    return strike


def source_vanishes(name: str) -> Callable[[Trial], None]:
    def strike(trial: Trial) -> None:
        conversion = Conversion.of(trial, name)
        gone = trial.draw.choice(sorted(_files(conversion.source).values()))
        programs = conversion.start()
        conversion.at_random(*programs)
        away = gone.rename(trial.folder / gone.name)
        for program in programs:
            conversion.failed(program, gone.name)
        away.rename(gone)
        conversion.go_on()

    return strike


def two_at_once(name: str) -> Callable[[Trial], None]:
    def strike(trial: Trial) -> None:
        conversion = Conversion.of(trial, name)
        programs = conversion.start()
        later = trial.pause(0.3)
        programs += conversion.start()
        trial.tell(f"{1000 * later:.0f} ms apart")
        for program in programs:
            require(program.wait() == 0, f"ended with {program.code}: {program.last_line()}")
        conversion.check()

    return strike


_SAME = "the same command makes all, byte for byte"
_STRIKES: dict[str, tuple[str, str, Callable[[str], Callable[[Trial], None]]]] = {
    "kill": ("kill -9", _SAME, lambda name: signalled(name, signal.SIGKILL)),
    "term": ("SIGTERM", f"143 and a line; {_SAME}", lambda name: signalled(name, signal.SIGTERM)),
    "int": ("Ctrl-C", f"130 and a line; {_SAME}", lambda name: signalled(name, signal.SIGINT)),
    "disk-full": ("the disk is full", f"a line says so; {_SAME}", disk_full),
    "read-only": ("the folder becomes read-only", f"a line says so; {_SAME}", read_only),
    "manifest": ("its manifest is damaged", f"a line says so, or {_SAME}", manifest_damaged),
    "vanishes": ("a source vanishes", f"a line names it; back, {_SAME}", source_vanishes),
    "two": ("the same twice at once", "each file is made once, byte for byte", two_at_once),
}

CONVERSION_FAULTS = [
    Fault(f"{kind}-{how}", f"{KINDS[kind].what}: {does}", after, strike(kind))
    for kind in KINDS
    for how, (does, after, strike) in _STRIKES.items()
]
