"""What is chosen, and that choosing leaves no trace."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import count

import pytest
import torch
from conftest import with_parts
from torch import Tensor, nn

from cyclegan.assemble import _execution, work_of
from cyclegan.checkpoint import Checkpoint
from cyclegan.cli import run
from cyclegan.device import free_memory
from cyclegan.errors import UsageError, UserError
from cyclegan.execution import ExecutionSettings, Switch, choice
from cyclegan.execution.choice import Work, choose, choose_for_conversion
from cyclegan.execution.execution import Execution
from cyclegan.generators import GENERATORS, ResnetSettings
from cyclegan.run import Position
from cyclegan.settings import Settings, from_table

CPU = torch.device("cpu")


def test_flags_are_obeyed(tiny_settings: Settings) -> None:
    work = work_of(tiny_settings, 6)
    asked = ExecutionSettings(precision="bf16", compile="off", checkpointing="on")
    chosen = choose(asked, work, CPU).execution
    assert (chosen.precision, chosen.compiled, chosen.recompute) == ("bf16", False, "full")
    plain = choose(ExecutionSettings(plain=True), work, CPU).execution
    assert plain.precision == "fp32"
    assert not (
        plain.channels_last or plain.backward_per_part or plain.fused or plain.batch_discriminator
    )


def test_images_that_depend_on_each_other_are_not_put_together(tiny_settings: Settings) -> None:
    recipe = tiny_settings.recipe
    batch = with_parts(tiny_settings, networks=replace(recipe.networks, norm="batch"))
    dropout = with_parts(tiny_settings, generator=replace(recipe.generator, dropout=True))
    for settings in (batch, dropout):
        chosen = choose(ExecutionSettings(compile="off"), work_of(settings, 6), CPU).execution
        assert not chosen.batch_generator
        assert not chosen.batch_discriminator


def test_choosing_changes_neither_weights_nor_random_numbers(tiny_settings: Settings) -> None:
    state = torch.get_rng_state()
    work = work_of(tiny_settings, 6)
    before = [p.clone() for p in work.network.parameters()]
    choose(ExecutionSettings(compile="off"), work, CPU)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(*pair) for pair in zip(before, work.network.parameters(), strict=True))
    assert all(p.grad is None for p in work.network.parameters())


def test_compiling_is_for_runs_that_win_the_time_back(
    tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "compiler_works", lambda device: True)
    work = work_of(tiny_settings, 6)
    long = replace(work, steps=10**9)
    settings = ExecutionSettings()
    assert not choose(settings, work, CPU).execution.compiled
    assert choose(settings, long, CPU).execution.compiled
    assert not choose(settings, replace(long, same_size=False), CPU).execution.compiled
    assert not choose(ExecutionSettings(compile="off"), long, CPU).execution.compiled


def test_without_a_compiler_one_line_is_said(
    tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(function: object) -> object:
        raise RuntimeError("no C++ compiler\nand more")

    monkeypatch.setattr(torch, "compile", broken)
    chosen = choose(ExecutionSettings(compile="on"), work_of(tiny_settings, 6), CPU).execution
    assert not chosen.compiled
    assert [record.getMessage() for record in caplog.records] == [
        "not compiled: no working compiler on this machine (no C++ compiler)"
    ]


def test_plain_contradicts_what_is_fast() -> None:
    with pytest.raises(UsageError, match="--precision bf16"):
        ExecutionSettings(plain=True, precision="bf16").check()
    ExecutionSettings(plain=True, precision="fp32", compile="off").check()


def test_a_large_map_is_computed_again_rather_than_kept(tiny_settings: Settings) -> None:
    large = replace(work_of(tiny_settings, 6), shape=(1, 3, 256, 256), widest=64)
    asked = ExecutionSettings(compile="off", precision="fp32")
    assert choice._recompute(asked, large) == "light"
    assert choice._recompute(replace(asked, checkpointing="off"), large) == "off"


GPU = torch.device("cuda")
GIB = 2**30


@dataclass
class StandIn:
    """What a GPU answers, here where there is none: what it can do, what is free, how fast."""

    capability: tuple[int, int] = (9, 0)
    free: int = 80 * GIB
    seconds: float = 0.01
    measured: list[tuple[Execution, Work]] = field(default_factory=list)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    gpu = StandIn()

    def timed(execution: Execution, work: Work, device: torch.device, times: int) -> float:
        gpu.measured.append((execution, work))
        return gpu.seconds

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: gpu.capability)
    monkeypatch.setattr(choice, "free_memory", lambda device: gpu.free)
    monkeypatch.setattr(choice, "compiler_works", lambda device: True)
    monkeypatch.setattr(choice, "random_numbers_kept", lambda device: nullcontext())
    monkeypatch.setattr(choice, "_timed", timed)
    return gpu


@pytest.fixture(scope="module")
def large() -> Work:
    """What people train: 256 pixels, 64 feature maps, 9 blocks."""
    settings = Settings()
    return replace(work_of(settings, 6000), shape=(1, 3, 256, 256))


@pytest.mark.parametrize(
    ("capability", "precision", "channels_last"),
    [
        ((9, 0), "bf16", True),
        ((8, 0), "bf16", True),
        ((7, 5), "fp16", True),
        ((7, 0), "fp16", True),
        ((6, 1), "fp32", False),
    ],
)
def test_a_gpu_computes_in_what_its_tensor_cores_multiply(
    gpu: StandIn, large: Work, capability: tuple[int, int], precision: str, channels_last: bool
) -> None:
    gpu.capability = capability
    chosen = choose(ExecutionSettings(), large, GPU).execution
    assert (chosen.precision, chosen.channels_last) == (precision, channels_last)
    converting = choose_for_conversion(large.network, 3, "auto", "off", 0, GPU)
    assert converting.precision == precision


def test_a_gpu_is_measured_with_what_will_run(gpu: StandIn, large: Work) -> None:
    chosen = choose(ExecutionSettings(compile="off"), large, GPU)
    assert gpu.measured == [(replace(chosen.execution, whole_step=False), large)]
    assert chosen.seconds_per_step == gpu.seconds * large.passes


def test_float32_has_tensor_cores_from_ampere_on(gpu: StandIn, large: Work) -> None:
    asked = ExecutionSettings(precision="fp32")
    assert choose(asked, large, GPU).execution.channels_last
    gpu.capability = (7, 5)
    assert not choose(asked, large, GPU).execution.channels_last


def test_a_gpu_compiles_for_minutes_of_training_and_recomputes_nothing_then(
    gpu: StandIn, large: Work
) -> None:
    gpu.free = GIB // 2
    long = choose(ExecutionSettings(), large, GPU).execution
    assert (long.compiled, long.recompute) == (True, "off")
    short = choose(ExecutionSettings(), replace(large, steps=1000), GPU).execution
    assert (short.compiled, short.recompute) == (False, "full")
    asked = choose(ExecutionSettings(checkpointing="on"), large, GPU).execution
    assert (asked.compiled, asked.recompute) == (True, "full")


def test_the_steps_of_a_gpu_are_one_graph_where_that_can_be(gpu: StandIn, large: Work) -> None:
    """Not where a scaler decides on the CPU, sizes differ, or dropout is drawn twice."""
    asked, drawn = ExecutionSettings(compile="off"), replace(large, per_sample=False)
    assert choose(asked, large, GPU).execution.whole_step
    assert choose(asked, drawn, GPU).execution.whole_step
    assert choose(ExecutionSettings(compile="on"), large, GPU).execution.whole_step
    assert not choose(ExecutionSettings(plain=True), large, GPU).execution.whole_step
    assert not choose(asked, replace(large, same_size=False), GPU).execution.whole_step
    assert not choose(replace(asked, checkpointing="on"), drawn, GPU).execution.whole_step
    assert not choose(replace(asked, precision="fp16"), large, GPU).execution.whole_step
    assert not choose(asked, large, CPU).execution.whole_step


@pytest.mark.parametrize(
    ("batch", "free", "recompute"),
    [(1, 80, "off"), (16, 80, "off"), (16, 8, "light"), (16, 4.5, "full"), (1, 1.5, "off")],
)
def test_a_gpu_computes_again_what_it_has_no_memory_for(
    gpu: StandIn, large: Work, batch: int, free: float, recompute: str
) -> None:
    gpu.free = int(free * GIB)
    work = replace(large, shape=(batch, *large.shape[1:]))
    chosen = choose(ExecutionSettings(compile="off", batching="off"), work, GPU).execution
    assert chosen.recompute == recompute


def test_what_is_kept_for_gradients_grows_with_pictures_and_bits(large: Work) -> None:
    """And is counted, not computed: at 4 of 8192 pixels a side it would not fit anywhere."""
    one = choice.kept_for_gradients(Execution(precision="bf16", channels_last=True), large)
    assert 100 < one / 2**20 < 400
    whole = choice.kept_for_gradients(Execution(channels_last=True), large)
    assert 1.5 < whole / one < 2.2
    huge = replace(large, shape=(4, 3, 8192, 8192))
    assert choice.kept_for_gradients(Execution(channels_last=True), huge) > 3000 * whole


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generators_memory_can_be_counted(name: str) -> None:
    work = work_of(from_table({"generator": {"netG": name}}, "test"), 6)
    assert choice.kept_for_gradients(Execution(precision="bf16", channels_last=True), work) > 0


def test_few_pixels_share_a_call_on_a_gpu(gpu: StandIn, large: Work) -> None:
    assert choose(ExecutionSettings(), large, GPU).execution.batch_generator
    many = replace(large, shape=(16, *large.shape[1:]))
    assert not choose(ExecutionSettings(), many, GPU).execution.batch_generator
    assert choose(ExecutionSettings(batching="on"), many, GPU).execution.batch_generator
    assert not choose(ExecutionSettings(batching="off"), large, GPU).execution.batch_generator
    dependent = replace(large, per_sample=False)
    assert not choose(ExecutionSettings(batching="on"), dependent, GPU).execution.batch_generator


def test_pictures_that_are_measured_are_not_black(tiny_settings: Settings) -> None:
    seen: list[Tensor] = []

    class Seeing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, images: Tensor) -> Tensor:
            seen.append(images)
            return images * self.weight

    work = replace(work_of(tiny_settings, 6), network=Seeing())
    choose(ExecutionSettings(compile="off"), work, CPU)
    assert all(images.float().std() > 0.3 for images in seen)


def test_what_torch_holds_ready_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 * GIB, 80 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 70 * GIB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 10 * GIB)
    assert free_memory(GPU) == 61 * GIB


def test_a_resumed_run_computes_as_before(
    tiny_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a new measurement would say; a flag that changed is obeyed, and said."""
    before = Execution("cpu", 1, "bf16", channels_last=True, batch_discriminator=True)
    saved = Checkpoint(tiny_settings.table(), {}, Position(), execution=before.table())
    assert _execution(tiny_settings, CPU, 6, saved).execution == before
    assert caplog.text == ""
    plain = replace(tiny_settings, execution=ExecutionSettings(plain=True))
    assert _execution(plain, CPU, 6, saved).execution.precision == "fp32"
    assert "execution changed since the checkpoint: bf16, channels last" in caplog.text


class Greedy(nn.Module):
    """Asks the system for more memory than any has, for what `too_much` says of its images."""

    def __init__(self, too_much: Callable[[Tensor], bool]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.too_much = too_much

    def forward(self, images: Tensor) -> Tensor:
        if self.too_much(images):
            torch.empty(2**55)
        return images * self.weight


def test_what_needs_too_much_memory_has_lost(tiny_settings: Settings) -> None:
    work = replace(work_of(tiny_settings, 6), per_sample=True)
    for too_much in (
        lambda images: len(images) > work.shape[0],
        lambda images: images.dtype == torch.bfloat16,
        lambda images: images.is_contiguous(memory_format=torch.channels_last),
    ):
        greedy = replace(work, network=Greedy(too_much))
        chosen = choose(ExecutionSettings(compile="off"), greedy, CPU).execution
        images = torch.zeros(work.shape[0] * (1 + chosen.batch_generator), *work.shape[1:])
        assert not too_much(chosen.cast(images))


def test_no_memory_while_choosing_is_one_line(
    tiny_flags: list[str],
) -> None:
    side = str(2**20)  # the system is asked for terabytes, and refuses
    for precision in ("fp32", "auto"):
        with pytest.raises(UserError, match=r"^out of memory: give a smaller --batch_size"):
            run(["train", *tiny_flags, "--load_size", side, "--crop_size", side,
                 "--precision", precision])  # fmt: skip


def trained(ngf: int) -> nn.Module:
    return ResnetSettings(ngf=ngf, n_blocks=1).build(3, 3, "instance").requires_grad_(False)


def test_conversion_compiles_for_many_images_of_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "compiler_works", lambda device: True)

    def compiled(compile: Switch, images: int, ngf: int = 8) -> bool:
        network, pixels = trained(ngf), images * 256 * 256
        return choose_for_conversion(network, 3, "fp32", compile, pixels, CPU).compiled

    assert not compiled("auto", 100)
    assert not compiled("auto", 100_000 * torch.get_num_threads(), ngf=2), "so little is soon done"
    assert compiled("auto", 100_000 * torch.get_num_threads())
    assert compiled("on", 0)
    assert not compiled("off", 10**9)


@pytest.mark.parametrize("native", [True, False])
def test_conversion_computes_alike_however_busy_the_machine_is(
    monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    monkeypatch.setattr(choice, "compiler_works", lambda device: True)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    chosen = set()
    for ticks in (count(), (number**0.5 for number in count())):  # slower and slower, or quicker
        with monkeypatch.context() as clock:
            clock.setattr(time, "perf_counter", lambda ticks=ticks: 100 * next(ticks))
            pixels = 10_000 * 64 * 64
            chosen.add(choose_for_conversion(trained(8), 3, "auto", "auto", pixels, CPU))
    (one,) = chosen
    assert one.precision == ("bf16" if native else "fp32")
    narrow = choose_for_conversion(trained(2), 3, "auto", "off", 0, CPU)
    assert narrow.precision == "fp32", "there is nothing to win"
