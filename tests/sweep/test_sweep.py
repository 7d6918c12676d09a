"""A sweep, killed on its way, and its page; its space, suggestions, pruning and failures."""

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import optuna
import psutil
import pytest
from browser import opened, strangers
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from cyclegan.cli import run
from cyclegan.errors import UsageError, UserError
from cyclegan.metrics.distances import Kid, Progress
from cyclegan.settings import Settings, load_preset
from cyclegan.study.figures import TurnEnd
from cyclegan.sweep import SweepSettings, sweep
from cyclegan.sweep.space import make_space, own_values, varied
from cyclegan.training.best import Score

Quality = Callable[[Settings, int], float]
Swept = Callable[..., list[FrozenTrial]]

HOSTILE = "<img src=x onerror=alert(1)>'\"&.toml"


def test_a_killed_sweep_goes_on_and_its_page_shows_it(
    judged_data: Path,
    endless_preset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    preset = endless_preset.rename(tmp_path / HOSTILE)
    output = tmp_path / "a sweep?%20"
    places = ["--dataroot", str(judged_data), "--output", str(output)]
    asked = ["sweep", str(preset), "--vary", "lambda_A", "1", "100", *places, "--json"]
    asked += ["--vary", "gan_mode", "lsgan", "hinge", "--trials", "1", "--minutes", "0.01"]
    asked += ["--checkpoints", "1"]
    killed = psutil.Popen([sys.executable, "-m", "cyclegan", *asked])
    while not (output / "runs" / "trial_0" / "latest.pt").exists():
        assert killed.poll() is None
        time.sleep(0.01)
    trainings = killed.children()
    killed.kill()
    killed.wait()
    assert not psutil.wait_procs(trainings, timeout=600)[1], "no training is left behind"
    (before,) = trials_in(output)
    assert before.state is TrialState.RUNNING
    assert run(asked) == 0
    told = json.loads(capsys.readouterr().out)
    after = trials_in(output)[-1]
    assert after.params == before.params == told["values"]
    assert after.params == {"lambda_A": 10.0, "gan_mode": "lsgan"}, "the preset's own come first"
    (turn,) = after.user_attrs["turns"]
    assert turn["images"] > 0 and turn["seconds"] >= 0.6
    assert told["trials"][0]["curve"] == list(after.intermediate_values.values())
    best = load_preset(told["preset"])
    assert best == load_preset(preset)
    with opened(Path(told["page"]).as_uri()) as page:
        assert HOSTILE in page.inner_text("h1")
        assert page.locator("#trials tr").count() == 2
        assert page.locator(".js-plotly-plot").count() == 3
        pictures = page.locator(".pair img").evaluate_all("all => all.map(one => one.naturalWidth)")
        assert pictures == [24] * 16
        assert "one seed" in page.inner_text("#noise")
        assert (page.complaints, strangers(page)) == ([], [])
    with pytest.raises(UsageError, match="a sweep with another minutes: give another --output"):
        run([*asked, "--minutes", "3"])


def trials_in(folder: Path) -> list[FrozenTrial]:
    storage = RDBStorage("sqlite://", {"creator": lambda: sqlite3.connect(folder / sweep.NAME)})
    return optuna.load_study(study_name="sweep", storage=storage).trials


class Trained(list):
    """Trainings that a stand-in carries out: curves as wished can't be had from real ones."""

    def __init__(self, quality: Quality) -> None:
        self.quality = quality

    def __call__(self, trained: Settings, run: Sequence[TurnEnd], *_: object) -> TurnEnd:
        self.append(trained)
        trained.run.folder.mkdir(parents=True, exist_ok=True)
        value = self.quality(trained, len(run))
        scores = {
            way: Score(Kid(0.1, 0.01), Progress(value, 0.02), 0.5) for way in ("AtoB", "BtoA")
        }
        return TurnEnd(60.0 * (len(run) + 1), 100 * (len(run) + 1), False, scores, scores)


@pytest.fixture
def swept(
    judged_data: Path, endless_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Swept:
    """Trials of a sweep by stand-ins for training and for the page."""
    monkeypatch.setattr(sweep, "make_eval_sets", lambda *_: {})
    monkeypatch.setattr(sweep, "_tell", lambda *_: None)

    def carry_out(quality: Quality, folder: str = "sweep", **asked: object) -> list[FrozenTrial]:
        monkeypatch.setattr(sweep, "train_turn", Trained(quality))
        settings = SweepSettings(
            str(endless_preset),
            vary=(("lambda_A", "1", "100"),),
            dataroot=judged_data,
            output=tmp_path / folder,
            **asked,
        )
        assert sweep.sweep(settings) == 0
        return trials_in(settings.output)

    return carry_out


def near_seven(trained: Settings, turn: int) -> float:
    return turn / 10 - abs(trained.recipe.losses.lambda_A - 7) / 100


def test_a_seed_suggests_the_same_also_where_it_was_stopped(
    swept: Swept,
) -> None:
    """After ten trials at random the suggestions go by what was measured."""
    at_once = swept(near_seven, trials=13, checkpoints=2, prune=False)

    def stopped(trained: Settings, turn: int) -> float:
        if trained.run.name == "trial_11" and turn == 1:
            raise KeyboardInterrupt
        return near_seven(trained, turn)

    with pytest.raises(KeyboardInterrupt):
        swept(stopped, "other", trials=13, checkpoints=2, prune=False)
    taken_up = swept(near_seven, "other", trials=13, checkpoints=2, prune=False)
    assert [one.state for one in taken_up].count(TrialState.FAIL) == 1
    assert len(sweep.train_turn) == 3, "of 26 parts 23 were measured before"
    values = [one.params["lambda_A"] for one in at_once]
    assert values[0] == 10, "the preset's own"
    assert len(set(values)) == 13 and all(1 <= value <= 100 for value in values)
    ended = [one for one in taken_up if one.state is TrialState.COMPLETE]
    assert [one.params["lambda_A"] for one in ended] == values
    another = swept(near_seven, "another", trials=2, checkpoints=2, seed=1)
    assert another[1].params["lambda_A"] != values[1]


def test_more_trials_join_and_those_below_the_median_end_early(
    swept: Swept,
) -> None:
    assert len(swept(near_seven, trials=5)) == 5

    def worse(trained: Settings, turn: int) -> float:
        return -1.0

    trials = swept(worse, trials=6)
    assert [one.state for one in trials] == [TrialState.COMPLETE] * 5 + [TrialState.PRUNED]
    assert len(trials[-1].user_attrs["turns"]) == 2, "of five: one part alone says too little"
    assert len(swept(worse, trials=4)) == 6, "fewer are those there are"


def test_a_training_that_fails_is_no_end_of_the_sweep(swept: Swept, tmp_path: Path) -> None:
    def failing(trained: Settings, turn: int) -> float:
        if trained.run.name == "trial_1":
            raise UserError("trial_1: its training failed: diverged")
        return near_seven(trained, turn)

    trials = swept(failing, trials=3)
    assert [one.state for one in trials] == [
        TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE
    ]  # fmt: skip
    assert trials[1].user_attrs["why"] == "trial_1: its training failed: diverged"
    assert len(swept(failing, trials=3)) == 3, "it is not tried again"
    best = max((trials[0], trials[2]), key=lambda one: one.value)
    kept = [path.name for path in (tmp_path / "sweep" / "runs").iterdir()]
    assert kept == [f"trial_{best.number}"], "checkpoints are large"


def test_where_no_training_works_the_reason_is_told(
    judged_data: Path, endless_preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> TurnEnd:
        raise UserError("trial_0: its training failed: no memory")

    monkeypatch.setattr(sweep, "make_eval_sets", lambda *_: {})
    monkeypatch.setattr(sweep, "train_turn", fail)
    asked = ["--dataroot", str(judged_data), "--output", str(tmp_path / "x"), "--trials", "2"]
    with pytest.raises(UserError, match=r"x: no trial could be trained: trial_0: .* no memory"):
        run(["sweep", str(endless_preset), "--vary", "lambda_A", "1", "2", *asked])


def test_values_are_ranges_by_factors_where_wide_and_choices() -> None:
    small = load_preset("small")
    space = make_space(
        [
            ("lambda_style", "1", "10"),
            ("lambda-identity", "0", "10"),
            ("ngf", "8", "32"),
            ("n_blocks", "2", "4", "9"),
            ("gan_mode", "hinge", "lsgan"),
            ("residual", "true", "false"),
            ("lambda_A", "5", "1 -> 10 at 0.5"),
        ],
        small,
    )
    assert {name: one.values for name, one in space.items()} == {
        "lambda_style": FloatDistribution(1.0, 10.0, log=True),
        "lambda_identity": FloatDistribution(0.0, 10.0),
        "ngf": IntDistribution(8, 32),
        "n_blocks": CategoricalDistribution((2, 4, 9)),
        "gan_mode": CategoricalDistribution(("hinge", "lsgan")),
        "residual": CategoricalDistribution((True, False)),
        "lambda_A": CategoricalDistribution((5.0, "1 -> 10 at 0.5")),
    }
    assert own_values(small, space) is None, "its lambda_style is 0"
    tried = varied(small, space, {"n_blocks": 9, "lambda_style": 2.5}, "x")
    assert (tried.recipe.generator.n_blocks, tried.recipe.losses.lambda_style) == (9, 2.5)
    assert load_preset("small") == small


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("lambda_stile 1 10", "lambda_stile: the preset has no .* perhaps you meant lambda_style"),
        ("name a b", "name: the preset has no setting of that name that can vary"),
        ("netG resnet unet_transformer", "netG: each has settings of its own: make a preset"),
        ("ngf 8 16.5", "ngf 16.5: input should be a valid integer"),
        ("lambda_A one two", "lambda_A one: input should be a valid number"),
        ("lambda_A -1 5", "lambda_A -1: input should be greater than or equal to 0"),
        ("gan_mode hinge best", "gan_mode best: input should be"),
        ("flip 1 2", "flip 1: input should be a valid boolean"),
        ("lambda_A 10 1", "lambda_A 10.0 1.0: give the lower one first"),
        ("lambda_A 1 inf", "lambda_A inf: only finite numbers, words, true and false can vary"),
        ("lambda_A 1", "lambda_A: needs two different values at least: LOW HIGH"),
        ("lambda_A", "lambda_A: needs two different values at least: LOW HIGH"),
        ("style_layers a b", "style_layers a: input should be a valid tuple"),
        ("crop_size 32 1000", "crop_size: --crop_size 1000 is larger than --load_size"),
        ("flip true false --vary flip false true", "flip: given twice: leave one out"),
    ],
)
def test_what_cannot_vary_is_one_line(words: str, line: str) -> None:
    with pytest.raises(UsageError, match=f"^--vary {line}") as told:
        run(["sweep", "small", "--vary", *words.split(), "--dataroot", "nowhere"])
    assert "\n" not in str(told.value)


def test_nothing_to_vary_and_no_pictures_are_one_line() -> None:
    with pytest.raises(UsageError, match="needs a setting to vary: give --vary NAME LOW HIGH"):
        run(["sweep", "small"])
    with pytest.raises(UsageError, match="no images to train on: give --dataroot DIR"):
        run(["sweep", "small", "--vary", "lambda_A", "1", "2"])


def test_the_judge_may_not_train(endless_preset: Path, judged_data: Path, tmp_path: Path) -> None:
    """Not in a trial either."""
    with endless_preset.open("a") as file:
        file.write('[losses]\nlambda_style = 1.0\n[perceptual]\nloss_features = "plain"\n')
    choices = ["--vary", "loss_features", "plain", "efficientnet-lite0"]
    places = ["--dataroot", str(judged_data), "--output", str(tmp_path / "x")]
    with pytest.raises(
        UsageError, match=r"^--vary loss_features: .* the evaluation network must not"
    ):
        run(["sweep", str(endless_preset), *choices, *places])


def test_a_damaged_file_of_trials_is_one_line(swept: Swept, tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / sweep.NAME).write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match=r"sweep\.db: damaged: give another --output"):
        swept(near_seven, trials=1)
