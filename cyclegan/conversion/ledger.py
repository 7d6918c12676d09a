"""What became of each job, for the manifest."""

from dataclasses import dataclass, replace
from pathlib import Path

from cyclegan.conversion import manifest
from cyclegan.conversion.files import Job
from cyclegan.errors import UserError


@dataclass(frozen=True)
class Ledger:
    """Notes jobs in the manifest of the output folder."""

    output: Path
    made_by: str
    """digest of model and options"""
    checkpoint: str
    """digest of the generator's weights"""

    def entry(
        self, job: Job, width: int = 0, height: int = 0, seconds: float = 0.0
    ) -> manifest.Entry:
        """A job that was done in so many seconds."""
        origin = manifest.Origin.of(job.source, self.made_by)
        return manifest.Entry(
            job.name.as_posix(), origin, self.checkpoint, width, height, round(seconds, 3)
        )

    def note(self, entry: manifest.Entry) -> None:
        """Write it down. Do so before the output appears: it is then always known as ours."""
        manifest.append(self.output, entry)

    def fail(self, job: Job, error: UserError) -> str:
        """Write down that a job failed; return the line that says why."""
        if job.source.exists():
            self.output.mkdir(parents=True, exist_ok=True)
            self.note(replace(self.entry(job), error=str(error)))
        return str(error)
