"""Precision and recall where they can be seen."""

import pytest
import torch

from cyclegan.metrics.collapse import precision_recall


def test_the_same_set_is_precise_and_covered() -> None:
    points = torch.randn(30, 4)
    found = precision_recall(points, points.clone())
    assert (found.precision, found.recall) == (1.0, 1.0)


def test_far_away_nothing_is() -> None:
    found = precision_recall(torch.randn(30, 4), torch.randn(20, 4) + 100)
    assert (found.precision, found.recall) == (0.0, 0.0)


def test_one_mode_of_two_is_precise_and_covers_half() -> None:
    torch.manual_seed(0)
    left, right = torch.randn(40, 2) * 0.01, torch.randn(40, 2) * 0.01 + 10
    found = precision_recall(torch.cat([left, right]), left[:20] + 0.0001)
    assert found.precision > 0.9
    assert 0.3 < found.recall <= 0.5


def test_balls_reach_to_the_third_neighbour_and_no_further() -> None:
    """By hand, on a line: the fakes' balls are 3, 2, 2 and 3 wide, so 10 lies outside."""
    real = torch.tensor([[0.0], [1.0], [2.0], [3.0], [10.0]])
    fake = torch.tensor([[0.1], [1.1], [2.1], [3.1]])
    found = precision_recall(real, fake)
    assert (found.precision, found.recall) == (1.0, pytest.approx(0.8))
    further = precision_recall(real, torch.tensor([[0.1], [1.1], [2.1], [30.0]]))
    assert further.precision == 0.75
