"""Training on several processes: real ones, started by torchrun."""

import copy
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from conftest import build_recipe
from test_processes import wait_for
from torchrun_steps import CASES
from training.test_loop import assert_same_run

from cyclegan import checkpoint, cli
from cyclegan.distributed import BatchShare, Group, _checksum
from cyclegan.errors import UsageError, UserError
from cyclegan.settings import from_table

TESTS = Path(__file__).parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
_ALONE = {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}


def start(processes: int, *args: str, restarts: int = 0) -> subprocess.Popen[str]:
    """Start a program under torchrun, what it prints in one stream."""
    how = ["--nproc_per_node", str(processes), "--max-restarts", str(restarts)]
    return subprocess.Popen(
        [*TORCHRUN, *how, *args],
        env={**os.environ, **_ALONE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def train(processes: int, *flags: str) -> tuple[int, str]:
    """Train under torchrun; return its exit code and what was printed."""
    with start(processes, "-m", "cyclegan", "train", *flags) as torchrun:
        printed, _ = torchrun.communicate(timeout=120)
    return torchrun.returncode, printed


def workers(torchrun: subprocess.Popen[str]) -> dict[str, int]:
    """Return the processes that torchrun started, by their rank."""
    children = psutil.Process(torchrun.pid).children()
    return {one.environ()["RANK"]: one.pid for one in children if "RANK" in one.environ()}


@pytest.fixture
def flags(tiny_flags: list[str]) -> list[str]:
    """A training whose batches two processes share."""
    return [*tiny_flags, "--batch_size", "2", "--display_freq", "0", "--save_epoch_freq", "0"]


def test_shares_are_disjoint_and_differ_by_one_image() -> None:
    for images in range(1, 9):
        for processes in range(1, 9):
            shares = [BatchShare.of(images, rank, processes) for rank in range(processes)]
            real = [range(one.start, one.stop) for one in shares if one.counts]
            assert [place for one in real for place in one] == list(range(images))
            assert max(map(len, real)) - min(map(len, real)) <= 1
            assert all(one.stop - one.start == 1 for one in shares if not one.counts)


def steps(processes: int, folder: Path, device: str = "cpu") -> Mapping[str, Any]:
    """Compute the steps of `torchrun_steps.py`; return what it saved."""
    with start(processes, str(TESTS / "torchrun_steps.py"), str(folder), device) as torchrun:
        printed, _ = torchrun.communicate(timeout=300)
    assert torchrun.returncode == 0, printed
    made: Mapping[str, Any] = torch.load(folder / f"{processes}.pt", map_location="cpu")
    return made


def apart(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> float:
    """Return how far tensors are apart, as the length of their difference."""
    differences = [(one[name].double() - other[name].double()).flatten() for name in one]
    return float(torch.cat(differences).norm())


@dataclass(frozen=True)
class Distances:
    """How far the steps of several processes are from those of one."""

    learnt: float
    """share of the weights that learn at all, and are compared"""
    exact: float
    """the largest difference of a weight in float64"""
    rounded: float
    """length of the difference in float32"""
    nudged: float
    """the same of one process whose first weights differ by one rounding"""
    gradients: float
    """length of the difference in the first step, over the gradients' own"""


def distances(one: Mapping[str, Any], several: Mapping[str, Any], case: str) -> Distances:
    """Compare what `steps` returned for one process and for several."""
    grads = one[f"{case} float64"]["grads"]
    most = max(float(grad.abs().max()) for grad in grads.values())
    # An instance norm takes biases before it out again: rounding alone moves them.
    learnt = [name for name, grad in grads.items() if grad.abs().max() > 1e-6 * most]

    def weights(made: Mapping[str, Any], key: str) -> dict[str, torch.Tensor]:
        return {name: made[f"{case} {key}"]["weights"][name] for name in learnt}

    exact, there = weights(one, "float64"), weights(several, "float64")
    rounded = weights(one, "float32")
    first, theirs = (made[f"{case} first"]["grads"] for made in (one, several))
    return Distances(
        len(learnt) / len(grads),
        max(float((exact[name] - there[name]).abs().max()) for name in learnt),
        apart(rounded, weights(several, "float32")),
        max(apart(rounded, weights(one, f"nudged {nudge}")) for nudge in (1, 2)),
        apart(first, theirs)
        / apart(first, {name: torch.zeros_like(grad) for name, grad in first.items()}),
    )


def test_any_number_of_processes_computes_the_same(tmp_path: Path) -> None:
    """Also with pools, contrastive loss, penalty, augmentation, average, accumulation, turns."""
    one, *others = (steps(processes, tmp_path) for processes in (1, 3))
    for several, case in product(others, CASES):
        found = distances(one, several, case)
        assert found.learnt > 0.5
        assert found.exact < 1e-9
        assert found.rounded <= found.nudged
        assert found.gradients < 1e-5


def test_a_killed_process_is_started_again_and_nothing_changes(
    flags: list[str], tmp_path: Path
) -> None:
    """torchrun starts all again; they go on from the newest checkpoint by themselves."""
    flags = [*flags, "--n_epochs", "10", "--n_epochs_decay", "0", "--save_latest_freq", "6"]
    code, printed = train(2, *flags, "--name", "whole")
    assert code == 0, printed
    with start(2, "-m", "cyclegan", "train", *flags, restarts=2) as torchrun:
        wait_for(torchrun, " 18/60 images")
        os.kill(workers(torchrun)["1"], signal.SIGKILL)
        printed, _ = torchrun.communicate(timeout=120)
    assert torchrun.returncode == 0, printed
    assert printed.count("another process of this training exited unexpectedly") <= 1
    assert "trained: " in printed
    assert_same_run(tmp_path / "checkpoints" / "whole", tmp_path / "checkpoints" / "tiny")


def test_two_failures_at_one_place_end_the_run(flags: list[str]) -> None:
    """A third start would end as the second did: all images are gone."""
    folder = Path(flags[flags.index("--dataroot") + 1]) / "trainA"
    flags = [*flags, "--n_epochs", "300", "--cache", "off"]
    with start(2, "-m", "cyclegan", "train", *flags, restarts=5) as torchrun:
        wait_for(torchrun, " 6/")
        for path in folder.iterdir():
            path.write_bytes(b"")
        printed, _ = torchrun.communicate(timeout=120)
    assert torchrun.returncode != 0
    # By one of the two, and once: torchrun starts them three times more.
    assert printed.count("failed twice at the same place (epoch ") == 1
    assert printed.count("exited unexpectedly") == 0


#: The training of one of two processes, whose images are gone after three steps.
ONE_CAN_NOT_LOAD = """
import os
from cyclegan import cli
from cyclegan.data import loader

load, done = loader._Load.__call__, []

def fails(self, places):
    done.append(places)
    gone = os.environ["RANK"] == "1" and len(done) > 3
    return loader.Failure("all images are gone") if gone else load(self, places)

loader._Load.__call__ = fails
cli.main()
"""


def test_where_one_process_can_not_load_all_save_and_end(flags: list[str], tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(ONE_CAN_NOT_LOAD)
    with start(2, str(tmp_path / "program.py"), "train", *flags, "--cache", "off") as torchrun:
        try:
            printed, _ = torchrun.communicate(timeout=90)
        finally:
            torchrun.terminate()
    assert torchrun.returncode != 0
    assert printed.count("all images are gone") == 1
    saved = checkpoint.load(tmp_path / "checkpoints" / "tiny" / "latest.pt").position
    assert saved.images == 6


def test_a_signal_to_one_process_saves_and_ends_all(flags: list[str], tmp_path: Path) -> None:
    """Then one process goes on where two were, and two where one was."""
    flags = [*flags, "--lr_policy", "constant", "--n_epochs_decay", "0"]
    with start(2, "-m", "cyclegan", "train", *flags, "--n_epochs", "3000", restarts=3) as torchrun:
        wait_for(torchrun, " 6/")
        os.kill(workers(torchrun)["1"], signal.SIGTERM)
        printed, _ = torchrun.communicate(timeout=60)
    assert torchrun.returncode == 0, printed
    assert printed.count("saved; resume with: cyclegan train --name tiny") == 1
    run = tmp_path / "checkpoints" / "tiny"
    saved = checkpoint.load(run / "latest.pt").position
    more = ["--continue_train", "--n_epochs"]
    code, printed = train(1, *flags, *more, str(saved.epoch))
    assert code == 0, printed
    code, printed = train(2, *flags, *more, str(saved.epoch + 1))
    assert code == 0, printed
    assert checkpoint.load(run / "latest.pt").position.images == 6 * (saved.epoch + 1)


def test_all_processes_roll_back_together(flags: list[str], tmp_path: Path) -> None:
    diverges = ["--lr", "1e30", "--lr_policy", "constant", "--save_latest_freq", "2"]
    rolls_back = ["--on_divergence", "rollback", "--rollback_lr", "1e-36"]
    code, printed = train(2, *flags, *diverges, *rolls_back)
    assert code == 0, printed
    assert printed.count("learning rate times 1e-36") == 1
    saved = checkpoint.load(tmp_path / "checkpoints" / "tiny" / "latest.pt")
    assert (saved.rollbacks, saved.position.epoch) == (1, 3)
    assert not [line for line in printed.splitlines() if "Traceback" in line]


def test_more_processes_than_images_are_refused() -> None:
    Group(size=2).check_share(2)
    with pytest.raises(UsageError, match="--batch_size 1: the 2 processes of torchrun share each"):
        Group(size=2).check_share(1)


def test_batch_norm_is_refused_where_it_can_not_be_synchronised() -> None:
    settings = from_table({"networks": {"norm": "batch"}, "generator": {"ngf": 2}}, "test")
    with pytest.raises(
        UserError, match="--norm batch: 2 processes can't synchronise batch statistics"
    ):
        build_recipe(settings).state.share(Group(size=2))


def test_weights_that_drift_apart_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other process gathered is made up here: real ones do not drift."""
    group, network = Group(size=2), torch.nn.Linear(2, 2)
    theirs = copy.deepcopy(network)
    both = [{"generator": _checksum(network)}, {"generator": _checksum(theirs)}]
    monkeypatch.setattr(Group, "gathered", lambda group, own: both)
    group.check_alike({"generator": network})
    with torch.no_grad():
        theirs.bias[0] = theirs.bias[0].nextafter(torch.tensor(2.0))
    both[1] = {"generator": _checksum(theirs)}
    with pytest.raises(UserError, match="generator: the weights of the 2 processes have diverged"):
        group.check_alike({"generator": network})


def test_quality_is_measured_by_all_and_logged_once(flags: list[str], tmp_path: Path) -> None:
    """Loss records hold what one process measures; only the time they took differs."""
    root = Path(flags[flags.index("--dataroot") + 1])
    for name in ("testA", "testB"):
        (root / name).mkdir(exist_ok=True)
        for number, path in enumerate(sorted((root / f"train{name[-1]}").iterdir())):
            (root / name / f"{number}_again.png").write_bytes(path.read_bytes())
    runs = tmp_path / "checkpoints"
    assert cli.run(["train", *flags, "--eval_freq", "6", "--name", "alone"]) == 0
    code, printed = train(2, *flags, "--eval_freq", "6")
    assert code == 0, printed
    one, two = (
        re.findall(
            r'"((?:progress|ssim|kid)\w*)": ([-\d.e]+)', (runs / name / "losses.jsonl").read_text()
        )
        for name in ("alone", "tiny")
    )
    assert len(one) == len(two) > 4
    assert [name for name, _ in one] == [name for name, _ in two]
    values = [[float(value) for _, value in found] for found in (one, two)]
    assert torch.allclose(torch.tensor(values[0]), torch.tensor(values[1]), atol=0.02)


def test_the_slurm_script_trains_and_asks_for_another_turn(
    flags: list[str], tmp_path: Path
) -> None:
    """SLURM's own commands are made up here: srun starts what it is given, on this machine."""
    commands = tmp_path / "bin"
    commands.mkdir()
    requeued = tmp_path / "requeued"
    for name, does in {
        "srun": 'exec "$@"',
        "scontrol": f'if [ "$1" = requeue ]; then echo "$2" >> {requeued}; else echo localhost; fi',
    }.items():
        (commands / name).write_text(f"#!/bin/sh\n{does}\n")
        (commands / name).chmod(0o755)
    slurm = {"SLURM_JOB_NODELIST": "a", "SLURM_JOB_NUM_NODES": "1", "SLURM_GPUS_ON_NODE": "2"}
    path = f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = flags[flags.index("tiny") + 1 :]  # the script gives the name
    with subprocess.Popen(
        [
            "bash",
            str(TESTS.parent / "scripts" / "slurm_train.sh"),
            "tiny",
            *own,
            "--n_epochs",
            "3000",
        ],
        env={**os.environ, **_ALONE, **slurm, "SLURM_JOB_ID": "7", "PATH": path},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as job:
        wait_for(job, " 6/")
        (torchrun,) = psutil.Process(job.pid).children()
        torchrun.send_signal(signal.SIGTERM)
        printed, _ = job.communicate(timeout=60)
    assert printed.count("saved; resume with: cyclegan train --name tiny") == 1
    assert job.returncode != 0
    assert requeued.read_text() == "7\n"
