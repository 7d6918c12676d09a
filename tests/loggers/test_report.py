"""The report: what is in the file, and that a checkpoint costs the same however long the run."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from cyclegan import assemble
from cyclegan.cli import run as command
from cyclegan.errors import UserError
from cyclegan.loggers.logger import Record, RunInfo, load_run_info
from cyclegan.loggers.report import SLIDER, Report
from cyclegan.loggers.table import LOGGERS
from cyclegan.run import Position, RunFolder
from cyclegan.settings import Settings, from_table


def constant(page: str, name: str) -> object:
    found = re.search(rf"^const {name} = (.*);$", page, re.M)
    assert found
    return json.loads(found[1])


def test_a_run_leaves_a_report(tiny_settings: Settings) -> None:
    assemble.train(tiny_settings)
    page = (tiny_settings.run.folder / "report.html").read_text()
    charts = {chart["title"]: chart["data"] for chart in constant(page, "charts")}
    assert list(charts)[:4] == [
        "adversarial A→B", "adversarial B→A", "cycle consistency", "identity"]  # fmt: skip
    assert charts["identity"][0]["x"] == list(range(1, 13))
    assert [grid["caption"] for grid in constant(page, "grids")] == [
        *("epoch 1, 1 images", "epoch 1, 4 images", "epoch 2, 8 images", "epoch 2, 12 images")
    ]
    assert page.count('class="compare"') == 4, "two held-out images in each direction"
    for words in ("12 of 12 (100%)", "data.crop_size", "torch", "cpu (", "Too early to tell"):
        assert words in page or words.replace("Too early to tell", "Nothing wrong so far") in page


def test_no_file_and_no_address_is_needed(tiny_settings: Settings) -> None:
    assemble.train(tiny_settings)
    page = (tiny_settings.run.folder / "report.html").read_text()
    without_library = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert not re.search(r'(src|href)="(?!data:)', without_library)
    assert "default-src 'none'" in page


def test_without_html(tiny: dict) -> None:
    settings = from_table(tiny | {"loggers": {"html": False, "visdom": False}}, "x")
    assemble.train(settings)
    assert not (settings.run.folder / "report.html").exists()


def test_the_command_makes_the_same_from_the_files(
    tiny_settings: Settings, capsys: pytest.CaptureFixture
) -> None:
    assemble.train(tiny_settings)
    folder = tiny_settings.run.folder
    made = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    capsys.readouterr()
    assert command(["report", "tiny", "--checkpoints_dir", str(folder.parent)]) == 0
    page = (folder / "report.html").read_text()
    for name in ("charts", "grids"):
        assert constant(page, name) == constant(made, name)
    assert capsys.readouterr().out == f"open in a browser: {(folder / 'report.html').as_uri()}\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nobody"], "nobody: no such run; there are tiny"),
        (["../tiny"], "a plain name"),
        ([], "NAME"),
    ],
)
def test_a_run_that_is_not_there(args: list[str], words: str, tiny_settings: Settings) -> None:
    assemble.train(tiny_settings)
    where = ["--checkpoints_dir", str(tiny_settings.run.checkpoints_dir)]
    with pytest.raises(UserError, match=words):
        command(["report", *args, *where])


def test_the_table_is_made_of_the_log(
    tiny_settings: Settings, capsys: pytest.CaptureFixture
) -> None:
    run = RunFolder(tiny_settings.run.folder)
    args = ["report", "tiny", "--checkpoints_dir", str(run.path.parent), "--csv"]
    run.path.mkdir(parents=True)
    with pytest.raises(UserError, match=r"losses\.jsonl: missing"):
        command(args)
    run.losses.write_text('{"epoch": 1, "images": 4, "seconds": 2.5, "cycle_a_to_b": 0.25}\n')
    assert command(args) == 0
    assert run.table.read_text() == "epoch,images,seconds,cycle_a_to_b\n1,4,2.5,0.25\n"
    assert capsys.readouterr().out == f"table: {run.table}\n"


@pytest.mark.parametrize("content", [None, b"{", b'{"name": 3}', b"[]"])
def test_a_damaged_journey_is_named(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        RunFolder(tmp_path).run_info.write_bytes(content)
    with pytest.raises(UserError, match=r"journey.json: (missing|damaged)"):
        load_run_info(tmp_path)


def test_a_long_run_costs_what_a_short_one_costs(tmp_path: Path) -> None:
    """Ten times as many records and pictures: the file stays as large."""

    def size(count: int) -> int:
        report = Report(RunInfo("run", tmp_path, Position(), 2, count, side=8))
        for images in range(1, count + 1):
            values = {"cycle_a_to_b": images % 7 / 2, "cycle_b_to_a": 1.0}
            report.add(Record(Position(1, images, images), values))
            if images % 50 == 0:
                report.show(Position(1, images, images), Image.new("RGB", (536, 300), "red"))
        report.write(tmp_path / "report.html")
        page = (tmp_path / "report.html").read_text()
        assert len(constant(page, "grids")) < 2 * SLIDER
        return len(page)

    assert size(50_000) < 1.05 * size(5_000)


def test_at_a_checkpoint_nothing_is_read(
    tiny_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a resumed run logged before is read when it starts, and never again."""
    assemble.train(tiny_settings)
    run_info = load_run_info(tiny_settings.run.folder)
    logger = LOGGERS["report"].make(tiny_settings.loggers, run_info)

    def refuse(*args: object, **more: object) -> None:
        raise AssertionError("read at a checkpoint")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Image, "open", refuse)
    logger.record(Record(Position(2, 7, 13), {"cycle_a_to_b": 1.0}))
    monkeypatch.setattr(Report, "write", lambda *args: None)
    logger.saved(Position(2, 7, 13))


def test_names_are_no_html(tmp_path: Path) -> None:
    run_info = RunInfo("<b>&", tmp_path, Position(), 2, 10, settings={"x": "</script><i>"})
    report = Report(run_info)
    report.add(Record(Position(1, 1, 1), {"</script><i>": 1.0}))
    report.write(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "<b>&</" not in page
    assert "</script><i>" not in page


def test_a_report_that_cannot_be_written_hides_nothing(
    tiny_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder in its place: the run goes on to its end, and says so."""
    (tiny_settings.run.folder / "report.html").mkdir(parents=True)
    assert assemble.train(tiny_settings) is None
    assert "report.html" in caplog.text
    assert "can't be written" in caplog.text
    names = {path.name for path in tiny_settings.run.folder.iterdir()}
    assert {"latest.pt", "epoch_2.pt"} <= names
    assert not any("unfinished" in name for name in names)


def test_a_damaged_picture_is_left_out(
    tiny_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    assemble.train(tiny_settings)
    folder = tiny_settings.run.folder
    (folder / "pictures/held_out/epoch_001_images_0000004.png").write_bytes(b"")
    assert command(["report", "tiny", "--checkpoints_dir", str(folder.parent)]) == 0
    assert len(constant((folder / "report.html").read_text(), "grids")) == 3
    assert "0000004.png: empty file: skipped" in caplog.text
