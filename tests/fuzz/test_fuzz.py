"""Hostile inputs are read or refused in one line; what the harness found before stays mended."""

import io
import json
import struct
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from fuzz import corpus, servers
from fuzz.__main__ import turns
from fuzz.faulty import FAULTY
from fuzz.harness import Worker, name_of, run, shares, target_of, working
from fuzz.mutate import Seed
from fuzz.targets import TARGETS, made
from fuzz.worker import FINE
from safetensors.torch import load, save

from cyclegan import checkpoint
from cyclegan.dashboard.application import _robust

INPUTS, SEED = 2000, 1
KEPT = Path(__file__).parents[2] / "build" / "fuzz" / "faults"


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with working() as one:
        yield one


@pytest.mark.parametrize("target", TARGETS)
def test_hostile_inputs_are_read_or_refused(target: str, worker: Worker) -> None:
    count = shares(INPUTS)[target]
    tally = run(worker, target, SEED, range(count), KEPT)
    assert not tally.faults, "\n".join([*tally.faults, f"kept in {KEPT}: scripts/fuzz.sh --replay"])
    assert sum(tally.counts.values()) == count


def _unmeasured() -> bytes:
    content = torch.load(corpus.STORED / "runs" / "cycle_gan" / "latest.pt", weights_only=True)
    content["best"] = {"images": 4}
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _archive(kind: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/x.js")
        member.type, member.linkname = kind, "package/x.js"
        archive.addfile(member)
    return file.getvalue()


def _without_codec() -> bytes:
    film = dict(corpus.videos())["x.mp4"]
    return film[:842] + b"\xff" * 512 + film[842 + 512 :]


def _unreadable_texts() -> bytes:
    return dict(corpus.onnx())["x.onnx"].replace(b"RGB or grayscale", b"\xff" * 16)


def _deep_safetensors() -> bytes:
    weights = load(dict(corpus.safetensors())["bare.safetensors"])
    last = max(weights)
    weights[last] = weights[last].reshape([1] * 300 + [*weights[last].shape])
    return save(weights)


def _without_dots() -> bytes:
    """A TIFF of float64 values whose resolution is 0/0."""
    file = io.BytesIO()
    told = {"resolution": (3, 2), "resolutionunit": "inch"}
    tifffile.imwrite(file, np.zeros((4, 4)), metadata=None, **told)
    dots = struct.pack("<2I", 3, 1), struct.pack("<2I", 2, 1)
    return file.getvalue().replace(dots[0], bytes(8)).replace(dots[1], bytes(8))


def _unreadable_side() -> bytes:
    return dict(corpus.onnx())["bare.onnx"].replace(b"\x12\x01h", b"\x12\x01\xe8")


#: What was found, by what went wrong: the target, a name and the content.
FOUND: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    "the bytes of a picture that needs no change": (
        *("pictures", "x.ppm"),
        lambda: b"P6 2 2 255\n" + bytes(12),
    ),
    "a best measurement without a figure": ("checkpoints", "cycle_gan.pt", _unmeasured),
    "a package that is cut": ("packages of scripts", "x.tgz", lambda: _archive(b"0")[:-12]),
    "a package whose file is a link to itself": (
        *("packages of scripts", "x.tgz"),
        lambda: _archive(tarfile.SYMTYPE),
    ),
    "a package whose file is a folder": (
        *("packages of scripts", "x.tgz"),
        lambda: _archive(tarfile.DIRTYPE),
    ),
    "an ONNX whose texts are no text": ("networks in ONNX", "x.onnx", _unreadable_texts),
    "an ONNX whose side is called what is no text": (
        *("networks in ONNX", "bare.onnx"),
        _unreadable_side,
    ),
    "safetensors of three hundred dimensions": (
        *("safetensors", "x.safetensors"),
        _deep_safetensors,
    ),
    "a TIFF of no dots an inch": ("documents and pages", "x.tif", _without_dots),
    "a zero byte far down a list": (
        *("lists of pictures", "x.txt"),
        lambda: b"0.png\n" * 1000 + b"a\0b\n",
    ),
    "a journal without tables": (
        *("journals of studies", "x.json"),
        lambda: json.dumps({"asked": "x", "runs": {}}).encode(),
    ),
    "a video of no known codec": ("videos", "x.mp4", _without_codec),
    "a request to the dashboard that holds nothing": (
        *("requests to dashboard", "x.http"),
        lambda: corpus._request("POST /win_data", b"[]", Content_Type="application/json"),
    ),
    "a client that leaves before it is answered": (
        *("requests to serve", f"x{servers.LEAVES}"),
        lambda: dict(corpus.conversions())["convert-a.png"],
    ),
}


@pytest.mark.parametrize("what", FOUND)
def test_what_was_found_stays_mended(what: str, worker: Worker) -> None:
    """Also when a server is asked the same again, and remembers."""
    target, name, content = FOUND[what]
    verdicts = [worker.judge(target, Seed(name, content())) for _ in range(2)]
    assert {verdict.kind for verdict in verdicts} <= {*FINE}, verdicts


def test_a_best_measurement_without_a_figure_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(_unmeasured())
    with pytest.raises(checkpoint.DamagedError, match=r"incomplete checkpoint .*merit nor kid"):
        checkpoint.load(tmp_path / "x.pt")


def test_a_page_that_is_gone_is_nobody_elses_fault() -> None:
    from visdom.server.handlers.socket_handlers import SocketHandler

    gone = object.__new__(_robust(SocketHandler))
    gone.ws_connection = None
    assert gone.write_message("more") is None


@pytest.mark.parametrize("fault", FAULTY)
def test_every_fault_is_found(fault: str) -> None:
    """In a process of its own, with bounds that are soon reached."""
    with working(*(0.3, 0.5) if fault == "hangs" else (60.0, 60.0)) as one:
        verdict = one.judge(fault, Seed("x.txt", b"x"))
    assert verdict.kind == FAULTY[fault][1], verdict.told


def test_numbers_make_the_same_inputs_and_names_lead_back() -> None:
    given = made("presets and settings", 3, 5)
    assert given == made("presets and settings", 3, 5) != made("presets and settings", 3, 6)
    name = name_of("presets and settings", 3, 5, given)
    assert target_of(Path(name)) == ("presets and settings", given.name)


def test_the_turns_of_a_long_run_are_all_inputs_once() -> None:
    numbers = [(turn.target, number) for turn in turns(3000) for number in turn.numbers]
    assert len(set(numbers)) == len(numbers) == 3000
