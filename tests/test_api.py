"""Training from Python, with functions that listen and stop it."""

from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
import tomli_w
from conftest import smooth_image
from PIL import Image
from training.test_loop import assert_same_run

import cyclegan
from cyclegan import UserError, checkpoint, continue_training, load_preset, train
from cyclegan.errors import UsageError
from cyclegan.loggers.logger import Record
from cyclegan.settings import Settings


def test_a_stopped_training_is_heard_and_goes_on_to_the_same_weights(
    tiny_settings: Settings,
) -> None:
    whole = replace(tiny_settings, run=replace(tiny_settings.run, name="whole"))
    train(whole)
    heard: list[Record] = []
    folder = train(tiny_settings, on_record=heard.append, stop=lambda: len(heard) == 5)
    assert folder == tiny_settings.run.folder
    assert [record.position.images for record in heard] == [1, 2, 3, 4, 5]
    assert heard[0].values["cycle_a_to_b"] > 0
    assert checkpoint.load(folder / "latest.pt").position.images == 5
    assert continue_training(folder, on_record=heard.append) == folder
    assert [record.position.images for record in heard] == list(range(1, 13))
    assert_same_run(whole.run.folder, folder)


def test_epochs_are_added(tiny_settings: Settings) -> None:
    folder = train(tiny_settings)
    done = (folder / "latest.pt").read_bytes()
    continue_training(folder)
    assert (folder / "latest.pt").read_bytes() == done, "it came to its last epoch"
    continue_training(str(folder), epochs=1)
    assert checkpoint.load(folder / "latest.pt").position.images == 18


def test_what_is_wrong_is_told_in_a_line(tiny_settings: Settings, tmp_path: Path) -> None:
    train(tiny_settings)
    with pytest.raises(UserError, match="tiny: already exists; --continue_train resumes it"):
        train(tiny_settings)
    with pytest.raises(UserError, match="none: no such run"):
        continue_training(tmp_path / "none")
    with pytest.raises(UsageError, match="--n_epochs 0 --n_epochs_decay 0: nothing would be"):
        nothing = replace(tiny_settings.training, n_epochs=0, n_epochs_decay=0)
        train(replace(tiny_settings, training=nothing))


def test_it_trains_in_a_thread_of_its_own(tiny_settings: Settings) -> None:
    """Where a program has a window or a server, signals are not for the training to take."""
    longer = replace(tiny_settings, training=replace(tiny_settings.training, n_epochs=10_000))
    heard: list[Record] = []
    thread = Thread(
        target=train,
        args=(longer,),
        kwargs={"on_record": heard.append, "stop": lambda: len(heard) >= 3},
    )
    thread.start()
    thread.join()
    saved = checkpoint.load(longer.run.folder / "latest.pt")
    assert saved.position.images == len(heard) == 3


def test_tables_are_laid_over_a_preset() -> None:
    settings = load_preset("small", run={"name": "sea"}, data={"batch_size": 4})
    assert (settings.run.name, settings.data.batch_size) == ("sea", 4)
    assert settings.data.crop_size == load_preset("small").data.crop_size
    with pytest.raises(UsageError, match=r"\[data\] batch: no such key"):
        load_preset("small", data={"batch": 4})


def test_the_example_of_the_docs_trains_and_converts(
    tiny: dict[str, dict[str, object]],
    dataroot: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it stands, with a smaller preset under the name of `small`."""
    page = Path(cyclegan.__file__).parents[1] / "docs" / "training.md"
    example = page.read_text().partition("```python\n")[2].partition("```")[0]
    small = tmp_path / "tiny.toml"
    small.write_text(tomli_w.dumps({key: tiny[key] for key in tiny if key != "run"}))
    monkeypatch.setattr(cyclegan.settings, "presets", lambda: {"small": small})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mydata").symlink_to(dataroot)
    smooth_image(1).save(tmp_path / "holiday.jpg")
    exec(compile(example, "example.py", "exec"), {})
    assert Image.open(tmp_path / "painted.jpg").size == smooth_image(1).size
    assert (tmp_path / "checkpoints" / "vangogh" / "latest.pt").is_file()
