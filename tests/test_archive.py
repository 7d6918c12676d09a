"""Files of weights that would take more memory, or time, than they are large."""

import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from cyclegan import checkpoint
from cyclegan.checkpoint import DamagedError
from cyclegan.weights_file import UNFOLDED

GOOD = {"weight": torch.arange(4096.0), "bias": torch.zeros(7)}


def packed(path: Path, change: Callable[[zipfile.ZipFile, zipfile.ZipFile], None]) -> Path:
    """A file of torch's, written again by hand."""
    torch.save(GOOD, path.with_name("good.pt"))
    with zipfile.ZipFile(path.with_name("good.pt")) as old, zipfile.ZipFile(path, "w") as new:
        for record in old.infolist():
            new.writestr(record.filename, old.read(record))
        change(old, new)
    return path


def deflated(path: Path) -> None:
    """200 kB that unfold to 200 MB of zeros."""

    def add(old: zipfile.ZipFile, new: zipfile.ZipFile) -> None:
        new.writestr("good/data/2", bytes(200 << 20), zipfile.ZIP_DEFLATED, 1)

    packed(path, add)


def twice(path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        packed(path, lambda old, new: new.writestr("good/data/0", bytes(16384)))


def beyond(path: Path) -> None:
    """The table says that the first tensor is longer than the file."""
    packed(path, lambda old, new: None)
    data, size = bytearray(path.read_bytes()), (16384).to_bytes(4, "little")
    table = data.rindex(b"good/data/0") - 46
    place = data.index(size, table)
    for number in (place, place + 4):
        data[number : number + 4] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(data)


def overlapping(path: Path) -> None:
    """Each record of a table of many is the same one: reading all takes the square of its size."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("good/data/00000", bytes(1 << 20))
    whole = stream.getvalue()
    start = whole.index(b"PK\1\2")
    entry = whole[start : whole.index(b"PK\5\6")]
    entries = b"".join(entry.replace(b"00000", b"%05d" % n) for n in range(2000))
    end = bytearray(whole[whole.index(b"PK\5\6") :])
    end[8:12] = (2000).to_bytes(2, "little") * 2
    end[12:16] = len(entries).to_bytes(4, "little")
    path.write_bytes(whole[:start] + entries + end)


def repeated(path: Path) -> None:
    """One value that claims to be ten thousand million."""
    torch.save({"weight": torch.zeros(1).expand(10**10)}, path)


def many_views(path: Path) -> None:
    whole = torch.zeros(1 << 20)
    torch.save({f"weight{number}": whole.view(-1) for number in range(UNFOLDED + 1)}, path)


def laughing(path: Path) -> None:
    """Lists of lists that are all the same: 2 to the power of 40 values."""
    value: Any = "ha"
    for _ in range(40):
        value = [value, value]
    torch.save({"format": 1, "settings": value}, path)


def deep(path: Path) -> None:
    value: Any = {}
    for _ in range(150):
        value = {"x": value}
    torch.save(value, path)


def old_pickle(path: Path) -> None:
    """A file of torch before 1.6 whose tensor claims eight thousand million bytes."""
    torch.save({"w": torch.zeros(77)}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes().replace(b"K\x4d", b"J" + (2 * 10**9).to_bytes(4, "little"))
    # The list of tensors that follow is empty, so that none is missed.
    start = data.index(b"\x80\x02]", len(data) // 4)
    path.write_bytes(data[:start] + pickle.dumps([], protocol=2))


def old_tar(path: Path) -> None:
    """The format before that, with a part that claims to be larger than any disk."""
    part = tarfile.TarInfo("storages")
    part.size = 10**12
    path.write_bytes(part.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    "made",
    [deflated, twice, beyond, overlapping, repeated, many_views, laughing, deep, old_pickle,
     old_tar],
)  # fmt: skip
def test_no_more_is_read_than_the_file_is_large(
    tmp_path: Path, made: Callable[[Path], None], mapped: bool
) -> None:
    path = tmp_path / "claims.pt"
    made(path)
    before = psutil.Process().memory_info().rss
    with pytest.raises(DamagedError, match=r"claims\.pt: ") as error:
        checkpoint.load_plain(path, mapped=mapped)
    assert "\n" not in str(error.value)
    assert psutil.Process().memory_info().rss - before < 64 << 20


def test_what_torch_writes_is_read(tmp_path: Path) -> None:
    tied = {"one": GOOD["weight"], "two": GOOD["weight"], "steps": [0.5] * 1000}
    for number, zipped in enumerate((True, False)):
        path = tmp_path / f"{number}.pth"
        torch.save(tied, path, _use_new_zipfile_serialization=zipped)
        assert torch.equal(checkpoint.load_plain(path)["two"], GOOD["weight"])


def test_the_reason_is_named(tmp_path: Path) -> None:
    deflated(tmp_path / "x.pt")
    with pytest.raises(DamagedError, match="record good/data/2 is compressed, which torch never"):
        checkpoint.load_plain(tmp_path / "x.pt")
