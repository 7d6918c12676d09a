"""docs/security.md says of every format what it may do; pictures start no other program."""

import os
import re
from pathlib import Path

import pytest
from conftest import smooth_image

from cyclegan import images
from cyclegan.export.formats import FORMATS
from cyclegan.images.formats import EXTENSIONS, UPLOADED
from cyclegan.run import RunFolder
from cyclegan.runtimes.table import RUNTIMES
from cyclegan.video import VIDEO
from cyclegan.weights_file import PROGRAMS

TEXT = (Path(__file__).parents[1] / "docs" / "security.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("|") and not line.startswith("|--")
][1:]
RUN = RunFolder(Path())
#: Every ending that some table of the code opens, and the file that each kind of them stands for.
OPENED = {
    *EXTENSIONS,
    *VIDEO,
    *UPLOADED,
    *(ending for loaders in RUNTIMES.values() for ending in loaders),
    *(kind.ending for kind in FORMATS.values() if not kind.folder),
    *(path.suffix for path in (RUN.latest, RUN.losses, RUN.settings, RUN.run_info)),
    Path("list.txt").suffix,
}


def row_of(ending: str) -> list[str]:
    found = [row for row in ROWS if f"`{ending}`" in row[0]]
    assert len(found) == 1, f"{ending}: {len(found)} rows in docs/security.md, not one"
    return found[0]


@pytest.mark.parametrize("ending", sorted(OPENED))
def test_every_format_has_a_row(ending: str) -> None:
    _, reader, executes, checked, bounds = row_of(ending)
    assert reader
    assert checked
    assert bounds
    assert executes.startswith("**yes**") == (ending in PROGRAMS)
    assert ("--trust_code" in reader) == (ending in PROGRAMS)


def test_no_row_is_of_a_format_that_is_gone() -> None:
    told = {ending for row in ROWS for ending in re.findall(r"`(\.\w+)`", row[0])}
    assert told - OPENED == {".bin", ".tgz"}


def test_an_eps_under_another_name_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    started = tmp_path / "started"
    for name in ("gs", "gswin64c"):
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\ntouch {started}\necho 10\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    smooth_image(1).save(tmp_path / "x.eps")
    (tmp_path / "x.eps").rename(tmp_path / "photo.png")
    with pytest.raises(images.UnreadableImageError, match=r"photo\.png"):
        images.read(tmp_path / "photo.png", 3)
    assert not started.exists()
