"""What is wrong with a data set is said before anything is trained on it."""

import shutil
from pathlib import Path

import pytest
from conftest import smooth_image

from cyclegan import assemble, cli
from cyclegan.data.check import told_shared
from cyclegan.errors import UsageError, UserError
from cyclegan.settings import from_table


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ("TrainA", r"there is .*/TrainA: rename it to trainA, or give --domain_A .*/TrainA$"),
        ("train_A", r"there is .*/train_A: rename it to trainA"),
        ("A", r"there is .*/data/A: rename it to trainA, or give --domain_A .*/A$"),
        ("A/train", r"there is .*/A/train: rename"),
        ("train/A", r"there is .*/train/A: rename"),
        ("set/trainA", r"there is .*/set/trainA: give --dataroot .*/set$"),
        ("../trainA", r"there is .*/trainA: give --dataroot .*"),
        ("other", r"trainA: no such folder$"),
    ],
)
def test_what_is_there_instead_is_named(tiny: dict, dataroot: Path, there: str, words: str) -> None:
    (dataroot / there).parent.mkdir(exist_ok=True)
    (dataroot / "trainA").rename(dataroot / there)
    with pytest.raises(UserError, match=words):
        assemble.train(from_table(tiny, "x"))
    with pytest.raises(UserError, match=words):
        cli.run(["data", "check", str(dataroot)])


def test_a_level_too_high_is_told_of_a_folder(
    dataroot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(["data", "check", str(dataroot.parent)])
    assert f"there is {dataroot / 'trainA'}: give --dataroot {dataroot}" in capsys.readouterr().out


@pytest.fixture
def sharing(dataroot: Path) -> Path:
    """Two pictures are in both domains, one is trained and tested with; names say nothing."""
    for number in (1, 2):
        shutil.copy(dataroot / "trainA" / f"{number}.png", dataroot / "trainB" / f"b{number}.png")
    shutil.copy(dataroot / "trainA" / "3.png", dataroot / "testA" / "0.png")
    for name in ("1.png", "2.png"):
        smooth_image(50).save(dataroot / "testA" / name)
    return dataroot


def wanted(root: Path) -> list[str]:
    return [
        f"{root / 'trainA'} and {root / 'trainB'} share 2 pictures (1.png is b1.png): leave them "
        "out of one",
        f"{root / 'trainA'} and {root / 'testA'} share a picture (3.png is 0.png): leave them "
        "out of one",
    ]


def test_checking_tells_of_shared_pictures(
    sharing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["data", "check", str(sharing)]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if " share " in line]
    assert told == wanted(sharing)


def test_training_tells_of_shared_pictures(
    sharing: Path, tiny: dict, caplog: pytest.LogCaptureFixture
) -> None:
    tiny["training"] = {"n_epochs": 1, "n_epochs_decay": 0}
    tiny["data"]["max_dataset_size"] = 6
    assemble.train(from_table(tiny, "x"))
    assert [line for line in caplog.messages if " share " in line] == wanted(sharing)


def test_looking_ends_in_time(sharing: Path) -> None:
    files = {sharing / name: sorted((sharing / name).iterdir()) for name in ("trainA", "trainB")}
    (line,) = told_shared(files, -1)
    assert line.startswith("looked for shared pictures in 0 of ")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--n_epochs 0 --n_epochs_decay 0", "--n_epochs_decay 0: nothing would be trained: give"),
        ("--epoch_count 4", "--epoch_count 4: nothing would be trained, the last epoch is 2: give"),
    ],
)
def test_no_epoch_to_train_is_an_error(tiny_flags: list[str], flags: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        cli.run(["train", *tiny_flags, *flags.split()])
