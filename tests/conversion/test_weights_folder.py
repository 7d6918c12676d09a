"""`--weights FOLDER` is what `--name` and `--init_weights` take: a run, or the classic's files."""

from pathlib import Path

import pytest
from conftest import GOLDEN, smooth_image
from exporting import save_run
from PIL import Image

from cyclegan import Translator, cli
from cyclegan.errors import UsageError, UserError
from cyclegan.serving.tasks import Inspect, Models


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder, with the checkpoint of another epoch."""
    folder = tmp_path / "runs" / "mine"
    later = save_run(folder, {"ngf": 4, "n_blocks": 1}, {})
    (folder / "epoch_3.pt").write_bytes(later.read_bytes())
    save_run(folder, {"ngf": 2, "n_blocks": 1}, {})
    return folder


@pytest.fixture
def classic_folder(tmp_path: Path) -> Path:
    """The generators of two epochs, and the discriminators of one."""
    folder = tmp_path / "classic"
    folder.mkdir()
    for short in ("G_A", "G_B", "D_A", "D_B"):
        content = (GOLDEN / "resnet9_nopool" / f"initial_net_{short}.pth").read_bytes()
        (folder / f"latest_net_{short}.pth").write_bytes(content)
        other = {"G_A": "G_B", "G_B": "G_A"}.get(short)
        if other:
            (folder / f"5_net_{other}.pth").write_bytes(content)
    return folder


def convert(tmp_path: Path, name: str, *flags: object) -> list[bytes]:
    if not (tmp_path / "in").exists():
        (tmp_path / "in").mkdir()
        smooth_image(1).save(tmp_path / "in" / "a.png")
    where = ["--input", tmp_path / "in", "--output", tmp_path / name]
    args = [*where, "--precision", "fp32", *flags]
    assert cli.run(["convert", *map(str, args)]) == 0
    return [Image.open(path).tobytes() for path in sorted((tmp_path / name).rglob("*.png"))]


def test_a_run_by_its_folder(run: Path, tmp_path: Path) -> None:
    name = ["--name", "mine", "--checkpoints_dir", run.parent]
    for number, more in enumerate(
        ([], ["--epoch", "3"], ["--direction", "BtoA"], ["--also", "cycled"])
    ):
        expected = convert(tmp_path, f"name{number}", *name, *more)
        assert convert(tmp_path, f"folder{number}", "--weights", run, *more) == expected
    with pytest.raises(UserError, match="there are latest, previous, 3"):
        convert(tmp_path, "x", "--weights", run, "--epoch", "9")
    with pytest.raises(UsageError, match="--epoch 3 goes with --name"):
        convert(tmp_path, "x", "--weights", run / "latest.pt", "--epoch", "3")


def test_the_classic_s_files_by_their_folder(classic_folder: Path, tmp_path: Path) -> None:
    forth, back = classic_folder / "latest_net_G_A.pth", classic_folder / "latest_net_G_B.pth"
    there, again = (convert(tmp_path, path.stem, "--weights", path) for path in (forth, back))
    for number, (more, expected) in enumerate(
        [
            ([], there),
            (["--direction", "BtoA"], again),
            (["--direction", "both"], [*there, *again]),
            (["--epoch", "5"], again),
        ]
    ):
        assert convert(tmp_path, f"{number}", "--weights", classic_folder, *more) == expected
    (cycled, made) = convert(tmp_path, "also", "--weights", classic_folder, "--also", "cycled")[
        ::-1
    ]
    assert there[0] in (cycled, made)
    assert cycled != made


def test_one_downloaded_generator(tmp_path: Path) -> None:
    folder = tmp_path / "horse2zebra"
    folder.mkdir()
    path = folder / "latest_net_G.pth"
    path.write_bytes((GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth").read_bytes())
    image = smooth_image(1)
    assert Translator.load(folder)(image).tobytes() == Translator.load(path)(image).tobytes()
    with pytest.raises(UsageError, match=r"--direction BtoA: .*holds only latest_net_G\.pth"):
        Translator.load(folder, direction="BtoA")
    with pytest.raises(UserError, match=r"holds no 7_net_G\.pth"):
        Translator.load(folder, epoch=7)


def test_export_calls_the_file_as_the_folder(run: Path, classic_folder: Path) -> None:
    for folder, name in ((run, "mine_AtoB.safetensors"), (classic_folder, "classic.safetensors")):
        assert cli.run(["export", "--weights", str(folder), "--format", "safetensors"]) == 0
        assert Translator.load(folder / name)


def test_the_server_offers_folders(run: Path, classic_folder: Path, tmp_path: Path) -> None:
    models = Models("cpu", "fp32", trust_code=False)
    assert Inspect(run)(models)
    assert Inspect(classic_folder)(models)
    image = smooth_image(1)
    for direction, short in (("AtoB", "G_A"), ("BtoA", "G_B")):
        found = models.load(classic_folder, "latest", direction)
        file = classic_folder / f"latest_net_{short}.pth"
        assert found(image).tobytes() == Translator.load(file)(image).tobytes()
    (classic_folder / "latest_net_G_B.pth").unlink()
    (classic_folder / "latest_net_D_B.pth").unlink()
    (classic_folder / "5_net_G_A.pth").unlink()
    assert not Inspect(classic_folder)(models)


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such checkpoint; it holds no checkpoint"):
        Translator.load(tmp_path)
