"""The wheel, in an environment of its own and away from the checkout."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Sequence
from configparser import ConfigParser
from pathlib import Path

import pytest
from conftest import smooth_image

import cyclegan

ROOT = Path(__file__).parents[1]
PRESETS = sorted((ROOT / "options").glob("*.toml"))
#: Distributions that the environment lacks, as where nobody asked for their extras.
MISSING = ("cyclegan", "visdom", "tornado", "fastapi", "optuna")

#: Where nothing but that environment is imported from.
ALONE = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
Answer = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the checkout, by the setuptools of this environment."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("setup.cfg", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in ("cyclegan", "options"):
        shutil.copytree(ROOT / name, source / name, symlinks=True)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment with the wheel and links to all packages of this one but MISSING."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    for there in (Path(entry) for entry in sys.path if entry.endswith("-packages")):
        for path in there.iterdir():
            called = re.split(r"[-.]", path.name)[0].lower()
            if called not in MISSING and path.suffix != ".pth" and not (site / path.name).exists():
                (site / path.name).symlink_to(path)
    made = folder / "bin" / "python"
    install = ["install", "--no-deps", "--no-index", "--no-compile", str(wheel)]
    command = [sys.executable, "-m", "pip", "--python", str(made), "-q", *install]
    subprocess.run(command, env=ALONE, check=True, capture_output=True)
    return made


@pytest.fixture
def away(python: Path, tmp_path: Path) -> Callable[..., Answer]:
    """The command `cyclegan` of that environment, in a folder away from the checkout."""
    place = tmp_path / "away"
    place.mkdir()

    def run(*args: str) -> Answer:
        return answer([python.with_name("cyclegan"), *args], place)

    return run


def answer(command: Sequence[str | Path], folder: Path) -> Answer:
    return subprocess.run(command, cwd=folder, env=ALONE, capture_output=True, text=True)


def test_the_wheel_holds_the_presets_and_nothing_beside_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        held = {name: archive.read(name) for name in names if name.endswith(".toml")}
    assert held == {f"cyclegan/options/{path.name}": path.read_bytes() for path in PRESETS}
    known = {"cyclegan", f"cyclegan-{cyclegan.__version__}.dist-info"}
    assert {name.partition("/")[0] for name in names} == known


def test_presets_go_by_name_where_there_is_no_checkout(away: Callable[..., Answer]) -> None:
    listed = away("settings", "--list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [path.stem for path in PRESETS]
    for line, path in zip(listed, PRESETS, strict=True):
        assert line.partition(" ")[2].strip() == path.read_text().splitlines()[0].strip("# ")
        assert len(line) <= 100
    path = next(path for path in PRESETS if path.stem == "small")
    assert away("settings", "small").stdout == away("settings", str(path)).stdout != ""
    meant = away("train", "smal", "--dataroot", "mydata")
    assert (meant.returncode, len(meant.stderr.splitlines())) == (2, 1)
    assert "smal: not a preset, perhaps you meant small" in meant.stderr
    assert "perhaps you meant small" in away("train", "options/small.toml").stderr


def test_the_version_is_told(away: Callable[..., Answer], python: Path, tmp_path: Path) -> None:
    assert away("--version").stdout == f"cyclegan {cyclegan.__version__}\n"
    told = "from importlib.metadata import version; print(version('cyclegan'))"
    assert answer([python, "-c", told], tmp_path).stdout == f"{cyclegan.__version__}\n"


def test_it_trains_converts_and_measures_without_visdom(
    python: Path, tiny_flags: list[str], dataroot: Path, tmp_path: Path
) -> None:
    for number in range(5):
        smooth_image(number + 300).save(dataroot / "testA" / f"more_{number}.png")
    shutil.copytree(dataroot / "testA", dataroot / "testB")
    flags = [flag for flag in tiny_flags if flag != "--no_visdom"]
    trained = ["train", "quick", *flags]
    where = ["--name", "tiny", "--checkpoints_dir", str(tmp_path / "checkpoints")]
    images = ["--input", str(dataroot / "testA"), "--output", str(tmp_path / "out")]
    commands = [trained, ["convert", *where, *images], ["evaluate", *where, "--images", "4"]]
    code = f"from cyclegan import cli; print([cli.run(args) for args in {commands!r}])"
    done = answer([python, "-c", code], tmp_path)
    assert done.stdout.endswith("[0, 0, 0]\n"), done.stderr
    (told,) = [line for line in done.stderr.splitlines() if "visdom" in line]
    assert told.startswith("the dashboard: needs visdom (")
    assert told.endswith("training continues without it (--no_visdom: don't try)")
    assert len(list((tmp_path / "out").glob("*.png"))) == 8
    assert "KID" in done.stdout


@pytest.mark.parametrize("args", [["dashboard"], ["train", "--dashboard"]], ids=" ".join)
def test_what_cannot_do_without_visdom_says_what_to_type(
    args: list[str], away: Callable[..., Answer]
) -> None:
    refused = away(*args)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert "needs visdom, tornado (" in refused.stderr
    assert "'cyclegan[dashboard]')" in refused.stderr


def test_a_sweep_without_optuna_says_what_to_type(away: Callable[..., Answer]) -> None:
    refused = away("sweep", "small", "--vary", "lambda_A", "1", "10")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert "cyclegan sweep: needs optuna (" in refused.stderr
    assert "'cyclegan[sweep]')" in refused.stderr


def test_hints_are_right_for_who_reads_them(away: Callable[..., Answer], python: Path) -> None:
    """Away from a checkout the name is enough, in one only its folder; by this very Python."""
    assert f"({python} -m pip install 'cyclegan[serve]')" in away("serve").stderr
    said = answer([python, "-m", "cyclegan", "serve"], ROOT).stderr
    assert f"({python} -m pip install -e {shlex.quote(f'{ROOT}[serve]')})" in said


def test_the_table_of_extras_is_that_of_the_package() -> None:
    """All but those of the scripts, each with the packages that it brings."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = {
        name: {re.split(r"[ ;<>=~]", line)[0] for line in lines.split("\n") if line}
        for name, lines in setup["options.extras_require"].items()
        if name not in ("test", "check", "docs")
    }
    heading = "| extra | brings | for |\n|---|---|---|\n"
    table = (ROOT / "docs" / "install.md").read_text().partition(heading)[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    shown = {name.strip("`"): set(brought.split(", ")) for name, brought, _ in rows}
    assert shown == extras


def test_no_dependency_of_everyone_needs_an_older_setuptools() -> None:
    """visdom below 0.3 stops pip where nobody asked for it."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"].splitlines()
    assert [line for line in lines if line.startswith(("visdom", "tornado"))] == [
        'visdom >= 0.3, < 0.4; python_version >= "3.12"'
    ]
    for script in ("demo.sh", "convert.sh", "train_photo2vangogh.sh"):
        assert "environment dashboard" in (ROOT / "scripts" / script).read_text()


def test_the_older_setuptools_is_the_one_of_the_scripts() -> None:
    pinned = (ROOT / "scripts" / "build-constraints.txt").read_text().splitlines()[-1]
    told = (ROOT / "cyclegan" / "errors.py").read_text()
    assert f"'{pinned.replace(' ', '')}'" in told
