"""The command line: flags of the field, one-line errors, quick answers."""

import gc
import re
import resource
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import tomli_w
from conftest import GOLDEN

from cyclegan import checkpoint, cli
from cyclegan.classic_flags import RULES, rewrite
from cyclegan.commands import train as train_command
from cyclegan.conversion import ConvertSettings
from cyclegan.device import choose_device
from cyclegan.errors import UsageError, UserError, in_one_line
from cyclegan.flags import RunCommand, parse, parse_run, preset_of, refuse_classic
from cyclegan.loggers import LoggerSettings
from cyclegan.recipes import RECIPES
from cyclegan.run import RunSettings
from cyclegan.settings import Settings, flags_of, load_preset

# The classic's flags (its train and test options), with a value of theirs where they take one.
CLASSIC = {
    "aspect_ratio": "1.0", "batch_size": "4", "beta1": "0.4", "checkpoints_dir": "c",
    "continue_train": None, "crop_size": "128", "dataroot": "d", "dataset_mode": "unaligned",
    "direction": "BtoA", "display_env": "main", "display_freq": "200", "display_id": "1",
    "display_ncols": "4", "display_port": "8000", "display_server": "http://host",
    "display_winsize": "256", "epoch": "5", "epoch_count": "3", "eval": None, "gan_mode": "vanilla",
    "gpu_ids": "0,1", "init_gain": "0.1", "init_type": "xavier", "input_nc": "1", "lambda_A": "5",
    "lambda_B": "6", "lambda_identity": "0.1", "load_iter": "7", "load_size": "300", "lr": "0.01",
    "lr_decay_iters": "20", "lr_policy": "cosine", "max_dataset_size": "9", "model": "cycle_gan",
    "model_suffix": "_A", "n_epochs": "10", "n_epochs_decay": "11", "n_layers_D": "4",
    "name": "run", "ndf": "32", "netD": "n_layers", "netG": "resnet_6blocks", "ngf": "16",
    "no_dropout": None, "no_flip": None, "no_html": None, "norm": "batch", "num_test": "10",
    "num_threads": "3", "output_nc": "1", "phase": "test", "pool_size": "20",
    "preprocess": "crop", "print_freq": "50", "results_dir": "r", "save_by_iter": None,
    "save_epoch_freq": "2", "save_latest_freq": "100", "serial_batches": None, "suffix": "x",
    "update_html_freq": "10", "use_wandb": None, "verbose": None, "wandb_project_name": "p",
}  # fmt: skip

# Where a flag that works ends up, and as what.
WORKING = {
    "batch_size": ("data", 4), "beta1": ("training", 0.4), "checkpoints_dir": ("run", "c"),
    "crop_size": ("data", 128), "dataroot": ("data", "d"),
    "dataset_mode": ("data", "unaligned"), "direction": ("run", "BtoA"),
    "display_env": ("loggers", "main"), "display_freq": ("loggers", 200),
    "display_port": ("loggers", 8000), "display_server": ("loggers", "http://host"),
    "epoch_count": ("training", 3), "gan_mode": ("losses", "vanilla"),
    "init_gain": ("networks", 0.1), "init_type": ("networks", "xavier"),
    "input_nc": ("networks", 1), "lambda_A": ("losses", 5), "lambda_B": ("losses", 6),
    "lambda_identity": ("losses", 0.1), "load_size": ("data", 300), "lr": ("training", 0.01),
    "lr_decay_iters": ("training", 20), "lr_policy": ("training", "cosine"),
    "max_dataset_size": ("data", 9), "model": ("run", "cycle_gan"), "n_epochs": ("training", 10),
    "n_epochs_decay": ("training", 11), "name": ("run", "run"), "ndf": ("discriminator", 32),
    "ngf": ("generator", 16), "norm": ("networks", "batch"), "num_threads": ("data", 3),
    "output_nc": ("networks", 1), "pool_size": ("training", 20), "preprocess": ("data", "crop"),
    "print_freq": ("loggers", 50), "save_epoch_freq": ("training", 2),
    "save_latest_freq": ("training", 100), "netD": ("discriminator", "n_layers"),
}  # fmt: skip


def flag(name: str) -> list[str]:
    value = CLASSIC[name]
    return [f"--{name}"] + ([] if value is None else [value])


def train(*args: str) -> RunCommand:
    return parse_run(args, Settings(), prog="cyclegan train", about="")


@pytest.mark.parametrize("name", CLASSIC)
def test_classic_flags_of_training_work_or_name_their_replacement(name: str) -> None:
    if rewrite(flag(name), RULES["train"]).refused:
        with pytest.raises(UsageError, match=f"cyclegan train does not take --{name}"):
            train(*flag(name))
        return
    args = flag(name)
    if name == "n_layers_D":
        args += ["--netD", "n_layers"]
    settings = train(*args).settings
    if name in WORKING:
        part, value = WORKING[name]
        assert settings.table()[part][name] == value
        assert value != Settings().table()[part].get(name) or name in (
            "dataset_mode",
            "model",
        )
    else:
        others = {
            "continue_train": train(*args).continue_train,
            "n_layers_D": getattr(settings.recipe.discriminator, "n_layers_D", None) == 4,
            "netG": settings.recipe.generator.n_blocks == 6,
            "no_dropout": settings.recipe.generator.dropout is False,
            "no_flip": settings.data.flip is False,
            "no_html": settings.loggers.html is False,
            "use_wandb": settings.loggers.use_wandb is True,
            "wandb_project_name": settings.loggers.wandb_project_name == "p",
            "serial_batches": settings.data.serial_batches is True,
        }
        assert others[name]


@pytest.mark.parametrize("name", CLASSIC)
def test_classic_flags_of_conversion_work_or_name_their_replacement(name: str) -> None:
    args = ["--input", "i", "--output", "o", *flag(name)]
    if rewrite(args, RULES["convert"]).refused:
        with pytest.raises(UsageError, match=f"cyclegan convert does not take --{name}"):
            refuse_classic(args, "convert")
        return
    settings = parse(args, ConvertSettings, prog="cyclegan convert", about="")
    assert str(getattr(settings, name)) == CLASSIC[name]


def test_no_flag_that_conversion_takes_is_refused() -> None:
    taken = {item.name for item in fields(ConvertSettings)}
    always = {name for name, rules in RULES["convert"].items() if not all(r.beside for r in rules)}
    assert not taken & always


def test_replacements_are_flags_that_exist() -> None:
    owners = [*(getattr(Settings(), part.name) for part in fields(Settings)), RunCommand]
    known = {item.name for owner in [*owners, ConvertSettings] for item in fields(owner)}
    known |= {key for kind in RECIPES.values() for _, key in flags_of(kind.settings())}
    known |= {"no_visdom"}
    gone = {
        "eval",
        "nproc_per_node",
    }  # the classic's own, to say which pictures are meant; torchrun's
    rules = [rule for table in RULES.values() for each in table.values() for rule in each]
    for rule in rules:
        text = f"{rule.why} {rule.to}".replace("--model test", "")  # the classic's own, too
        assert set(re.findall(r"--(\w+)", text)) <= known | gone, text


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--ngff", "3"], ["--ngff", "perhaps you meant --ngf"]),
        (["--ngf", "many"], ["--ngf", "many"]),
        (["--ngf", "0"], ["--ngf 0", "greater than or equal to 1"]),
        (["--ngf"], ["--ngf"]),
        (["--preprocess", "fold"], ["--preprocess", "fold", "resize_and_crop"]),
        (["--lr_policy", "plateau"], ["--lr_policy", "plateau", "linear"]),
        (["--netG", "unet_256"], ["netG", "unet_256", "resnet_9blocks"]),
        (["--netD", "patch"], ["netD", "patch", "basic"]),
        (["--n_layers_D", "4"], ["--n_layers_D", "--netD n_layers"]),
        (["--lambda_a", "4"], ["--lambda_a", "--lambda_A"]),
        (["--beta1", "1.5"], ["--beta1 1.5", "less than 1"]),
        (["mydata"], ["mydata", "not a preset", "--dataroot"]),
        (["smal"], ["smal: not a preset", "perhaps you meant small"]),
        (["--csv"], ["does not take --csv: cyclegan report NAME --csv writes the table"]),
        (["--no-csv", "--name", "x"], ["does not take --no-csv: cyclegan report x --csv"]),
        (["--name", "small", "quick"], ["quick: the name of a preset must come before all flags"]),
    ],
)
def test_mistyped_flags_are_one_line(args: list[str], words: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        train(*args)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)
    assert "│" not in str(error.value)
    assert gc.isenabled()  # off only while flags are parsed


@pytest.mark.parametrize("spelling", ["--n_epochs", "--n-epochs"])
def test_dashes_and_underscores_are_alike(spelling: str) -> None:
    assert train(spelling, "7").settings.training.n_epochs == 7
    assert train(f"{spelling}=7").settings.training.n_epochs == 7


def test_typed_flags_lie_over_the_preset(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('[generator]\nnetG = "resnet_6blocks"\nngf = 8\n')
    preset = load_preset(tmp_path / "p.toml")
    command = parse_run(
        [str(tmp_path / "p.toml"), "--ngf", "4"], preset, prog="cyclegan train", about=""
    )
    generator = command.settings.recipe.generator
    assert (generator.n_blocks, generator.ngf) == (6, 4)
    assert command.preset == tmp_path / "p.toml"


def test_unknown_commands_name_the_nearest() -> None:
    with pytest.raises(UsageError, match="perhaps you meant train"):
        cli.run(["trian"])
    with pytest.raises(UsageError, match="data smaple"):
        cli.run(["data", "smaple"])


def test_what_is_missing_is_named() -> None:
    with pytest.raises(UsageError, match=r"^missing --input and --output \("):
        cli.run(["convert", "--weights", "x"])
    with pytest.raises(UsageError, match=r"^give either --name RUN or --weights FILE"):
        cli.run(["convert", "--input", "x"])
    with pytest.raises(UsageError, match="folder of the data set"):
        cli.run(["data", "check"])


def test_overview(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"cyclegan {name}" in text for name in cli.COMMANDS)
    assert cli.run([]) == 2


def test_weights_are_laid_over_those_of_a_preset(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text("[losses]\nweights = {consistency = 1.0, style = 2.0}\n")
    flags = ["--weights", "style", "0", "total_variation", "3"]
    assert cli.run(["settings", str(preset), *flags]) == 0
    preset.write_text(capsys.readouterr().out)
    weights = load_preset(preset).recipe.losses.weights
    assert weights == {"consistency": 1.0, "style": 0.0, "total_variation": 3.0}


def test_settings_prints_a_preset(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--weights luminanse: no such loss term"):
        cli.run(["settings", "--weights", "luminanse", "2"])
    assert cli.run(["settings", "--ngf", "12"]) == 0
    (tmp_path / "mine.toml").write_text(capsys.readouterr().out)
    assert load_preset(tmp_path / "mine.toml").recipe.generator.ngf == 12
    with pytest.raises(UsageError, match="--list takes no other arguments: leave --ngf out"):
        cli.run(["settings", "--list", "--ngf", "12"])


def test_a_run_may_be_called_like_a_preset() -> None:
    assert preset_of(["--name", "small", "--dataroot", "quick"]) is None
    assert preset_of(["small", "--name", "quick"]) == Path("small")
    assert preset_of(["--name", "small", "mine.toml"]) == Path("mine.toml")


def run(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cyclegan", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def spent_by_children() -> float:
    """Seconds of the processor: those on the clock also count what else the machine does."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def spent_on_the_libraries() -> float:
    """Seconds of the processor for a process that imports what the command line stands on."""
    before = spent_by_children()
    subprocess.run([sys.executable, "-c", "import pydantic, tyro"], check=True)
    return spent_by_children() - before


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("train", "--help"), 0),
        (("convert", "--help"), 0),
        (("settings", "--help"), 0),
        (("data", "sample", "--help"), 0),
        (("data", "check", "--help"), 0),
        (("dashboard", "--help"), 0),
        (("serve", "--help"), 0),
        (("dashboard", "--port", "none"), 2),
        (("train", "--ngff", "3"), 2),
        (("train", "--crop_size", "300"), 2),
        (("train", "--gpu_ids", "0"), 2),
        (("train", "--name", "a/b"), 2),
        (("convert", "--inptu", "x"), 2),
        (("convert", "--netG", "x"), 2),
        (("train", "nothing.toml"), 2),
    ],
)
def test_help_and_mistakes_answer_at_once(args: tuple[str, ...], code: int) -> None:
    """Few times the work of importing its libraries, the best of three; and nothing heavy."""
    ratio = 99.0
    for _ in range(3):
        libraries = spent_on_the_libraries()
        before = spent_by_children()
        result = run(*args)
        ratio = min(ratio, (spent_by_children() - before) / libraries)
        if ratio < 6:
            break
    assert result.returncode == code
    assert ratio < 6
    if code:
        assert result.stderr.startswith("cyclegan: error: ")
        rewritten = {"--gpu_ids", "--netG"} & {*args}  # with the line to type instead
        assert len(result.stderr.splitlines()) == 1 or rewritten
    code_of = f"import sys; sys.argv = ['cyclegan', *{args!r}]; import cyclegan.cli as c\n"
    heavy = "{'torch', 'visdom', 'tornado'} & {*sys.modules}"
    probe = f"{code_of}try: c.main()\nexcept SystemExit: print(bool({heavy}))"
    printed = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert printed.stdout.endswith("False\n")


def test_what_the_system_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("data", "sample", str(tmp_path / "file"))
    assert result.returncode == 1
    (error,) = result.stderr.splitlines()
    assert error == f"cyclegan: error: {tmp_path}/file: File exists"


def test_an_existing_name_is_not_trained_over(tiny_flags: list[str], tmp_path: Path) -> None:
    assert cli.run(["train", *tiny_flags]) == 0
    with pytest.raises(UserError, match="already exists; --continue_train"):
        cli.run(["train", *tiny_flags])


def resume(tmp_path: Path, *flags: str) -> int:
    where = ["--checkpoints_dir", str(tmp_path / "checkpoints"), "--name", "tiny"]
    return cli.run(["train", *where, "--continue_train", *flags])


def test_resuming_takes_the_checkpoints_settings(
    tiny_flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(["train", *tiny_flags])
    assert resume(tmp_path) == 0
    assert "trained to its last epoch, 2" in capsys.readouterr().out
    assert resume(tmp_path, "--n_epochs", "2", "--print_freq", "3", "--lr", "0.001") == 0
    told = capsys.readouterr().out
    assert "--n_epochs 1 -> 2" in told
    assert "--lr 0.0002 -> 0.001" in told
    saved = checkpoint.load(tmp_path / "checkpoints" / "tiny" / "latest.pt")
    assert saved.settings["training"]["n_epochs"] == 2
    assert saved.settings["generator"]["ngf"] == 2
    assert saved.position.epoch == 4


def test_the_run_may_move(tiny_flags: list[str], tmp_path: Path, dataroot: Path) -> None:
    cli.run(["train", *tiny_flags])
    (tmp_path / "checkpoints" / "tiny").rename(tmp_path / "elsewhere")
    dataroot.rename(tmp_path / "moved")
    flags = ["--checkpoints_dir", str(tmp_path), "--name", "elsewhere", "--n_epochs", "2"]
    assert (
        cli.run(["train", "--continue_train", *flags, "--dataroot", str(tmp_path / "moved")]) == 0
    )


def test_a_copied_run_leaves_the_old_one_alone(tiny_flags: list[str], tmp_path: Path) -> None:
    import shutil

    cli.run(["train", *tiny_flags])
    old, new = tmp_path / "checkpoints" / "tiny", tmp_path / "elsewhere" / "other"
    shutil.copytree(old, new)
    before = {path.name: path.read_bytes() for path in old.iterdir() if path.is_file()}
    where = ["--checkpoints_dir", str(new.parent), "--name", "other"]
    assert cli.run(["train", "--continue_train", *where, "--n_epochs", "2"]) == 0
    assert before == {path.name: path.read_bytes() for path in old.iterdir() if path.is_file()}
    assert checkpoint.load(new / "latest.pt").position.epoch == 4


def test_a_damaged_settings_file_stops_no_resume(tiny_flags: list[str], tmp_path: Path) -> None:
    cli.run(["train", *tiny_flags])
    (tmp_path / "checkpoints" / "tiny" / "settings.toml").write_text("[run\nna")
    assert resume(tmp_path, "--n_epochs", "2") == 0


def test_a_run_that_never_saved_can_be_started_again(tiny_flags: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints" / "tiny"
    folder.mkdir(parents=True)
    (folder / "settings.toml").write_text("")
    assert cli.run(["train", *tiny_flags]) == 0


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--ngf", "4"], "--ngf 4: .* was trained with 2"),
        (["--netD", "pixel"], "--netD pixel: .* was trained with basic"),
        (["--direction", "BtoA"], "--direction BtoA"),
        (["--norm", "batch"], "--norm batch"),
        (["--seed", "9"], "--seed 9"),
        (["--pool_size", "9"], "--pool_size 9"),
        (["--init_weights", "x"], "--init_weights starts a new run"),
    ],
)
def test_resuming_against_the_checkpoint(
    tiny_flags: list[str], tmp_path: Path, flags: list[str], words: str
) -> None:
    cli.run(["train", *tiny_flags])
    before = (tmp_path / "checkpoints" / "tiny" / "latest.pt").read_bytes()
    with pytest.raises(UsageError, match=words):
        resume(tmp_path, *flags)
    assert (tmp_path / "checkpoints" / "tiny" / "latest.pt").read_bytes() == before


def test_resuming_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tiny: no such run"):
        resume(tmp_path)


def test_convert_a_run_by_name(tiny_flags: list[str], tmp_path: Path, dataroot: Path) -> None:
    cli.run(["train", *tiny_flags])
    where = ["--checkpoints_dir", str(tmp_path / "checkpoints"), "--name", "tiny"]
    paths = ["--input", str(dataroot / "testA"), "--output", str(tmp_path / "out")]
    assert cli.run(["convert", *where, *paths]) == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    with pytest.raises(UserError, match="there are latest, previous, 1, 2"):
        cli.run(["convert", *where, *paths, "--epoch", "9"])


def test_start_from_the_classics_weights(tiny_flags: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "classic"
    folder.mkdir()
    for path in (GOLDEN / "resnet9_nopool").glob("initial_net_*.pth"):
        (folder / path.name.replace("initial", "latest")).write_bytes(path.read_bytes())
    shape = ["--ngf", "4", "--ndf", "4", "--n_blocks", "9"]
    more = ["--init_weights", str(folder), "--n_epochs", "0", "--n_epochs_decay", "0"]
    assert cli.run(["train", *tiny_flags, *shape, *more]) == 0
    saved = checkpoint.load(tmp_path / "checkpoints" / "tiny" / "latest.pt").state["networks"]
    from cyclegan import classic

    for short, name in classic.NETWORKS.items():
        weights = classic.read_weights(folder / f"latest_net_{short}.pth")
        assert all((saved[name][key] == weights[key]).all() for key in weights)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "no images of domain A: give --dataroot"),
        (["--domain_A", "d"], "no images of domain B"),
        (["--dataroot", "nothing"], "nothing/trainA: no such folder"),
    ],
)
def test_missing_data_is_named(
    flags: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words):
        cli.run(["train", *flags])
    assert not (tmp_path / "checkpoints").exists()


def test_any_two_folders(tiny_flags: list[str], dataroot: Path, tmp_path: Path) -> None:
    at = tiny_flags.index("--dataroot")
    flags = [*tiny_flags[:at], *tiny_flags[at + 2 :]]
    domains = ["--domain_A", str(dataroot / "testA"), "--domain_B", str(dataroot / "trainB")]
    assert cli.run(["train", *flags, *domains]) == 0
    saved = checkpoint.load(tmp_path / "checkpoints" / "tiny" / "latest.pt")
    assert saved.data == {"A": 3, "B": 4}


def test_mixed_sizes_with_batches(tiny_flags: list[str], dataroot: Path) -> None:
    from conftest import smooth_image

    smooth_image(1, (48, 36)).save(dataroot / "trainA" / "wide.png")
    flags = [*tiny_flags, "--preprocess", "none", "--batch_size", "2"]
    with pytest.raises(UserError, match=r"wide\.png is 48x36 .*--batch_size 1"):
        cli.run(["train", *flags])


def test_an_unknown_device(tiny_flags: list[str]) -> None:
    with pytest.raises(UsageError, match="--device gpu7: not available on this machine"):
        cli.run(["train", *tiny_flags, "--device", "gpu7"])


def test_a_moved_run_is_where_it_was_found(tmp_path: Path) -> None:
    """From the first glance on: a dashboard beside it must not go to the old place."""
    (tmp_path / "moved").mkdir()
    old = Settings(run=RunSettings(name="old", checkpoints_dir=Path("gone")))
    (tmp_path / "moved" / "settings.toml").write_text(tomli_w.dumps(old.table()))
    run = train_command._remembered(tmp_path / "moved" / "settings.toml", Settings()).run
    assert (run.name, run.checkpoints_dir) == ("moved", tmp_path)


def test_a_login_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="VISDOM_PASSWORD") as caught:
        Settings(loggers=LoggerSettings(display_server="http://me:secret@localhost")).check()
    assert "secret" not in str(caught.value)


def test_what_torch_says_of_a_device_is_told_whole() -> None:
    """Its list of devices is long, and what is wrong comes last."""
    with pytest.raises(UsageError, match=r"Expected one of .* device string: toaster\)$"):
        choose_device("toaster")


def test_a_long_text_of_others_ends_with_a_sentence_or_a_word() -> None:
    assert in_one_line("Two\n  lines.") == "Two lines."
    assert in_one_line("It broke. " + "Why " * 100) == "It broke."
    endless = in_one_line("word " * 100)
    assert endless.endswith("word ...")
    assert len(endless) <= 304
    assert in_one_line("x" * 1000) == "x" * 300 + " ..."
