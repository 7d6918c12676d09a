"""One process trains a run at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cyclegan.errors import UserError
from cyclegan.locks import lock
from cyclegan.run_folder import RunFolder

# Seconds in which whoever asks whether a run is trained has let go of it again.
_PATIENCE = 0.5


@contextmanager
def only_trainer(folder: Path) -> Iterator[None]:
    """Hold the run in `folder`. Raises UserError where another process trains it.

    The system lets go of it with the process, however that ends, and loading processes which
    outlive a killed trainer do not hold the run.
    """
    import filelock

    held = filelock.FileLock(RunFolder(folder).lock, timeout=_PATIENCE)
    try:
        held.acquire()
    except filelock.Timeout:
        raise UserError(
            f"{folder}: another process is training this run: wait until it has ended"
        ) from None
    try:
        yield
    finally:
        held.release()


def is_trained(folder: Path) -> bool:
    """Whether a process trains the run in `folder`, as far as this system can tell."""
    try:
        with RunFolder(folder).lock.open("rb") as file:
            return not lock(file, shared=True)
    except OSError:  # never trained, or no locks there
        return False
