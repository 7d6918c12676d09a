"""Learning rates beside those of torch's own schedulers."""

import pytest
import torch
from torch.optim import lr_scheduler

from cyclegan.training import TrainingSettings
from cyclegan.training.state import POLICIES, learning_rate


def rates_of_torch(make: object, epochs: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.0002)
    scheduler, rates = make(optimizer), []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def rates(**settings: object) -> list[float]:
    made = TrainingSettings(**settings)
    return [learning_rate(made, epoch) for epoch in range(made.epoch_count, made.last_epoch + 1)]


def test_linear() -> None:
    def rule(done: int) -> float:
        return 1.0 - max(0, done + 1 - 7) / (5 + 1)

    expected = rates_of_torch(lambda o: lr_scheduler.LambdaLR(o, rule), 12)
    assert rates(n_epochs=7, n_epochs_decay=5) == pytest.approx(expected)
    assert rates(n_epochs=7, n_epochs_decay=5)[-1] > 0


def test_linear_goes_on_from_a_later_epoch() -> None:
    whole = rates(n_epochs=7, n_epochs_decay=5)
    assert rates(n_epochs=7, n_epochs_decay=5, epoch_count=9) == pytest.approx(whole[8:])


def test_step() -> None:
    expected = rates_of_torch(lambda o: lr_scheduler.StepLR(o, 4, gamma=0.1), 10)
    assert rates(n_epochs=6, n_epochs_decay=4, lr_policy="step", lr_decay_iters=4) == pytest.approx(
        expected
    )


def test_cosine() -> None:
    expected = rates_of_torch(lambda o: lr_scheduler.CosineAnnealingLR(o, 10), 10)
    assert rates(n_epochs=6, n_epochs_decay=4, lr_policy="cosine") == pytest.approx(expected)


def test_constant() -> None:
    assert set(rates(n_epochs=3, n_epochs_decay=2, lr_policy="constant")) == {0.0002}


@pytest.mark.parametrize("policy", POLICIES)
def test_never_negative_however_long(policy: str) -> None:
    settings = TrainingSettings(n_epochs=2, n_epochs_decay=1, lr_policy=policy)
    assert all(learning_rate(settings, epoch) >= 0 for epoch in range(1, 20))


def test_the_rate_rises_first() -> None:
    settings = TrainingSettings(n_epochs=10, n_epochs_decay=0, lr=1.0, lr_warmup=3)
    rates = [learning_rate(settings, epoch) for epoch in range(1, 7)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])
