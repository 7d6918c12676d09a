"""Flags of the classic scripts, of 2017 and of later years, and what to type instead here."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePath


@dataclass(frozen=True)
class FlagRule:
    """A rule for a flag with certain values: what to type instead, and why."""

    why: str
    to: str = ""
    """replacement; {0} stands for the value, {1} for the pattern's first group, and names for the
    values of other given flags"""
    value: str = ".*"
    """pattern of the values it applies to"""
    beside: tuple[str, ...] = ()
    """patterns of other given flags, as name=value; such a rule refuses no command by itself, it
    only accompanies others"""


Rules = Mapping[str, tuple[FlagRule, ...]]


@dataclass(frozen=True)
class FlagChange:
    """A flag as it was typed, and what the user is told about it."""

    typed: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Rewritten:
    """A command line in this program's flags."""

    args: list[str] = field(default_factory=list)
    changes: list[FlagChange] = field(default_factory=list)
    refused: bool = False
    """whether any of the flags has to be changed"""


def command_of(args: Sequence[str]) -> tuple[str, str, Sequence[str]] | None:
    """Return the words that call a classic script, the command that does its work, and the rest.

    None if no classic script is called.
    """
    words = 0
    while words < len(args) and _INTERPRETER.fullmatch(args[words]):
        words += 1
    command = COMMANDS.get(PurePath(args[words]).name) if words < len(args) else None
    if command is None:
        return None
    return " ".join(args[: words + 1]), command, args[words + 1 :]


def rewrite(args: Sequence[str], rules: Rules) -> Rewritten:
    """Rewrite the flags that `rules` or the table of old names cover."""
    flags = list(_flags(args))
    typed = {flag.name: flag.value for flag in flags if flag.name}
    done: list[str] = []
    changes: list[FlagChange] = []
    refused = False
    for flag in flags:
        rule = next((rule for rule in rules.get(flag.name, ()) if _fits(rule, flag, typed)), None)
        if rule is not None:
            done += _instead(rule, flag.value, typed)
            changes.append(FlagChange(flag.words, rule.why))
            refused = refused or not rule.beside
        elif flag.old:
            done += [f"--{flag.name}", *([flag.value] if flag.value else [])]
            changes.append(FlagChange(flag.words, f"is --{flag.name} here"))
            refused = True
        else:
            done += flag.words
        done += flag.rest
    return Rewritten(done, changes, refused)


@dataclass(frozen=True)
class _Flag:
    name: str
    """empty for words without a flag"""
    old: bool
    """given by a name that later versions of the classic changed"""
    value: str
    words: tuple[str, ...]
    rest: tuple[str, ...]
    """words behind it that are none of its own"""


def _flags(args: Sequence[str]) -> Iterator[_Flag]:
    starts = [place for place, arg in enumerate(args) if arg.startswith("--")]
    ends = [*starts, len(args)]
    yield _Flag("", old=False, value="", words=(), rest=tuple(args[: ends[0]]))
    for start, end in pairwise(ends):
        yield _flag(tuple(args[start:end]))


def _flag(words: tuple[str, ...]) -> _Flag:
    typed, equals, value = words[0].removeprefix("--").partition("=")
    typed = typed.replace("-", "_")
    own = 1 if equals or typed in SWITCHES else 2
    name = OLD_NAMES.get(typed, typed)
    return _Flag(name, name != typed, value or "".join(words[1:own]), words[:own], words[own:])


def _fits(rule: FlagRule, flag: _Flag, typed: Mapping[str, str]) -> bool:
    others = [f"{name}={value}" for name, value in typed.items()]
    return re.fullmatch(rule.value, flag.value) is not None and all(
        any(re.fullmatch(pattern, other) for other in others) for pattern in rule.beside
    )


def _instead(rule: FlagRule, value: str, typed: Mapping[str, str]) -> list[str]:
    found = re.fullmatch(rule.value, value)
    groups = found.groups(default="") if found else ()
    return [word.format(value, *groups, **typed) for word in rule.to.split()]


#: Scripts of the classic, and words for them, by the commands that do their work.
COMMANDS = {
    "train.py": "train",
    "test": "convert",
    "test.py": "convert",
}
_INTERPRETER = re.compile(r"!?python[0-9.]*|-m|-u")

#: Names of 2017 and 2018 by those that the later versions have, and this program.
OLD_NAMES = {
    "batchSize": "batch_size",
    "display_single_pane_ncols": "display_ncols",
    "fineSize": "crop_size",
    "how_many": "num_test",
    "identity": "lambda_identity",
    "loadSize": "load_size",
    "nThreads": "num_threads",
    "niter": "n_epochs",
    "niter_decay": "n_epochs_decay",
    "resize_or_crop": "preprocess",
    "use_dropout": "dropout",
    "which_direction": "direction",
    "which_epoch": "epoch",
    "which_model_netD": "netD",
    "which_model_netG": "netG",
}

#: Flags that no value follows.
SWITCHES = frozenset(
    {"align_data", "continue_train", "dropout", "eval", "no_dropout", "no_flip", "no_html"}
    | {"no_lsgan", "save_by_iter", "serial_batches", "use_dropout", "use_wandb", "verbose"}
)


def _gone(why: str, to: str = "") -> tuple[FlagRule, ...]:
    return (FlagRule(why, to),)


def _each(why: str, names: str) -> dict[str, tuple[FlagRule, ...]]:
    return {name: _gone(why) for name in names.split()}


_DEVICE = (
    FlagRule("the CPU is --device cpu", "--device cpu", "-1.*"),
    FlagRule("the first GPU is picked automatically", "", "0?"),
    FlagRule("--device names the GPU", "--device cuda:{0}", r"\d+"),
    FlagRule("torchrun --nproc_per_node 2 -m cyclegan ... uses two GPUs", "", r"\d+,\d+"),
    FlagRule("torchrun --nproc_per_node N -m cyclegan ... uses N GPUs", "", r"\d+,[\d,]*"),
    FlagRule("--device picks the device: auto, cpu, cuda, cuda:1"),
)
_PAIRS = "paired images, and pix2pix, which trains on them, are not part of this package"
_UNPAIRED = f"{_PAIRS}: it trains on two folders, trainA and trainB, in any order"
_UNET = "the U-Nets are pix2pix's, not part of this package: resnet_9blocks is the default"
_ONE_WINDOW = "windows have names and a fixed layout; --no_visdom switches Visdom off"
_ALL_USED = FlagRule("all images are used", "", "inf")

TRAIN: Rules = {
    "align_data": _gone(_UNPAIRED),
    "aspect_ratio": _gone("belongs to convert, which keeps the input's size; --load_size scales"),
    "dataset_mode": (FlagRule("unaligned is the only mode", "", "aligned|single|colorization"),),
    "display_id": (
        FlagRule("--no_visdom switches Visdom off", "--no_visdom", "0|-1"),
        FlagRule(_ONE_WINDOW),
    ),
    "display_ncols": _gone(_ONE_WINDOW),
    "display_winsize": _gone("pictures are shown at their own size"),
    "epoch": _gone(
        "--continue_train resumes from the latest checkpoint; --init_weights FILE from any"
    ),
    "epoch_count": (FlagRule("the checkpoint knows its epoch", beside=("continue_train=.*",)),),
    "eval": _gone("belongs to convert, which always is in eval mode"),
    "gpu_ids": _DEVICE,
    "lambda_L1": _gone("a loss for paired images, which are not part of this package"),
    "load_iter": _gone("--init_weights FILE starts from any checkpoint"),
    "lr_policy": (
        FlagRule("lambda is called linear here, the default", "", "lambda"),
        FlagRule("step, cosine, constant and linear, the default, are here", "", "plateau"),
    ),
    "max_dataset_size": (_ALL_USED,),
    "model": (
        FlagRule("it is called cycle_gan here, the default", "", "cyclegan|CycleGAN|cycleGAN"),
        FlagRule(_UNPAIRED, "", "pix2pix|colorization|pix2pixHD"),
        FlagRule("belongs to convert: cycle_gan, the default, is what trains", "", "test"),
        FlagRule("not part of this package: --lambda_nce weighs CUT's loss", "", "cut|sincut|CUT"),
    ),
    "model_suffix": _gone(
        "files need no renaming; --init_weights DIR takes the classic's four files"
    ),
    "netG": (FlagRule(_UNET, "", "unet_.*"),),
    "no_lsgan": _gone("it is called --gan_mode vanilla", "--gan_mode vanilla"),
    "norm": (
        FlagRule(
            "batch is synchronised between the GPUs of torchrun",
            "--norm batch",
            "syncbatch|sync_batch",
        ),
        FlagRule("instance is of one image, on any number of GPUs", "", "sync_instance"),
    ),
    "num_test": _gone("belongs to convert"),
    "phase": _gone("--domain_A DIR and --domain_B DIR name any two folders"),
    "preprocess": (
        FlagRule(
            "resize_and_crop does it, with --crop_size as large as --load_size",
            "--preprocess resize_and_crop",
            "resize",
        ),
    ),
    "results_dir": _gone("belongs to convert, as --output DIR"),
    "save_by_iter": _gone(
        "--save_latest_freq N saves within epochs, --save_epoch_freq N keeps epochs"
    ),
    "suffix": _gone("write the whole name as --name"),
    "update_html_freq": _gone("report.html is refreshed at every checkpoint: --save_latest_freq"),
    "verbose": _gone("cyclegan settings prints the resolved settings"),
}

_KNOWN = "the checkpoint knows it"
_ONE_FOLDER = r"model=(test|one_direction_test)|dataset_mode=single"
_NOT_TEST = "phase=(?!test$).*"
_WHOLE = "whole images are converted at their size; --load_size scales"

CONVERT: Rules = {
    **_each(
        _KNOWN,
        "dropout init_gain init_type input_nc n_layers_D ndf netD ngf no_dropout norm output_nc",
    ),
    **_each(
        "belongs to train",
        "beta1 continue_train display_env display_freq display_id display_ncols display_port "
        "display_server epoch_count gan_mode lambda_A lambda_B lambda_L1 lambda_identity lr "
        "lr_decay_iters lr_policy n_epochs n_epochs_decay no_html no_lsgan pool_size print_freq "
        "save_by_iter save_epoch_freq save_latest_freq update_html_freq use_wandb "
        "wandb_project_name",
    ),
    "align_data": _gone(_PAIRS),
    "aspect_ratio": _gone("the input's aspect is kept; --load_size scales"),
    "crop_size": _gone(_WHOLE),
    "dataroot": (
        FlagRule("--model test reads one folder: --input", "--input {0}", beside=(_ONE_FOLDER,)),
        FlagRule(
            "--input names any folder", "--input {0}/{phase}B", beside=(_NOT_TEST, "direction=BtoA")
        ),
        FlagRule("--input names any folder", "--input {0}/{phase}A", beside=(_NOT_TEST,)),
    ),
    "dataset_mode": (
        FlagRule(_PAIRS, "", "aligned|colorization"),
        FlagRule("--input names one folder, --direction both converts both"),
    ),
    "display_winsize": _gone("the page shows pictures as large as the window allows"),
    "eval": _gone("always on; --norm_statistics image gives the classic's pictures without --eval"),
    "gpu_ids": _DEVICE,
    "load_iter": _gone("--epoch N picks a checkpoint"),
    "load_size": (FlagRule("images keep their size", beside=("preprocess=(none|crop)",)),),
    "max_dataset_size": (
        _ALL_USED,
        FlagRule("--num_test N converts at most N images", "--num_test {0}"),
    ),
    "model": (
        FlagRule(f"{_PAIRS}: CycleGAN's and CUT's generators are", "", "pix2pix|colorization"),
        FlagRule("--input names its one folder", "", "test|one_direction_test"),
        FlagRule(f"{_KNOWN}; --direction both converts both ways, as test.py did"),
    ),
    "model_suffix": (
        FlagRule("--direction picks the generator", "--direction AtoB", "_A"),
        FlagRule("--direction picks the generator", "--direction BtoA", "_B"),
        FlagRule("--direction AtoB or BtoA picks the generator; --weights takes any file"),
    ),
    "netG": (FlagRule(_UNET.partition(":")[0], "", "unet_.*"), FlagRule(_KNOWN)),
    "no_flip": _gone("nothing is flipped when converting"),
    "ntest": _gone("--num_test N converts at most N images, all by default"),
    "num_threads": _gone("not needed for converting"),
    "phase": (
        FlagRule("test images are converted by default", "", "test"),
        FlagRule("--input DIR names the images themselves, for example DIR/trainA"),
    ),
    "preprocess": _gone(_WHOLE),
    "results_dir": _gone("--output DIR says where the pictures go", "--output {0}"),
    "serial_batches": _gone("images are always converted in order"),
    "suffix": _gone("--name names the run"),
    "verbose": _gone("settings.toml in the run's folder says what it was trained with"),
}

RULES = {"train": TRAIN, "convert": CONVERT}
