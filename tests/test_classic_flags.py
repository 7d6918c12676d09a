"""Command lines of the classic's tutorials: one answer names all that is gone and what to type."""

import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import smooth_image

from cyclegan import cli
from cyclegan.classic_flags import RULES, rewrite
from cyclegan.conversion import ConvertSettings
from cyclegan.errors import UsageError
from cyclegan.flags import parse, parse_run
from cyclegan.settings import Settings

# What tutorials, notebooks and threads of the years say to type (behind `cyclegan`, in place of
# `python`, or as it stands), and what is to be typed instead.
TUTORIALS = {
    # 2017 and 2018
    "train.py --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan --no_dropout": (
        "train --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan --no_dropout"
    ),
    "train.py --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan --no_dropout "
    "--niter 1 --niter_decay 0 --max_dataset_size 100 --save_latest_freq 100": (
        "train --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan --no_dropout "
        "--n_epochs 1 --n_epochs_decay 0 --max_dataset_size 100 --save_latest_freq 100"
    ),
    "train.py --dataroot ./datasets/sketch_cycle --name sketch_cyclegan --model cycle_gan "
    "--no_dropout --loadSize 384 --fineSize 256 --save_epoch_freq 20": (
        "train --dataroot ./datasets/sketch_cycle --name sketch_cyclegan --model cycle_gan "
        "--no_dropout --load_size 384 --crop_size 256 --save_epoch_freq 20"
    ),
    "train --dataroot ./datasets/horse2zebra --name horse2zebra --model cycle_gan "
    "--which_model_netG resnet_9blocks --which_direction AtoB --no_lsgan --pool_size 50 "
    "--nThreads 6 --batchSize 4 --gpu_ids 0,1 --identity 0.5 --display_id 0": (
        "train --dataroot ./datasets/horse2zebra --name horse2zebra --model cycle_gan "
        "--netG resnet_9blocks --direction AtoB --gan_mode vanilla --pool_size 50 "
        "--num_threads 6 --batch_size 4 --lambda_identity 0.5 --no_visdom"
    ),
    "train.py --dataroot ./datasets/facades --name facades_pix2pix --model pix2pix "
    "--which_model_netG unet_256 --which_direction BtoA --lambda_A 100 --dataset_mode aligned "
    "--no_lsgan --norm batch --pool_size 0": (
        "train --dataroot ./datasets/facades --name facades_pix2pix --direction BtoA "
        "--lambda_A 100 --gan_mode vanilla --norm batch --pool_size 0"
    ),
    "python train.py --dataroot ./datasets/faceid/folderAB --name faceid_pix2pix --model pix2pix "
    "--which_model_netG unet_256 --which_direction BtoA --lambda_A 100 --align_data --use_dropout "
    "--no_lsgan --niter 3000 --continue_train": (
        "train --dataroot ./datasets/faceid/folderAB --name faceid_pix2pix --direction BtoA "
        "--lambda_A 100 --dropout --gan_mode vanilla --n_epochs 3000 --continue_train"
    ),
    "train.py --name tex_2_solid --dataroot ./datasets/tex --resize_or_crop='resize_and_crop' "
    "--loadSize=286 --fineSize=256 --which_model_netD n_layers --n_layers_D 3 "
    "--which_model_netG 'unet_256' --model cycle_gan --lambda_A 1 --lambda_B 1": (
        "train --name tex_2_solid --dataroot ./datasets/tex --preprocess resize_and_crop "
        "--load_size 286 --crop_size 256 --netD n_layers --n_layers_D 3 "
        "--model cycle_gan --lambda_A 1 --lambda_B 1"
    ),
    "train.py --name temp --dataroot ./datasets/mini --niter 1 --niter_decay 0 "
    "--save_latest_freq 10 --print_freq 1 --display_id -1": (
        "train --name temp --dataroot ./datasets/mini --n_epochs 1 --n_epochs_decay 0 "
        "--save_latest_freq 10 --print_freq 1 --no_visdom"
    ),
    "train.py --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan --no_dropout "
    "--loadSize 128 --fineSize 64 --ngf 4 --ndf 8 --gpu_ids -1 --print_freq 1": (
        "train --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan --no_dropout "
        "--load_size 128 --crop_size 64 --ngf 4 --ndf 8 --device cpu --print_freq 1"
    ),
    "test.py --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan --phase test "
    "--no_dropout": "convert --dataroot ./datasets/maps --name maps_cyclegan",
    "test.py --name temp --dataroot ./datasets/mini --how_many 1 --model_suffix _A": (
        "convert --name temp --dataroot ./datasets/mini --num_test 1 --direction AtoB"
    ),
    "python test.py --dataroot datasets/9 --name faceid_pix2pix --model one_direction_test "
    "--which_direction BtoA --align_data --use_dropout": (
        "convert --input datasets/9 --name faceid_pix2pix --direction BtoA"
    ),
    "test.py --dataroot ./datasets/font --name font_pix2pix --model test "
    "--which_model_netG unet_256 --which_direction AtoB --dataset_mode single --norm batch "
    "--gpu_ids=0 --how_many=100": (
        "convert --input ./datasets/font --name font_pix2pix --direction AtoB --num_test 100"
    ),
    "test.py --epoch latest --results_dir out --dataroot ../data/ --checkpoints_dir ../models "
    "--loadSize 512 --fineSize 512 --display_winsize 512 --name test_cyclegan --model cycle_gan": (
        "convert --epoch latest --output out --dataroot ../data/ --checkpoints_dir ../models "
        "--load_size 512 --name test_cyclegan"
    ),
    "test.py --dataroot /old/home/data/VeRi_styled --name veri2vehicleid --model cycle_gan "
    "--phase train --no_dropout --which_epoch 80 --serial_batches": (
        "convert --input /old/home/data/VeRi_styled/trainA --name veri2vehicleid --epoch 80"
    ),
    # 2019 to 2025
    "train.py --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan": (
        "train --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan"
    ),
    "train.py --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan --use_wandb "
    "--display_id 0 --update_html_freq 1000 --verbose": (
        "train --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan --use_wandb "
        "--no_visdom"
    ),
    "train.py --dataroot ./datasets/facades --name facades_pix2pix --model pix2pix --direction "
    "BtoA": "train --dataroot ./datasets/facades --name facades_pix2pix --direction BtoA",
    "train --dataroot ./datasets/facades --name facades1930 --model pix2pix --direction BtoA "
    "--dataset_mode aligned --crop_size 512 --load_size 512 --epoch 1000": (
        "train --dataroot ./datasets/facades --name facades1930 --direction BtoA "
        "--crop_size 512 --load_size 512"
    ),
    "train.py --dataroot ./datasets/yicyclepix_0322 --name yivlp2rgbhuman --model cycle_gan "
    "--n_epochs 100 --n_epochs_decay 100 --epoch_count 89 --continue_train --lambda_A 25 "
    "--lambda_B 25 --batch_size 3 --netG resnet_6blocks --preprocess crop --load_size 286 "
    "--crop_size 256 --display_id -1": (
        "train --dataroot ./datasets/yicyclepix_0322 --name yivlp2rgbhuman --model cycle_gan "
        "--n_epochs 100 --n_epochs_decay 100 --continue_train --lambda_A 25 "
        "--lambda_B 25 --batch_size 3 --netG resnet_6blocks --preprocess crop --load_size 286 "
        "--crop_size 256 --no_visdom"
    ),
    "train.py --dataroot ./datasets/boloA2imagenet_320 --name boloA2imagenet_320 "
    "--model cycle_gan --continue_train --epoch_count 101 --load_size 320 --crop_size 320": (
        "train --dataroot ./datasets/boloA2imagenet_320 --name boloA2imagenet_320 "
        "--model cycle_gan --continue_train --load_size 320 --crop_size 320"
    ),
    "!python train.py --dataroot ModifyARotorToIce/ --load_size 256 --crop_size 256 "
    "--n_epochs 100 --n_epochs_decay 100 --batch_size 16 --checkpoints_dir Checkpoints "
    "--name arotor2ice --model cycle_gan --use_wandb": (
        "train --dataroot ModifyARotorToIce/ --load_size 256 --crop_size 256 "
        "--n_epochs 100 --n_epochs_decay 100 --batch_size 16 --checkpoints_dir Checkpoints "
        "--name arotor2ice --model cycle_gan --use_wandb"
    ),
    "train.py --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan "
    "--preprocess scale_width_and_crop --load_size 1024 --crop_size 360 --gpu_ids 1": (
        "train --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan "
        "--preprocess scale_width_and_crop --load_size 1024 --crop_size 360 --device cuda:1"
    ),
    "MSPC/train.py --dataroot Dataset/Cars --name real2vice --model cyclegan --direction AtoB "
    "--dataset_mode unaligned --input_nc 1 --output_nc 1 --lr_policy plateau --norm syncbatch": (
        "train --dataroot Dataset/Cars --name real2vice --direction AtoB "
        "--dataset_mode unaligned --input_nc 1 --output_nc 1 --norm batch"
    ),
    "train.py --dataroot ./datasets/data --name mydata --model colorization "
    "--dataset_mode colorization --gpu_ids 1,2 --lambda_L1 100 --norm batch --pool_size 0": (
        "train --dataroot ./datasets/data --name mydata --norm batch --pool_size 0"
    ),
    "train.py --dataroot ./datasets/edges --name edge2birds --model pix2pix --direction BtoA "
    "--preprocess resize --load_size 64 --crop_size 64 --no_flip --netG unet_64 --netD n_layers "
    "--n_layers_D 2 --display_id 0 --niter 200 --niter_decay 0 --batch_size 4": (
        "train --dataroot ./datasets/edges --name edge2birds --direction BtoA "
        "--preprocess resize_and_crop --load_size 64 --crop_size 64 --no_flip --netD n_layers "
        "--n_layers_D 2 --no_visdom --n_epochs 200 --n_epochs_decay 0 --batch_size 4"
    ),
    "python3 test.py --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan": (
        "convert --dataroot ./datasets/maps --name maps_cyclegan"
    ),
    "test.py --dataroot datasets/horse2zebra/testA --name horse2zebra_pretrained --model test "
    "--no_dropout": "convert --input datasets/horse2zebra/testA --name horse2zebra_pretrained",
    "test --dataroot datasets/gtav2cityscapes/testA --name gtav2cityscapes --model test "
    "--no_dropout --preprocess 'none' --epoch 30 --num_test 6181 --load_size 256": (
        "convert --input datasets/gtav2cityscapes/testA --name gtav2cityscapes --epoch 30 "
        "--num_test 6181"
    ),
    "test.py --dataroot ./datasets/facades --direction BtoA --model pix2pix --name facades": (
        "convert --dataroot ./datasets/facades --direction BtoA --name facades"
    ),
    "convert --dataroot ./datasets/ifr/testB --name ifr_model --model test --model_suffix _B "
    "--no_dropout --eval": "convert --input ./datasets/ifr/testB --name ifr_model --direction BtoA",
    "test.py --dataroot data/testA --checkpoints_dir ./models/cyclegan --name checkpoints "
    "--model test --dataset_mode single --no_dropout --num_test 162 "
    "--results_dir ./outputs/images --model_suffix _A --epoch 30 --gpu_ids -1": (
        "convert --input data/testA --checkpoints_dir ./models/cyclegan --name checkpoints "
        "--num_test 162 --output ./outputs/images --direction AtoB --epoch 30 --device cpu"
    ),
    "test.py --dataroot ./datasets/horse2zebra --name horse2zebra --model cycle_gan "
    "--phase val --direction BtoA --aspect_ratio 1.0 --num_threads 0": (
        "convert --input ./datasets/horse2zebra/valB --name horse2zebra --direction BtoA"
    ),
}


def answer(args: Sequence[str]) -> UsageError:
    """What the command line says to words that are none of its own."""
    with pytest.raises(UsageError) as refused:
        cli.run(args)
    return refused.value


def understood(args: Sequence[str]) -> None:
    """Raise UsageError as the commands do."""
    command, *flags = args
    if command == "train":
        parse_run(flags, Settings(), prog="cyclegan train", about="").settings.check()
    else:
        parse(flags, ConvertSettings, prog="cyclegan convert", about="").check()


@pytest.mark.parametrize("typed", TUTORIALS)
def test_a_tutorial_s_command_is_answered_in_one_round(typed: str) -> None:
    args = shlex.split(typed)
    said = answer(args)
    wanted = TUTORIALS[typed]
    assert said.below[-2:] == ("use instead:", shlex.join(["cyclegan", *shlex.split(wanted)]))
    told = [line for line in said.below[:-2] if line.startswith("  --")]
    assert len(said.below) == len(told) + 2, "a further mistake"
    understood(shlex.split(wanted))
    command = shlex.split(wanted)[0]
    assert not rewrite(shlex.split(wanted)[1:], RULES[command]).refused
    # Each flag that is not typed again is told of: in the first line, and where there are several
    # in one of its own.
    gone = {word.partition("=")[0] for word in args if word.startswith("--")} - {*wanted.split()}
    assert all(flag in str(said) for flag in gone)
    own = {line.split()[0].partition("=")[0] for line in told}
    assert own >= gone if len(gone) > 1 else len(own) != 1


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (
            "train --model pix2pix",
            ["paired images", "not part of this package", "trainA and trainB"],
        ),
        ("train --netG unet_256", ["U-Nets", "not part of this package", "resnet_9blocks"]),
        ("train --which_model_netG unet_128", ["U-Nets", "resnet_9blocks"]),
        ("train --dataset_mode aligned", ["unaligned is the only mode"]),
        ("train --model test", ["convert"]),
        ("test --model pix2pix --name x", ["paired images", "not part of this package"]),
        ("test --netG unet_256 --name x", ["U-Nets", "not part of this package"]),
    ],
)
def test_what_is_not_part_of_the_package_is_said(typed: str, words: list[str]) -> None:
    error = answer(shlex.split(typed))
    said = " ".join([str(error), *error.below])
    assert all(word in said for word in words)


def test_mistakes_beside_are_told_in_the_same_answer() -> None:
    said = answer(shlex.split("train.py --dataroot d --niter 5 --crop_size 362 --load_size 400"))
    assert any("--crop_size 362: must be a multiple of 4" in line for line in said.below)
    said = answer(["train", "--gpu_ids", "0", "--CUT_mode", "FastCUT"])
    assert any("--CUT_mode" in line for line in said.below)


def test_a_flag_s_value_is_quoted_for_the_shell() -> None:
    said = answer(["train", "--niter", "5", "--dataroot", "my {data}; it's", "--name=a b"])
    again = shlex.split(said.below[-1])
    assert again[1:] == ["train", "--n_epochs", "5", "--dataroot", "my {data}; it's", "--name=a b"]


def test_the_help_of_a_script_is_a_command_s() -> None:
    assert answer(["test.py", "--help"]).below[-1] == "cyclegan convert --help"


@pytest.mark.parametrize(
    ("columns", "flags", "words"),
    [
        (100, "--niter 5 --gpu_ids 0,1", "use instead:\ncyclegan train --n_epochs 5\n"),
        (100, "--ngff 3", "error: Unrecognized options: --ngff, 3; perhaps you meant --ngf (see"),
        (60, "--ngf 0", "error: --ngf 0: input should be greater than or equal to 1 (see"),
        (60, "--preprocess fold", "'--preprocess'. Expected one of ('resize_and_crop', 'crop',"),
    ],
)
def test_mistakes_are_plain_words_in_a_terminal(columns: int, flags: str, words: str) -> None:
    """Where the library that reads flags draws frames in colours."""
    said = in_a_terminal(["train", *flags.split()], columns)
    assert words in said
    assert "x1b" not in said
    assert "\x1b" not in said


def in_a_terminal(args: Sequence[str], columns: int) -> str:
    """What a person sees."""
    person, program = pty.openpty()
    command = [sys.executable, "-m", "cyclegan", *args]
    terminal = os.environ | {"COLUMNS": str(columns), "TERM": "xterm-256color"}
    started = subprocess.Popen(command, stdout=program, stderr=program, env=terminal)
    os.close(program)
    seen = b""
    while True:
        try:
            seen += (part := os.read(person, 4096))
        except OSError:  # the last one has let go of it
            part = b""
        if not part:
            break
    os.close(person)
    assert started.wait() == 2
    return seen.decode().replace("\r\n", "\n")


def copied(typed: str, folder: Path) -> list[str]:
    """The line that a shell's answer to `typed` ends with, as the shell reads it again."""
    shell = f"{shlex.quote(sys.executable)} -m cyclegan {typed}"
    ran = subprocess.run(["bash", "-c", shell], cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 2
    program, *args = shlex.split(ran.stderr.splitlines()[-1])
    assert program == "cyclegan"
    return args


def test_the_answers_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained in one direction and tested, as the classic's README does, of one's own folder."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "my data"
    for number, name in enumerate(["trainA", "trainB", "testA", "testB"]):
        (root / name).mkdir(parents=True)
        smooth_image(number).save(root / name / f"{name}.png")
    typed = (
        "train.py --dataroot './my data' --name maps_cyclegan --model cycle_gan --no_dropout "
        "--which_model_netG resnet_6blocks --which_direction BtoA --niter 1 --niter_decay 0 "
        "--loadSize 28 --fineSize 24 --ngf 2 --ndf 2 --nThreads 0 --gpu_ids -1 --no_lsgan "
        "--display_id 0 --no_html"
    )
    quick = ["--precision", "fp32", "--compile", "off"]
    eager = [*quick, "--batching", "on", "--eval_freq", "0"]
    assert cli.run([*copied(typed, tmp_path), *eager]) == 0
    tested = "test.py --dataroot './my data' --name maps_cyclegan --model cycle_gan --phase test"
    said = answer(shlex.split(f"{tested} --no_dropout --gpu_ids -1"))
    assert cli.run([*shlex.split(said.below[-1])[1:], *quick]) == 0
    assert (tmp_path / "results/maps_cyclegan/testB.png").is_file()
    one_side = "python test.py --dataroot 'my data/testA' --name maps_cyclegan --model test"
    flags = "--no_dropout --direction AtoB --results_dir out --how_many 1 --gpu_ids -1"
    said = answer(shlex.split(f"{one_side} {flags}"))
    assert cli.run([*shlex.split(said.below[-1])[1:], *quick]) == 0
    assert (tmp_path / "out/testA.png").is_file()
