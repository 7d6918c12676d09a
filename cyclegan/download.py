"""Downloads with pooch: a file appears under its name complete and verified, or never.

Run as `python -m cyclegan.download URL FILE URL FILE ...`, it prints each file that has come, and
exits with 1 at the first that can't be had: a process can be stopped at any time.
"""

import sys
from pathlib import Path

from rich.progress import Progress

from cyclegan.errors import in_words
from cyclegan.progress import progress_bar

PATIENCE = 10.0  # seconds without a byte
_PIECE = 2**20  # bytes


def fetch(url: str, path: Path, digest: str = "") -> None:
    """Download `url` as the file `path` if it isn't there, creating folders as needed.

    `digest` is the file's SHA-256, or the first digits of it. Raises OSError, in one line.
    """
    if path.is_file():
        return
    import pooch

    def download(url: str, unfinished: str, cache: object) -> None:
        with progress_bar() as bar:
            shown = _Bar(bar, path.name)
            pooch.HTTPDownloader(shown, _PIECE, timeout=PATIENCE)(url, unfinished, cache)
        if not pooch.file_hash(unfinished).startswith(digest):
            raise OSError("what came is damaged or something else")
        Path(unfinished).chmod(0o644)

    pooch.get_logger().setLevel("WARNING")  # the bar says the same
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pooch.retrieve(url, None, path.name, path.parent, downloader=download)
    except OSError as error:  # requests' errors are some of these
        raise OSError(_reason(error)) from error


class _Bar:
    """A progress bar with the interface that pooch expects."""

    total = 0
    """bytes; 0 where the server does not say"""

    def __init__(self, bar: Progress, name: str) -> None:
        self._bar = bar
        self._task = bar.add_task(f"downloading {name}", total=None, unit="MB")

    def update(self, size: int) -> None:
        """Advance the bar by `size` bytes."""
        self._bar.update(self._task, total=self.total / 1e6 or None, advance=size / 1e6)

    def reset(self) -> None:
        """Reset the bar to 0: the last piece was counted as a whole one."""
        self._bar.update(self._task, completed=0)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def _reason(error: OSError) -> str:
    """Return the innermost cause of an error, in one line."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server says {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"no answer in {PATIENCE:.0f} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return in_words(error.__cause__ or error)


def main(urls_and_files: list[str]) -> None:
    """Download the files one after the other. Raises OSError."""
    for url, file in zip(urls_and_files[::2], urls_and_files[1::2], strict=True):
        fetch(url, Path(file))
        sys.stdout.write(f"{file}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(str(error))
