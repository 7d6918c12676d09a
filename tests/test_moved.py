"""A run goes on wherever it is: from another folder, moved, on a machine that lacks a package."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from conftest import smooth_image
from feature_weights import save_vgg

from cyclegan import checkpoint, cli
from cyclegan.errors import UserError

#: Runs that name their files in each way that there is.
RUNS = {
    "root": ["--dataroot", "mydata", "--ndf", "2"],
    "domains": ["--domain_A", "photos", "--domain_B", "../project/drawings", "--ndf", "2"],
    "painting": [
        *("--model", "one_painting", "--content", "photos", "--style", "drawings/0.png"),
        *("--lambda_style", "1", "--feature_weights", "vgg.pth"),
    ],
}
SMALL = [
    *("--device", "cpu", "--precision", "fp32", "--compile", "off", "--num_threads", "0"),
    *("--load_size", "28", "--crop_size", "24", "--ngf", "2", "--n_blocks", "1"),
    *("--n_epochs", "1", "--n_epochs_decay", "0", "--eval_freq", "0", "--display_freq", "0"),
    *("--no_visdom", "--no_html"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, and runs that were trained on them from there."""
    top = tmp_path_factory.mktemp("trained") / "project"
    for folder in ("photos", "drawings", "mydata/trainA", "mydata/trainB"):
        (top / folder).mkdir(parents=True)
        for number in range(2):
            smooth_image(number).save(top / folder / f"{number}.png")
    save_vgg(top / "vgg.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(top)
        for name, flags in RUNS.items():
            assert cli.run(["train", *SMALL, "--name", name, *flags]) == 0
    return top


@pytest.fixture
def work(trained: Path, tmp_path: Path) -> Path:
    """A copy of it that is as if it had been made there."""
    shutil.copytree(trained, tmp_path / "project")
    for run in (tmp_path / "project" / "checkpoints").iterdir():
        saved = checkpoint.load(run / "latest.pt")
        text = json.dumps(saved.settings).replace(str(trained), str(tmp_path / "project"))
        saved.settings.update(json.loads(text))
        checkpoint.save(saved, run, "latest")
    return tmp_path / "project"


def go_on(work: Path, name: str, *flags: str) -> int:
    """Train an epoch more."""
    where = ["--name", name, "--checkpoints_dir", str(work / "checkpoints")]
    return cli.run(["train", "--continue_train", *where, "--n_epochs", "2", *flags])


@pytest.mark.parametrize("name", RUNS)
def test_a_run_goes_on_from_another_folder(
    name: str, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir("/")
    assert go_on(work, name) == 0
    told = capsys.readouterr().out
    assert [line for line in told.splitlines() if " -> " in line] == [
        "changed since the checkpoint: --n_epochs 1 -> 2"
    ]
    assert checkpoint.load(work / "checkpoints" / name / "latest.pt").position.epoch == 3
    monkeypatch.chdir(work)  # where the same flags, typed again, are no change
    assert cli.run(["train", "--continue_train", "--name", name, *RUNS[name]]) == 0
    assert " -> " not in capsys.readouterr().out


@pytest.mark.parametrize("name", RUNS)
def test_a_tree_that_moved_as_a_whole(
    name: str, work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = work.rename(tmp_path / "elsewhere")
    (moved / "checkpoints" / name).rename(moved / "checkpoints" / "renamed")
    assert go_on(moved, "renamed") == 0
    told = capsys.readouterr().out
    paths = [Path(flag).name for flag in RUNS[name] if (moved / flag).exists()]
    assert paths
    for found in paths:
        assert any(
            line.startswith("moved since the checkpoint: --") and line.endswith(f"/{found}")
            for line in told.splitlines()
        )
    saved = checkpoint.load(moved / "checkpoints" / "renamed" / "latest.pt")
    assert str(work) not in json.dumps(saved.settings), "from here on it is known there"


def test_a_run_of_an_earlier_version_moved_so(work: Path, tmp_path: Path) -> None:
    """Its paths are relative to a folder that nothing names."""
    run = work.rename(tmp_path / "elsewhere") / "checkpoints" / "root"
    saved = checkpoint.load(run / "latest.pt")
    saved.settings["run"]["checkpoints_dir"] = "checkpoints"
    saved.settings["data"]["dataroot"] = "mydata"
    checkpoint.save(saved, run, "latest")
    assert go_on(tmp_path / "elsewhere", "root") == 0


@pytest.mark.parametrize(
    ("name", "lost", "flag"),
    [
        ("root", "mydata", "--dataroot"),
        ("domains", "photos", "--domain_A"),
        ("painting", "drawings/0.png", "--style"),
        ("painting", "vgg.pth", "--feature_weights"),
    ],
)
def test_what_is_not_found_names_the_flag(
    name: str, lost: str, flag: str, work: Path, tmp_path: Path
) -> None:
    found = (work / lost).rename(tmp_path / "found")
    with pytest.raises(UserError, match=flag) as error:
        go_on(work, name)
    assert str(work / lost) in str(error.value)
    assert "\n" not in str(error.value)
    assert go_on(work, name, flag, str(found)) == 0


def test_evaluation_and_comparison_find_the_pictures_too(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    runs = str(work.rename(tmp_path / "elsewhere") / "checkpoints")
    page = tmp_path / "page.html"
    compare = ["compare", "root", "domains", "--checkpoints_dir", runs, "--output", str(page)]
    assert cli.run([*compare, "--no_figures"]) == 0
    assert page.read_text().count("<img src=") == 6
    evaluate = ["evaluate", "--name", "root", "--checkpoints_dir", runs]
    with pytest.raises(UserError, match=r"fewer than \d+ pictures"):
        cli.run(evaluate)
    (tmp_path / "elsewhere" / "mydata").rename(tmp_path / "found")
    with pytest.raises(UserError, match="/mydata: not found: give --dataroot"):
        cli.run(evaluate)
    with pytest.raises(UserError, match="/mydata: not found: give --dataroot"):
        cli.run([*compare, "--overwrite"])
    more = ["--overwrite", "--no_figures", "--dataroot", str(tmp_path / "found")]
    assert cli.run([*compare, *more]) == 0


def test_conversion_finds_the_test_images_too(work: Path, tmp_path: Path) -> None:
    runs = str(work.rename(tmp_path / "elsewhere") / "checkpoints")
    convert = ["convert", "--name", "root", "--checkpoints_dir", runs, "--precision", "fp32"]
    assert cli.run([*convert, "--output", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"0.png", "1.png"}


@pytest.mark.parametrize(
    ("flag", "package"), [("tensorboard", "tensorboard"), ("use_wandb", "wandb")]
)
def test_a_loggers_missing_package_stops_no_resume(
    flag: str,
    package: str,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for module in [module for module in sys.modules if module.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    assert go_on(work, "root", f"--{flag}") == 0
    (line,) = [record.getMessage() for record in caplog.records if package in record.getMessage()]
    assert "continues without it" in line
    saved = checkpoint.load(work / "checkpoints" / "root" / "latest.pt")
    assert saved.settings["loggers"][flag] is True, "once it is there, it is used again"
    assert saved.position.epoch == 3
