"""One process trains a run at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cyclegan.errors import UserError


@contextmanager
def only_trainer(folder: Path) -> Iterator[None]:
    """Hold the run in `folder`. Raises UserError where another process trains it.

    The system lets go of it with the process, however that ends. Locks of this kind (lockf) are
    not inherited, so that loading processes which outlive a killed trainer do not hold the run.
    """
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"{folder}: another process is training this run: wait until it has ended"
            ) from None
        yield
