"""Training as a whole, in this process: logging, saving, stopping, resuming."""

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cyclegan import assemble, checkpoint
from cyclegan.errors import UsageError, UserError
from cyclegan.loggers.table import LOGGERS, LoggerKind
from cyclegan.recipes import RECIPES
from cyclegan.run import Position, RunFolder, is_trained
from cyclegan.settings import Settings, from_table


class StopAt:
    """A logger that sends this process a signal after so many images."""

    def __init__(self, images: int, number: int = signal.SIGTERM) -> None:
        self.images, self.number = images, number

    def __call__(self, settings: object, run_info: object) -> "StopAt":
        return self

    def step(self, position: Position) -> None:
        if position.images == self.images:
            signal.raise_signal(self.number)

    def record(self, record: object) -> None: ...
    def pictures(self, position: Position, pictures: object) -> None: ...
    def saved(self, position: Position) -> None: ...
    def close(self) -> None: ...


def with_changes(table: dict, **parts: dict) -> Settings:
    return from_table(
        {**table, **{key: {**table.get(key, {}), **parts[key]} for key in parts}}, "x"
    )


def losses(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]
    for line in lines:
        for measured in ("images_per_second", "waiting_for_images", "memory_gib", "seconds"):
            line.pop(measured, None)
    return lines


def flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return {name: value}
    return {k: v for key, child in items for k, v in flat(child, f"{name}/{key}").items()}


def assert_same_run(one: Path, other: Path) -> None:
    assert losses(one) == losses(other)
    a, b = (checkpoint.load(folder / "latest.pt") for folder in (one, other))
    assert a.position == b.position
    a, b = flat(a.state), flat(b.state)
    assert a.keys() == b.keys()
    for key, value in a.items():
        equal = torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else value == b[key]
        assert equal, key


def test_a_run_leaves_what_it_should(tiny_settings: Settings) -> None:
    assert assemble.train(tiny_settings) is None
    folder = tiny_settings.run.folder
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        "epoch_1.pt",
        "epoch_2.pt",
        "journey.json",
        "latest.pt",
        "losses.jsonl",
        "pictures",
        "previous.pt",
        "report.html",
        "settings.toml",
    ]
    saved = checkpoint.load(folder / "latest.pt")
    assert saved.position == Position(epoch=3, images_in_epoch=0, images=12)
    assert saved.settings == tiny_settings.table()
    assert saved.data == {"A": 6, "B": 4}
    assert saved.versions["torch"] == torch.__version__.partition("+")[0]
    assert [line["images"] for line in losses(folder)] == list(range(1, 13))
    assert sorted(path.name for path in (folder / "pictures/held_out").iterdir()) == [
        "epoch_001_images_0000001.png",
        "epoch_001_images_0000004.png",
        "epoch_002_images_0000008.png",
        "epoch_002_images_0000012.png",
    ]


def test_a_run_that_another_process_made_meanwhile_stays(tiny_settings: Settings) -> None:
    """Two that begin at once both find no run: the second waits for the first, here to its end."""
    assemble.train(tiny_settings)
    newest = RunFolder(tiny_settings.run.folder).latest
    made = newest.read_bytes()
    with pytest.raises(UserError, match="already exists; --continue_train resumes it"):
        assemble.train(tiny_settings)
    assert newest.read_bytes() == made
    assert not is_trained(tiny_settings.run.folder)


def test_a_run_that_another_process_took_further_meanwhile_stays(tiny_settings: Settings) -> None:
    assemble.train(tiny_settings)
    newest = RunFolder(tiny_settings.run.folder).latest
    early = checkpoint.load(newest)
    longer = replace(tiny_settings, training=replace(tiny_settings.training, n_epochs=3))
    assemble.train(longer, resume=early)
    made = newest.read_bytes()
    with pytest.raises(
        UserError, match="another process has trained this run in the meantime: run the same"
    ):
        assemble.train(longer, resume=early)
    assert newest.read_bytes() == made


def test_losses_have_names_that_say_what_they_are(tiny_settings: Settings) -> None:
    assemble.train(tiny_settings)
    assert set(losses(tiny_settings.run.folder)[0]) == {
        "epoch", "images", "learning_rate", "discriminator_a", "discriminator_b",
        "adversarial_a_to_b", "adversarial_b_to_a", "cycle_a_to_b", "cycle_b_to_a",
        "identity_a_to_b", "identity_b_to_a",
    }  # fmt: skip


@pytest.mark.parametrize("batch_size", [1, 4, 5])
def test_frequencies_count_images_whatever_the_batch(tiny: dict, batch_size: int) -> None:
    settings = with_changes(
        tiny,
        data={"batch_size": batch_size},
        loggers={"print_freq": 4, "display_freq": 6},
        training={"n_epochs": 3},
    )
    assemble.train(settings)
    seen = [line["images"] for line in losses(settings.run.folder)]
    assert len(seen) == 24 // 4 if batch_size <= 4 else len(seen) >= 5
    pictures = list((settings.run.folder / "pictures/batch").iterdir())
    assert len(pictures) == 1 + 24 // 6, "those of the first step, too"


def test_without_pictures_there_are_none_at_the_start_either(tiny: dict) -> None:
    settings = with_changes(tiny, loggers={"display_freq": 0}, training={"n_epochs": 1})
    assemble.train(settings)
    assert not (settings.run.folder / "pictures").exists()


def test_the_same_seed_gives_the_same_run(tiny: dict) -> None:
    runs = [
        with_changes(tiny, run={"name": name, "seed": seed})
        for name, seed in (("one", 3), ("two", 3), ("other", 4))
    ]
    for settings in runs:
        assemble.train(settings)
    one, two, other = (settings.run.folder for settings in runs)
    assert_same_run(one, two)
    assert losses(one) != losses(other)


VARIANTS = {
    "plain": {},
    "batches and workers": {"data": {"batch_size": 2, "num_threads": 2}},
    "dropout and batch norm": {"generator": {"dropout": True}, "networks": {"norm": "batch"}},
    "gradient penalty": {"losses": {"gan_mode": "wgangp"}},
    "save within epochs": {"training": {"save_latest_freq": 2}},
    "averaged weights": {"training": {"ema_decay": 0.9}},
    "frozen features": {"discriminator": {"netD": "projected", "projection": "efficientnet-lite0"}},
    "pretraining": {"training": {"pretrain": 7}, "data": {"batch_size": 2}},
    "scheduled weights": {
        "losses": {
            "lambda_A": "0 -> 4 at 0.75",
            "lambda_identity": "1 -> 0",
            "lambda_r1": "0 -> 1 at 0.5",
        }
    },
    "what was added": {
        "losses": {
            "diffaugment": ["color", "translation", "cutout"],
            "lambda_r1": 1.0,
            "identity_steps": 9,
            "lambda_lowpass_cycle": 5.0,
            "lambda_consistency": 1.0,
            "lambda_nce": 1.0,
        },
        "discriminator": {"spectral_norm": True},
        "generator": {"upsampling": "resize", "downsampling": "blurred", "residual": True},
        "training": {"lr_warmup": 1},
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("stop_at", [4, 6, 8])
def test_resuming_equals_never_stopping(
    tiny: dict, variant: str, stop_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = with_changes(tiny, **{**VARIANTS[variant], "run": {"name": "whole"}})
    parts = with_changes(tiny, **{**VARIANTS[variant], "run": {"name": "parts"}})
    assemble.train(whole)
    monkeypatch.setitem(LOGGERS, "stop", LoggerKind(StopAt(stop_at)))
    assert assemble.train(parts) == signal.SIGTERM
    monkeypatch.delitem(LOGGERS, "stop")
    saved = checkpoint.load(parts.run.folder / "latest.pt")
    assert saved.position.images == stop_at
    torch.manual_seed(1234)  # whatever the new process has drawn before
    assert assemble.train(parts, resume=saved) is None
    assert_same_run(whole.run.folder, parts.run.folder)


def test_a_schedule_that_stays_where_it_is_trains_as_a_number(tiny: dict) -> None:
    number = with_changes(tiny, run={"name": "number"}, losses={"lambda_A": 3.0})
    constant = with_changes(tiny, run={"name": "constant"}, losses={"lambda_A": "3 -> 3"})
    assemble.train(number)
    assemble.train(constant)
    assert_same_run(number.run.folder, constant.run.folder)


def test_a_schedule_ends_at_its_share_of_all_images(tiny: dict) -> None:
    """Of 12 images; a rate of next to nothing leaves the differences as they are."""
    still = {"lr": 1e-30}
    scheduled = {"lambda_A": "1 -> 3 at 0.5", "lambda_identity": 0}
    changing = with_changes(tiny, run={"name": "one"}, losses=scheduled, training=still)
    steady = with_changes(
        tiny, run={"name": "two"}, losses=scheduled | {"lambda_A": 1.0}, training=still
    )
    for settings in (changing, steady):
        assemble.train(settings)
    pairs = zip(*(losses(settings.run.folder) for settings in (changing, steady)), strict=True)
    found = [one["cycle_a_to_b"] / other["cycle_a_to_b"] for one, other in pairs]
    assert found == pytest.approx([1 + min(2, step / 3) for step in range(12)])


def test_what_was_logged_after_the_checkpoint_is_cut_off(tiny: dict) -> None:
    """As after kill -9: the files are ahead of the checkpoint, the last line is half."""
    whole = with_changes(tiny, run={"name": "whole"})
    killed = with_changes(tiny, run={"name": "killed"})
    assemble.train(whole)
    assemble.train(killed)
    folder = killed.run.folder
    (folder / "epoch_1.pt").replace(folder / "latest.pt")
    with (folder / "losses.jsonl").open("a") as file:
        file.write('{"epoch": 3, "ima')
    assemble.train(killed, resume=checkpoint.load(folder / "latest.pt"))
    assert_same_run(whole.run.folder, folder)


@pytest.mark.parametrize("lr", [1e30, 1e38])
def test_nan_stops_and_keeps_the_last_good_checkpoint(tiny: dict, lr: float) -> None:
    """Infinite weights come one step before the losses show it: they must not be saved."""
    settings = with_changes(
        tiny, training={"lr": lr, "save_latest_freq": 1, "n_epochs": 50}, loggers={}
    )
    with pytest.raises(UserError, match=r"_[ab].*NaN or infinite .*after \d+ images"):
        assemble.train(settings)
    saved = checkpoint.load(settings.run.folder / "latest.pt")
    *good, last = losses(settings.run.folder)
    assert all(value is not None for line in good for value in line.values())
    if lr < 1e38:  # here the losses showed it, there the weights did before
        assert None in last.values(), "what was no number is on record"
    assert saved.position.images < 6
    networks = flat(saved.state["networks"])
    assert all(bool(values.isfinite().all()) for values in networks.values())


def test_only_the_newest_checkpoints_are_kept(tiny: dict) -> None:
    settings = with_changes(tiny, training={"n_epochs": 11, "keep": 2})
    assemble.train(settings)
    assert RunFolder(settings.run.folder).saved_epochs() == [11, 12]


def test_unreadable_images_are_counted_once(
    tiny_settings: Settings, dataroot: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (dataroot / "trainA" / "2.png").write_bytes(b"")
    assemble.train(tiny_settings)
    assert caplog.text.count("2.png can't be read") == 1
    assert "1 unreadable images were skipped" in caplog.text


@pytest.mark.parametrize("model", RECIPES)
def test_a_misspelt_loss_term_is_an_error_for_every_model(tiny: dict, model: str) -> None:
    own = ("run", "data", "loggers")  # what all models take
    table = {name: tiny[name] for name in own} | {"losses": {"weights": {"consistancy": 1.0}}}
    settings = with_changes(table, run={"model": model})
    with pytest.raises(
        UsageError, match=r"--weights consistancy: .* you meant consistency; choose"
    ):
        assemble.train(settings)
    assert not settings.run.folder.exists()


def test_directions_change_the_folders_places(tiny: dict) -> None:
    settings = with_changes(tiny, run={"direction": "BtoA"})
    assemble.train(settings)
    assert checkpoint.load(settings.run.folder / "latest.pt").data == {"A": 4, "B": 6}


def test_one_channel_to_three(tiny: dict) -> None:
    settings = with_changes(tiny, networks={"input_nc": 1}, losses={"lambda_identity": 0.0})
    settings.check()
    assert assemble.train(settings) is None


@pytest.mark.parametrize("gan_mode", ["vanilla", "hinge", "wgangp"])
@pytest.mark.parametrize("netD", ["n_layers", "pixel", "multiscale", "projected"])
def test_objectives_and_discriminators_train(tiny: dict, gan_mode: str, netD: str) -> None:
    shallow = {"n_layers_D": 1} if netD == "multiscale" else {}
    settings = with_changes(
        tiny, losses={"gan_mode": gan_mode}, discriminator={"netD": netD} | shallow
    )
    assert assemble.train(settings) is None


def test_init_weights_from_a_checkpoint(tiny: dict) -> None:
    first = with_changes(tiny, run={"name": "first"})
    assemble.train(first)
    second = with_changes(
        tiny, run={"name": "second"}, training={"n_epochs": 0, "n_epochs_decay": 0}
    )
    assemble.train(second, init_weights=first.run.folder / "epoch_1.pt")
    saved = [
        checkpoint.load(path).state["networks"]
        for path in (first.run.folder / "epoch_1.pt", second.run.folder / "latest.pt")
    ]
    assert all(torch.equal(value, flat(saved[1])[key]) for key, value in flat(saved[0]).items())


def test_init_weights_of_another_architecture(tiny: dict) -> None:
    first = with_changes(tiny, run={"name": "first"})
    assemble.train(first)
    wider = with_changes(tiny, run={"name": "wider"}, generator={"ngf": 4})
    with pytest.raises(UserError, match="another architecture"):
        assemble.train(wider, init_weights=first.run.folder)


def test_a_log_that_cannot_be_written_is_named(tiny_settings: Settings) -> None:
    tiny_settings.run.folder.mkdir(parents=True)
    (tiny_settings.run.folder / "pictures").touch()  # a file where the folder should be
    with pytest.raises(UserError, match=r"pictures.*can't be written .* after 1 images.*continue"):
        assemble.train(tiny_settings)
    assert checkpoint.load(tiny_settings.run.folder / "latest.pt").position.images == 0


def test_a_full_disk_ends_the_run_and_keeps_what_was_saved(
    tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_settings.run.folder
    assemble.train(tiny_settings)
    before = (folder / "latest.pt").read_bytes()
    # The kernel's own answer of a full disk: the file to be written leads to /dev/full.
    (folder / ".latest.pt.unfinished").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"No space left on device.*--continue_train"):
        assemble.train(tiny_settings, resume=checkpoint.load(folder / "latest.pt"))
    assert (folder / "latest.pt").read_bytes() == before
    assert not (folder / ".latest.pt.unfinished").is_symlink()


def test_scale_lr_multiplies_the_rate_by_the_images_of_a_step_and_says_so(
    tiny: dict[str, dict[str, object]], caplog: pytest.LogCaptureFixture
) -> None:
    """A step has two batches of two; a resumed run is scaled once, not again."""
    own = {"scale_lr": True, "accumulate": 2, "lr": 0.0001, "lr_policy": "constant"}
    settings = with_changes(tiny, training=own, data={"batch_size": 2})
    assert assemble.train(settings) is None
    folder = settings.run.folder
    assert {line["learning_rate"] for line in losses(folder)} == {0.0001 * 4}
    assert "--scale_lr: learning rate 0.0001 x 4 images = 0.0004" in caplog.text
    longer = with_changes(tiny, training=own | {"n_epochs": 2}, data={"batch_size": 2})
    assemble.train(longer, resume=checkpoint.load(folder / "latest.pt"))
    assert {line["learning_rate"] for line in losses(folder)} == {0.0001 * 4}


def test_discriminators_may_learn_at_a_rate_of_their_own(tiny: dict) -> None:
    """After one step of Adam each weight has moved by its rate, whatever the gradient."""
    table = with_changes(tiny, training={"lr": 1e-3, "discriminator_lr": 0.25}, loggers={})
    moved = {}
    for name, images in (("before", 0), ("after", 1)):
        settings = with_changes(table.table(), run={"name": name}, data={"max_dataset_size": 1})
        epochs = {"n_epochs": images, "n_epochs_decay": 0, "lr_policy": "constant"}
        assemble.train(with_changes(settings.table(), training=epochs))
        saved = checkpoint.load(settings.run.folder / "latest.pt")
        moved[name] = saved.state["networks"]
    for network, rate in (("generator_a_to_b", 1e-3), ("discriminator_a", 2.5e-4)):
        steps = [
            (moved["after"][network][key] - weights).abs().max()
            for key, weights in moved["before"][network].items()
        ]
        assert max(steps).item() == pytest.approx(rate, rel=1e-2)
