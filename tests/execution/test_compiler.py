"""A real compiler, with a real cache: whole, damaged, and none at all."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._inductor import config
from torch._inductor.utils import clear_inductor_caches

from cyclegan.execution.execution import Cast, Compiled, compiler_works

CPU = torch.device("cpu")


class Scaled(nn.Module):
    """The least that has a kernel to compute it and another one for its gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((4,), 3.0))

    def forward(self, images: Tensor) -> Tensor:
        return (images * self.weight).sin()


def as_a_new_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what was compiled; what is compiled from now on is kept in `folder`."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder))
    monkeypatch.setenv("TRITON_CACHE_DIR", str(folder / "triton"))
    torch._dynamo.reset()
    clear_inductor_caches()


def gradient() -> Tensor:
    network = Scaled()
    Compiled(network, graphs=False)(torch.ones(2, 4)).sum().backward()
    assert network.weight.grad is not None
    return network.weight.grad


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache that holds what this file compiles."""
    folder = tmp_path_factory.mktemp("compiler") / "sound"
    assert compiler_works(CPU)  # with the usual cache: what the processor can is found out once
    with pytest.MonkeyPatch.context() as monkeypatch:
        as_a_new_process(folder, monkeypatch)
        gradient()
    yield folder
    torch._dynamo.reset()
    clear_inductor_caches()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Our warnings: torch has many records of its own."""
    return [each.getMessage() for each in caplog.records if each.name.startswith("cyclegan")]


def kernels(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.main.so"), key=lambda path: path.stat().st_mtime)


def empty_gradient(folder: Path) -> None:
    """The last one that was compiled computes the gradients."""
    kernels(folder)[-1].write_bytes(b"")


def empty_programs(folder: Path) -> None:
    for path in folder.rglob("*.py"):
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "reason"), [(empty_gradient, "file too short"), (empty_programs, "call")]
)
def test_a_damaged_cache_is_left_for_another_one(
    sound: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    reason: str,
) -> None:
    folder = shutil.copytree(sound, tmp_path / "cache")
    assert len(kernels(folder)) == 2
    damage(folder)
    for _ in range(2):  # the second process finds what the first one compiled
        as_a_new_process(folder, monkeypatch)
        caplog.clear()
        assert torch.allclose(gradient(), torch.full((4,), 2 * torch.tensor(3.0).cos().item()))
        (warning,) = told(caplog)
        assert warning.startswith(f"{folder}: damaged compile cache")
        assert reason in warning
        assert f"using {folder}_2 instead" in warning
        assert len(kernels(tmp_path / "cache_2")) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "cache_2"}


def test_many_networks_of_one_process_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook trains one after the other; torch gives up after eight of one `forward`."""
    seen: list[object] = []

    def counted(module: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        seen.append(module)
        return module.forward

    plain = partial(torch.compile, backend=counted, dynamic=False)
    monkeypatch.setattr(torch, "compile", lambda network, **_: plain(network))
    torch._dynamo.reset()
    for width in range(1, 13):
        network = Cast(nn.Linear(width, width), None, torch.preserve_format)
        Compiled(network, graphs=False)(torch.ones(2, width))
    assert len(seen) == 12


def test_without_a_compiler_a_network_is_computed_all_the_same(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "cache"
    (folder / "of another").mkdir(parents=True)
    as_a_new_process(folder, monkeypatch)
    with config.patch({"cpp.cxx": ("no-such-compiler",)}):
        assert not compiler_works(CPU)
        assert torch.allclose(gradient(), torch.full((4,), 2 * torch.tensor(3.0).cos().item()))
    why = "No working C++ compiler found in torch._inductor.config.cpp.cxx: ('no-such-compiler',)"
    assert told(caplog) == [
        f"not compiled: no working compiler on this machine ({why})",
        f"torch.compile failed, running eagerly ({why})",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["cache"], "nothing is left of the trial"
