"""Students: what they learn and inherit from a teacher, go on from, convert with, and refuse."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import GOLDEN, build_recipe, smooth_image
from exporting import save_run
from torch.utils.flop_counter import FlopCounterMode

from cyclegan import Translator, assemble, checkpoint, cli
from cyclegan.conversion.weights import open_teacher
from cyclegan.data.batch import Batch
from cyclegan.errors import UserError
from cyclegan.generators import ResnetSettings, UnetTransformerSettings
from cyclegan.generators.resnet import ResnetGenerator
from cyclegan.recipes.student.recipe import ADAPTERS, difference
from cyclegan.settings import Settings, from_table
from cyclegan.training.step import run_step

TINY = ["--ngf", "2", "--n_blocks", "1", "--crop_size", "24", "--crops_per_image", "1"]
QUICK = ["--n_epochs", "1", "--n_epochs_decay", "0", "--num_threads", "0", "--no_visdom"]
SAME = ["--compile", "off", "--display_freq", "0", "--print_freq", "1", "--eval_freq", "0"]
TOLD = {"pixels_a_to_b", "features_a_to_b", "discriminator_maps_a_to_b"}


@pytest.fixture
def taught(tiny: dict) -> Settings:
    """A trained run of two generators and two discriminators."""
    tiny["training"] |= {"n_epochs": 0, "ema_decay": 0.5}
    settings = from_table(tiny, "test")
    assert assemble.train(settings) is None
    return settings


def distill(teacher: str, run: Path, *flags: str) -> int:
    where = ["--checkpoints_dir", str(run.parent), "--name", run.name]
    return cli.run(
        ["distill", "student", "--teacher", teacher, *where, *TINY, *QUICK, *SAME, *flags]
    )


def student_of(teacher: Path, **losses: float) -> Settings:
    return from_table(
        {
            "run": {"model": "student"},
            "data": {"crop_size": 32},
            "generator": {"ngf": 4, "n_blocks": 1, "separable": True},
            "losses": {"teacher": str(teacher), **losses},
            "training": {"lr": 0.01, "ema_decay": 0.5},
        },
        "test",
    )


def batch(count: int = 2) -> Batch:
    pictures = [np.asarray(smooth_image(number, (32, 32))) for number in range(count)]
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 127.5 - 1
    return Batch(images, images)


def test_a_run_s_name_is_enough(taught: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The photographs and the channels are the teacher's; what is taught has a name in the log."""
    run = taught.run.folder.with_name("student")
    assert distill(taught.run.name, run) == 0
    saved = checkpoint.load(run / "latest.pt")
    assert saved.settings["data"]["dataroot"] == str(taught.data.dataroot)
    assert saved.settings["losses"]["teacher"] == str(taught.run.folder)
    assert set((run / "losses.jsonl").read_text().splitlines()[-1].split('"')) >= TOLD
    image = smooth_image(3, (19, 13))
    assert Translator.load(run)(image).size == image.size
    assert "convert with" in capsys.readouterr().out


def test_photographs_alone_are_enough(taught: Settings, tmp_path: Path) -> None:
    assert taught.data.dataroot is not None
    shutil.copytree(taught.data.dataroot / "trainA", tmp_path / "photographs" / "trainA")
    run = tmp_path / "runs" / "student"
    folder = str(tmp_path / "photographs")
    assert distill(str(taught.run.folder), run, "--dataroot", folder) == 0


def test_it_goes_on_where_it_was(taught: Settings, tmp_path: Path) -> None:
    """As if it had never stopped, bit by bit; the teacher is opened again."""
    whole, halved = (tmp_path / "runs" / name for name in ("whole", "halved"))
    teacher, two = str(taught.run.folder), ["--n_epochs", "2"]
    assert distill(teacher, whole, *two) == 0
    assert distill(teacher, halved) == 0
    again = ["--name", "halved", "--checkpoints_dir", str(halved.parent), "--continue_train"]
    assert cli.run(["distill", *again, *two]) == 0
    one, other = (checkpoint.load(run / "latest.pt").state["networks"] for run in (whole, halved))
    assert one.keys() == other.keys() == {"generator_a_to_b", ADAPTERS}
    for name in one:
        assert all(torch.equal(one[name][key], other[name][key]) for key in one[name])


@pytest.mark.parametrize("losses", [{}, {"lambda_features": 0.0}, {"lambda_discriminator": 0.0}])
def test_it_comes_closer_to_its_teacher(losses: dict, taught: Settings) -> None:
    """Much closer than the photographs are: a student that does nothing would not."""
    recipe = build_recipe(student_of(taught.run.folder, **losses))
    images = batch()
    teacher = open_teacher(taught.run.folder, "AtoB").generator
    with torch.no_grad():
        wanted = teacher(images.a)
    for number in range(60):
        run_step(recipe.phases, recipe.state, [images], number=number)
    made = recipe.convert("a_to_b", images.a)
    assert (made - wanted).abs().mean() < 0.3 * (images.a - wanted).abs().mean()
    shown = recipe.preview(images)["a_to_b"]
    assert torch.equal(shown.target, wanted)
    assert torch.equal(shown.fake, made)


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_each_direction_has_a_teacher(direction: str, taught: Settings) -> None:
    """Its generator, averaged, and the discriminator of the domain that it makes."""
    state = checkpoint.load(taught.run.folder / "latest.pt").state
    way, judged = {"AtoB": ("a_to_b", "b"), "BtoA": ("b_to_a", "a")}[direction]
    teacher = open_teacher(taught.run.folder, direction)
    first = "model.1.weight"
    averaged = state["averages"][f"generator_{way}"][first]
    assert torch.equal(teacher.generator.state_dict()[first], averaged)
    assert teacher.discriminator is not None
    for key, values in teacher.discriminator.state_dict().items():
        assert torch.equal(values, state["networks"][f"discriminator_{judged}"][key])


def test_the_way_back_can_be_learnt(taught: Settings) -> None:
    """By --direction, which swaps the folders too: what converts is called as for any run."""
    run = taught.run.folder.with_name("back")
    assert distill(taught.run.name, run, "--direction", "BtoA") == 0
    saved = checkpoint.load(run / "latest.pt")
    assert saved.settings["run"]["direction"] == "BtoA"
    assert Translator.load(run, direction="BtoA")(smooth_image(1, (16, 16))).size == (16, 16)


def test_weights_of_the_classic_teach(tmp_path: Path, dataroot: Path) -> None:
    """Without a discriminator: what it would judge is left out."""
    given = GOLDEN / "resnet9_nopool" / "initial_net_G_A.pth"
    run = tmp_path / "runs" / "student"
    assert distill(str(given), run, "--dataroot", str(dataroot)) == 0
    words = set((run / "losses.jsonl").read_text().splitlines()[-1].split('"'))
    assert {"pixels_a_to_b", "features_a_to_b"} == TOLD & words


def test_differences_are_relative_by_hand() -> None:
    own = [torch.tensor([[[[1.0, 3.0]]]]), torch.full((1, 1, 2, 2), 5.0)]
    wanted = [torch.tensor([[[[2.0, 2.0]]]]), torch.full((1, 1, 4, 4), 4.0)]
    assert difference(own, wanted).item() == pytest.approx((1 / 2 + 1 / 4) / 2)


@pytest.mark.parametrize(
    "kind", [ResnetSettings(ngf=4, n_blocks=5), UnetTransformerSettings(ngf=6, n_blocks=1)]
)
def test_generators_name_their_stages_in_order(kind: ResnetSettings) -> None:
    network, seen = kind.build(3, 3, "instance"), []
    for stage in network.stages():
        stage.register_forward_hook(lambda layer, _given, _made: seen.append(layer))
    network(torch.zeros(1, 3, 32, 32))
    assert seen == network.stages()
    assert len(seen) == 3


def test_a_separable_student_has_a_tenth_of_the_multiply_adds() -> None:
    """The preset's, against the smallest teacher that its figures are told of."""
    student = ResnetSettings(ngf=16, n_blocks=6, upsampling="resize", separable=True)
    teacher = ResnetSettings(ngf=32, n_blocks=6, upsampling="antialiased")
    assert 10 * _multiply_adds(student) < _multiply_adds(teacher)


def _multiply_adds(settings: ResnetSettings) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        settings.build(3, 3, "instance")(torch.zeros(1, 3, 64, 64))
    return counter.get_total_flops() / 2


def test_a_generator_without_stages_is_told(
    taught: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(ResnetGenerator, "stages")
    settings = student_of(taught.run.folder)
    with pytest.raises(
        UserError, match=r"ResnetGenerator does not declare .* give --lambda_features 0"
    ):
        build_recipe(settings)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["student"], "needs a trained model to learn from: add --teacher, the name of a run"),
        (["student", "--teacher", "nothing"], "--teacher nothing: no such run"),
        (["quick", "--teacher", "x"], "takes presets of --model student: quick is for"),
        (["--teacher", ".", "--lambda_A", "3"], "--lambda_A goes with --model cycle_gan"),
    ],
)
def test_mistakes_are_told_in_a_line(args: list[str], told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        cli.run(["distill", *args, "--checkpoints_dir", str(tmp_path)])
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_training_one_without_a_teacher_is_told() -> None:
    settings = from_table({"run": {"model": "student"}, "generator": {"ngf": 4}}, "test")
    with pytest.raises(UserError, match="--model student needs a trained model to learn from"):
        build_recipe(settings)


def test_other_channels_are_told(tmp_path: Path, dataroot: Path) -> None:
    given = save_run(tmp_path / "gray", {"ngf": 2, "n_blocks": 1}, {"input_nc": 1})
    with pytest.raises(UserError, match="converts 1 channels to 3: give --input_nc 1 --output_nc"):
        distill(str(given), tmp_path / "runs" / "student", "--dataroot", str(dataroot))
