"""What became of each job, for the manifest."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from cyclegan.atomic import is_full
from cyclegan.conversion import manifest
from cyclegan.conversion.files import Job
from cyclegan.errors import UserError, in_words
from cyclegan.execution.execution import Execution


class OutputError(UserError):
    """Nothing more can be written: what comes after would fail, too."""


@dataclass(frozen=True)
class Ledger:
    """Notes jobs in the manifest of the output folder."""

    output: Path
    made_by: str
    """digest of model and options"""
    checkpoint: str
    """digest of the generator's weights"""
    execution: Execution
    """how the generator is computed"""

    def entry(
        self, job: Job, width: int = 0, height: int = 0, seconds: float = 0.0
    ) -> manifest.Entry:
        """A job that was done in so many seconds."""
        origin = manifest.Origin.of(job.source, self.made_by)
        return manifest.Entry(
            job.name.as_posix(),
            origin,
            self.checkpoint,
            width,
            height,
            round(seconds, 3),
            precision=self.execution.precision,
            compiled=self.execution.compiled,
        )

    def note(self, *entries: manifest.Entry) -> None:
        """Write them down. Do so before the outputs appear: they are then always known as ours.

        Raises OutputError where that can't be.
        """
        try:
            manifest.append(self.output, *entries)
        except OSError as error:
            path = self.output / manifest.NAME
            raise OutputError(f"{path}: can't be written ({in_words(error)})") from error

    def fail(self, job: Job, error: Exception) -> str:
        """Write down that a job failed, of whatever; return the line that says why.

        Raises OutputError where the disk is full or the folder can't be written to.
        """
        line = str(error) if isinstance(error, UserError) else f"{job.source}: {in_words(error)}"
        if isinstance(error, OutputError) or is_full(error) or is_full(error.__cause__):
            raise OutputError(line) from error
        if os.path.isfile(job.source):  # noqa: PTH113 - of a name of any length
            self.note(replace(self.entry(job), error=line))
        return line

    def fail_to_write(self, job: Job, error: Exception) -> str:
        """The same where it was made, and its output can't be written."""
        named = getattr(error, "filename", None)
        where = "" if named is None or Path(os.fsdecode(named)) == job.target else f"{named}: "
        told = UserError(f"{job.target}: can't be written ({where}{in_words(error)})")
        told.__cause__ = error
        return self.fail(job, told)
