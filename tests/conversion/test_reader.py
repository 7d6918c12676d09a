"""What the headers say about the work."""

from pathlib import Path

from conftest import smooth_image

from cyclegan.conversion import Locations, Selection
from cyclegan.conversion.files import plan
from cyclegan.conversion.reader import pixels_of_two_sizes, scaled


def test_the_shorter_side_is_scaled() -> None:
    assert scaled((40, 20), None) == (40, 20)
    assert scaled((40, 20), 30) == (60, 30)


def test_pixels_count_as_the_network_sees_them(tmp_path: Path) -> None:
    for number, size in enumerate([(17, 20), (20, 20), (8, 8)]):
        smooth_image(number, size).save(tmp_path / f"{number}.png")
    (tmp_path / "bad.png").touch()
    jobs = plan(Locations(tmp_path, tmp_path / "out"), Selection())
    assert pixels_of_two_sizes(jobs, None) == (20 * 20 * 2 + 8 * 8) * 4 // 3
    smooth_image(9, (30, 30)).save(tmp_path / "other.png")
    assert pixels_of_two_sizes(plan(Locations(tmp_path, tmp_path / "out"), Selection()), None) == 0
