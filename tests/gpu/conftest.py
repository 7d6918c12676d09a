"""Tests that compute on a GPU: where, for how long, and the figures that they leave behind.

They are skipped where there is no CUDA. `scripts/gpu.sh` runs them with the options below; with
`--device cpu` it tries out the tests themselves.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

BEGUN = time.monotonic()
#: By section, which is a file's name without `test_`.
Sections = dict[str, dict[str, Any]]
SECTIONS = pytest.StashKey[Sections]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cuda", help="what computes the tests of a GPU")
    parser.addoption("--seconds", type=float, default=float("inf"), help="for all of them")
    parser.addoption("--into", type=Path, help="JSON file of what they found")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SECTIONS] = {}


def _option(config: pytest.Config, name: str, otherwise: Any) -> Any:
    """Where the whole suite is run, this file is read too late to have options."""
    return config.getoption(name, otherwise)


@pytest.fixture(scope="session")
def device(pytestconfig: pytest.Config) -> torch.device:
    """What computes; a test that asks for it is skipped where it is not there."""
    found = torch.device(_option(pytestconfig, "device", "cuda"))
    if found.type == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    return found


@pytest.fixture
def cuda(device: torch.device) -> torch.device:
    """The device, where it is a real GPU."""
    if device.type != "cuda":
        pytest.skip("needs a GPU")
    return device


@pytest.fixture
def needs_seconds(pytestconfig: pytest.Config) -> Callable[[float], None]:
    """Skips the test where fewer seconds than it says it takes are left."""

    def check(seconds: float) -> None:
        left = _option(pytestconfig, "seconds", float("inf")) - (time.monotonic() - BEGUN)
        if left < seconds:
            pytest.skip(f"left out: {left:.0f} s left, needs {seconds:.0f}")

    return check


@pytest.fixture
def compiling(needs_seconds: Callable[[float], None]) -> None:
    """For a test that compiles: these come last, for each takes as long as many others."""
    needs_seconds(60)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: "compiling" in getattr(item, "fixturenames", ()))


@pytest.fixture(autouse=True)
def enough_time(needs_seconds: Callable[[float], None]) -> None:
    needs_seconds(10)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a test measures on the way, for the JSON file."""
    section = _section(request.config, request.node.path)
    figures: dict[str, Any] = section["figures"]
    return figures


@pytest.fixture(autouse=True)
def own_switches() -> Iterator[None]:
    """What a test sets for the whole process is taken back."""
    cudnn = torch.backends.cudnn
    products, kept = torch.get_float32_matmul_precision(), (cudnn.allow_tf32, cudnn.benchmark)
    yield
    torch.set_float32_matmul_precision(products)
    cudnn.allow_tf32, cudnn.benchmark = kept
    cudnn.deterministic = False
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def whole_float32(own_switches: None) -> None:
    """No TensorFloat-32, neither in products nor in convolutions."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


@pytest.fixture
def waiting_raises(cuda: torch.device) -> Callable[[], AbstractContextManager[None]]:
    """A block within which it is an error that the CPU waits for the GPU."""

    @contextmanager
    def block() -> Iterator[None]:
        torch.cuda.synchronize(cuda)
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")

    return block


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Write down how each test ended, at once: a later one may end the process."""
    report = yield
    into = _option(item.config, "into", None)
    if into is None or item.path.parent != Path(__file__).parent:
        return report
    section = _section(item.config, item.path)
    section["seconds"] = round(section["seconds"] + report.duration, 2)
    if report.failed:
        section["failed"][item.name] = _said(report)
    elif report.skipped:
        section["skipped"][item.name] = call.excinfo.value.msg if call.excinfo else ""
    elif report.when == "call":
        section["passed"] += 1
    _write(into, item.path, section)
    return report


def _write(into: Path, test: Path, section: dict[str, Any]) -> None:
    """Other files' tests may run beside this one and write there, too."""
    with FileLock(into.with_name(f".{into.name}.lock")):
        there = json.loads(into.read_bytes()) if into.exists() else {}
        there.setdefault("tests", {})[_name(test)] = section
        into.write_text(json.dumps(there, indent=1) + "\n")


def _said(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr)[:600]


def _section(config: pytest.Config, path: Path) -> dict[str, Any]:
    empty = {"seconds": 0.0, "passed": 0, "failed": {}, "skipped": {}, "figures": {}}
    return config.stash[SECTIONS].setdefault(_name(path), empty)


def _name(test: Path) -> str:
    return test.stem.removeprefix("test_")
