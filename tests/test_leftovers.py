"""What killed processes leave is removed by the next one, what living ones use is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from training.test_loop import with_changes

from cyclegan import assemble
from cyclegan.atomic import remove_folders, remove_unfinished, temporary_folder
from cyclegan.data import DataSettings
from cyclegan.data.cache import PREFIX, open_cache
from cyclegan.run import RunFolder

HOLDING = """
import sys
from pathlib import Path
from cyclegan.atomic import temporary_folder
with temporary_folder("x-", Path(sys.argv[1])) as folder:
    (folder / "kept").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_folder_goes_with_its_process_or_with_the_next(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDING, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        folder = Path(process.stdout.readline().strip())
        remove_folders("x-", tmp_path)
        assert (folder / "kept").exists(), "a living process holds it"
        process.kill()
    assert (folder / "kept").exists()
    with temporary_folder("x-", tmp_path) as own:
        assert not folder.exists()
        assert own.is_dir()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_being_made_is_let_alone(tmp_path: Path) -> None:
    made, old = (tmp_path / f".new-x-{name}" for name in ("made", "old"))
    for folder in (made, old):
        folder.mkdir()
    os.utime(old, (0, 0))
    remove_folders("x-", tmp_path)
    assert (made.exists(), old.exists()) == (True, False)


def test_any_run_removes_the_pictures_of_killed_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it caches itself: in a folder in memory they would take that up for good."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"{PREFIX}left").mkdir()
    open_cache(DataSettings(cache="off"), [])
    assert not list(tmp_path.iterdir())


def dead() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_run_removes_what_its_killed_trainer_was_writing(tiny: dict) -> None:
    settings = with_changes(tiny, training={"n_epochs": 0, "n_epochs_decay": 1})
    folder = settings.run.folder
    pictures = folder / "pictures/held_out"
    pictures.mkdir(parents=True)
    left = [folder / f".{name}.unfinished" for name in ("epoch_7.pt", f"report.html.{dead()}")]
    left.append(pictures / ".epoch_001_images_0000004.png.unfinished")
    living = folder / f".report.html.{os.getppid()}.unfinished"
    for path in (*left, living):
        path.write_text("half")
    assert RunFolder(folder).is_fresh()
    assemble.train(settings)
    assert not any(path.exists() for path in left)
    assert living.read_text() == "half", "cyclegan report may be writing it"


def test_links_are_not_followed_and_other_files_stay(tmp_path: Path) -> None:
    kept = tmp_path / "notes.unfinished"
    kept.touch()
    link = tmp_path / ".x.unfinished"
    link.symlink_to(kept)
    remove_unfinished(tmp_path)
    assert link.is_symlink()
    assert kept.exists()
