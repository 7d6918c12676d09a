"""Files that are programs are opened only where a person says so, whatever they are called."""

import re
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from conftest import GOLDEN, smooth_image
from exporting import Export

from cyclegan import Translator, classic, cli
from cyclegan.errors import UsageError, UserError
from cyclegan.export.formats import FORMATS
from cyclegan.features.table import feature_network
from cyclegan.flags import parse
from cyclegan.runtimes.metadata import Metadata, pack
from cyclegan.runtimes.safetensors import read_tensors
from cyclegan.serving import ServeSettings
from cyclegan.serving.tasks import BrokenModelError, Inspect
from cyclegan.serving.worker import Worker
from cyclegan.weights_file import PROGRAMS, SAFE, ending_of, other_than_weights


def torchscript(path: Path, traces: Path) -> Path:
    """One that writes `traces` when it is run, by an operator that any TorchScript can name."""

    class Writing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.place = str(traces)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            written = torch.from_file(self.place, shared=True, size=4)
            return images + written.fill_(1.0).sum() * 0

    weights = torch.load(GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth", weights_only=True)
    texts = Metadata(classic.infer_architecture(weights, path)).texts()
    torch.jit.script(Writing()).save(str(path), _extra_files=pack(texts))
    return path


def torch_export(path: Path, traces: Path, source: Path) -> Path:
    """One that writes `traces` when it is opened: the text of a side is Python."""
    code = f"__import__('pathlib').Path('{traces}').touch() or 4"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("models/model.json"):
                sides = re.compile(rb'"expr_str": "[^"]*"')
                content = sides.sub(f'"expr_str": "{code}"'.encode(), content, count=1)
            new.writestr(name, content)
    return path


@pytest.fixture(params=["x.torchscript", "latest_net_G.pth", "x.onnx", "x.pt2", "y.pth"])
def program(request: pytest.FixtureRequest, tmp_path: Path, exported: Export) -> Path:
    """A program, called as it is or as weights are."""
    path = tmp_path / request.param
    if path.stem == "y" or path.suffix == ".pt2":
        return torch_export(path, tmp_path / "traces", exported("instance", "torch-export"))
    return torchscript(path, tmp_path / "traces")


def refused(path: Path, error: pytest.ExceptionInfo[UserError]) -> None:
    told = str(error.value)
    assert told.startswith(f"{path}: ")
    assert "\n" not in told
    assert all(word in told for word in ("program", "--trust_code", "trust_code=True", SAFE))
    assert not (path.parent / "traces").exists(), "it was run"


def test_python_needs_trust(program: Path) -> None:
    with pytest.raises(UserError) as error:
        Translator.load(program)
    refused(program, error)


@pytest.mark.parametrize("program", ["latest_net_G.pth", "y.pth"], indirect=True)
@pytest.mark.parametrize(
    "command",
    [
        ["convert", "--input", "{in}", "--output", "{out}", "--weights"],
        ["benchmark", "convert", "--input", "{in}", "--weights"],
        ["export", "--format", "onnx", "--weights"],
        ["evaluate", "--real", "{in}", "--fake", "{in}", "--features", "clip", "--feature_weights"],
    ],
    ids=lambda command: command[0],
)
def test_every_command_needs_trust(command: list[str], program: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(4):
        smooth_image(number, (16, 16)).save(tmp_path / "in" / f"{number}.png")
    places = {"in": tmp_path / "in", "out": tmp_path / "out"}
    with pytest.raises(UserError) as error:
        cli.run([*(word.format(**places) for word in command), str(program)])
    refused(program, error)


@pytest.mark.parametrize("program", ["latest_net_G.pth", "y.pth"], indirect=True)
def test_training_needs_trust(program: Path, tiny_flags: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "classic"
    folder.mkdir()
    for short in classic.NETWORKS:
        shutil.copy(program, folder / f"latest_net_{short}.pth")
    for given in (program, folder):
        with pytest.raises(UserError, match="--trust_code"):
            cli.run(["train", *tiny_flags, "--init_weights", str(given)])
    assert not (tmp_path / "traces").exists()


@pytest.mark.parametrize("program", ["latest_net_G.pth"], indirect=True)
def test_the_server_needs_trust(program: Path, tmp_path: Path) -> None:
    given = parse(["--weights", "x", "--trust_code"], ServeSettings, prog="serve", about="")
    assert given.trust_code
    for trust_code in (False, True):
        worker = Worker.of_models("cpu", "fp32", trust_code=trust_code)
        try:
            if trust_code:
                assert worker.do(Inspect(program)) is False, "it holds one direction"
            else:
                with pytest.raises(BrokenModelError) as error:
                    worker.do(Inspect(program))
                refused(program, error)
        finally:
            worker.close()


def test_trusted_programs_run(program: Path) -> None:
    """The traces that the others look for are left, where it is run."""
    try:
        Translator.load(program, trust_code=True)(smooth_image(1, (16, 12)))
    except UserError as error:
        assert "damaged" in str(error)  # torch.export's text of a side is no side
    assert (program.parent / "traces").exists()


def test_the_flag_opens_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = torchscript(tmp_path / "latest_net_G.pth", tmp_path / "traces")
    smooth_image(1, (16, 12)).save(tmp_path / "a.png")
    args = ["--weights", path, "--input", tmp_path / "a.png", "--output", tmp_path / "out"]
    assert cli.run(["convert", *map(str, args), "--trust_code"]) == 0
    assert "1 converted" in capsys.readouterr().out
    with pytest.raises(UsageError, match="already exported"):
        cli.run(["export", "--format", "onnx", "--weights", str(path), "--trust_code"])


@pytest.mark.parametrize("kind", ["torchscript", "torch-export", "safetensors"])
def test_training_takes_the_weights_of_what_it_trusts(kind: str, exported: Export) -> None:
    found = read_tensors(exported("instance", kind), trust_code=True)
    wanted = Translator.load(exported("instance", "onnx").parent).generator.network.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_features_that_run_downloaded_code_need_trust() -> None:
    with pytest.raises(UserError, match=r"--features dinov2: .* runs its code: give --trust_code"):
        feature_network("dinov2")


@pytest.mark.parametrize(
    "kind", [name for name, kind in FORMATS.items() if name != "classic" and not kind.folder]
)
def test_contents_are_known_under_any_name(kind: str, exported: Export, tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    shutil.copy(exported("instance", kind), path)
    told = FORMATS[kind].ending
    known = told in PROGRAMS or told == ".safetensors"
    assert ending_of(path) == (told if known else ".bin")


def test_help_says_which_formats_are_programs(capsys: pytest.CaptureFixture[str]) -> None:
    programs = [name for name, kind in FORMATS.items() if kind.ending in PROGRAMS]
    assert set(PROGRAMS) == {FORMATS[name].ending for name in programs}
    with pytest.raises(SystemExit):
        cli.run(["export", "--help"])
    told = " ".join(capsys.readouterr().out.replace("│", "").split())
    assert f"{' and '.join(programs)} files contain code" in told


def test_an_archive_of_a_later_kind_is_passed_on(tmp_path: Path) -> None:
    """Python's own reader stops at one; what is no archive to it is for torch to judge."""
    path = tmp_path / "later.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "x")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 90  # the version that is needed to open it: 9.0
    path.write_bytes(content)
    with pytest.raises(NotImplementedError):
        zipfile.ZipFile(path)
    assert other_than_weights(path) is None
