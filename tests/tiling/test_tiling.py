"""Large pictures by parts: the same as at once, without seams, in bounded memory."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import smooth_image
from torch import Tensor, nn

from cyclegan import images
from cyclegan.errors import UserError
from cyclegan.execution.execution import Execution
from cyclegan.generators import ResnetSettings
from cyclegan.tiling import modes, tiles
from cyclegan.tiling.modes import TILES
from cyclegan.tiling.rows import Moments, PixelsInMemory, Shape, TiledPicture
from cyclegan.tiling.stream import streams
from cyclegan.tiling.tiles import TileEngine

CPU = torch.device("cpu")
NOISE = 1e-4  # of float32 after sums in another order; 1/255 of the range is 0.008


def network(norm: str = "instance", *, image_statistics: bool = False, **more: object) -> nn.Module:
    torch.manual_seed(0)
    made = ResnetSettings(**{"ngf": 8, "n_blocks": 2, **more}).build(3, 3, norm).eval()
    for module in made.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, 0.1)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.3)
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if image_statistics:
                module.track_running_stats = False
                module.running_mean = module.running_var = None
    return made.requires_grad_(False)


def engine(made: nn.Module, folder: Path = Path("/tmp"), precision: str = "fp32") -> TileEngine:
    execution = Execution(precision=precision, channels_last=True)
    call = execution.prepare_trained(made)
    return TileEngine(made, call, execution, CPU, ResnetSettings(n_blocks=2).reach, 8, folder)


def picture(width: int, height: int) -> PixelsInMemory:
    """Something smooth with sharp edges in it, brighter on one side."""
    smooth = images.to_tensor(smooth_image(3, (width, height)))
    edges = torch.rand(3, height // 8 + 1, width // 8 + 1, generator=torch.manual_seed(1))
    edges = edges.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, :height, :width]
    return PixelsInMemory((0.5 * smooth + edges - 0.5).clamp(-1, 1))


@torch.inference_mode()
def together(way: str, picture: TiledPicture, engine: TileEngine) -> Tensor:
    made = torch.full((3, picture.shape.height, picture.shape.width), float("nan"))
    for block in TILES[way](picture, engine):
        height, width = block.pixels.shape[1:]
        made[:, block.top : block.top + height, block.left : block.left + width] = block.pixels
    return made


@pytest.mark.parametrize("way", ["exact", "fast", "dense"])
def test_the_share_that_is_done_is_told(way: str, small_bands: None, tmp_path: Path) -> None:
    told: list[float] = []
    list(TILES[way](picture(700, 600), engine(network(), tmp_path), told.append))
    assert told == sorted(told)
    assert len(set(told)) >= 4
    assert 0 < told[0] < 0.5
    assert 0.9 < told[-1] <= 1


@pytest.fixture
def small_bands(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(modes, "BAND", 30_000)  # some rows
    yield


NETWORKS = {
    "classic": {},
    "resize": {"upsampling": "resize"},
    "blurred": {"downsampling": "blurred", "residual": True},
    "dropout": {"dropout": True, "n_blocks": 1},
    "no blocks": {"n_blocks": 0},
    "separable": {"separable": True},
    "batch": {"norm": "batch"},
    "batch of the image": {"norm": "batch", "image_statistics": True, "upsampling": "resize"},
    "none": {"norm": "none"},
}


@pytest.mark.parametrize("size", [(8, 8), (12, 120), (124, 64)])
@pytest.mark.parametrize("name", NETWORKS)
def test_exact_is_as_at_once(
    name: str, size: tuple[int, int], small_bands: None, tmp_path: Path
) -> None:
    used = engine(network(**NETWORKS[name]), tmp_path)
    given = picture(*size)
    difference = together("exact", given, used) - together("off", given, used)
    assert difference.abs().max() < NOISE
    assert list(tmp_path.iterdir()) == []


def test_exact_in_bfloat16_differs_no_more_than_bfloat16_does(small_bands: None) -> None:
    given = picture(124, 64)
    full = together("off", given, engine(network()))
    half = engine(network(), precision="bf16")
    noise = (together("off", given, half) - full).abs().mean()
    assert (together("exact", given, half) - full).abs().mean() < 2 * noise


def test_only_what_is_small_is_written(
    small_bands: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no more at a time than was said."""
    alive: list[int] = []
    original = os.preadv

    def measured(file: int, *rest: object) -> int:
        folder = Path("/proc/self/fd")
        there = list(folder.iterdir())
        alive.append(sum(path.stat().st_size for path in there if _within(path, tmp_path)))
        return original(file, *rest)

    monkeypatch.setattr(os, "preadv", measured)
    used = engine(network(n_blocks=3), tmp_path)
    together("exact", picture(124, 64), used)
    said = modes.scratch_bytes(Shape(3, 64, 124), used)
    assert said == 3 * 16 * 31 * 32 * 4
    assert 0.9 * said < max(alive) <= said


def _within(path: Path, folder: Path) -> bool:
    try:
        return str(path.readlink()).startswith(str(folder))
    except OSError:
        return False


FULL = """
import resource, torch
from pathlib import Path
import sys; sys.path.insert(0, "{tests}/tiling")
from test_tiling import *
modes.BAND = 30_000
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    together("exact", picture(124, 64), engine(network(), Path("{folder}")))
except UserError as error:
    print(error)
"""


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    """The system refuses to let files grow: as a full disk does, which a test must not make."""
    code = FULL.format(tests=Path(__file__).parents[1], folder=tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert f"{tmp_path}: full (File too large): --scratch DIR names" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_scratch_space_is_looked_at_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Huge:
        shape = Shape(3, 400_000, 400_000)

        def window(self, *rectangle: int) -> Tensor:
            raise AssertionError("was begun")

    with pytest.raises(UserError, match=r"400000x400000 pixels need 3\d{3}\.\d GiB of scratch"):
        next(TILES["exact"](Huge(), engine(network(), tmp_path)))


KILLED = """
import sys; sys.path.insert(0, "{tests}/tiling")
from test_tiling import *
modes.BAND = 30_000
for block in TILES["exact"](picture(124, 640), engine(network(), Path("{folder}"))):
    print("begun", flush=True)
    sys.stdin.read()
"""


def test_a_kill_leaves_no_scratch(tmp_path: Path) -> None:
    code = KILLED.format(tests=Path(__file__).parents[1], folder=tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["classic", "resize", "blurred", "no blocks"])
def test_the_reach_is_what_a_pixel_is_made_of(name: str) -> None:
    """With norms that don't look at all of a map."""
    options = NETWORKS[name]
    blocks = int(options.get("n_blocks", 2))
    made = network("batch", **options)
    image = torch.rand(1, 3, 160, 160, requires_grad=True)
    made(image)[0, :, 80, 81].sum().backward()
    assert image.grad is not None
    touched = image.grad.abs().sum((0, 1)).nonzero()
    distance = int((touched - torch.tensor([80, 81])).abs().max())
    reach = ResnetSettings(n_blocks=blocks).reach
    assert distance <= reach <= distance + 16


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tiles, "SIDE", 48)
    yield


@pytest.mark.parametrize("way", ["fast", "dense"])
@pytest.mark.parametrize("name", ["classic", "blurred", "batch of the image"])
def test_one_tile_is_as_at_once(way: str, name: str) -> None:
    used, given = engine(network(**NETWORKS[name])), picture(124, 64)
    assert (together(way, given, used) - together("off", given, used)).abs().max() < NOISE


def calm() -> tuple[TileEngine, PixelsInMemory]:
    """A picture and a network so smooth that a seam would stand out."""
    smooth = images.to_tensor(smooth_image(3, (320, 200)))
    return engine(network(residual=True, upsampling="resize")), PixelsInMemory(smooth)


def seam(made: Tensor, used: TileEngine) -> float:
    """Steps across the tiles' borders, as a multiple of those beside them."""
    found = []
    for side, place in ((1, "top"), (2, "left")):
        steps = made.diff(dim=side).abs().mean([0, 3 - side])
        grid = tiles.Grid(Shape(*made.shape), used.reach or 0)
        across = torch.tensor(sorted({getattr(tile, place) - 1 for tile in grid} - {-1}))
        assert len(across) >= 4
        beside = torch.cat([steps[across - 2], steps[across + 2]]).mean()
        found.append(float(steps[across].mean() / beside))
    return max(found)


@pytest.mark.parametrize("way", ["fast", "dense"])
def test_tiles_leave_no_seam(way: str, small_tiles: None) -> None:
    used, given = calm()
    at_once = seam(together("off", given, used), used)  # upsampling has a grid of its own
    assert seam(together(way, given, used), used) < 1.1 * at_once


@torch.inference_mode()
def plain(used: TileEngine, given: PixelsInMemory) -> Tensor:
    """Tiles that are normalised by themselves."""
    made = torch.empty(given.image.shape)
    for tile in tiles.Grid(given.shape, used.reach or 0):
        block = tile.cut(used.call(given.window(*tile.around)))
        made[:, tile.top : tile.bottom, tile.left : tile.right] = block.pixels
    return made


def test_plain_tiles_would_show(small_tiles: None) -> None:
    """The test above sees seams where there are some."""
    used, given = calm()
    assert seam(plain(used, given), used) > 1.5 * seam(together("off", given, used), used)


def test_fast_is_nearer_to_the_whole_than_plain_tiles(
    small_tiles: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    used, given = calm()
    whole = together("off", given, used)
    assert (together("fast", given, used) - whole).abs().max() < NOISE, "the copy is the picture"
    monkeypatch.setattr(modes, "THUMBNAIL", 240)
    reduced, apart = (
        (made - whole).abs().mean() for made in (together("fast", given, used), plain(used, given))
    )
    assert NOISE < reduced < 0.7 * apart


def test_dense_keeps_local_contrast(small_tiles: None) -> None:
    """A quiet half beside a loud one: one mean for all leaves the quiet half flat."""
    given = picture(384, 96).image.clone()
    given[:, :, :192] *= 0.05
    used = engine(network())
    whole, made = (together(way, PixelsInMemory(given), used) for way in ("off", "dense"))
    assert made[:, :, :120].std() > 1.2 * whole[:, :, :120].std()


def test_moments_add_up() -> None:
    torch.manual_seed(0)
    all_of_it = 3 + torch.randn(1, 4, 9, 5, dtype=torch.float64)
    parts = [Moments.of(part) for part in torch.split(all_of_it, [2, 3, 4], dim=2)]
    moments = sum(parts[1:], parts[0])
    expected = nn.functional.instance_norm(all_of_it)
    assert torch.allclose(moments.normalize(all_of_it), expected, atol=1e-12)


def test_what_streams() -> None:
    assert streams(network())
    assert not streams(nn.Linear(2, 2))


def test_grids_cover_everything_once() -> None:
    for height, width in ((8, 8), (512, 516), (1300, 2052)):
        seen = np.zeros((height, width), dtype=int)
        for tile in tiles.Grid(Shape(3, height, width), 40):
            seen[tile.top : tile.bottom, tile.left : tile.right] += 1
            assert all(place % 4 == 0 for place in tile.around)
        assert (seen == 1).all()
