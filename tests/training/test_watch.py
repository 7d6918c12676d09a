"""The first loss that is not finite is found, and nothing else is called so."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cyclegan.training.step import PATIENCE, LossWatch, StepResult

NAN, INFINITE = torch.tensor(float("nan")), torch.tensor(float("inf"))
GOOD = torch.tensor(1.0)


def test_the_first_bad_step_of_each_loss_is_kept() -> None:
    watch = LossWatch()
    assert watch.broken() == {}
    watch.note(StepResult({"a": GOOD, "b": GOOD}, {}), 1)
    watch.note(StepResult({"a": GOOD, "b": NAN}, {}), 2)
    watch.note(StepResult({"a": INFINITE, "b": GOOD, "new": GOOD}, {}), 3)
    watch.note(StepResult({"a": NAN, "b": NAN}, {}), 4)
    assert watch.broken() == {"a": 3, "b": 2}


def test_steps_that_the_scaler_left_out_are_excused_for_a_while() -> None:
    watch = LossWatch()
    for images in range(1, PATIENCE):
        watch.note(StepResult({"a": NAN}, {}, skipped=torch.tensor(True)), images)
    assert watch.broken() == {}
    watch.note(StepResult({"a": NAN}, {}, skipped=torch.tensor(True)), PATIENCE)
    assert watch.broken() == {"a": PATIENCE}


def test_a_step_that_was_taken_ends_the_patience_anew() -> None:
    watch = LossWatch()
    for images in range(1, 3 * PATIENCE):
        left_out = images % 10 != 0
        loss = NAN if left_out else GOOD
        watch.note(StepResult({"a": loss}, {}, skipped=torch.tensor(left_out)), images)
    assert watch.broken() == {}
    watch.note(StepResult({"a": NAN}, {}, skipped=torch.tensor(False)), 1000)
    assert watch.broken() == {"a": 1000}


def test_losses_that_have_no_turn_in_every_step_are_told_apart() -> None:
    for first in (2, 3):
        watch = LossWatch()
        watch.note(StepResult({"a": GOOD, "lazy": GOOD}, {}), 1)
        watch.note(StepResult({"a": NAN if first == 2 else GOOD}, {}), 2)
        watch.note(StepResult({"a": NAN, "lazy": NAN}, {}), 3)
        watch.note(StepResult({"a": NAN}, {}), 4)
        assert watch.broken() == {"a": first, "lazy": 3}


class Counter(TorchDispatchMode):
    """Counts the operations that a device is given."""

    operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("skipped", [None, torch.tensor(False)], ids=["whole", "scaled"])
def test_a_step_costs_as_many_operations_whatever_it_has_of_losses(
    skipped: torch.Tensor | None,
) -> None:
    counted = []
    for losses in (1, 8):
        watch = LossWatch()
        result = StepResult({f"loss {n}": GOOD for n in range(losses)}, {}, skipped)
        watch.note(result, 1)
        with Counter() as counter:
            watch.note(result, 2)
        counted.append(counter.operations)
    assert counted[0] == counted[1] <= 20
