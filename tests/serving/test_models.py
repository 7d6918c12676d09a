"""Which models are offered."""

from pathlib import Path

import pytest
import tomli_w
from serving.conftest import write_run

from cyclegan.serving import ServeSettings
from cyclegan.serving.models import offered


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A run of each kind of training."""
    write_run(tmp_path, "both")
    for model in ("one_painting", "fusion"):
        folder = write_run(tmp_path, model)
        (folder / "settings.toml").write_text(f'[run]\nmodel = "{model}"\n')
    return tmp_path


def test_a_run_offers_the_ways_it_converts(runs: Path) -> None:
    models = offered(ServeSettings(checkpoints_dir=runs), {})
    assert {name: len(model.directions) for name, model in models.items()} == {
        "both": 2,
        "one_painting": 0,
        "fusion": 0,
    }
    assert [model.name for model in models.values() if model.given_style] == ["fusion"]


def test_the_previous_checkpoint_stands_in_for_a_lost_one(runs: Path) -> None:
    (runs / "both" / "previous.pt").touch()
    assert "both (previous)" not in offered(ServeSettings(checkpoints_dir=runs), {})
    (runs / "both" / "latest.pt").unlink()
    models = offered(ServeSettings(checkpoints_dir=runs, name=("both",)), {})
    assert {name: model.epoch for name, model in models.items()} == {"both (previous)": "previous"}


@pytest.mark.parametrize(
    ("data", "title"),
    [
        ({"dataroot": "/data/mine"}, "trainA to trainB"),
        ({"domain_A": "/a/photos", "domain_B": "/b/paintings"}, "photos to paintings"),
        ({"domain_A": "/horses/train", "domain_B": "/zebras/train"}, "horses to zebras"),
        ({"dataroot": "/data/mine", "domain_B": "/b/etchings"}, "trainA to etchings"),
    ],
)
def test_domains_are_called_by_their_names(data: dict, title: str, runs: Path) -> None:
    (runs / "both" / "settings.toml").write_text(tomli_w.dumps({"data": data}))
    file = runs / "both" / "latest.pt"
    found = offered(ServeSettings(checkpoints_dir=runs, name=("both",)), {file: True})
    for name in ("both", "latest"):
        assert dict(found[name].directions)["AtoB"] == title


def test_what_is_named_twice_is_offered_once(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)
    assert list(offered(ServeSettings(checkpoints_dir=runs, name=("both", "both")), {})) == ["both"]
    files = ServeSettings(weights=(Path("a.pth"), runs / "a.pth", Path("b.pth"))).files
    assert files == (Path("a.pth"), Path("b.pth"))
