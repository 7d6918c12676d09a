"""A training that diverges goes back to a checkpoint, at a lower learning rate."""

import signal
from pathlib import Path

import pytest
import torch
from training.test_loop import StopAt, assert_same_run, flat, losses, with_changes

from cyclegan import assemble, checkpoint
from cyclegan.errors import UserError
from cyclegan.loggers.health import Recent, complaints
from cyclegan.loggers.jsonl import read_records
from cyclegan.loggers.table import LOGGERS, LoggerKind
from cyclegan.settings import Settings
from cyclegan.training.step import CALM, LossWatch, StepResult

#: So large that the first steps end it, and after one rollback so small that nothing moves.
ROLLS_BACK = {"lr": 1e30, "on_divergence": "rollback", "rollback_lr": 1e-36, "n_epochs": 2}


def rolling_back(tiny: dict, **training: object) -> Settings:
    return with_changes(
        tiny,
        training={"save_latest_freq": 1, "lr_policy": "constant"} | ROLLS_BACK | training,
    )


def test_it_goes_back_and_on_at_a_lower_rate(tiny: dict, caplog: pytest.LogCaptureFixture) -> None:
    settings = rolling_back(tiny)
    assert assemble.train(settings) is None
    saved = checkpoint.load(settings.run.folder / "latest.pt")
    assert saved.rollbacks == 1
    assert saved.position.images == 18
    weights = flat(saved.state["networks"]).values()
    assert all(bool(values.isfinite().all()) for values in weights)
    (told,) = [line for line in caplog.messages if "diverged" in line]
    assert "back to epoch 1, 0 images" in told and told.endswith("learning rate times 1e-36")
    logged = losses(settings.run.folder)
    assert [line["images"] for line in logged] == list(range(1, 19)), "each step once"
    assert logged[-1]["learning_rate"] == pytest.approx(1e-6)
    assert logged[-1]["rollbacks"] == 1
    recent = Recent(records=read_records(settings.run.folder / "losses.jsonl"))
    assert any("was rolled back to a checkpoint, 1 time so far" in x for x in complaints(recent))


def test_not_more_often_than_asked(tiny: dict, caplog: pytest.LogCaptureFixture) -> None:
    settings = rolling_back(tiny, rollback_lr=0.9, max_rollbacks=2)
    with pytest.raises(UserError, match=r"diverged .*\(--max_rollbacks 2 are used up\)"):
        assemble.train(settings)
    assert sum("learning rate times" in line for line in caplog.messages) == 2
    saved = checkpoint.load(settings.run.folder / "latest.pt")
    assert saved.rollbacks == 2
    assert all(bool(each.isfinite().all()) for each in flat(saved.state["networks"]).values())


def test_stopped_after_a_rollback_it_goes_on_the_same(
    tiny: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rolling_back(tiny)
    assemble.train(whole)
    stopped = with_changes(
        rolling_back(tiny).table(), run={"name": "stopped"}, loggers={"visdom": False}
    )
    with monkeypatch.context() as patch:
        patch.setitem(LOGGERS, "stop", LoggerKind(StopAt(9), lambda settings: True))
        assert assemble.train(stopped) == signal.SIGTERM
    resumed = checkpoint.load(stopped.run.folder / "latest.pt")
    assert (resumed.rollbacks, resumed.position.images) == (1, 9)
    assemble.train(stopped, resume=resumed)
    assert_same_run(whole.run.folder, stopped.run.folder)


def test_the_state_in_memory_does_where_the_file_is_damaged(
    tiny: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = rolling_back(tiny)
    saved = []

    class Damages(StopAt):
        def saved(self, position: object) -> None:
            latest = settings.run.folder / "latest.pt"
            if not saved and latest.exists():
                saved.append(latest.write_bytes(b"damaged"))

    monkeypatch.setitem(LOGGERS, "damages", LoggerKind(Damages(-1), lambda settings: True))
    assert assemble.train(settings) is None
    assert saved
    assert checkpoint.load(settings.run.folder / "latest.pt").rollbacks == 1


def step_of(**values: float) -> StepResult:
    return StepResult({name: torch.tensor(value) for name, value in values.items()}, {})


def test_a_loss_explodes_that_is_far_larger_than_at_the_start() -> None:
    watch = LossWatch(explosions=True)
    for step in range(CALM):
        watch.note(step_of(cycle=3.0, adversarial=0.2), step)
    watch.note(step_of(cycle=2.9e4, adversarial=9e3), CALM)
    assert not watch.broken()
    watch.note(step_of(cycle=3.1e4, adversarial=-1.1e4), CALM + 1)
    assert watch.broken() == {"cycle": CALM + 1, "adversarial": CALM + 1}


def test_without_rollback_only_what_is_no_number_counts() -> None:
    watch = LossWatch()
    for step in range(CALM + 1):
        watch.note(step_of(cycle=1e-3 if step < CALM else 1e30), step)
    assert not watch.broken()


def test_measurements_before_a_rollback_say_nothing_of_those_after(tmp_path: Path) -> None:
    from cyclegan.loggers.logger import Record
    from cyclegan.run import Position

    def measured(images: int, **more: float) -> Record:
        worse = {"quality": -1.0, "progress_a_to_b": -0.9, "progress_error_a_to_b": 0.1}
        return Record(Position(1, images, images), worse | more)

    recent = Recent(records=[measured(90)], planned=100)
    recent.add(measured(95, rollbacks=1.0))
    assert not [text for text in complaints(recent) if "worse than the unconverted input" in text]
    recent.add(measured(99, rollbacks=1.0))
    assert [text for text in complaints(recent) if "worse than the unconverted input" in text]
