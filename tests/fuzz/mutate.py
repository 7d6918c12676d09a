"""Seeded changes of files: the same seed and number make the same input, on every machine."""

import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any


@dataclass(frozen=True)
class Seed:
    """A whole file of the corpus."""

    name: str
    content: bytes

    @property
    def ending(self) -> str:
        return "".join(Path(self.name).suffixes[-1:])


#: Makes, of a target's corpus, a file that is wrong somewhere.
Change = Callable[[Random, Sequence[Seed]], Seed]

_NUMBERS = (0, 1, 2, 7, 8, 16, 127, 128, 255, 256, 1000, 4096, 32767, 32768, 65535, 65536)
_LARGE = (2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**64 - 1)
_HEAD = 96  # bytes in which most formats say what they hold


def _place(draw: Random, content: bytearray) -> int:
    """A place in the file: as often as not in its head."""
    end = min(_HEAD, len(content)) if draw.random() < 0.5 else len(content)
    return draw.randrange(end + 1)


def _flipped(draw: Random, content: bytearray) -> None:
    place = _place(draw, content)
    content[place : place + 1] = bytes(
        byte ^ (1 << draw.randrange(8)) for byte in content[place : place + 1]
    )


def _other_byte(draw: Random, content: bytearray) -> None:
    place = _place(draw, content)
    content[place : place + 1] = bytes([draw.choice((0, 255, 127, draw.randrange(256)))])


def _number(draw: Random, content: bytearray) -> None:
    """A number of 2, 4 or 8 bytes that formats count, size or point with."""
    place, size = _place(draw, content), draw.choice((2, 4, 8))
    number = draw.choice((*_NUMBERS, *_LARGE, draw.randrange(2**16), -1, -2)) % 2 ** (8 * size)
    content[place : place + size] = number.to_bytes(size, draw.choice(("little", "big")))


def _cut(draw: Random, content: bytearray) -> None:
    del content[_place(draw, content) :]


def _without(draw: Random, content: bytearray) -> None:
    place = _place(draw, content)
    del content[place : place + draw.choice((1, 2, 4, 8, 64, 512))]


def _repeated(draw: Random, content: bytearray) -> None:
    place, size = _place(draw, content), draw.choice((1, 4, 16, 128))
    content[place:place] = content[place : place + size] * draw.choice((1, 2, 100))


def _filled(draw: Random, content: bytearray) -> None:
    place, size = _place(draw, content), draw.choice((4, 16, 64, 512))
    content[place : place + size] = bytes([draw.choice((0, 255, 32))]) * size


def _noise(draw: Random, content: bytearray) -> None:
    place = _place(draw, content)
    content[place:place] = draw.randbytes(draw.choice((1, 3, 16, 200)))


_CHANGES = (_flipped, _flipped, _other_byte, _number, _number, _cut, _without, _repeated)
_CHANGES += (_filled, _noise)


def havoc(draw: Random, content: bytes) -> bytes:
    """Some changes at once of bytes anywhere."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 3, 6))):
        draw.choice(_CHANGES)(draw, changed)
    return bytes(changed)


def spliced(draw: Random, one: bytes, other: bytes) -> bytes:
    """The head of one file and the tail of another one."""
    return one[: draw.randrange(len(one) + 1)] + other[draw.randrange(len(other) + 1) :]


def changed_bytes(draw: Random, corpus: Sequence[Seed]) -> Seed:
    """A file with other bytes, and now and then with another one's name or end.

    Checksums are put right as often as not, as what lies behind them would never be reached.
    """
    seed = draw.choice(corpus)
    content = havoc(draw, seed.content)
    if draw.random() < 0.05:
        content = spliced(draw, seed.content, draw.choice(corpus).content)
    if draw.random() < 0.7:
        content = with_checksums(content)
    name = draw.choice(corpus).name if draw.random() < 0.05 else seed.name
    return Seed(name, content)


_PNG = b"\x89PNG\r\n\x1a\n"


def with_checksums(content: bytes) -> bytes:
    """A PNG whose chunks have the right checksums; any other file as it is."""
    if not content.startswith(_PNG):
        return content
    made, place = [_PNG], len(_PNG)
    while len(content) - place >= 12:
        size = int.from_bytes(content[place : place + 4])
        chunk = content[place + 4 : place + 8 + size]
        whole = len(chunk) == size + 4
        check = struct.pack(">I", zlib.crc32(chunk)) if whole else b""
        made.append(content[place : place + 4] + chunk + check)
        place += 12 + size
    return b"".join(made)


# Texts.

_WORDS = (
    *("", " ", "nan", "inf", "-inf", "1e999", "-1", "0", "00", "1_000", "9" * 30, "9" * 5000),
    *("true", "null", "None", "[", "]", "{", "}", '"', "'", "\\", "=", "==", ",", "#", "\n\n"),
    *("\0", "\x1b[2J", "\r", "\ufeff", "\u202e", "é", "e\u0301", "\U0001f600", "١٢"),
    *("../../x", "/", "/dev/zero", "~", "con", "%s%n", "{0}", "${HOME}", "$(touch ../executed)"),
    *("`touch ../executed`", "__import__('os').system('touch ../executed')", "<script>", "x" * 400),
    *("[" * 100, "{" * 100, "[" * 5000 + "]" * 5000, '{"a":' * 200 + "1" + "}" * 200),
    *("\\ud800", '"\\udc80"', "1979-05-27T07:32:00Z", "0x10", "0b1", "1e-400", "-0.0"),
)
_CODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1")


def _lines(draw: Random, text: str) -> str:
    """The text with lines dropped, doubled, swapped, joined or filled with a hostile word."""
    lines = text.splitlines(keepends=True) or [""]
    place, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    word = draw.choice(_WORDS)
    kind = draw.randrange(7)
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines[place] *= draw.choice((2, 50))
    elif kind == 2:
        lines[place], lines[other] = lines[other], lines[place]
    elif kind == 3:
        lines[place] = lines[place].rstrip("\n")
    elif kind == 4:
        lines.insert(place, word + "\n")
    else:
        at = draw.randrange(len(lines[place]) + 1)
        until = at + draw.choice((0, 1, 5))
        lines[place] = lines[place][:at] + word + lines[place][until:]
    return "".join(lines)


def changed_text(draw: Random, corpus: Sequence[Seed]) -> Seed:
    """A text with other lines, words or bytes, or in another encoding."""
    seed = draw.choice(corpus)
    if draw.random() < 0.3:
        return Seed(seed.name, havoc(draw, seed.content))
    text = seed.content.decode()
    for _ in range(draw.choice((1, 1, 2, 4))):
        text = _lines(draw, text)
    return Seed(seed.name, text.encode(draw.choice(_CODINGS), "replace"))


_VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 3, 10**12, 10**30, 0.5, -0.0, float("nan"), float("inf"), 1e300),
    *("", "x", "nan", "../../x", "\ud800", "a\nb", "x" * 5000, [], [1], [[]], {}, {"x": 1}, "\0"),
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every table or list within `value`, with each key or index of it."""
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield value, key
            yield from places(value[key])


def restructured(draw: Random, value: Any) -> Any:
    """A JSON value, changed in place, of which one part is gone, renamed, doubled or another."""
    there = list(places(value))
    if not there:
        return draw.choice(_VALUES)
    container, key = draw.choice(there)
    was, kind = container[key], draw.randrange(6)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, dict):
        container[draw.choice(("x", "", "\udc80", "é", "__class__"))] = container.pop(key)
    elif kind == 2 and isinstance(was, str | list):
        container[key] = was * draw.choice((2, 300))
    elif kind == 3 and isinstance(was, int | float) and not isinstance(was, bool):
        container[key] = draw.choice((-was, was * 10**9, str(was), was + 0.5, float(was) * 1e300))
    elif kind == 4 and isinstance(was, str):
        container[key] = was + draw.choice(_WORDS)
    else:
        container[key] = draw.choice(_VALUES)
    return value


def changed_json(draw: Random, corpus: Sequence[Seed]) -> Seed:
    """JSON, or lines of it, whose values or whose text are others."""
    seed = draw.choice(corpus)
    if draw.random() < 0.4:
        return changed_text(draw, [seed])
    if not seed.name.endswith("l"):
        return Seed(seed.name, _dumped(draw, restructured(draw, json.loads(seed.content))))
    lines = seed.content.splitlines()
    place = draw.randrange(len(lines))
    lines[place] = _dumped(draw, restructured(draw, json.loads(lines[place])))
    return Seed(seed.name, b"\n".join(lines) + b"\n")


def _dumped(draw: Random, value: Any) -> bytes:
    if draw.random() < 0.8:
        return json.dumps(value).encode()
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


# Archives and pickles of torch.


class _Call:
    """A pickle that calls what it names, by every way that pickles have."""

    def __init__(self, module: str, name: str, *given: Any) -> None:
        self.module, self.name, self.given = module, name, given

    def written(self, draw: Random) -> bytes:
        """The opcodes: a global by its old or its new name, called by REDUCE, NEWOBJ or INST."""
        given = b"".join(pickle.dumps(each, 2)[2:-1] for each in self.given)
        module, name = self.module.encode(), self.name.encode()
        if draw.random() < 0.2:
            return b"\x80\x02(" + given + b"i" + module + b"\n" + name + b"\n."
        held = b"c" + module + b"\n" + name + b"\n"
        if draw.random() < 0.3:
            held = (
                b"".join(b"\x8c" + bytes([len(each)]) + each for each in (module, name)) + b"\x93"
            )
        call = draw.choice((b"R", b"R", b"\x81"))
        return b"\x80\x04" + held + b"(" + given + b"t" + call + b"."


_MARK = "open('../executed', 'w').close()"
#: Each writes a file above the case's folder, or starts what does.
_RUNNING = (
    _Call("os", "system", "touch ../executed"),
    _Call("posix", "system", "touch ../executed"),
    _Call("builtins", "exec", _MARK),
    _Call("builtins", "eval", _MARK),
    _Call("builtins", "open", "../executed", "w"),
    _Call("io", "open", "../executed", "w"),
    _Call("subprocess", "Popen", ["touch", "../executed"]),
    _Call("timeit", "timeit", _MARK),
    _Call("torch.serialization", "open", "../executed", "w"),
)
#: What readers may call, with what makes no sense, and what opens further files.
_OTHERS = (
    _Call("pathlib", "Path", "../executed"),
    _Call("runpy", "run_path", "../executed"),
    _Call("torch.serialization", "load", "../executed"),
    _Call("torch", "load", "../executed"),
    _Call("torch.hub", "load", "..", "x"),
    _Call("torch._utils", "_rebuild_tensor_v2", 1, 2, (3,), (4,), False, None),
    _Call("torch._utils", "_rebuild_parameter", None, True, None),
    _Call("torch", "Tensor", 10**6),
    _Call("collections", "OrderedDict", [[[1, 2]]]),
    _Call("torch", "device", "cuda:99"),
    _Call("torch.jit", "load", "../executed"),
    _Call("numpy", "load", "../executed"),
    _Call("code", "interact"),
)


def hostile_pickle(draw: Random) -> bytes:
    """A pickle that calls something, which writes a file above its folder where it is called."""
    return draw.choice(_RUNNING if draw.random() < 0.7 else _OTHERS).written(draw)


def changed_archive(draw: Random, content: bytes) -> bytes:
    """A zip archive, whole but for one record, whose bytes are others or a hostile pickle."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        records = [(record.filename, archive.read(record)) for record in archive.infolist()]
    pickles = [n for n, (name, _) in enumerate(records) if name.endswith(".pkl")]
    place = (
        draw.choice(pickles) if pickles and draw.random() < 0.7 else draw.randrange(len(records))
    )
    name, held = records[place]
    kind = draw.randrange(8)
    if kind in (0, 7):
        records[place] = name, hostile_pickle(draw)
    elif kind == 1:
        records.append((draw.choice(("../../x", "/x", "a/code/x.py", "x/data/99", name)), held))
    elif kind == 2:
        del records[place]
    elif kind == 3:
        head, _, tail = name.partition("/")
        records[place] = draw.choice((f"{head}x/{tail}", f"../{name}", tail, name.upper())), held
    else:
        records[place] = name, havoc(draw, held)
    packed = zipfile.ZIP_DEFLATED if draw.random() < 0.05 else zipfile.ZIP_STORED
    with zipfile.ZipFile(made, "w", packed) as archive:
        for name, held in records:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), held, packed)
    return made.getvalue()


def changed_weights(draw: Random, corpus: Sequence[Seed]) -> Seed:
    """A file of weights: other bytes, other records, or a pickle that is a program."""
    seed, kind = draw.choice(corpus), draw.random()
    if kind < 0.15:
        return Seed(seed.name, hostile_pickle(draw))
    if kind < 0.6 and seed.content.startswith(b"PK"):
        return Seed(seed.name, changed_archive(draw, seed.content))
    return changed_bytes(draw, [seed])


def changed_table(draw: Random, corpus: Sequence[Seed]) -> Seed:
    """A safetensors file whose table is another one, or other bytes."""
    seed = draw.choice(corpus)
    if draw.random() < 0.5:
        return changed_bytes(draw, [seed])
    size = int.from_bytes(seed.content[:8], "little")
    table = restructured(draw, json.loads(seed.content[8 : 8 + size]))
    head = _dumped(draw, table)
    return Seed(seed.name, len(head).to_bytes(8, "little") + head + seed.content[8 + size :])


# Requests.


def changed_request(draw: Random, corpus: Sequence[Seed]) -> Seed:
    """An HTTP request: other bytes, other header lines, another body of the right length."""
    seed = draw.choice(corpus)
    kind, (head, _, body) = draw.random(), seed.content.partition(b"\r\n\r\n")
    if kind < 0.25:
        return Seed(seed.name, havoc(draw, seed.content))
    if kind < 0.5:
        text = _lines(draw, head.decode().replace("\r\n", "\n"))
        head = text.replace("\n", "\r\n").encode("utf-8", "replace").strip(b"\r\n")
    elif body.startswith((b"{", b"[")) and kind < 0.9:
        body = _dumped(draw, restructured(draw, json.loads(body)))
    else:
        body = havoc(draw, body)
    if draw.random() < 0.85:
        lines = [
            one for one in head.split(b"\r\n") if not one.lower().startswith(b"content-length")
        ]
        head = b"\r\n".join((*lines, b"Content-Length: %d" % len(body)) if body else lines)
    return Seed(seed.name, head + b"\r\n\r\n" + body)


def changed_command(draw: Random, corpus: Sequence[Seed]) -> Seed:
    """A command line, a word a line, whose words are others."""
    words = draw.choice(corpus).content.decode().splitlines()
    for _ in range(draw.choice((1, 1, 2, 3))):
        place, kind = draw.randrange(len(words) + 1), draw.randrange(5)
        if kind == 0:
            words.insert(place, draw.choice(_WORDS))
        elif kind == 1:
            words.insert(place, draw.choice(draw.choice(corpus).content.decode().splitlines()))
        elif kind == 2:
            del words[place : place + 1]
        elif kind == 3:
            words[place : place + 1] = [draw.choice(_WORDS)]
        else:
            words[place : place + 1] = [
                each[: draw.randrange(len(each) + 1)]
                + draw.choice(("", "=", "-", draw.choice(_WORDS)))
                for each in words[place : place + 1]
            ]
    lines = (word.replace("\n", " ").replace("\r", " ").replace("\ufeff", "") for word in words)
    return Seed("command.txt", "\n".join(lines).encode("utf-8", "surrogateescape"))


def changed_checkpoint(draw: Random, corpus: Sequence[Seed]) -> Seed:
    """A checkpoint with other bytes or records, or a whole one with a part missing or another."""
    import torch
    from damaging import mutated

    if draw.random() < 0.5:
        return changed_weights(draw, corpus)
    seed, made = draw.choice(corpus), io.BytesIO()
    content = torch.load(io.BytesIO(seed.content), weights_only=True)
    try:
        torch.save(mutated(content, draw.randrange(2**32))[0], made)
    except UnicodeEncodeError:  # no file can hold it
        return changed_weights(draw, [seed])
    return Seed(seed.name, made.getvalue())
