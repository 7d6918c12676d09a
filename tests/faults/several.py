"""Faults of a training on two processes, with torchrun and as torchrun starts them."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
from faults.processes import Program, require, until
from faults.trained import IMAGES, NAME, TRAINING, Run, dataset
from faults.trial import Fault, Kept, Trial
from visdom_server import free_port

SHARED = [*TRAINING, "--batch_size", "2"]


def _environments() -> list[dict[str, str]]:
    """What torchrun tells its processes."""
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    return [
        common | {"LOCAL_WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}
        for rank in range(2)
    ]


class SharedRun(Run):
    """A training whose batches two processes share."""

    @classmethod
    def on_two(cls, trial: Trial) -> "SharedRun":
        """Prepare it."""
        return cls(trial, _undisturbed(trial.kept), ["--batch_size", "2"])

    def start_ranks(self, args: Sequence[str]) -> list[Program]:
        """Start both, without torchrun beside them."""
        return [self.trial.start(*args, env=env) for env in _environments()]

    def at_random_step(self, program: Program) -> None:
        """Wait for a moment between two steps of two images each."""
        images = 2 * self.trial.draw.randint(1, IMAGES // 2 - 2)
        program.wait_for(f" {images}/{IMAGES} images")
        later = self.trial.pause(0.06)
        self.trial.tell(f"{1000 * later:.0f} ms after image {images}")

    def go_on_together(self, *allowed: str) -> None:
        """Go on with both to the end, and check all that is left."""
        for program in self.start_ranks(self.again()):
            require(program.wait() == 0, f"going on ended with {program.code}: {program.printed()}")
        self.check(*allowed)

    def torchrun(self, args: Sequence[str], restarts: int = 0) -> Program:
        """Start torchrun."""
        how = ["--standalone", "--nproc_per_node", "2", "--max-restarts", str(restarts)]
        command = [sys.executable, "-m", "torch.distributed.run", *how, "-m", "cyclegan", *args]
        return self.trial.execute(*command)


def _undisturbed(kept: Kept) -> Path:
    def make(folder: Path) -> Path:
        data = kept.once("data", dataset)
        args = ["--name", NAME, "--checkpoints_dir", str(folder), "--dataroot", str(data), *SHARED]
        start = kept.launcher.start
        ranks = [start(["train", *args], folder, env, {}) for env in _environments()]
        require([one.wait() for one in ranks] == [0, 0], "".join(one.printed() for one in ranks))
        return folder / NAME

    return kept.once("undisturbed on two", make)


def _under_way(trial: Trial) -> tuple["SharedRun", list[Program]]:
    """Start a run on two processes; return it and them at a random step."""
    run = SharedRun.on_two(trial)
    ranks = run.start_ranks(run.command())
    run.at_random_step(ranks[0])
    return run, ranks


def told_to_stop(trial: Trial) -> None:
    run, ranks = _under_way(trial)
    trial.draw.choice(ranks).send(trial.draw.choice([signal.SIGTERM, signal.SIGINT]))
    require([one.wait() for one in ranks] == [0, 0], f"ended with {[one.code for one in ranks]}")
    run.go_on_together()


def held(trial: Trial) -> None:
    run, ranks = _under_way(trial)
    struck = trial.draw.choice(ranks)
    struck.send(signal.SIGSTOP)
    trial.tell(f"held for {trial.pause(1):.1f} s")
    struck.send(signal.SIGCONT)
    require([one.wait() for one in ranks] == [0, 0], f"ended with {[one.code for one in ranks]}")
    run.check()


def one_killed(trial: Trial) -> None:
    run, ranks = _under_way(trial)
    struck = trial.draw.randrange(2)
    ranks[struck].send(signal.SIGKILL)
    ranks[struck].wait()
    other = ranks[1 - struck]
    require(other.wait() in (0, 1), f"the other one ended with {other.code}: {other.last_line()}")
    if other.code:
        require("cyclegan: error: " in other.last_line(), f"no word of it: {other.last_line()}")
    run.go_on_together()


def killed_under_torchrun(trial: Trial) -> None:
    run = SharedRun.on_two(trial)
    torchrun = run.torchrun(run.command(), restarts=3)
    run.at_random_step(torchrun)
    ranks = _ranks(torchrun)
    if ranks:
        trial.draw.choice(ranks).kill()
    require(torchrun.wait() == 0, f"ended with {torchrun.code}: {torchrun.printed()[-800:]}")
    run.check(".restarted")


def _ranks(torchrun: Program) -> list[psutil.Process]:
    found = [child for child in torchrun.children() if "cyclegan" in " ".join(child.cmdline())]
    return sorted(found, key=lambda one: one.pid)


def torchrun_told_to_stop(trial: Trial) -> None:
    run = SharedRun.on_two(trial)
    torchrun = run.torchrun(run.command())
    run.at_random_step(torchrun)
    torchrun.send(signal.SIGTERM)
    torchrun.wait()
    trial.programs.remove(torchrun)  # which itself ends with a traceback
    trial.family.check_gone()
    run.go_on_together()


def torchrun_killed(trial: Trial) -> None:
    run = SharedRun.on_two(trial)
    torchrun = run.torchrun(run.command())
    run.at_random_step(torchrun)
    torchrun.send(signal.SIGKILL)
    torchrun.wait()
    until(lambda: not trial.family.living(), "the end of what torchrun started")
    run.go_on_together()


_SAME = "going on ends with the weights of an undisturbed run, bit for bit"

SEVERAL_FAULTS = [
    Fault("rank-told", "one of two ranks is told to stop", f"all save; {_SAME}", told_to_stop),
    Fault("rank-held", "one of two ranks is held", "it goes on, to the same weights", held),
    Fault("rank-killed", "kill -9 to one of two ranks", f"the other one ends; {_SAME}", one_killed),
    Fault(
        "torchrun-rank-killed",
        "the same under torchrun --max-restarts 3",
        "all start again by themselves, to the same weights",
        killed_under_torchrun,
    ),
    Fault("torchrun-term", "SIGTERM to torchrun", f"all save; {_SAME}", torchrun_told_to_stop),
    Fault("torchrun-killed", "kill -9 to torchrun", f"all end; {_SAME}", torchrun_killed),
]
