"""Which images `convert` takes where no flag says it, and whether they are those of the input."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import GOLDEN, smooth_image
from exporting import save_run

from cyclegan import cli
from cyclegan.errors import UserError

Told = tuple[str, str]
Convert = Callable[..., Told]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """All four folders, with a picture in each that is called as its folder."""
    root = tmp_path / "data"
    for number, name in enumerate(["trainA", "trainB", "testA", "testB"]):
        (root / name).mkdir(parents=True)
        smooth_image(number).save(root / name / f"{name}.png")
    return root


@pytest.fixture
def convert(
    tmp_path: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> Convert:
    """Trained on `data`: the run `forth` from A to B, `back` from B to A, `single` one way only.

    Gives what was printed and what was told; nothing is converted where `--dry_run` is not False.
    """
    monkeypatch.chdir(tmp_path)
    kinds: dict[str, dict[str, str]] = {
        "forth": {},
        "back": {"direction": "BtoA"},
        "single": {"model": "one_painting"},
    }
    for name, run in kinds.items():
        sides = {"run": run, "data": {"dataroot": str(data)}}
        save_run(tmp_path / "checkpoints" / name, {"ngf": 2, "n_blocks": 1}, {}, **sides)

    def run_convert(*flags: object, dry: bool = True) -> Told:
        caplog.clear()
        asked = ["--dry_run"] if dry else ["--precision", "fp32", "--compile", "off"]
        assert cli.run(["convert", *map(str, flags), *asked]) == 0
        return capsys.readouterr().out, caplog.text

    return run_convert


@pytest.mark.parametrize(
    ("flags", "taken"),
    [
        (["--name", "forth"], "testA"),
        (["--name", "back"], "testB"),
        (["--name", "forth", "--direction", "BtoA"], "testB"),
        (["--name", "back", "--direction", "AtoB"], "testA"),
        (["--weights", "checkpoints/back", "--output", "o", "--dataroot", "data"], "testB"),
    ],
)
def test_the_run_knows_its_side(convert: Convert, flags: list[str], taken: str) -> None:
    printed, told = convert(*flags)
    assert f"{taken}/{taken}.png -> " in printed
    assert "1 would be converted" in printed
    assert f"converts: {'' if '--dataroot' in flags else Path.cwd() / ''}" in told
    assert f"data/{taken}" in told


def test_pictures_go_to_a_folder_of_the_run_s_name(convert: Convert, tmp_path: Path) -> None:
    convert("--name", "back", dry=False)
    assert (tmp_path / "results/back/testB.png").is_file()
    convert("--name", "forth", "--direction", "both", dry=False)
    for made in ("AtoB/testA.png", "BtoA/testB.png"):
        assert (tmp_path / "results/forth" / made).is_file()


def test_a_data_set_that_moved(convert: Convert, data: Path, tmp_path: Path) -> None:
    data.rename(tmp_path / "moved")
    with pytest.raises(UserError, match=r"data/testB: no such folder: give --dataroot DIR \(with"):
        convert("--name", "back")
    printed, _ = convert("--name", "back", "--dataroot", "moved")
    assert "moved/testB/testB.png -> " in printed


def test_training_images_where_there_are_no_others(convert: Convert, data: Path) -> None:
    (data / "testA" / "testA.png").unlink()
    printed, told = convert("--name", "forth")
    assert "trainA/trainA.png -> " in printed
    assert "trainA: no test images next to it, converting training images instead" in told


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            "--name forth --input data/testB",
            "look like outputs of AtoB: --direction BtoA converts them",
        ),
        ("--name forth --input data/trainB/trainB.png", "look like outputs of AtoB"),
        ("--name forth --input other/valB", "look like outputs of AtoB"),
        ("--name forth --input other/B_test", "look like outputs of AtoB"),
        (
            "--name back --input data/testA",
            "look like outputs of BtoA: --direction AtoB converts them",
        ),
        (
            "--name single --input data/testB",
            "look like outputs of AtoB: give images like those of",
        ),
        ("--weights classic --direction BtoA --input other/trainA", "look like outputs of BtoA"),
        ("--name forth --input data/testA", ""),
        ("--name forth --input data/testB --direction BtoA", ""),
        ("--name forth --input data/testB --direction both", ""),
        ("--name forth --input other", ""),
        ("--name back --input other/valB", ""),
        ("--weights classic --input other/valB", ""),
    ],
)
def test_images_of_the_other_side_are_told(
    convert: Convert, tmp_path: Path, flags: str, words: str
) -> None:
    for name in ("valB", "trainA", "B_test"):
        (tmp_path / "other" / name).mkdir(parents=True)
        smooth_image(5).save(tmp_path / "other" / name / "1.png")
    (tmp_path / "classic").mkdir()
    (tmp_path / "classic" / "latest_net_G_A.pth").touch()
    _, told = convert(*flags.split(), "--output", "out")
    assert words in told
    assert len(told.splitlines()) == bool(words)


def test_domains_of_any_name(convert: Convert, tmp_path: Path) -> None:
    folders = {"domain_A": "photos/train", "domain_B": "paintings"}
    for name in (*folders.values(), "photos/test", "elsewhere/paintings"):
        (tmp_path / name).mkdir(parents=True)
        smooth_image(3).save(tmp_path / name / "1.png")
    where = {key: str(tmp_path / name) for key, name in folders.items()}
    save_run(tmp_path / "checkpoints" / "named", {"ngf": 2, "n_blocks": 1}, {}, data=where)
    printed, _ = convert("--name", "named")
    assert "photos/test/1.png -> results/named/1.png" in printed
    for given, mixed_up in {"paintings": 1, "elsewhere/paintings": 1, "photos/train": 0}.items():
        _, told = convert("--name", "named", "--input", given, "--output", "out")
        assert told.count("look like outputs of AtoB") == mixed_up


def test_files_of_the_classic_by_the_name_of_their_folder(convert: Convert, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints" / "horse2zebra_pretrained"
    folder.mkdir(parents=True)
    content = (GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth").read_bytes()
    (folder / "latest_net_G.pth").write_bytes(content)
    name = ["--name", folder.name]
    convert(*name, "--input", "data/testA", dry=False)
    assert (tmp_path / "results" / folder.name / "testA.png").is_file()
    printed, _ = convert(*name, "--dataroot", "data", "--direction", "BtoA")
    assert "data/testB/testB.png -> " in printed
    with pytest.raises(
        UserError, match=r"horse2zebra_pretrained: files .* give --dataroot DIR or --input"
    ):
        convert(*name)
