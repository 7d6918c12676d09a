"""Lists of pictures as editors, scripts and spreadsheets write them."""

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from cyclegan.conversion.domains import listed
from cyclegan.errors import UserError

NAMES = ("a.jpg", "b.jpg", "Ünï 1.jpg", "sub/c, d.png", "sub/#1.png", "it's.jpg")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder by its path from where one is."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Path("in")


def named(source: Path, content: str | bytes, encoding: str = "utf-8") -> list[str]:
    """The names within `source` that a list of that content gives."""
    file = Path("list.txt")
    file.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return [path.relative_to(source).as_posix() for path in listed(source, file)]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-32"],
)
def test_any_encoding_and_any_line_ends(source: Path, encoding: str, ends: str) -> None:
    text = ends.join(["a.jpg", "", "Ünï 1.jpg", "sub/c, d.png", ""])
    assert named(source, text, encoding) == ["a.jpg", "Ünï 1.jpg", "sub/c, d.png"]


def test_big_endian_with_its_mark(source: Path) -> None:
    assert named(source, b"\xfe\xff" + "b.jpg\n".encode("utf-16-be")) == ["b.jpg"]


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ("a.jpg\n./a.jpg\n../in/a.jpg\nsub/../a.jpg\nlink.jpg\n", ["a.jpg"]),
        ("{here}/in/b.jpg\n{here}/in/sub/c, d.png\n", ["b.jpg", "sub/c, d.png"]),
        ("sub\\c, d.png\n.\\a.jpg\n", ["sub/c, d.png", "a.jpg"]),
        ('"a.jpg"\n\'b.jpg\'\nit\'s.jpg\n  "sub\\c, d.png"  \n', [*NAMES[:2], NAMES[5], NAMES[3]]),
        ("# chosen\na.jpg  # the best\n\n#sub/x.jpg\nsub/#1.png\n", ["a.jpg", "sub/#1.png"]),
        ('id,path,label\n1,a.jpg,cat\n2,"sub/c, d.png",dog\n', ["a.jpg", "sub/c, d.png"]),
        ("Image;Class\nb.jpg;0\n", ["b.jpg"]),
        ("filename\n'b.jpg'\n", ["b.jpg"]),
        ("a.jpg\t0.3\nÜnï 1.jpg\t0.4\n", ["a.jpg", "Ünï 1.jpg"]),
        ("gone.png\na.jpg\nalso\\gone.png,7\n", ["gone.png", "a.jpg", "also/gone.png"]),
    ],
)
def test_names_as_people_write_them(
    source: Path, tmp_path: Path, lines: str, names: list[str]
) -> None:
    (source / "link.jpg").symlink_to("a.jpg")
    assert named(source, lines.replace("{here}", str(tmp_path))) == names


def test_names_of_any_bytes(source: Path) -> None:
    (source / os.fsdecode(b"\xff\xfe.png")).touch()
    assert named(source, b"a.jpg\n\xff\xfe.png\n") == ["a.jpg", os.fsdecode(b"\xff\xfe.png")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a.jpg\n../secret.png\n", r"line 2: \.\./secret\.png is not inside in"),
        (b"gone.png\n\nlost.png\n", r"nothing that it lists is in in \(line 1: gone\.png\)"),
        (b"\n# none\n", "lists no images"),
        (bytes(range(256)) * 4, "not a text file"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not a text file"),
        ("a.jpg".encode("utf-16") + b"\0", "damaged text"),
    ],
)
def test_what_cannot_be_read_is_one_line(source: Path, content: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words) as raised:
        named(source, content)
    assert "list.txt" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_picture_named_twice_does_not_keep_the_command_for_ever(
    source: Path, tmp_path: Path
) -> None:
    (tmp_path / "dup.txt").write_text("a.jpg\n./a.jpg\n")
    command = [sys.executable, "-m", "cyclegan", "convert", "--input", "in", "--output", "out"]
    more = ["--list", "dup.txt", "--dry_run"]
    done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=30)
    assert "1 would be converted" in done.stdout


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_are_spelt_in_either_way(source: Path, form: str) -> None:
    assert named(source, unicodedata.normalize(form, "Ünï 1.jpg")) == ["Ünï 1.jpg"]
