"""A generator's weights are found in whatever wraps them; CUT's generator is known."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import GOLDEN, smooth_image
from torch import Tensor, nn
from torch.nn import functional

from cyclegan import Translator, classic, cli
from cyclegan.classic import known
from cyclegan.errors import UserError
from cyclegan.export import FormatName
from cyclegan.export.formats import FORMATS
from cyclegan.generators import ResnetSettings
from cyclegan.layers.convolution import Convolution, TransposedConvolution

FILES = {
    short: GOLDEN / "resnet9_nopool" / f"initial_net_{short}.pth" for short in classic.NETWORKS
}


def plain(short: str = "G_A") -> dict[str, Tensor]:
    return torch.load(FILES[short], weights_only=True)


def prefixed(prefix: str, short: str = "G_A") -> dict[str, Tensor]:
    return {prefix + key: tensor for key, tensor in plain(short).items()}


#: What the file holds, and where the generator of A to B lies in it.
WRAPPINGS: dict[str, Callable[[], object]] = {
    "_orig_mod.": lambda: prefixed("_orig_mod."),
    "module.module.": lambda: prefixed("module.module."),
    "module._orig_mod.": lambda: prefixed("module._orig_mod."),
    "netG_A.": lambda: prefixed("netG_A."),
    "state_dict": lambda: {"state_dict": plain(), "epoch": 3, "lr": 2e-4},
    "netG_A": lambda: {"netG_A": plain()},
    "model": lambda: {"model": plain()},
    "model_state_dict": lambda: {"epoch": 3, "model_state_dict": prefixed("module.")},
    "generator": lambda: {"generator": {"state_dict": prefixed("_orig_mod.")}},
    "all four": lambda: (
        {f"net{short}": plain(short) for short in FILES} | {"optimizer": {"a": [1]}}
    ),
    "all four, flat": lambda: {
        "state_dict": {
            k: v for s in FILES for k, v in prefixed(f"module.net{s}.module.", s).items()
        }
    },
    "by ways": lambda: {"G_AB": plain(), "G_BA": plain("G_B")},
    "ours": lambda: {"generator_a_to_b": plain(), "generator_b_to_a": plain("G_B")},
}


def pixels(path: Path, **flags: object) -> bytes:
    return Translator.load(path, **flags)(smooth_image(1, (24, 20))).tobytes()


@pytest.mark.parametrize("name", WRAPPINGS)
def test_wrapped_weights_are_found(name: str, tmp_path: Path) -> None:
    torch.save(WRAPPINGS[name](), tmp_path / "x.pth")
    assert pixels(tmp_path / "x.pth") == pixels(FILES["G_A"])


def test_both_directions_of_one_file(tmp_path: Path) -> None:
    torch.save(WRAPPINGS["all four, flat"](), tmp_path / "x.pth")
    assert pixels(tmp_path / "x.pth", direction="BtoA") == pixels(FILES["G_B"])
    torch.save({"one": plain(), "two": plain("G_B")}, tmp_path / "y.pth")
    with pytest.raises(UserError, match=r"y\.pth: holds several generators \(one, two\)"):
        Translator.load(tmp_path / "y.pth")


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("netG_A", "a_to_b"),
        ("G_B", "b_to_a"),
        ("state_dict.netG_BA", "b_to_a"),
        ("netD_A", "discriminator_b"),
        ("genA2B", "a_to_b"),
        ("generator_b_to_a", "b_to_a"),
        ("netG", None),
        ("big_Apple", None),
    ],
)
def test_names_of_networks(name: str, ours: str | None) -> None:
    found = known(name)
    assert found is None if ours is None else found.endswith(ours)


def spectral(kind: str, path: Path) -> nn.Module:
    """The generator with torch's own spectral norms, as a file; they are left in eval mode."""
    norm = (
        nn.utils.spectral_norm if kind == "weight_orig" else nn.utils.parametrizations.spectral_norm
    )
    network = ResnetSettings(ngf=4, n_blocks=1).build(3, 3, "instance")
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            norm(module)
    with torch.no_grad():
        for _ in range(3):  # vectors as training leaves them
            network(torch.rand(1, 3, 16, 16))
    torch.save(network.state_dict(), path)
    return network.eval()


@pytest.mark.parametrize("kind", ["weight_orig", "parametrizations"])
def test_spectral_norms_are_folded(kind: str, tmp_path: Path) -> None:
    network = spectral(kind, tmp_path / "x.pth")
    image = torch.rand(3, 16, 16) * 2 - 1
    with torch.no_grad():
        expected = network(image[None])[0]
    found = Translator.load(tmp_path / "x.pth")
    layers = [m for m in found.generator.network.modules() if isinstance(m, TransposedConvolution)]
    assert len(layers) == 2
    assert (found.convert(image) - expected).abs().max() < 1e-5


def test_safetensors_of_others(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(prefixed("netG_A."), tmp_path / "x.safetensors")
    (tmp_path / "y.pth").write_bytes((tmp_path / "x.safetensors").read_bytes())
    for name in ("x.safetensors", "y.pth"):
        assert pixels(tmp_path / name) == pixels(FILES["G_A"])


def cut(ngf: int = 4, n_blocks: int = 9) -> dict[str, Tensor]:
    """Weights of CUT's generator, by the names of its files."""
    torch.manual_seed(0)
    weights: dict[str, Tensor] = {}

    def add(name: str, shape: tuple[int, ...]) -> None:
        weights[f"{name}.weight"] = torch.randn(*shape) * 0.1
        weights[f"{name}.bias"] = torch.randn(shape[0]) * 0.1

    def filt(name: str, row: list[float], channels: int, share: float) -> None:
        one = torch.tensor(row)
        weights[f"{name}.filt"] = (torch.outer(one, one) * share).repeat(channels, 1, 1, 1)

    add("model.1", (ngf, 3, 7, 7))
    add("model.4", (2 * ngf, ngf, 3, 3))
    filt("model.7", [1, 2, 1], 2 * ngf, 1 / 16)
    add("model.8", (4 * ngf, 2 * ngf, 3, 3))
    filt("model.11", [1, 2, 1], 4 * ngf, 1 / 16)
    for block in range(n_blocks):
        for place in (1, 5):
            add(f"model.{12 + block}.conv_block.{place}", (4 * ngf, 4 * ngf, 3, 3))
    end = 12 + n_blocks
    filt(f"model.{end}", [1, 3, 3, 1], 4 * ngf, 4 / 64)
    add(f"model.{end + 1}", (2 * ngf, 4 * ngf, 3, 3))
    filt(f"model.{end + 4}", [1, 3, 3, 1], 2 * ngf, 4 / 64)
    add(f"model.{end + 5}", (ngf, 2 * ngf, 3, 3))
    add(f"model.{end + 9}", (3, ngf, 7, 7))
    return weights


def forward(weights: dict[str, Tensor], x: Tensor, n_blocks: int = 9) -> Tensor:
    """CUT's generator, written out."""

    def conv(name: str, x: Tensor, padding: int = 0) -> Tensor:
        return functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], 1, padding)

    def norm(x: Tensor) -> Tensor:
        mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), correction=0, keepdim=True)
        return (x - mean) / (variance + 1e-5).sqrt()

    def reflect(x: Tensor, by: int) -> Tensor:
        return functional.pad(x, (by,) * 4, mode="reflect")

    def down(name: str, x: Tensor) -> Tensor:
        filt = weights[f"{name}.filt"]
        return functional.conv2d(reflect(x, 1), filt, None, 2, groups=len(filt))

    def up(name: str, x: Tensor) -> Tensor:
        filt, padded = weights[f"{name}.filt"], functional.pad(x, (1,) * 4, mode="replicate")
        return functional.conv_transpose2d(padded, filt, None, 2, 2, groups=len(filt))[
            :, :, 1:-1, 1:-1
        ]

    x = norm(conv("model.1", reflect(x, 3))).relu()
    x = down("model.7", norm(conv("model.4", x, 1)).relu())
    x = down("model.11", norm(conv("model.8", x, 1)).relu())
    for block in range(12, 12 + n_blocks):
        y = norm(conv(f"model.{block}.conv_block.1", reflect(x, 1))).relu()
        x = x + norm(conv(f"model.{block}.conv_block.5", reflect(y, 1)))
    end = 12 + n_blocks
    x = norm(conv(f"model.{end + 1}", up(f"model.{end}", x), 1)).relu()
    x = norm(conv(f"model.{end + 5}", up(f"model.{end + 4}", x), 1)).relu()
    return conv(f"model.{end + 9}", reflect(x, 3)).tanh()


def test_cut_is_computed_as_its_facts_say() -> None:
    weights = {name: tensor.double() for name, tensor in cut().items()}
    architecture = classic.infer_architecture(weights, Path("x"))
    network = architecture.build().double()
    classic.load_into(network, weights, Path("x"))
    image = torch.rand(1, 3, 32, 44, dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        found, expected = network(image), forward(weights, image)
    assert expected.std() > 0.1
    assert (found - expected).abs().max() < 1e-9


def test_cut_converts_and_tiles_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cyclegan.tiling import modes

    monkeypatch.setattr(modes, "BAND", 30_000)
    torch.save(cut(), tmp_path / "latest_net_G.pth")
    image = torch.rand(3, 92, 60) * 2 - 1
    whole, bands = (
        Translator.load(tmp_path / "latest_net_G.pth", tile=tile) for tile in ("off", "exact")
    )
    assert (whole.convert(image) - forward(cut(), image[None])[0]).abs().max() < 1e-3
    assert (whole.convert(image) - bands.convert(image)).abs().max() < 1e-3
    assert [m.stride for m in whole.generator.network.modules() if isinstance(m, Convolution)][
        1:3
    ] == [(1, 1)] * 2


@pytest.mark.parametrize("kind", [name for name in FORMATS if name != "classic"])
def test_cut_is_exported(kind: FormatName, tmp_path: Path) -> None:
    torch.save(cut(n_blocks=1), tmp_path / "latest_net_G.pth")
    args = ["--weights", str(tmp_path / "latest_net_G.pth"), "--format", kind]
    assert cli.run(["export", *args]) == 0  # which reads it back and compares


def archive(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr(name, b"x")
    return file.getvalue()


def picture(format: str) -> bytes:
    file = io.BytesIO()
    smooth_image(1).save(file, format)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html><body>404 Not Found", "a web page"),
        (b"\n  <html lang='en'>", "a web page"),
        (b"404: Not Found", "a web page"),
        (b"Entry not found", "a web page"),
        (b'<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code>', "a web page"),
        ("<html>".encode("utf-16"), "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (json.dumps({"error": "not found"}).encode(), "JSON, not weights"),
        (picture("PNG"), "an image, not weights"),
        (picture("JPEG"), "an image, not weights"),
        (archive("latest_net_G.pth"), "a zip archive of other files: unpack it"),
        (b"\x1f\x8b\x08\x00", "a packed archive"),
        (b"", "damaged"),
    ],
)
@pytest.mark.parametrize("name", ["x.pth", "x.onnx"])
def test_what_is_no_weights_is_told_as_what_it_is(
    content: bytes, words: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words) as error:
        Translator.load(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(error.value)


def test_a_table_of_any_length_is_no_page(tmp_path: Path) -> None:
    """The first byte of safetensors is a length: it may be that of any other kind."""
    from safetensors.torch import save

    content = save(plain())
    length = int.from_bytes(content[:8], "little")
    longer = length + (ord("{") - length) % 256
    table = content[8 : 8 + length].ljust(longer)
    content = longer.to_bytes(8, "little") + table + content[8 + length :]
    assert content[:1] == b"{"
    (tmp_path / "x.safetensors").write_bytes(content)
    assert pixels(tmp_path / "x.safetensors") == pixels(FILES["G_A"])


def test_training_is_told_what_a_file_is_too(tiny_flags: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(UserError, match=r"x\.pth: a web page"):
        cli.run(["train", *tiny_flags, "--init_weights", str(tmp_path / "x.pth")])


def test_tables_without_end_are_no_weights(tmp_path: Path) -> None:
    endless: dict[str, object] = {}
    endless["model"] = endless
    torch.save(endless, tmp_path / "x.pth")
    with pytest.raises(UserError, match="tables within each other"):
        Translator.load(tmp_path / "x.pth")


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights | {"model.1.weight": torch.zeros(4, 3, 7, 7, dtype=torch.int8)},
        lambda weights: weights | {"model.9.filt": torch.zeros(0)},
        lambda weights: (
            weights
            | {"model.1.weight_orig": weights["model.1.weight"]}
            | {"model.1.weight_u": torch.zeros(()), "model.1.weight_v": torch.zeros(())}
        ),
        lambda weights: weights | {f"model.{'9' * 5000}.weight": torch.zeros(1)},
        lambda weights: weights | {"model.1.weight": torch.zeros(0, 3, 7, 7)},
    ],
)
def test_impossible_weights_are_one_line(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]], tmp_path: Path
) -> None:
    torch.save(change(plain()), tmp_path / "x.pth")
    with pytest.raises(UserError) as error:
        Translator.load(tmp_path / "x.pth")
    assert "\n" not in str(error.value)


def test_what_never_ends_is_no_file_of_weights(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x\.pth: not a weights file"):
        Translator.load(tmp_path / "x.pth")
