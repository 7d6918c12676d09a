"""What a step does beyond the golden traces."""

import torch
from conftest import build_recipe
from torch import nn
from torch.amp import GradScaler

from cyclegan.data.batch import Batch
from cyclegan.settings import Settings
from cyclegan.training.state import TrainingState
from cyclegan.training.step import Part, Phase, run_step

BATCH = Batch(torch.zeros(1, 3, 24, 24), torch.ones(1, 3, 24, 24))


def test_every_network_changes(tiny_settings: Settings) -> None:
    recipe = build_recipe(tiny_settings)
    state, phases = recipe.state, recipe.phases
    before = {
        name: [p.clone() for p in network.parameters()] for name, network in state.networks.items()
    }
    run_step(phases, state, [BATCH])
    for name, network in state.networks.items():
        pairs = zip(before[name], network.parameters(), strict=True)
        assert any(not torch.equal(old, new) for old, new in pairs), name


def test_generators_learn_nothing_from_the_discriminators_phase(tiny_settings: Settings) -> None:
    recipe = build_recipe(tiny_settings)
    state, phases = recipe.state, recipe.phases
    run_step(phases[:1], state, [BATCH])
    gradients = [p.grad for p in state.networks["discriminator_a"].parameters()]
    assert gradients == [None] * len(gradients), "discriminators are frozen meanwhile"


def test_the_result_holds_values_without_graphs(tiny_settings: Settings) -> None:
    recipe = build_recipe(tiny_settings)
    state, phases = recipe.state, recipe.phases
    result = run_step(phases, state, [BATCH])
    tensors = [*result.losses.values()]
    for translation in result.translations.values():
        tensors += translation.pictures().values()
    assert not any(tensor.requires_grad for tensor in tensors)
    assert list(result.translations) == ["a_to_b", "b_to_a"]


def test_a_step_knows_no_recipe() -> None:
    """One network, one phase of two parts: gradients add up before the optimizer steps."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.ones_(network.weight)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)

    def parts(batch: Batch, made: object, step: int) -> object:
        yield Part({"first": network(torch.ones(1, 1)).sum() * 0.25})
        yield Part({"second": network(torch.ones(1, 1)).sum() * 0.5})

    state = TrainingState(
        {"net": network}, {"only": optimizer}, {}, GradScaler("cpu", enabled=False)
    )
    result = run_step((Phase("only", optimizer, ("net",), parts),), state, [BATCH])
    assert network.weight.item() == 0.25
    assert {name: loss.item() for name, loss in result.losses.items()} == {
        "first": 0.25,
        "second": 0.5,
    }
