"""What is set on a device, and what is kept of it; a machine without a GPU has a stand-in."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from cyclegan import cli
from cyclegan.device import (
    choose_device,
    limit_met,
    random_numbers,
    random_numbers_kept,
    restore_random_numbers,
    tune,
)
from cyclegan.execution import ExecutionSettings, choice
from cyclegan.execution.choice import Work, choose

FIRST, SECOND = torch.device("cuda", 0), torch.device("cuda", 1)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """Two GPUs whose generators stand at a number each; "chosen" is the one set for the process."""
    known: dict[Any, Any] = {FIRST: torch.tensor(10), SECOND: torch.tensor(20)}
    here = lambda device: known[torch.device(device)].clone()  # noqa: E731
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: known.update(chosen=device))
    monkeypatch.setattr(torch.cuda, "get_rng_state", here)
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, device: known.update({device: state})
    )
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *size, device=None, **rest: empty(*size, **rest))
    return known


@pytest.fixture
def switches() -> Iterator[None]:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    workspace = os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.benchmark = before[1]
    torch.backends.cudnn.deterministic = False
    torch.use_deterministic_algorithms(False)
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    if workspace is not None:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = workspace


def switched() -> tuple[str, bool, bool, bool]:
    cudnn = torch.backends.cudnn
    return (
        torch.get_float32_matmul_precision(),
        cudnn.benchmark,
        cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(),
    )


def test_a_gpu_that_is_named_is_the_process_s_own(gpus: dict[Any, Any]) -> None:
    choose_device("cuda")
    assert "chosen" not in gpus
    assert choose_device("cuda:1") == SECOND == gpus["chosen"]


def test_a_gpu_is_tuned_and_a_cpu_left_alone(switches: None) -> None:
    untouched = switched()
    tune(torch.device("cpu"), same_size=True, deterministic=True)
    assert switched() == untouched
    tune(FIRST, same_size=True)
    assert switched() == ("high", True, False, False)
    tune(FIRST, same_size=False)
    assert switched() == ("high", False, False, False)
    tune(FIRST, same_size=True, plain=True)
    assert switched() == ("highest", False, False, False)
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


def test_deterministic_kernels_are_neither_tried_out_nor_added_up_in_any_order(
    switches: None,
) -> None:
    tune(FIRST, same_size=True, deterministic=True)
    assert switched() == ("high", False, True, True)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    tune(FIRST, same_size=True)
    assert switched() == ("high", True, False, False)


def test_random_numbers_go_on_where_the_own_gpu_left_them(gpus: dict[Any, Any]) -> None:
    saved = random_numbers(SECOND)
    gpus[SECOND] = torch.tensor(25)
    restore_random_numbers(saved, SECOND)
    assert (gpus[FIRST], gpus[SECOND]) == (10, 20)
    restore_random_numbers(saved, FIRST)  # another GPU goes on in its place
    assert (gpus[FIRST], gpus[SECOND]) == (20, 20)


def test_earlier_checkpoints_hold_those_of_every_gpu(gpus: dict[Any, Any]) -> None:
    every = {"cpu": torch.get_rng_state(), "cuda": [torch.tensor(1), torch.tensor(2)]}
    restore_random_numbers(every, SECOND)
    assert (gpus[FIRST], gpus[SECOND]) == (10, 2)


def test_random_numbers_that_are_missing_are_told(
    gpus: dict[Any, Any], caplog: pytest.LogCaptureFixture
) -> None:
    cpu = torch.device("cpu")
    with caplog.at_level(logging.WARNING):
        restore_random_numbers(random_numbers(cpu), cpu)
        assert not caplog.messages
        restore_random_numbers(random_numbers(cpu), FIRST)
    assert gpus[FIRST] == 10
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("cuda:0: the checkpoint holds no RNG state for it")


@pytest.mark.filterwarnings("error")
def test_what_is_drawn_on_the_own_gpu_is_taken_back(gpus: dict[Any, Any]) -> None:
    """And nothing of the others, of which torch would warn."""
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with random_numbers_kept(SECOND):
        torch.rand(5)
        gpus |= {FIRST: torch.tensor(11), SECOND: torch.tensor(21)}
    assert (gpus[FIRST], gpus[SECOND]) == (11, 20)
    assert torch.equal(torch.rand(3), expected)


def test_the_choice_draws_nothing_on_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[torch.device] = []

    @contextmanager
    def keep(device: torch.device) -> Iterator[None]:
        kept.append(device)
        yield

    monkeypatch.setattr(choice, "random_numbers_kept", keep)
    monkeypatch.setattr(choice, "_measured", lambda *_: None)
    generator = torch.nn.Conv2d(3, 3, 1)
    work = Work(generator, (1, 3, 8, 8), 1, same_size=True, per_sample=True, widest=3)
    choose(ExecutionSettings(), work, SECOND)
    assert kept == [SECOND]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory: x"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "out of memory: x"),
        (
            RuntimeError("fold_backward_cuda does not have a deterministic implementation, but"),
            "--deterministic: fold_backward_cuda has no deterministic implementation here: leave "
            "it out",
        ),
        (RuntimeError("shapes differ"), None),
    ],
)
def test_limits_of_a_device_are_one_line(error: RuntimeError, told: str | None) -> None:
    assert limit_met(error, "x") == told


def test_any_command_tells_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(args: list[str]) -> int:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nand more")

    monkeypatch.setattr(cli, "run", full)
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("cyclegan: error: out of memory: give fewer")
