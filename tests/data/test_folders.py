"""Which images a folder holds."""

from pathlib import Path

import pytest

from cyclegan.data.folders import list_images
from cyclegan.errors import UserError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_recursive_sorted_and_any_case(tmp_path: Path) -> None:
    touch(tmp_path, "b.PNG", "a.jpeg", "sub/deep/c.TiFf", "sub/d.webp", "e.bmp", "f.JPG")
    touch(tmp_path, "notes.txt", "._f.jpg", "sub/g.gif")
    names = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert names == [
        *("a.jpeg", "b.PNG", "e.bmp", "f.JPG"),
        *("sub/d.webp", "sub/deep/c.TiFf", "sub/g.gif"),
    ]


def test_links_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path / "real", "a.png")
    touch(tmp_path / "elsewhere", "b.png")
    (tmp_path / "real" / "loop").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "real" / "twice").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "real" / "c.png").symlink_to(tmp_path / "elsewhere" / "b.png")
    names = [
        path.relative_to(tmp_path / "real").as_posix() for path in list_images(tmp_path / "real")
    ]
    assert names == ["a.png", "c.png", "link/b.png"]


def test_missing_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none: no such folder"):
        list_images(tmp_path / "none")
    touch(tmp_path, "notes.txt")
    with pytest.raises(UserError, match=f"{tmp_path}: holds no images"):
        list_images(tmp_path)
