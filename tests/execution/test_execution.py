"""Every fast way computes the same mathematics, and never waits for the device."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from conftest import build_recipe, with_parts
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from cyclegan.data.batch import Batch
from cyclegan.execution.execution import Execution, from_table
from cyclegan.settings import Settings
from cyclegan.training.step import LossWatch, run_step

FAST = Execution(
    channels_last=True,
    recompute="light",
    batch_discriminator=True,
    backward_per_part=True,
    fused=True,
)
WAYS = {
    "fast": FAST,
    "batched": replace(FAST, batch_generator=True),
    "recomputing all": replace(FAST, recompute="full"),
    "one backward": replace(FAST, backward_per_part=False),
    "compiled": replace(FAST, compiled=True),
    "compiled, batched": replace(FAST, compiled=True, recompute="off", batch_generator=True),
}


def images(batch: int) -> Batch:
    generator = torch.Generator().manual_seed(3)
    a, b = torch.rand(2, batch, 3, 24, 32, generator=generator, dtype=torch.float64) * 2 - 1
    return Batch(a, b)


def gradients(settings: Settings, execution: Execution, batch: Batch) -> dict[str, Tensor]:
    """Losses, and the gradients of all weights, of one step in float64."""
    recipe = build_recipe(settings, execution)
    seen: dict[str, Tensor] = {}
    for name, network in recipe.state.networks.items():
        network.double()
        for key, weights in network.named_parameters():
            weights.register_post_accumulate_grad_hook(
                lambda p, key=f"{name}.{key}": seen.update({key: p.grad.clone()})
            )
    if execution.backward_per_part:
        recipe.state.reserve()
    torch.manual_seed(1)
    result = run_step(
        recipe.phases, recipe.state, [batch], backward_per_part=execution.backward_per_part
    )
    return result.losses | seen


def assert_equal(fast: dict[str, Tensor], plain: dict[str, Tensor]) -> None:
    """To nine digits of each network's largest gradient: a bias before a norm has none at all."""
    assert plain.keys() == fast.keys()
    for name, value in plain.items():
        network = [other.abs().max() for key, other in plain.items() if key[:15] == name[:15]]
        difference = (fast[name] - value).abs().max()
        assert difference <= 1e-9 * max(network), (name, difference, value.abs().max())


CASES = list(product(WAYS, (1, 2), ("lsgan", "wgangp")))
#: Compiling takes long: each of two cases there is in one of them.
COMPILED = {("compiled", 2, "lsgan"), ("compiled, batched", 1, "wgangp")}


@pytest.mark.parametrize(
    ("way", "batch", "gan_mode"),
    [case for case in CASES if not WAYS[case[0]].compiled or case in COMPILED],
)
def test_a_step_has_the_plain_gradients(
    tiny_settings: Settings, way: str, batch: int, gan_mode: str
) -> None:
    losses = replace(tiny_settings.recipe.losses, gan_mode=gan_mode)
    settings = with_parts(tiny_settings, losses=losses)
    plain = gradients(settings, Execution(), images(batch))
    fast = gradients(settings, WAYS[way], images(batch))
    assert_equal(fast, plain)


def test_images_of_two_sizes_are_never_one_call(tiny_settings: Settings) -> None:
    both = images(1)
    uneven = Batch(both.a, both.b[:, :, :, :24])
    plain = gradients(tiny_settings, Execution(), uneven)
    fast = gradients(tiny_settings, WAYS["batched"], uneven)
    assert_equal(fast, plain)


def test_accumulated_batches_count_as_one(tiny_settings: Settings) -> None:
    whole = images(3)
    pieces = [Batch(whole.a[:2], whole.b[:2]), Batch(whole.a[2:], whole.b[2:])]
    weights = []
    for batches in ([whole], pieces):
        recipe = build_recipe(tiny_settings, FAST)
        for network in recipe.state.networks.values():
            network.double()
        recipe.state.reserve()
        result = run_step(recipe.phases, recipe.state, batches)
        generator = recipe.state.networks["generator_a_to_b"]
        weights.append([*result.losses.values(), *(p.detach() for p in generator.parameters())])
    for one, other in zip(*weights, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_a_lazy_identity_has_its_turns_and_its_weight(tiny_settings: Settings) -> None:
    lazy = with_parts(tiny_settings, losses=replace(tiny_settings.recipe.losses, identity_every=3))
    batch = Batch(images(1).a.float(), images(1).b.float())
    every = build_recipe(tiny_settings, FAST)
    third = build_recipe(lazy, FAST)
    usual = run_step(every.phases, every.state, [batch], number=0).losses
    assert not any(
        name.startswith("identity")
        for name in run_step(third.phases, build_recipe(lazy, FAST).state, [batch], number=1).losses
    )
    third = build_recipe(lazy, FAST)
    turn = run_step(third.phases, third.state, [batch], number=3).losses
    torch.testing.assert_close(turn["identity_a_to_b"], usual["identity_a_to_b"] * 3)


class NoWaiting(TorchDispatchMode):
    """Raises where a value is read off the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise AssertionError("a step waits for the device")
        return func(*args, **(kwargs or {}))


def play() -> Iterator[int | None]:
    while True:
        yield from (0, None, 1)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_step_reads_nothing_off_the_device(tiny_settings: Settings, precision: str) -> None:
    recipe = build_recipe(tiny_settings, replace(FAST, precision=precision))
    for pool in recipe.state.pools.values():
        pool.choose = play().__next__  # its dice lie on the CPU, on any device
    watch = LossWatch()
    batch = Batch(images(2).a.float(), images(2).b.float())
    with NoWaiting():
        for number in range(4):
            result = run_step(recipe.phases, recipe.state, [batch], number=number)
            watch.note(result, number)
    assert all(loss.dtype == torch.float32 for loss in result.losses.values())


def test_the_test_above_sees_a_read() -> None:
    with pytest.raises(AssertionError, match="waits"), NoWaiting():
        torch.ones(()).item()


def test_half_precision_is_near_and_pixels_are_whole(tiny_settings: Settings) -> None:
    batch = Batch(images(1).a.float(), images(1).b.float())
    losses, fakes = {}, {}
    for precision in ("fp32", "bf16"):
        recipe = build_recipe(tiny_settings, replace(FAST, precision=precision))
        result = run_step(recipe.phases, recipe.state, [batch])
        losses[precision], fakes[precision] = result.losses, result.translations["a_to_b"].fake
    for name, value in losses["fp32"].items():
        assert losses["bf16"][name].item() == pytest.approx(value.item(), rel=0.02), name
    fake = fakes["bf16"]
    assert fake.dtype == torch.float32
    assert not torch.equal(fake, fake.bfloat16().float()), "the last layers are float32"


def test_resize_convolutions_are_trained_compiled_too(
    tiny_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """In bfloat16 and channels last, where torch's padding has no gradient that is compiled."""
    settings = replace(tiny_settings.recipe.generator, upsampling="resize")
    found = {}
    for compiled in (False, True):
        torch.manual_seed(0)
        network = settings.build(3, 3, "instance")
        call = replace(FAST, precision="bf16", compiled=compiled).prepare(network)
        made = call(images(1).a.float())
        made.square().mean().backward()
        grads = [one.grad.norm() for one in network.parameters() if one.ndim == 4]
        found[compiled] = torch.stack([made.detach().square().mean(), *grads])
    assert "running eagerly" not in caplog.text
    torch.testing.assert_close(found[True], found[False], rtol=0.02, atol=0)


def test_it_is_kept_as_plain_values() -> None:
    assert from_table(FAST.table() | {"of a later version": 1}) == FAST
    assert "bf16, channels last" in replace(FAST, precision="bf16").describe()


def test_names_of_0_1_0_are_read() -> None:
    old = {"apart": True, "judged_together": True, "batched": True}
    known = Execution(backward_per_part=True, batch_discriminator=True, batch_generator=True)
    assert from_table(old) == known


def test_the_identity_fades(tiny_settings: Settings) -> None:
    losses = replace(tiny_settings.recipe.losses, identity_steps=4)
    images = torch.rand(1, 3, 24, 24) * 2 - 1
    named = []
    for step in (0, 2, 4, 9):
        torch.manual_seed(0)
        fresh = build_recipe(with_parts(tiny_settings, losses=losses))
        result = run_step(fresh.phases, fresh.state, [Batch(images, images)], number=step)
        named.append(result.losses.get("identity_a_to_b"))
    assert named[1].item() == pytest.approx(named[0].item() / 2, rel=1e-5)
    assert named[2] is None
    assert named[3] is None
