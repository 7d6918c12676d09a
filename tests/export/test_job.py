"""Every format holds every generator it can, and converts as the checkpoint does."""

import json
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exporting import GENERATORS, Export, save_run
from PIL import Image

from cyclegan import Translator, classic, cli
from cyclegan.errors import UsageError, UserError, install
from cyclegan.export import ExportSettings, FormatName, job
from cyclegan.export.formats import FORMATS
from cyclegan.runtimes.metadata import from_texts

NETWORKS = [name for name, kind in FORMATS.items() if name != "classic" and not kind.folder]


def levels(first: Path, second: Path) -> int:
    """The largest difference of any two pictures of the same name."""
    names = [path.name for path in first.glob("*.png")]
    assert len(names) == 6
    pairs = [[np.asarray(Image.open(root / name)) for root in (first, second)] for name in names]
    return max(int(np.abs(a.astype(int) - b.astype(int)).max()) for a, b in pairs)


def convert(output: Path, pictures: Path, *flags: object) -> Path:
    assert (
        cli.run(["convert", "--input", str(pictures), "--output", str(output), *map(str, flags)])
        == 0
    )
    return output


@pytest.mark.parametrize(
    ("kind", "name"),
    # Channels are the same to every format: the quickest will do.
    [(kind, name) for kind in NETWORKS for name in GENERATORS if name != "gray"]
    + [("torchscript", "gray")],
)
def test_pictures_are_the_checkpoint_s(
    kind: FormatName, name: str, exported: Export, runs: Path, pictures: Path, tmp_path: Path
) -> None:
    whole = ["--precision", "fp32"]
    of_run = ["--name", name, "--checkpoints_dir", runs]
    expected = convert(tmp_path / "expected", pictures, *of_run, *whole)
    weights = ["--weights", exported(name, kind), "--trust_code"]
    found = convert(tmp_path / "found", pictures, *weights, *whole)
    assert levels(expected, found) <= 2
    assert levels(expected, pictures) > 50, "a network that changes nothing would show nothing"


@pytest.mark.parametrize("name", ["instance", "transformer"])
def test_openvino_runs_onnx_too(
    name: str, exported: Export, runs: Path, pictures: Path, tmp_path: Path
) -> None:
    flags = ["--name", name, "--checkpoints_dir", runs, "--precision", "fp32"]
    expected = convert(tmp_path / "expected", pictures, *flags)
    flags = ["--weights", exported(name, "onnx"), "--runtime", "openvino"]
    assert levels(expected, convert(tmp_path / "found", pictures, *flags)) <= 2


def test_the_command_says_what_it_wrote(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "x.xml"
    args = ["--name", "instance", "--checkpoints_dir", str(runs), "--output", str(path)]
    assert cli.run(["export", "--format", "openvino", *args, "--direction", "BtoA"]) == 0
    told, log = capsys.readouterr()
    assert log.startswith("starting export\nwriting openvino: 0/2 steps\n")
    assert re.search(r"\ncomparing: 2/2 steps in \d+ s\n$", log)
    assert f"{path} and {path.with_suffix('.bin')}: " in told
    assert float(re.search(r"by ([\d.]+) of 255 levels at the most", told)[1]) < 0.1
    assert {file.name for file in path.parent.iterdir()} == {"x.xml", "x.bin"}
    assert Translator.load(path).generator.direction == "BtoA"


def test_a_file_is_one_file(exported: Export) -> None:
    files = {exported("instance", kind).name for kind in NETWORKS}
    folder = exported("instance", "onnx").parent
    assert {path.name for path in folder.iterdir()} == files | {"latest.pt", "instance_AtoB.bin"}


def texts_of(kind: FormatName, path: Path) -> dict[str, str]:
    """The metadata, by each format's own tools."""
    if kind == "onnx":
        import onnx

        return {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    if kind == "openvino":
        import openvino

        table = openvino.Core().read_model(path).get_rt_info(["cyclegan"]).value
        return {f"cyclegan.{key}": text for key, text in table.items()}
    if kind == "safetensors":
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            return file.metadata()
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/cyclegan.json"))
        return json.loads(archive.read(name))


@pytest.mark.parametrize("kind", NETWORKS)
def test_metadata_is_inside(kind: FormatName, exported: Export, runs: Path) -> None:
    path = exported("changed", kind)
    texts = texts_of(kind, path)
    assert texts["cyclegan.range"] == "[-1, 1]"
    assert texts["cyclegan.layout"] == "NCHW"
    generator = Translator.load(runs / "changed").generator
    metadata = from_texts(texts, path)
    assert (
        metadata.architecture
        == generator.architecture
        == Translator.load(path, trust_code=True).generator.architecture
    )
    assert (metadata.direction, metadata.digest) == ("AtoB", generator.digest)


#: Sides that are no multiples, below the smallest that the networks take, and multiples.
SIZES = [(1, 13, 18), (2, 1, 9), (1, 37, 2), (3, 5, 32), (2, 16, 32)]


def by_itself(kind: FormatName, path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The network of a file as any script runs it, with nothing of this package."""
    if kind == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda images: session.run(["output"], {"input": images})[0]
    if kind == "openvino":
        import openvino

        options = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model(path, "CPU", options)
        return lambda images: compiled([images])[0]
    load = (
        torch.jit.load if kind == "torchscript" else lambda path: torch.export.load(path).module()
    )
    network = load(path)
    return lambda images: network(torch.from_numpy(images)).detach().numpy()


@pytest.mark.parametrize("name", ["instance", "transformer"])
@pytest.mark.parametrize("kind", ["onnx", "openvino", "torchscript", "torch-export"])
def test_any_script_gets_its_own_size_back(
    kind: FormatName, name: str, exported: Export, runs: Path
) -> None:
    convert = by_itself(kind, exported(name, kind))
    generator = Translator.load(runs / name)
    for count, height, width in SIZES:
        images = np.random.default_rng(0).random((count, 3, height, width), np.float32) * 2 - 1
        made = convert(images)
        assert made.shape == images.shape
        if name == "instance":  # conversion pads to multiples of 4, this transformer to 16
            expected = generator.convert_batch(torch.from_numpy(images)).numpy()
            assert np.abs(made - expected).max() * 127.5 < 0.1
    assert convert(np.zeros((1, 3, 1, 1), np.float32)).shape == (1, 3, 1, 1)


def test_onnx_names_its_sides(exported: Export) -> None:
    import onnx

    graph = onnx.load(exported("instance", "onnx")).graph
    sides = [side.dim_param or side.dim_value for side in graph.input[0].type.tensor_type.shape.dim]
    assert sides == ["batch", 3, "height", "width"]
    assert (graph.input[0].name, graph.output[0].name) == ("input", "output")
    assert "InstanceNormalization" in {node.op_type for node in graph.node}, "runtimes know it"


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("n_blocks", [6, 9])
def test_classic_weights_are_plain(norm: str, n_blocks: int, tmp_path: Path) -> None:
    generator = {"ngf": 4, "n_blocks": n_blocks}
    run = save_run(tmp_path / "run", generator, {"norm": norm})
    path = tmp_path / "latest_net_G_A.pth"
    assert (
        cli.run(["export", "--weights", str(run), "--format", "classic", "--output", str(path)])
        == 0
    )
    weights = torch.load(path, weights_only=True)
    assert not zipfile.is_zipfile(path), "old versions of torch read no archives"
    network = Translator.load(run).generator
    assert list(weights) == list(network.network.state_dict())
    assert classic.infer_architecture(weights, path) == network.architecture
    image = Image.new("RGB", (19, 13), "orange")
    assert Translator.load(path)(image).tobytes() == Translator.load(run)(image).tobytes()


@pytest.mark.parametrize(
    ("generator", "words"),
    [
        ({"n_blocks": 6, "upsampling": "resize"}, "--upsampling resize"),
        ({"n_blocks": 6, "downsampling": "blurred"}, "--downsampling blurred"),
        ({"n_blocks": 6, "residual": True}, "--residual"),
        ({"n_blocks": 6, "separable": True}, "--separable"),
        ({"n_blocks": 2}, "2 blocks"),
        ({"netG": "unet_transformer", "n_blocks": 1}, "unet_transformer"),
    ],
)
def test_the_classic_can_t_build_everything(generator: dict, words: str, tmp_path: Path) -> None:
    run = save_run(tmp_path / "run", {"ngf": 2, **generator}, {})
    with pytest.raises(UserError, match=rf"can't build this generator \({words}"):
        cli.run(["export", "--weights", str(run), "--format", "classic"])
    assert [path.name for path in run.parent.iterdir()] == ["latest.pt"]


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_int8_is_near_and_says_how_quick(
    kind: FormatName, runs: Path, pictures: Path, exported: Export, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / f"x{FORMATS[kind].ending}"
    of_run = ["--name", "instance", "--checkpoints_dir", str(runs)]
    how = ["--int8", "--calibration", str(pictures), "--load_size", "32"]
    args = [*of_run, "--format", kind, "--output", str(path), *how]
    assert cli.run(["export", *args]) == 0
    told = re.search(
        r"int8: mean difference ([\d.]+) of 255 levels, ([\d.]+) \(([\d.]+) to ([\d.]+)\) of the "
        r"time of PyTorch's plain float32 loop \(3 images, 5 pairs in turn",
        capsys.readouterr().out,
    )
    assert 0 < float(told[1]) <= 3
    assert 0 < float(told[3]) <= float(told[2]) <= float(told[4])
    assert texts_of(kind, path)["cyclegan.arithmetic"] == "int8"
    for count, height, width in SIZES:
        images = np.zeros((count, 3, height, width), np.float32)
        assert by_itself(kind, path)(images).shape == images.shape
    whole = convert(tmp_path / "fp32", pictures, "--weights", exported("instance", kind))
    assert levels(whole, convert(tmp_path / "int8", pictures, "--weights", path)) > 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "give either --name RUN or --weights FILE"),
        (["--name", "x", "--int8"], "--int8 needs --calibration DIR"),
        (["--name", "x", "--calibration", "d"], "--calibration d goes with --int8"),
        (["--weights", "x", "--epoch", "3"], "--epoch 3 goes with --name"),
        (["--name", "../x"], "a plain name without a path"),
    ],
)
def test_contradictions_are_told(args: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        cli.run(["export", "--format", "onnx", *args])


def test_the_format_is_asked_for() -> None:
    with pytest.raises(UsageError, match="format"):
        cli.run(["export", "--name", "x"])


def test_int8_names_the_formats_that_have_it(runs: Path) -> None:
    args = ["--int8", "--calibration", ".", "--name", "instance", "--checkpoints_dir", str(runs)]
    with pytest.raises(UsageError, match="give one of onnx, openvino"):
        cli.run(["export", "--format", "torchscript", *args])


def test_outputs_end_as_their_format(runs: Path, tmp_path: Path) -> None:
    args = ["export", "--format", "torchscript", "--name", "instance"]
    args += ["--checkpoints_dir", str(runs), "--output"]
    with pytest.raises(UsageError, match=r"x\.onnx: .* ends in \.torchscript"):
        cli.run([*args, str(tmp_path / "x.onnx")])
    with pytest.raises(UsageError, match="is a folder"):
        cli.run([*args, str(tmp_path)])


def test_nothing_is_overwritten_unasked(runs: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_text("mine")
    args = ["--name", "instance", "--checkpoints_dir", str(runs), "--output", str(path)]
    with pytest.raises(UserError, match=r"x\.safetensors: already exists: .*--overwrite"):
        cli.run(["export", "--format", "safetensors", *args])
    assert path.read_text() == "mine"
    assert cli.run(["export", "--format", "safetensors", *args, "--overwrite"]) == 0
    assert Translator.load(path)
    (tmp_path / "y.bin").write_text("mine")
    args[-1] = str(tmp_path / "y.xml")
    with pytest.raises(UserError, match=r"y\.bin: already exists"):
        cli.run(["export", "--format", "openvino", *args])


def test_what_appeared_meanwhile_is_not_overwritten(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, usual = tmp_path / "x.safetensors", job._make

    def slow(*args: Any) -> Any:
        path.write_text("mine")
        return usual(*args)

    monkeypatch.setattr(job, "_make", slow)
    args = ["--name", "instance", "--checkpoints_dir", str(runs), "--output", str(path)]
    with pytest.raises(UserError, match=r"x\.safetensors: already exists: .*--overwrite"):
        cli.run(["export", "--format", "safetensors", *args])
    assert path.read_text() == "mine"
    assert [one.name for one in tmp_path.glob("*")] == ["x.safetensors"]


def test_a_file_that_converts_otherwise_is_not_kept(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.torchscript"
    monkeypatch.setattr(job, "LARGEST_DIFFERENCE", -1.0)
    args = ["--name", "instance", "--checkpoints_dir", str(runs), "--output", str(path)]
    with pytest.raises(UserError, match="of 255 levels, more than -1"):
        cli.run(["export", "--format", "torchscript", *args])
    assert list(tmp_path.iterdir()) == []


def test_what_is_exported_can_t_be_exported(exported: Export) -> None:
    path = exported("instance", "torchscript")
    with pytest.raises(UsageError, match="already exported"):
        cli.run(["export", "--format", "onnx", "--weights", str(path), "--trust_code"])


@pytest.mark.parametrize(
    ("kind", "package", "extra"),
    [
        ("onnx", "onnxscript", "onnx"),
        ("openvino", "openvino", "openvino"),
        ("safetensors", "safetensors", "safetensors"),
    ],
)
def test_missing_packages_are_named(
    kind: str, package: str, extra: str, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    args = [
        "--name",
        "gray",
        "--checkpoints_dir",
        str(runs),
        "--output",
        f"x{FORMATS[kind].ending}",
    ]
    words = f"--format {kind}: needs {package} ({install(extra)})"
    with pytest.raises(UserError, match=re.escape(words)):
        cli.run(["export", "--format", kind, *args])


def test_the_settings_list_every_format() -> None:
    assert set(FORMATS) == set(FormatName.__args__)
    assert ExportSettings.__annotations__["format"] is FormatName
