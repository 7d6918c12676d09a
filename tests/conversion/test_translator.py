"""A generator as a function of pictures."""

import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import GOLDEN, smooth_image
from PIL import Image
from torch import nn

from cyclegan import Translator, assemble, images
from cyclegan.classic import Architecture
from cyclegan.conversion import translator as translator_module
from cyclegan.conversion import weights
from cyclegan.conversion.weights import Generator
from cyclegan.errors import UserError
from cyclegan.execution.execution import Execution
from cyclegan.generators import GENERATORS, ResnetSettings, UnetTransformerSettings
from cyclegan.settings import Settings, from_table
from cyclegan.tiling import Tiling
from cyclegan.tiling.modes import TILES
from cyclegan.tiling.rows import TiledPicture
from cyclegan.tiling.tiles import Block, Tell, TileEngine, padded_side

FILE = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"


def identity(network: nn.Module | None = None) -> Translator:
    """A translator that changes nothing, to see what happens around the network."""
    architecture = Architecture(ResnetSettings(ngf=2), 3, 3, "instance")
    generator = Generator(network or nn.Identity(), architecture, "x", "x")
    return Translator(generator, torch.device("cpu"), Execution())


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 5), (13, 50), (64, 64), (65, 67)])
def test_every_size_comes_back(size: tuple[int, int]) -> None:
    image = smooth_image(1, size)
    converted = Translator.load(FILE)(image)
    assert converted.size == size
    assert (np.asarray(identity()(image)) == np.asarray(image)).all(), "padded and cut alike"


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_of_the_table_converts(name: str, tiny: dict) -> None:
    tiny["generator"] = {"netG": name, "ngf": 2}
    settings = from_table(tiny, "x")
    assemble.train(settings)
    translator = Translator.load(settings.run.folder)
    assert translator(smooth_image(1, (21, 17))).size == (21, 17)
    assert translator_module.estimated_bytes(translator.generator.architecture, 64, 64) > 0
    assert weights.advice(translator.generator, "trained") is None


def test_loading_leaves_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    Translator.load(FILE)
    assert torch.equal(torch.get_rng_state(), before)


def test_loading_takes_nothing_that_is_slow_to_import() -> None:
    code = "from cyclegan import Translator; Translator.load(sys.argv[1]); print(*sys.modules)"
    command = [sys.executable, "-c", f"import sys; {code}", str(FILE)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in loaded
    assert "sympy" not in loaded


def test_padding_reflects() -> None:
    seen = []

    class Spy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return x

    translator = identity(Spy())
    translator.convert(torch.arange(5.0).reshape(1, 1, 5).expand(3, 1, 5) / 5)
    assert seen[0].shape == (1, 3, 8, 8)
    assert (seen[0][0, 0, 0] * 5).round().tolist() == [1, 0, 1, 2, 3, 4, 3, 2]


def test_multiples_of_four_go_through_unchanged() -> None:
    known = np.load(GOLDEN / "resnet9_nopool" / "forward.npz")
    converted = Translator.load(FILE).convert(torch.from_numpy(known["input"][0]).float())
    assert np.abs(converted.numpy() - known["G_A"][0]).max() < 1e-5


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "I;16"])
def test_pictures_of_any_mode(mode: str) -> None:
    image = smooth_image(2)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    converted = Translator.load(FILE)(image)
    assert (converted.size, converted.mode) == (image.size, "RGB")


@pytest.fixture
def run(tiny_settings: Settings) -> Path:
    assemble.train(tiny_settings)
    return tiny_settings.run.folder


def test_a_run_converts_both_ways(run: Path) -> None:
    image = smooth_image(3)
    there, back = Translator.load(run), Translator.load(str(run), direction="BtoA")
    assert there(image).size == back(image).size == image.size
    assert there(image).tobytes() != back(image).tobytes()
    assert there(image).tobytes() == Translator.load(run, direction="AtoB")(image).tobytes()
    assert Translator.load(run, epoch=1)(image).tobytes() != there(image).tobytes()


def test_damaged_weights_are_named(run: Path) -> None:
    whole = (run / "latest.pt").read_bytes()
    weights = torch.load(run / "latest.pt")["state"]["networks"]["generator_a_to_b"]
    place = whole.index(bytes(weights["model.1.weight"].untyped_storage()))
    (run / "latest.pt").write_bytes(whole[:place] + b"\x01" + whole[place + 1 :])
    with pytest.raises(UserError, match=r"latest\.pt: damaged: the weights of generator_a_to_b"):
        Translator.load(run)
    Translator.load(run, direction="BtoA")


def test_directions_count_by_the_folders(tiny: dict) -> None:
    """Trained from B to A, the first generator makes A out of B."""
    tiny["run"]["direction"] = "BtoA"
    settings = from_table(tiny, "x")
    assemble.train(settings)
    image = smooth_image(4)
    default = Translator.load(settings.run.folder)(image).tobytes()
    assert default == Translator.load(settings.run.folder, direction="BtoA")(image).tobytes()
    assert default != Translator.load(settings.run.folder, direction="AtoB")(image).tobytes()


def test_norm_statistics_of_the_image(tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = ResnetSettings(ngf=2, n_blocks=1)
    network = settings.build(3, 3, "batch")
    torch.save(network.state_dict(), tmp_path / "x.pth")
    image = images.to_tensor(smooth_image(5))
    trained = Translator.load(tmp_path / "x.pth").convert(image)
    ours = Translator.load(tmp_path / "x.pth", norm_statistics="image").convert(image)
    last = torch.channels_last  # the same order of sums: float32 rounds alike
    with torch.no_grad():
        classic = network.train().to(memory_format=last)(image[None].to(memory_format=last))[0]
    assert torch.allclose(ours, classic, atol=1e-6)
    assert not torch.allclose(trained, classic, atol=1e-3)
    hint = weights.advice(weights.load(tmp_path / "x.pth", None), "trained")
    assert "--norm_statistics image" in hint


def test_what_converting_does_not_need_is_not_there() -> None:
    generator = weights.load(FILE, None)
    assert not generator.network.training
    assert not any(parameter.requires_grad for parameter in generator.network.parameters())
    assert weights.advice(generator, "trained") is None


def test_an_empty_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no checkpoint"):
        Translator.load(tmp_path)


@pytest.mark.parametrize(("side", "padded"), [(1, 8), (8, 8), (9, 12), (16, 16), (286, 288)])
def test_padded_side(side: int, padded: int) -> None:
    assert padded_side(side) == padded


# Anonymous memory only: pages of libraries come and go with what else the machine does.
PEAK = """
import re, threading, torch
from cyclegan.generators import GENERATORS
torch.set_num_threads(1)
def held():
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
seen, ended = [], threading.Event()
def watch():
    while not ended.wait(0.001):
        seen.append(held())
network = GENERATORS["{name}"].settings(ngf={ngf}, n_blocks=2).build(3, 3, "{norm}").eval()
with torch.inference_mode():
    network(torch.zeros(1, 3, 16, 16))
    before = held()
    watcher = threading.Thread(target=watch)
    watcher.start()
    network(torch.zeros(1, 3, {side}, {side}))
    ended.set()
print(max(seen) - before)
"""


@pytest.mark.parametrize(
    ("name", "ngf", "side", "norm"),
    [
        ("resnet", 32, 768, "instance"),
        ("resnet", 64, 512, "instance"),
        ("resnet", 32, 768, "batch"),
        ("unet_transformer", 32, 512, "instance"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_memory_estimate_is_near_the_real_peak(
    name: str, ngf: int, side: int, norm: str
) -> None:
    code = PEAK.format(name=name, ngf=ngf, side=side, norm=norm)
    command = [sys.executable, "-c", code]
    peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    architecture = Architecture(GENERATORS[name].settings(ngf=ngf), 3, 3, norm)
    assert 0.95 <= translator_module.estimated_bytes(architecture, side, side) / peak <= 1.4


def test_too_large_pictures_are_refused_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translator_module, "free_memory", lambda device: 1000)
    off = Translator.load(FILE, tile="off")
    with pytest.raises(UserError, match=r"GiB of memory, .* GiB are free: --tile exact needs"):
        off.convert(torch.zeros(3, 64, 64))


def test_what_memory_does_not_hold_is_computed_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    image = images.to_tensor(smooth_image(5, (90, 61)))
    whole = Translator.load(FILE).convert(image)
    monkeypatch.setitem(TILES, "off", None)  # would be called
    monkeypatch.setattr(translator_module, "free_memory", lambda device: 1000)
    assert (Translator.load(FILE).convert(image) - whole).abs().max() < 1e-5


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_memory_that_runs_out_on_the_way_is_no_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Another process may take what was free: played, as it can't be had without risk."""
    image = images.to_tensor(smooth_image(5, (90, 61)))
    whole = Translator.load(FILE).convert(image)

    computed: list[weakref.ref[torch.Tensor]] = []

    def run_out(picture: object, engine: object, tell: object) -> Iterator[Block]:
        large = torch.zeros(1)
        computed.append(weakref.ref(large))
        raise type(error)(*error.args)
        yield

    bands = TILES["exact"]

    def in_bands(picture: TiledPicture, engine: TileEngine, tell: Tell) -> Iterator[Block]:
        assert computed[-1]() is None, "what was computed in vain still takes memory"
        return bands(picture, engine, tell)

    monkeypatch.setitem(TILES, "off", run_out)
    monkeypatch.setitem(TILES, "exact", in_bands)
    assert (Translator.load(FILE).convert(image) - whole).abs().max() < 1e-5
    assert "92x64: out of memory, continuing in bands" in caplog.text
    with pytest.raises(UserError, match="--tile exact needs little, or scale down"):
        Translator.load(FILE, tile="off").convert(image)
    monkeypatch.setitem(TILES, "exact", run_out)
    for tile in ("auto", "exact"):  # there is no smaller way
        with pytest.raises(UserError, match=r"are free: scale down with --load_size$"):
            Translator.load(FILE, tile=tile).convert(image)


def test_a_generator_that_sees_all_at_once_is_not_tiled() -> None:
    settings = UnetTransformerSettings(ngf=4, n_blocks=1)
    architecture = Architecture(settings, 3, 3, "instance")
    generator = Generator(architecture.build().eval(), architecture, "x", "x")
    cpu = torch.device("cpu")
    with pytest.raises(UserError, match="--tile fast: this generator needs the whole picture"):
        Translator(generator, cpu, Execution(), Tiling("fast")).convert(torch.zeros(3, 32, 32))
    assert Translator(generator, cpu, Execution()).convert(torch.zeros(3, 32, 32)).shape[0] == 3


def test_bfloat16_differs_by_less_than_a_level(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ResnetSettings(ngf=8, n_blocks=2).build(3, 3, "instance")
    torch.save(network.state_dict(), tmp_path / "x.pth")
    image = images.to_tensor(smooth_image(5, (64, 64)))
    full = Translator.load(tmp_path / "x.pth").convert(image)
    half = Translator.load(tmp_path / "x.pth", precision="bf16").convert(image)
    assert 0 < (half - full).abs().mean() * 127.5 < 1
    assert full.dtype == half.dtype == torch.float32
