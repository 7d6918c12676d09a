"""Files beside a run in which anything may stand: one line names the file, or says what is lost."""

import json
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cyclegan import assemble, checkpoint
from cyclegan.conversion import manifest
from cyclegan.errors import UserError
from cyclegan.loggers import evaluations
from cyclegan.loggers.jsonl import read_records
from cyclegan.loggers.logger import load_run_info
from cyclegan.loggers.report import write_report
from cyclegan.plain import DamagedTextError, from_json, from_toml, json_lines
from cyclegan.runtimes import metadata
from cyclegan.runtimes.metadata import unpack
from cyclegan.serving import models
from cyclegan.settings import Settings, load_preset
from cyclegan.training.training_logger import LOGGED

HUGE = "1" + 400 * "0"
LONG = 5000 * "9"
DEEP = 100_000 * "["
BAD = {
    "huge": f'{{"images": {HUGE}, "last_epoch": {HUGE}}}'.encode(),
    "long": f'{{"images": {LONG}}}'.encode(),
    "deep": DEEP.encode(),
    "deep tables": 5000 * b'{"a":' + b"1" + 5000 * b"}",
    "no text": b'{"images": 3, "\xff\xfe": 1}',
    "half a letter": b'{"images": 3, "output": "\\ud800"}',
    "cut": b'{"images": 3, "epo',
    "a list": b"[1, 2]",
    "a number": b"7",
    "nothing": b"",
    "zeros": bytes(100),
}
BAD_TOML = {
    "huge": f"[training]\nn_epochs = {HUGE}".encode(),
    "long": f"[training]\nn_epochs = {LONG}".encode(),
    "deep": b"x = " + DEEP.encode(),
    "deep tables": b"[" + b".".join([b"a"] * 2000) + b"]",
    "no text": b"[run]\nname = '\0\xe9'",
    "cut": b"[run\nname",
    "no date": b"[run]\nname = 2024-99-99",
}


@pytest.mark.parametrize("kind", BAD_TOML)
def test_presets_and_settings(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(BAD_TOML[kind])
    with pytest.raises(UserError, match=r"^\S*settings\.toml: [^\n]{5,300}$"):
        load_preset(path)
    assert models._of_run(tmp_path) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_what_editors_write_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "preset.toml"
    path.write_text("[run]\nname = 'é'", encoding=encoding)
    assert load_preset(path).run.name == "é"


def test_a_flag_with_a_number_beyond_all_is_one_line() -> None:
    from cyclegan.cli import run

    for flag in (f"--n_epochs={HUGE}", f"--n_epochs={LONG}", "--keep=99999999999999999999"):
        with pytest.raises(UserError, match=r"^[^\n]*(n_epochs|keep)[^\n]{5,}"):
            run(["settings", flag])


@pytest.mark.parametrize("kind", BAD)
def test_the_journey(tmp_path: Path, kind: str) -> None:
    (tmp_path / "journey.json").write_bytes(BAD[kind])
    with pytest.raises(UserError, match=r"journey\.json: damaged \([^\n]+\); cyclegan train"):
        load_run_info(tmp_path)


@pytest.mark.parametrize("kind", BAD)
def test_a_row_of_the_log_is_lost_and_the_others_are_not(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "losses.jsonl"
    row = b'{"epoch": 1, "images": %d, "cycle": 0.5}\n'
    path.write_bytes(row % 1 + BAD[kind] + b"\n" + row % 2)
    assert [record.position.images for record in read_records(path)] == [1, 2]


@pytest.mark.parametrize("kind", BAD)
def test_a_line_of_the_manifest(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.png", "b.png"):
        origin = manifest.Origin(name, 1, time.time_ns(), "x")
        manifest.append(tmp_path, manifest.Entry(name, origin, "y"))
    path = tmp_path / "manifest.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    wrong_type = second.replace(b'"output": "b.png"', b'"output": ["b.png"]')
    path.write_bytes(first + BAD[kind] + b"\n" + wrong_type + second)
    assert list(manifest.read(tmp_path)) == ["a.png", "b.png"]
    assert f"{path}: 2 damaged lines" in caplog.text


@pytest.mark.parametrize("kind", BAD)
def test_evaluations_are_kept_beside_the_new_ones(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "evaluation.json").write_bytes(BAD[kind])
    assert evaluations.read(tmp_path) == []
    assert str(tmp_path / "evaluation.json") in caplog.text
    of = {"kid": {"value": 0.1, "error": 0.2}, "content": {"ssim": 0.5}}
    table = {"network": "n", "epoch": "1", "side": 256, "images_seen": 5, "A_to_B": of}
    table["B_to_A"] = of
    assert evaluations.add(tmp_path, [table]) == evaluations.read(tmp_path) == [table]
    assert (tmp_path / "evaluation.json.damaged").read_bytes() == BAD[kind]
    evaluations.add(tmp_path, [table])
    assert (tmp_path / "evaluation.json.damaged").read_bytes() == BAD[kind]


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("key", ["generator", "values", "input_nc", "norm", "direction"])
def test_what_exported_files_say_of_themselves(kind: str, key: str) -> None:
    settings = Settings()
    architecture = metadata.Architecture(settings.recipe.generator, 3, 3, "instance")
    texts = metadata.Metadata(architecture).texts()
    assert metadata.from_texts(texts, Path("x.onnx"))
    texts[f"cyclegan.{key}"] = BAD[kind].decode(errors="replace")
    if (kind, key) in {("nothing", "direction"), ("a list", "values"), ("a number", "input_nc")}:
        return  # sound
    with pytest.raises(UserError, match=r"^x\.onnx: its metadata can't be read \([^\n]+\): export"):
        metadata.from_texts(texts, Path("x.onnx"))


def test_the_format_of_an_exported_file_is_told_in_one_line() -> None:
    with pytest.raises(UserError, match=r"^x\.onnx: exported in format 1\\n2, this [^\n]+$"):
        metadata.from_texts({"cyclegan.format": "1\n2"}, Path("x.onnx"))


@pytest.mark.parametrize("kind", BAD)
def test_texts_in_torchs_archives(kind: str) -> None:
    unpacked = unpack({"cyclegan.json": BAD[kind]})
    assert all(isinstance(text, str) for text in unpacked.values())


def test_rows_that_are_lost_are_told(
    tiny_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    assemble.train(tiny_settings)
    folder = tiny_settings.run.folder
    log = folder / "losses.jsonl"
    rows = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*rows[:3], rows[3][:20] + b"\n", *rows[4:7], rows[7][:9]]))
    assemble.train(tiny_settings, resume=checkpoint.load(folder / "latest.pt"))
    assert f"{log}: 1 damaged rows are left out of the curves" in caplog.text
    lost = f"{log}: ends at 7 images, the checkpoint is from 12: about 5 rows are lost"
    assert lost in caplog.text
    caplog.clear()
    write_report(folder, LOGGED)
    assert f"{log}: 1 damaged rows" in caplog.text


def mutated(content: bytes, chance: random.Random) -> bytes:
    """One of the ways in which files come to harm, and some that are meant ill."""
    at, size = chance.randrange(len(content) + 1), chance.randrange(1, 20)
    ways: list[Callable[[], bytes]] = [
        lambda: content[:at],
        lambda: content[:at] + chance.randbytes(size) + content[at + size :],
        lambda: content[:at] + content[at + size :],
        lambda: content[:at] + content[at:] * 2,
        lambda: content[:at] + chance.choice(INSERTED) + content[at:],
    ]
    return chance.choice(ways)()


INSERTED = [
    *(
        b"[",
        b"{",
        b'"',
        b"\\ud800",
        b"null",
        b"NaN",
        b"-1",
        b"1e999",
        b"\n",
        b"\0",
        b"\xff",
        b"true",
    ),
    *(HUGE.encode(), LONG.encode(), DEEP.encode()[:5000], b"00", b"[[a]]", b"a = {b = 1}\n"),
]


def test_nothing_else_than_one_line_comes_of_any_mutation(
    tiny_settings: Settings, tmp_path: Path
) -> None:
    assemble.train(tiny_settings)
    folder, other = tiny_settings.run.folder, tmp_path / "other"
    shutil.copytree(folder, other)
    manifest.append(other, manifest.Entry("a", manifest.Origin("a", 1, 2, "x"), "y", 3, 4, 0.5))
    readers: dict[str, Callable[[], object]] = {
        "losses.jsonl": lambda: list(read_records(other / "losses.jsonl")),
        "manifest.jsonl": lambda: manifest.read(other),
        "journey.json": lambda: load_run_info(other),
        "settings.toml": lambda: load_preset(other / "settings.toml").check(),
    }
    chance = random.Random(0)
    for name, read in readers.items():
        whole = (other / name).read_bytes()
        for _ in range(100):
            (other / name).write_bytes(mutated(whole, chance))
            try:
                read()
            except UserError as error:
                assert "\n" not in str(error)
                assert name in str(error) or "--" in str(error)
        (other / name).write_bytes(whole)


@pytest.mark.parametrize("content", ['{"a": [1, {"b": 2.5}]}', "[]", "null", '"é"'])
def test_what_is_sound_is_read(content: str) -> None:
    assert from_json(content.encode()) == from_json(content) == json.loads(content)


def test_damage_has_one_kind_of_error(tmp_path: Path) -> None:
    with pytest.raises(DamagedTextError):
        from_toml(b"x = [")
    assert list(json_lines(tmp_path / "missing")) == []
