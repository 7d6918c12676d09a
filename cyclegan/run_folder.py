"""What lies where in the folder of a run; asking needs no torch."""

import re
from dataclasses import dataclass
from pathlib import Path

from cyclegan.atomic import UNFINISHED, remove_unfinished
from cyclegan.errors import UserError

#: Checkpoints that are called otherwise than by an epoch's number.
LATEST, PREVIOUS, BEST = "latest", "previous", "best"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run: the one owner of the names in it."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held by the process that trains the run."""
        return self.path / ".lock"

    @property
    def settings(self) -> Path:
        """The resolved settings."""
        return self.path / "settings.toml"

    @property
    def journey(self) -> Path:
        """How far the run goes, and how far it is saved."""
        return self.path / "journey.json"

    @property
    def losses(self) -> Path:
        """All that was logged, a line for each record."""
        return self.path / "losses.jsonl"

    @property
    def table(self) -> Path:
        """The same for spreadsheets."""
        return self.path / "losses.csv"

    @property
    def report(self) -> Path:
        """The page that needs no server."""
        return self.path / "report.html"

    @property
    def evaluations(self) -> Path:
        """What `cyclegan evaluate` found."""
        return self.path / "evaluation.json"

    @property
    def pictures(self) -> Path:
        """A folder for each kind of grid."""
        return self.path / "pictures"

    @property
    def tensorboard(self) -> Path:
        """Events for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def wandb(self) -> Path:
        """What Weights & Biases keeps."""
        return self.path / "wandb"

    @property
    def wandb_id(self) -> Path:
        """By which Weights & Biases knows the run."""
        return self.path / "wandb_id.txt"

    @property
    def latest(self) -> Path:
        """The checkpoint that training goes on from."""
        return self.checkpoint(LATEST)

    def checkpoint(self, epoch: str) -> Path:
        """The file of `epoch`: 'latest', 'previous', 'best' or a number."""
        return self.path / (f"{epoch}.pt" if epoch in _NAMED else f"epoch_{epoch}.pt")

    def saved(self) -> list[str]:
        """Return the checkpoints that are there, as `checkpoint` takes them."""
        named = [name for name in _NAMED if self.checkpoint(name).is_file()]
        return named + [str(number) for number in self.saved_epochs()]

    def saved_epochs(self) -> list[int]:
        """Return the numbers of the epochs that have a checkpoint of their own, in order."""
        files = (path.name for path in self.path.glob("epoch_*.pt") if path.is_file())
        names = (re.fullmatch(r"epoch_(0|[1-9]\d*)\.pt", name, re.ASCII) for name in files)
        return sorted(int(name[1]) for name in names if name)

    def newest(self) -> str:
        """Return what stands for the run as far as it is trained: 'previous' for a lost latest."""
        return PREVIOUS if self.saved()[:1] == [PREVIOUS] else LATEST

    def check(self) -> None:
        """Raise UserError, naming the runs beside it, where there is no such folder."""
        if not self.path.is_dir():
            others = sorted(self.path.parent.glob("*/"))
            runs = [path.name for path in others if RunFolder(path).journey.exists()]
            there = f"; there are {', '.join(runs)}" if runs else ""
            raise UserError(f"{self.path}: no such run{there}")

    def is_run(self) -> bool:
        """Whether a run is, or was, trained here."""
        return any(mark.exists() for mark in (self.journey, self.settings, self.latest))

    def is_fresh(self) -> bool:
        """Whether a new run may begin here: what ended before its first save may be replaced."""
        beginnings = {
            *(self.lock, self.settings, self.journey, self.losses, self.table, self.report),
            *(self.pictures, self.tensorboard, self.wandb, self.wandb_id),
        }
        there = self.path.iterdir() if self.path.exists() else ()
        return all(path in beginnings or path.match(f".*{UNFINISHED}") for path in there)

    def remove_unfinished(self) -> None:
        """Remove what a killed training was writing; only the one that trains may call it."""
        for folder in (self.path, *self.pictures.glob("*/")):
            remove_unfinished(folder)


_NAMED = (LATEST, PREVIOUS, BEST)
