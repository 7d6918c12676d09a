"""The image pool."""

import torch

from cyclegan.training.pool import ImagePool


def image(value: float) -> torch.Tensor:
    return torch.full((1, 1, 2, 2), float(value))


def test_size_zero_passes_through() -> None:
    batch = torch.rand(3, 3, 4, 4)
    assert ImagePool(0).query(batch) is batch


def test_stores_and_returns_while_filling() -> None:
    pool = ImagePool(4)
    values = [pool.query(image(value)).mean().item() for value in range(4)]
    assert values == [0, 1, 2, 3]


def test_half_of_the_time_a_stored_image_is_exchanged() -> None:
    pool = ImagePool(10, seed=1)
    returned = [int(pool.query(image(value)).mean().item()) for value in range(1010)][10:]
    news = [
        value for value, number in zip(returned, range(10, 1010), strict=True) if value == number
    ]
    olds = [value for value in returned if value not in set(news)]
    assert 430 <= len(news) <= 570
    assert len(set(olds)) == len(olds), "a stored image is returned once: its slot is taken"


def test_images_of_a_batch_are_drawn_one_by_one() -> None:
    pool = ImagePool(2, seed=0)
    pool.query(torch.zeros(2, 1, 1, 1))
    mixed = [pool.query(torch.ones(2, 1, 1, 1) * n).flatten().tolist() for n in range(1, 30)]
    assert any(a != b for a, b in mixed)


def test_goes_on_where_the_state_was_taken() -> None:
    one, other = ImagePool(3, seed=5), ImagePool(3, seed=99)
    for value in range(6):
        one.query(image(value))
    other.load_state_dict(one.state_dict(), torch.device("cpu"))
    for value in range(6, 30):
        assert torch.equal(one.query(image(value)), other.query(image(value)))


def test_the_state_does_not_change_with_the_pool() -> None:
    pool = ImagePool(2)
    pool.query(image(1))
    state = pool.state_dict()
    for value in range(20):
        pool.query(image(value))
    assert [stored.mean().item() for stored in state["images"]] == [1]
