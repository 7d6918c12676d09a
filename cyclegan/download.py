"""Downloads: a file appears under its name complete, or never.

Run as `python -m cyclegan.download URL FILE URL FILE ...`, it prints each file that has come, and
exits with 1 at the first that can't be had: a process can be stopped at any time.
"""

import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from cyclegan.atomic import lock
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
            raise OSError("the downloaded file is damaged or not the expected one")
        Path(unfinished).chmod(0o644)

    pooch.get_logger().setLevel("WARNING")  # the bar says the same
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pooch.retrieve(url, None, path.name, path.parent, downloader=download)
    except OSError as error:  # requests' errors are some of these
        raise OSError(_reason(error)) from error


def fetch_resumed(url: str, path: Path, most: int) -> None:
    """Download `url` as the file `path`, going on where an earlier download of it ended.

    What has come so far lies in `PATH.part`, and what the server calls this version of the file in
    `PATH.part.version`: of another version nothing is kept (RFC 9110, If-Range). Broken and
    stalled connections are tried again. A file of more than `most` bytes is refused. Raises
    OSError, in one line.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _Unfinished(url, path.with_name(f"{path.name}.part"), most)
    tries = _TRIES
    with progress_bar() as bar:
        shown = bar.add_task(f"downloading {path.name}", total=None, unit="MB")
        while True:
            before = unfinished.size
            try:
                for done, total in unfinished.coming():
                    bar.update(shown, completed=done / 1e6, total=total / 1e6 if total else None)
                break
            except OSError as error:
                tries = _TRIES if unfinished.size > before else tries - 1
                if not tries or not _may_pass(error):
                    raise OSError(_reason(error)) from error
    unfinished.path.replace(path)
    unfinished.version.unlink(missing_ok=True)


_TRIES = 3  # without a byte more
_SMALL = 2**14  # bytes: what is lost where a connection breaks off


@dataclass(frozen=True)
class _Unfinished:
    """A download in progress, by processes that go on from each other."""

    url: str
    path: Path
    most: int
    """bytes"""

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def version(self) -> Path:
        return self.path.with_name(f"{self.path.name}.version")

    def coming(self) -> Iterator[tuple[int, int]]:
        """Fetch the rest; yield the bytes there are, and those of the whole, 0 where unknown."""
        import requests

        headers = {"Accept-Encoding": "identity"}
        done, version = self.size, self.version.read_text() if self.version.exists() else ""
        if done and version:
            headers |= {"Range": f"bytes={done}-", "If-Range": version}
        with requests.get(self.url, headers=headers, stream=True, timeout=PATIENCE) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                self.path.unlink()
                raise requests.ConnectionError
            response.raise_for_status()
            if not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
                done = 0
                self.version.write_text(_version(response.headers))
            length = response.headers.get("Content-Length", "")
            total = done + int(length) if length.isdecimal() else 0
            self._check(total, total - done)
            with self.path.open("ab") as file:
                if not lock(file):
                    raise OSError("another process is downloading it")
                file.truncate(done)
                for piece in response.iter_content(_SMALL):
                    file.write(piece)
                    done += len(piece)
                    self._check(done, 0)
                    yield done, total
        if done < total:  # urllib3 1.26 does not look
            raise requests.ConnectionError

    def _check(self, size: int, left: int) -> None:
        if size > self.most:
            raise OSError(f"more than {self.most / 1e6:,.0f} MB: not the expected file")
        free = shutil.disk_usage(self.path.parent).free
        if left > free:
            raise OSError(
                f"needs {left / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free in "
                f"{self.path.parent}"
            )


def _version(headers: Mapping[str, str]) -> str:
    """Return what a server calls this version of a file; empty if it can't be told from others."""
    tag = headers.get("ETag", "")
    return headers.get("Last-Modified", "") if tag.startswith("W/") or not tag else tag


def _may_pass(error: OSError) -> bool:
    """Return whether the same request may well be answered a moment later."""
    import requests

    known = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, known)


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
        return f"the server responded {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return f"no response within {PATIENCE:.0f} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
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
