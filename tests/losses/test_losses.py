"""Loss terms and objectives against values worked out by hand."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from cyclegan.errors import UsageError
from cyclegan.losses import LossSettings
from cyclegan.losses.adversarial import (
    ADVERSARIAL,
    Adversary,
    gradient_penalty,
    zero_centred_penalty,
)
from cyclegan.losses.context import Loss, LossContext
from cyclegan.losses.objective import check_terms, make_objective, make_objectives, needed
from cyclegan.losses.perceptual import STYLES, Perceptual
from cyclegan.losses.terms import TERMS, Term, stateless
from cyclegan.translation import Translation, translate


def constant(value: float) -> torch.Tensor:
    return torch.full((1, 3, 4, 4), value)


@pytest.fixture
def translation() -> Translation:
    return Translation(constant(0.5), constant(-0.5), constant(0.1), constant(0.25), constant(-0.1))


def judge(mode: str) -> Adversary:
    """A discriminator that scores a pixel with its own value."""
    return Adversary(nn.Identity(), nn.Identity(), ADVERSARIAL[mode])


def value_of(name: str, translation: Translation) -> float:
    context = LossContext(make_adversary=lambda: judge("lsgan"))
    return TERMS[name].make(context)(translation).item()


@pytest.mark.parametrize(
    ("mode", "generator", "discriminator"),
    [
        ("lsgan", 0.5**2, (0.5**2 + 0.5**2) / 2),
        (
            "vanilla",
            math.log(1 + math.exp(-0.5)),
            (math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(0.5))) / 2,
        ),
        ("hinge", -0.5, (0.5 + 1.5) / 2),
    ],
)
def test_objectives(mode: str, generator: float, discriminator: float) -> None:
    scores = constant(0.5)
    assert ADVERSARIAL[mode].generator(scores).item() == pytest.approx(generator)
    assert judge(mode).loss(scores, scores).item() == pytest.approx(discriminator)


@pytest.mark.parametrize("mode", ADVERSARIAL)
def test_each_side_wants_the_opposite(mode: str) -> None:
    """Better scores for fakes please the generator and cost the discriminator, and so on."""
    low, high = constant(0.1), constant(0.9)
    objective = ADVERSARIAL[mode]
    assert objective.generator(high) < objective.generator(low)
    assert objective.real(high) < objective.real(low)
    assert objective.fake(low) < objective.fake(high)


def test_gradient_penalty_by_hand() -> None:
    """Scores that are k times the pixels' sum have a gradient of norm k * sqrt(pixels)."""

    class Sum(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0.5 * x.flatten(1).sum(1)

    penalty = gradient_penalty(Sum(), constant(0.3), constant(-0.2))
    assert penalty.item() == pytest.approx((0.5 * math.sqrt(48) - 1) ** 2, rel=1e-5)


def test_zero_centred_penalty_by_hand() -> None:
    class Squares(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.square().flatten(1).sum(1)

    penalty = zero_centred_penalty(Squares(), constant(0.3), constant(-0.2))
    assert penalty.item() == pytest.approx(0.5 * 48 * 0.6**2, rel=1e-5)


def test_an_adversary_applies_its_penalties() -> None:
    network = nn.Conv2d(3, 1, 4)
    real, fake = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    objective = ADVERSARIAL["wgangp"]
    with_penalty = Adversary(network, network, objective, [(gradient_penalty, 10.0)]).loss(
        real, fake
    )
    without = Adversary(network, network, objective).loss(real, fake)
    expected = 10 * (network.weight.flatten().norm() - 1) ** 2
    assert (with_penalty - without).item() == pytest.approx(expected.item(), rel=1e-4)
    with_penalty.backward()
    assert network.weight.grad is not None


def test_cycle_and_identity_are_mean_absolute_differences(translation: Translation) -> None:
    assert value_of("cycle", translation) == pytest.approx(0.25)
    assert value_of("identity", translation) == pytest.approx(0.4)
    assert value_of("adversarial", translation) == pytest.approx(0.81)


@pytest.mark.parametrize("name", TERMS)
def test_every_term_is_a_scalar_with_a_gradient(name: str) -> None:
    scale = torch.ones((), requires_grad=True)
    source = torch.linspace(-1, 1, 48).reshape(1, 3, 4, 4)
    made = translate(lambda x: x * scale, lambda x: x * scale, source, constant(-0.3))
    network = nn.Conv2d(3, 1, 3)
    perceptual = Perceptual(
        lambda images, layers: {name: images.square() for name in layers},
        ("one",),
        ("one",),
        STYLES["gram"],
    )
    context = LossContext(
        lambda: Adversary(network, network, ADVERSARIAL["lsgan"]),
        lambda: perceptual,
        lambda images: [images],
        source,
    )
    value = TERMS[name].make(context)(made)
    assert value.shape == ()
    value.backward()
    assert scale.grad is not None


def test_weights_of_both_directions_as_in_the_classic() -> None:
    settings = LossSettings(lambda_A=10.0, lambda_B=4.0, lambda_identity=0.5)
    assert settings.term_weights("a_to_b") == {"adversarial": 1, "cycle": 10, "identity": 2}
    assert settings.term_weights("b_to_a") == {"adversarial": 1, "cycle": 4, "identity": 5}


def test_objective_applies_the_weights(translation: Translation) -> None:
    losses = make_objective({"cycle": 10.0, "identity": 2.0}, LossContext())(translation)
    assert {name: round(loss.item(), 5) for name, loss in losses.items()} == {
        "cycle": 2.5,
        "identity": 0.8,
    }


def test_without_weight_nothing_is_computed() -> None:
    weights = LossSettings(lambda_identity=0.0).term_weights("a_to_b")
    objective = make_objective(weights, LossContext(lambda: judge("lsgan")))
    assert not objective.needs("identity")
    assert objective.needs("cycled")
    calls = []

    def convert(x: torch.Tensor) -> torch.Tensor:
        calls.append(x)
        return x

    made = translate(
        convert, convert, constant(0), constant(1), cycle=True, identity=objective.needs("identity")
    )
    assert made.identity is None
    assert len(calls) == 2


def test_unknown_term_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="perhaps you meant identity"):
        check_terms({"identitty": 1.0}, (), "fusion")


def test_a_term_that_needs_what_a_model_lacks_says_so() -> None:
    with pytest.raises(UsageError) as error:
        check_terms({"perceptual_cycle": 1.0}, ("perceptual",), "fusion")
    assert str(error.value) == (
        "--weights perceptual_cycle: needs cycle reconstructions (images translated back), "
        "which --model fusion does not have: leave it out"
    )
    check_terms({"consistency": 1.0, "style": 1.0, "cycle": 0.0}, ("perceptual",), "fusion")


def test_only_what_a_wanted_term_needs_is_made() -> None:
    """A context whose things can't be made does for all terms that do without."""

    def never() -> Any:
        raise AssertionError

    made = Translation(constant(0.5), constant(-0.5), constant(0.1), constant(0), constant(0))
    context = LossContext(never, never)
    for name, term in TERMS.items():
        if not {"discriminator", "encoder", "perceptual"} & {*term.needs}:
            assert term.make(context)(made).shape == ()
        elif name != "patch_nce":
            with pytest.raises(AssertionError):
                term.make(context)
    assert not context.networks
    assert needed(["adversarial", "perceptual_cycle"]) == {
        *("discriminator", "cycled", "perceptual")
    }


def test_both_directions_networks_are_drawn_term_by_term() -> None:
    made: list[str] = []

    def drawing(name: str) -> Term:
        def make(context: LossContext) -> Loss:
            context.keep(name, nn.Linear(1, 1))
            made.append(name)
            return lambda translation: translation.fake.mean()

        return Term(make)

    contexts: dict[Any, LossContext] = {way: LossContext() for way in ("a_to_b", "b_to_a")}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("first", "second"):
            patch.setitem(TERMS, name, drawing(name))
        weights = {"first": 1.0, "second": 1.0}
        make_objectives({"a_to_b": weights, "b_to_a": weights}, contexts)
    assert made == ["first", "first", "second", "second"]
    assert all([*context.networks] == ["first", "second"] for context in contexts.values())


def test_a_new_term_needs_one_line_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TERMS, "mean", Term(stateless(lambda made: made.fake.mean())))
    weights = LossSettings(weights={"mean": 2.0}).term_weights("b_to_a")
    made = Translation(constant(0.5), constant(-0.5), constant(0.1), constant(0), constant(0))
    objective = make_objective(weights, LossContext(lambda: judge("lsgan")))
    assert objective(made)["mean"].item() == pytest.approx(0.2)


def test_from_afar_brush_strokes_are_no_difference() -> None:
    strokes = torch.tensor([[0.5, -0.5], [-0.5, 0.5]]).repeat(1, 3, 16, 16)
    flat = Translation(torch.zeros_like(strokes), strokes, strokes, strokes, None)
    assert value_of("cycle", flat) == pytest.approx(0.5)
    assert value_of("lowpass_cycle", flat) == pytest.approx(0, abs=1e-6)
    large = Translation(
        torch.zeros(1, 3, 64, 64), strokes, strokes.repeat(1, 1, 2, 2) + 0.1, None, None
    )
    assert value_of("consistency", large) == pytest.approx(0.1, abs=1e-6)
