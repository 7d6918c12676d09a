"""Parts of another package: one that is really installed, in a folder of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import GOLDEN
from PIL import Image

from cyclegan import checkpoint

GENERATOR = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `tests/parts_package`, installed."""
    folder = tmp_path_factory.mktemp("site")
    source = shutil.copytree(Path(__file__).parent / "parts_package", folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    # scripts/environment.sh sets one for what is built in isolation.
    env = {name: value for name, value in os.environ.items() if name != "PIP_BUILD_CONSTRAINT"}
    subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(folder), str(source)],
        check=True,
        cwd=folder,
        env=env,
    )
    return folder


def cyclegan(installed: Path | None, *args: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, **({} if installed is None else {"PYTHONPATH": str(installed)})}
    command = [sys.executable, "-m", "cyclegan", *args]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


BRUSH = ("--netG", "brush", "--bristles", "5", "--weights", "luminance", "2")


def test_they_train_go_on_and_convert(
    installed: Path, tiny_flags: list[str], dataroot: Path, tmp_path: Path
) -> None:
    for name in ("--ngf", "--n_blocks"):  # another generator's
        place = tiny_flags.index(name)
        del tiny_flags[place : place + 2]
    train = ["train", *tiny_flags, *BRUSH, "--use_loggers", "tally"]
    first = cyclegan(installed, *train)
    assert first.returncode == 0, first.stderr
    run = tmp_path / "checkpoints" / "tiny"
    saved = checkpoint.load(run / "latest.pt")
    assert saved.versions["brushwork"] == "1.2"
    assert saved.settings["generator"] == {"netG": "brush", "bristles": 5}
    lines = (run / "tally.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == [str(number) for number in range(1, 13)]
    more = cyclegan(installed, *train, "--continue_train", "--n_epochs", "2")
    assert more.returncode == 0, more.stderr
    assert len((run / "tally.txt").read_text().splitlines()) == 18
    convert = ["convert", "--name", "tiny", "--checkpoints_dir", str(run.parent)]
    convert += ["--input", str(dataroot / "trainA" / "0.png"), "--output", str(tmp_path / "o.png")]
    made = cyclegan(installed, *convert)
    assert made.returncode == 0, made.stderr
    assert Image.open(tmp_path / "o.png").size == Image.open(dataroot / "trainA" / "0.png").size
    away = cyclegan(None, *convert, "--overwrite")
    assert away.returncode != 0
    assert "netG 'brush': unknown; choose from resnet" in away.stderr
    assert "Traceback" not in away.stderr


def test_their_recipe_trains_goes_on_and_converts(
    installed: Path, tiny_flags: list[str], dataroot: Path, tmp_path: Path
) -> None:
    for name in ("--ndf", "--pool_size"):  # it has no discriminator
        place = tiny_flags.index(name)
        del tiny_flags[place : place + 2]
    train = ["train", "--model", "grayscale", *tiny_flags, "--lambda_gray", "2 -> 3 at 0.5"]
    first = cyclegan(installed, *train, "--weights", "luminance", "2")
    assert first.returncode == 0, first.stderr
    run = tmp_path / "checkpoints" / "tiny"
    saved = checkpoint.load(run / "latest.pt")
    assert saved.versions["brushwork"] == "1.2"
    assert saved.settings["losses"]["lambda_gray"] == "2 -> 3 at 0.5"
    assert list(saved.state["networks"]) == ["generator_a_to_b"]
    more = cyclegan(installed, "train", *tiny_flags, "--continue_train", "--n_epochs", "2")
    assert more.returncode == 0, more.stderr
    assert checkpoint.load(run / "latest.pt").position.images > saved.position.images
    convert = ["convert", "--name", "tiny", "--checkpoints_dir", str(run.parent)]
    convert += ["--input", str(dataroot / "trainA" / "0.png"), "--output", str(tmp_path / "o.png")]
    made = cyclegan(installed, *convert)
    assert made.returncode == 0, made.stderr
    assert Image.open(tmp_path / "o.png").size == Image.open(dataroot / "trainA" / "0.png").size
    refused = cyclegan(installed, "train", "--lambda_gray", "2")
    assert refused.returncode == 2
    away = cyclegan(None, *convert, "--overwrite")
    assert away.returncode != 0
    assert "grayscale" in away.stderr
    assert "Traceback" not in away.stderr


def test_their_formats_are_read_and_written(
    installed: Path, dataroot: Path, tmp_path: Path
) -> None:
    """By their endings: a folder's files, and a named output; what is broken is told."""
    photograph = np.asarray(Image.open(dataroot / "trainA" / "0.png").convert("RGB"))
    (tmp_path / "in").mkdir()
    head = np.array(photograph.shape[:2], "<u2").tobytes()
    (tmp_path / "in" / "0.swatch").write_bytes(head + photograph.tobytes())
    convert = ["convert", "--weights", str(GENERATOR), "--input"]
    made = cyclegan(installed, *convert, str(tmp_path / "in"), "--output", str(tmp_path / "out"))
    assert made.returncode == 0, made.stderr
    plain = str(dataroot / "trainA" / "0.png")
    made = cyclegan(installed, *convert, plain, "--output", str(tmp_path / "0.png"))
    assert made.returncode == 0, made.stderr
    content = (tmp_path / "out" / "0.swatch").read_bytes()
    assert content == head + np.asarray(Image.open(tmp_path / "0.png")).tobytes()
    broken = cyclegan(installed, *convert, plain, "--output", str(tmp_path / "0.smudge"))
    assert broken.returncode != 0
    assert "smudge: comes from the package brushwork, which can't be used" in broken.stderr
    assert "Traceback" not in broken.stderr


def test_their_settings_are_flags_with_help(installed: Path) -> None:
    told = cyclegan(installed, "train", "--netG", "brush", "--help").stdout
    assert "--bristles" in told
    assert "filters between the convolutions" in told
    assert "--n_blocks" not in told


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("unfinished", "unfinished: comes from the package brushwork, which can't be used"),
        (
            "misplaced",
            "comes from the package brushwork, whose brushwork:BRUSH is not a Term",
        ),
        ("luminanse", "no such loss term, perhaps you meant luminance; choose from adversarial"),
    ],
)
def test_what_is_wrong_with_them_is_told_in_a_line(
    installed: Path, weights: str, words: str
) -> None:
    done = cyclegan(installed, "settings", "--weights", weights, "1")
    assert done.returncode != 0
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_they_are_imported_only_when_they_are_named(installed: Path) -> None:
    """Among them one of a name of ours, which stays ours."""
    look = (
        "import sys; from cyclegan import cli; code = cli.run(['settings', '--weights', 'cycle', "
        "'1']); from cyclegan.loggers.table import LOGGERS, wanted; "
        "from cyclegan.loggers import LoggerSettings; wanted(LoggerSettings()); "
        "sys.exit(code or ('brushwork' in sys.modules) or ('console' not in LOGGERS.own()))"
    )
    env = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run([sys.executable, "-c", look], env=env, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_the_docs_show_a_part_of_this_package() -> None:
    root = Path(__file__).parents[1]
    text = (root / "docs" / "contributing.md").read_text().partition("## Parts of a package")[2]
    _, python, _, toml, _ = text.split("```")
    package = root / "tests" / "parts_package"
    term = python.partition("\n\n\n")[2].strip()
    assert term in (package / "brushwork.py").read_text()
    assert toml.removeprefix("toml\n") in (package / "pyproject.toml").read_text()
