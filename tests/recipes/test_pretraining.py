"""Generators that first learn to restore images, while the discriminators wait."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import build_recipe, smooth_image, with_parts

from cyclegan import assemble
from cyclegan.data.batch import Batch
from cyclegan.errors import UsageError
from cyclegan.images import to_tensor
from cyclegan.loggers.health import Recent, complaints
from cyclegan.loggers.jsonl import read_records
from cyclegan.losses.pixels import with_gaps
from cyclegan.recipes.cyclegan import AdversarialSettings
from cyclegan.settings import Settings, from_table
from cyclegan.training.step import run_step

IMAGES = 9


@pytest.fixture
def settings(tiny_settings: Settings) -> Settings:
    """Pretrained on 9 images, of which a step has 2."""
    data = replace(tiny_settings.data, batch_size=2)
    training = AdversarialSettings(pretrain=IMAGES)
    return with_parts(replace(tiny_settings, data=data), training=training)


def batch_of(count: int) -> Batch:
    pictures = [to_tensor(smooth_image(seed, (32, 32))) for seed in range(2 * count)]
    return Batch(torch.stack(pictures[:count]), torch.stack(pictures[count:]))


def test_two_in_five_squares_are_grey_and_the_rest_is_as_it_was() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 328, 320) + 0.5
    gaps = with_gaps(images)
    grey = gaps == 0
    assert torch.equal(grey, grey[:1, :1].expand_as(grey)), "alike in all images and channels"
    assert torch.equal(gaps[~grey], images[~grey])
    squares = grey[0, 0, :320].unfold(0, 32, 32).unfold(1, 32, 32).float().mean((2, 3))
    assert {*squares.flatten().tolist()} == {0.0, 1.0}
    assert squares.mean().item() == pytest.approx(0.4, abs=0.15)
    assert not torch.equal(with_gaps(images), gaps), "others every time"


def test_only_generators_learn_and_they_come_to_restore(settings: Settings) -> None:
    wide = with_parts(
        settings,
        generator=replace(settings.recipe.generator, ngf=8),
        training=AdversarialSettings(pretrain=80),
    )
    recipe = build_recipe(replace(wide, training=replace(wide.training, lr=0.004)))
    before = recipe.state.networks["discriminator_a"].state_dict()
    before = {name: value.clone() for name, value in before.items()}
    losses = []
    for number in range(40):
        made = run_step(recipe.phases, recipe.state, [batch_of(2)], number=number)
        assert list(made.losses) == ["pretraining_a_to_b", "pretraining_b_to_a"]
        losses.append(sum(loss.item() for loss in made.losses.values()))
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    for name, value in recipe.state.networks["discriminator_a"].state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(not pool.state_dict()["images"] for pool in recipe.state.pools.values())


@pytest.mark.parametrize("per_part", [True, False])
def test_it_hands_over_to_training_as_usual(settings: Settings, per_part: bool) -> None:
    recipe = build_recipe(settings)
    kinds = [
        {name.rpartition("_a_to_b")[0] for name in made.losses if name.endswith("a_to_b")}
        for number in range(6)
        for made in [
            run_step(
                recipe.phases,
                recipe.state,
                [batch_of(2)],
                number=number,
                backward_per_part=per_part,
            )
        ]
    ]
    assert kinds == 5 * [{"pretraining"}] + [{"adversarial", "cycle", "identity"}]
    assert all(len(pool.state_dict()["images"]) == 2 for pool in recipe.state.pools.values())


def test_a_run_is_not_judged_before_it_is_pretrained(
    tiny: dict, dataroot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (dataroot / "testB").mkdir()
    for folder in ("testA", "testB"):
        for number in range(5):
            smooth_image(number + 50).save(dataroot / folder / f"{number}.png")
    tiny["quality"] = {"eval_freq": 1, "eval_images": 4}
    tiny["training"] |= {"pretrain": IMAGES}
    settings = from_table(tiny, "test")
    assemble.train(settings)
    records = list(read_records(settings.run.folder / "losses.jsonl"))
    looks = [record.position.images for record in records if "quality" in record.values]
    assert looks
    assert min(looks) == IMAGES + 1
    during = [record for record in records if record.position.images <= IMAGES]
    assert complaints(Recent(0.25, during * 10, planned=IMAGES)) == []


def test_what_does_not_go_together(settings: Settings) -> None:
    training = AdversarialSettings(pretrain=8, discriminator_warmup=5)
    with pytest.raises(UsageError, match=r"--pretrain 8 .* --discriminator_warmup 5"):
        with_parts(settings, training=training).check()
    with pytest.raises(UsageError, match="--pretrain 9: the generators of --init_weights"):
        settings.recipe.starting_from(["generator_a_to_b"])
    losses = replace(settings.recipe.losses, lambda_identity=0.0)
    grey = replace(settings.networks, input_nc=1)
    with pytest.raises(UsageError, match=r"--pretrain 9: this loss is undefined .* --pretrain 0"):
        replace(with_parts(settings, losses=losses), networks=grey).check()
