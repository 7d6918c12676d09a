"""Files that can't be run say so in one line; what a foreign one is taken for is said."""

import io
import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from exporting import Export
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from cyclegan import Translator, cli
from cyclegan.conversion.translator import estimated_bytes
from cyclegan.errors import UsageError, UserError, install
from cyclegan.export.formats import FORMATS
from cyclegan.runtimes import Provider, Runtime
from cyclegan.runtimes.onnx import PROVIDERS
from cyclegan.runtimes.table import RUNTIMES


def copied(path: Path, folder: Path) -> Path:
    for part in path.parent.glob(f"{path.stem}.*"):
        shutil.copy(part, folder / part.name)
    return folder / path.name


def refusal(path: Path, **flags: object) -> str:
    """The one line that is said of a file that is trusted."""
    with pytest.raises(UserError) as error:
        Translator.load(path, trust_code=True, **flags)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "kind", [name for name, kind in FORMATS.items() if name != "classic" and not kind.folder]
)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.97])
def test_cut_files_are_damaged(kind: str, share: float, exported: Export, tmp_path: Path) -> None:
    path = copied(exported("instance", kind), tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert f"{path}: damaged" in refusal(path)


@pytest.mark.parametrize("kind", ["torch-export", "safetensors"])
def test_changed_weights_are_damaged(kind: str, exported: Export, tmp_path: Path) -> None:
    path = copied(exported("instance", kind), tmp_path)
    weights = Translator.load(exported("instance", "safetensors")).generator.network.state_dict()
    place = (whole := path.read_bytes()).index(weights["model.1.weight"].numpy().tobytes())
    path.write_bytes(whole[:place] + b"\x01" + whole[place + 1 :])
    assert f"{path}: damaged" in refusal(path)


def test_an_ir_needs_both_files(exported: Export, tmp_path: Path) -> None:
    path = copied(exported("instance", "openvino"), tmp_path)
    weights = path.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:5000])
    assert f"{path}: damaged" in refusal(path)
    weights.unlink()
    assert f"{weights}: no such file" in refusal(path)


@pytest.mark.parametrize("ending", [e for loaders in RUNTIMES.values() for e in loaders])
def test_missing_and_other_files(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{ending}"
    assert f"{path}: no such file" in refusal(path)
    path.write_text("no network")
    path.with_suffix(".bin").touch()
    assert f"{path}: damaged" in refusal(path)


def test_code_in_a_torch_export_file_is_not_run(exported: Export, tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    source, path = exported("instance", "torch-export"), tmp_path / "x.pt2"
    torch.save(Code(), payload := io.BytesIO())
    for name in ("data/sample_inputs/model.pt", "data/weights/model.pt", "data/aotinductor/x.so"):
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
            root = old.namelist()[0].partition("/")[0]
            for entry in old.namelist():
                if entry != f"{root}/{name}":
                    new.writestr(entry, old.read(entry))
            new.writestr(f"{root}/{name}", payload.getvalue())
        refusal(path)
        assert not (tmp_path / "ran").exists(), name
    pickle.loads(pickle.dumps(Code()))
    assert (tmp_path / "ran").exists(), "the code does what it says, where it is run"


def test_pickled_weights_in_a_torch_export_file_are_not_read(
    exported: Export, tmp_path: Path
) -> None:
    source, path = exported("instance", "torch-export"), tmp_path / "x.pt2"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.namelist():
            content = old.read(entry)
            new.writestr(entry, content.replace(b'"use_pickle": false', b'"use_pickle": true'))
    assert "holds pickled objects" in refusal(path)


def foreign(
    path: Path,
    shape: tuple = ("n", 3, "h", "w"),
    kind: int = TensorProto.FLOAT,
    out: int = 3,
) -> Path:
    """A network of another program that turns values round: 0.5 becomes -0.5."""
    side = shape[1] if isinstance(shape[1], int) else 3
    minus = -np.eye(out, side, dtype=np.float16 if kind == TensorProto.FLOAT16 else np.float32)
    weights = numpy_helper.from_array(minus[:, :, None, None], "weights")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "weights"], ["y"])],
        "foreign",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, (shape[0], out, *shape[2:]))],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_foreign_onnx_is_taken_for_what_it_looks_like(
    runtime: Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = foreign(tmp_path / "x.onnx")
    translator = Translator.load(path, runtime=runtime)
    told = " ".join(caplog.messages)
    assert (
        f"{path}: no metadata from cyclegan export: assuming images (N, 3, H, W) in [-1, 1]" in told
    )
    negative = translator(Image.new("RGB", (13, 9), (255, 0, 100)))
    assert (negative.size, negative.getpixel((5, 5))) == ((13, 9), (0, 255, 155))
    assert estimated_bytes(translator.generator.architecture, 64, 64) > 0


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"shape": ("n", 3, 256, 256)}, "takes images of 256x256 pixels only"),
        ({"shape": ("n", 2, "h", "w")}, r"its input is \(\?, 2, \?, \?\)"),
        ({"out": 4}, r"its output is \(\?, 4, \?, \?\)"),
        ({"kind": TensorProto.FLOAT16}, "only float32 is supported"),
    ],
)
def test_other_networks_are_refused(
    runtime: Runtime, how: dict, words: str, tmp_path: Path
) -> None:
    path = foreign(tmp_path / "x.onnx", **how)
    with pytest.raises(UserError, match=words):
        Translator.load(path, runtime=runtime)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_networks_that_change_sizes_fail_in_one_line(runtime: Runtime, tmp_path: Path) -> None:
    free = ("n", 3, "h", "w")
    graph = helper.make_graph(
        [helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])],
        "halving",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, free)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, free)],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "x.onnx")
    translator = Translator.load(tmp_path / "x.onnx", runtime=runtime)
    with pytest.raises(UserError, match=r"x\.onnx: makes 1x3x\d+x\d+ of"):
        translator(Image.new("RGB", (16, 12)))


def test_networks_of_other_programs_without_shapes_are_refused(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.ReLU()).save(tmp_path / "x.torchscript")
    program = torch.export.export(torch.nn.ReLU(), (torch.zeros(1, 3, 8, 8),))
    torch.export.save(program, tmp_path / "x.pt2")
    for name in ("x.torchscript", "x.pt2"):
        assert f"{tmp_path / name}: no metadata from cyclegan export" in refusal(tmp_path / name)


def test_metadata_of_another_version_or_damaged(exported: Export, tmp_path: Path) -> None:
    model = onnx.load(exported("instance", "onnx"))
    texts = {entry.key: entry.value for entry in model.metadata_props}
    for key, text, words in (
        ("cyclegan.format", "9", "exported in format 9, this version reads 1"),
        ("cyclegan.generator", '{"netG": "resnet", "ngf": "8"}', "metadata can't be read"),
        ("cyclegan.norm", "other", "metadata can't be read"),
    ):
        helper.set_model_props(model, texts | {key: text})
        onnx.save(model, tmp_path / "x.onnx")
        assert words in refusal(tmp_path / "x.onnx")


def test_pictures_of_the_wrong_size_for_a_runtime_fail_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Sides that only turn out to be fixed when the network runs."""
    path = foreign(tmp_path / "x.onnx")
    model = onnx.load(path)
    shape = numpy_helper.from_array(np.array([1, 3, 16, 16]), "shape")
    model.graph.initializer.append(shape)
    model.graph.node[0].output[0] = "z"
    model.graph.node.append(helper.make_node("Reshape", ["z", "shape"], ["y"]))
    onnx.save(model, path)
    (tmp_path / "in").mkdir()
    for size in (16, 24):
        Image.new("RGB", (size, size)).save(tmp_path / "in" / f"{size}.png")
    args = ["--weights", str(path), "--input", str(tmp_path / "in"), "--output"]
    assert cli.run(["convert", *args, str(tmp_path / "out")]) == 1
    assert "1 converted, 0 skipped (finished before), 1 failed" in capsys.readouterr().out
    failed = [line for line in caplog.messages if "could not convert 24x24 pixels" in line]
    assert len(failed) == 1
    assert "\n" not in failed[0]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"runtime": "openvino"}, r"--runtime openvino: opens \.xml, \.onnx, not .*torchscript"),
        ({"runtime": "onnxruntime"}, r"--runtime onnxruntime: opens \.onnx, not "),
        ({"direction": "BtoA"}, "--direction BtoA: .* was exported for AtoB"),
        ({"precision": "bf16"}, "--precision bf16: .* is an exported file"),
        ({"compile": "on"}, "--compile on: .* is an exported file"),
        ({"device": "cuda"}, "--device cuda: .* is an exported file"),
        ({"norm_statistics": "image"}, "--norm_statistics image: an exported file"),
        ({"provider": "cuda"}, "--provider cuda: goes with --runtime onnxruntime"),
    ],
)
def test_what_an_exported_file_decides_is_not_to_be_chosen(
    flags: dict, words: str, exported: Export
) -> None:
    with pytest.raises(UsageError, match=words):
        Translator.load(exported("instance", "torchscript"), trust_code=True, **flags)


CPU, CUDA, TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What onnxruntime is given to compute by; it says that it has a GPU, and uses the CPU."""
    seen: list[list[str]] = []
    session = onnxruntime.InferenceSession

    def start(path: str, options: object, providers: list[str]) -> object:
        seen.append(providers)
        return session(path, options, providers=[CPU])

    monkeypatch.setattr(onnxruntime, "InferenceSession", start)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    return seen


def test_tensorrt_is_never_taken_unasked(exported: Export, given: list[list[str]]) -> None:
    path = exported("instance", "onnx")
    Translator.load(path)
    Translator.load(path, provider="cpu")
    assert given == [[CUDA, CPU], [CPU]]


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_does_not_start_is_one_line(
    exported: Export, given: list[list[str]], provider: str
) -> None:
    with pytest.raises(UserError, match=f"^--provider {provider}: onnxruntime could not load it"):
        Translator.load(exported("instance", "onnx"), provider=provider)
    assert given == [[TENSORRT, CUDA, CPU][provider == "cuda" :]]


def test_a_provider_that_is_not_there_is_one_line(exported: Export, runs: Path) -> None:
    with pytest.raises(UsageError, match=r"^--provider tensorrt: this onnxruntime has .*CPU"):
        Translator.load(exported("instance", "onnx"), provider="tensorrt")
    with pytest.raises(UsageError, match=r"^--provider cuda: goes with --runtime onnxruntime"):
        Translator.load(runs / "instance", provider="cuda")


def test_a_checkpoint_is_run_by_torch(runs: Path) -> None:
    image = Image.new("RGB", (12, 9), "teal")
    by_name = Translator.load(runs / "instance", runtime="torch")(image).tobytes()
    assert by_name == Translator.load(runs / "instance")(image).tobytes()
    with pytest.raises(UsageError, match=r"--runtime onnxruntime: opens \.onnx, not .*latest\.pt"):
        Translator.load(runs / "instance", runtime="onnxruntime")


@pytest.mark.parametrize(
    ("ending", "package", "extra"),
    [("onnx", "onnxruntime", "onnx"), ("xml", "openvino", "openvino")],
)
def test_missing_packages_are_named(
    ending: str, package: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / f"x.{ending}").touch()
    words = f"needs {package} ({install(extra)})"
    assert words in refusal(tmp_path / f"x.{ending}")


def test_the_digest_tells_runtimes_apart(exported: Export) -> None:
    path = exported("instance", "onnx")
    ours, theirs = (Translator.load(path, runtime=name) for name in ("onnxruntime", "openvino"))
    assert ours.generator.digest != theirs.generator.digest
    assert ours.generator.digest == Translator.load(path).generator.digest


def test_the_settings_list_every_runtime_and_provider() -> None:
    assert {"auto", *RUNTIMES} == set(Runtime.__args__)
    assert set(PROVIDERS) == set(Provider.__args__)
