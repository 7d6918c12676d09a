"""Command-line parsing: flags become settings, and every mistake is told in one line."""

import argparse
import gc
import io
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import tyro

from cyclegan import classic_flags
from cyclegan.errors import UsageError, suggest
from cyclegan.hub import with_weights
from cyclegan.recipes import RECIPES
from cyclegan.settings import (
    KINDS,
    Settings,
    flags_of,
    goes_with,
    load_preset,
    models_with,
    presets,
)

T = TypeVar("T")


class Glance(argparse.ArgumentParser):
    """A parser that picks a few flags out of a command line before the rest is read."""

    def __init__(self, values: Sequence[str] = (), switches: Sequence[str] = ()) -> None:
        super().__init__(add_help=False, allow_abbrev=False)
        for name in values:
            self.add_argument(*_spellings(name), dest=name, default=None)
        for name in switches:
            self.add_argument(*_spellings(name), dest=name, action="store_true")

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


@dataclass(frozen=True)
class RunCommand:
    """The arguments of `train` and `settings`."""

    preset: tyro.conf.Positional[Path | None] = None
    """preset that overrides the defaults: a name such as quick (listed by cyclegan settings
    --list), before all flags, or a TOML file"""
    continue_train: tyro.conf.FlagCreatePairsOff[bool] = False
    """resume the run of this --name from its latest checkpoint"""
    init_weights: Path | None = None
    """initial weights: a folder of the classic's files, one of them (latest_net_G.pth), a
    checkpoint, or hf://USER/MODEL; missing networks start from scratch"""
    trust_code: tyro.conf.FlagCreatePairsOff[bool] = False
    """allow --init_weights that contain code (TorchScript, torch.export): it can do anything here;
    only for files you trust"""
    dashboard: tyro.conf.FlagCreatePairsOff[bool] = False
    """start a dashboard for this run if none responds"""
    settings: Settings = field(default_factory=Settings)


def preset_of(args: Sequence[str]) -> Path | None:
    """Return the preset among the arguments: the word before all flags, or one that ends in .toml.

    Raises UsageError if the first word is neither a preset's name nor a TOML file.
    """
    files = [arg for arg in args if arg.endswith(".toml") and not arg.startswith("-")]
    first = args[0] if args and not args[0].startswith("-") else None
    if first is not None and first not in {*files, *presets()}:
        raise UsageError(_no_preset(first))
    return Path(first or files[0]) if first or files else None


def defaults_of(args: Sequence[str]) -> Settings:
    """Return the settings that the flags are laid over: those of their preset, or the defaults.

    A preset that names no model is for the --model among the flags. Raises UsageError.
    """
    preset = preset_of(args)
    model = Glance(["model"]).parse_known_args(args)[0].model
    return Settings() if preset is None else load_preset(preset, model)


def _no_preset(word: str) -> str:
    """Return what is wrong with a word that stands where only a preset can."""
    if word in presets():
        return f"{word}: the name of a preset must come before all flags"
    return (
        f"{word}: not a preset{suggest(word, presets())}; choose from {', '.join(presets())}, or a "
        "file that ends in .toml; give a folder of images with --dataroot"
    )


def parse_run(args: Sequence[str], defaults: Settings, *, prog: str, about: str) -> RunCommand:
    """Parse the flags of a run, laid over `defaults`. Raises UsageError."""
    refuse_classic(
        args,
        "train",
        prog=prog,
        check=lambda args: parse_run(args, defaults, prog=prog, about=about).settings.check(),
    )
    _refuse_csv(args, prog)
    kinds, rest = Glance(["model", *(key for key, _ in KINDS.values())]).parse_known_args(args)
    default = defaults if kinds.model is None else defaults.of_model(kinds.model, "--model")
    for part, (key, _) in KINDS.items():
        if getattr(kinds, key) is not None:
            default = default.of_kind(part, getattr(kinds, key), f"--{key}")
    _refuse_other_kinds(rest, default)
    _refuse_other_models(rest, default)
    # Of a dict that is not empty, tyro would make a flag of each key.
    start = RunCommand(settings=_with_terms(default, {}))
    models = ", ".join(f"{name} ({kind.settings.__doc__})" for name, kind in RECIPES.items())
    about = f"{about}; --model is one of {models}"
    command = parse(rest, RunCommand, prog=prog, about=about, default=start)
    if command.preset != preset_of(args):
        raise UsageError(_no_preset(str(command.preset)))
    terms = {**default.recipe.losses.weights, **command.settings.recipe.losses.weights}
    return replace(command, settings=_with_terms(command.settings, terms))


def _with_terms(settings: Settings, weights: dict[str, Any]) -> Settings:
    """Return the settings with other weights of loss terms by name."""
    recipe: Any = settings.recipe
    return replace(settings, recipe=replace(recipe, losses=replace(recipe.losses, weights=weights)))


def parse(
    args: Sequence[str], kind: type[T], *, prog: str, about: str, default: T | None = None
) -> T:
    """Parse `args` as the fields of `kind`. Raises UsageError with the one line that says why."""
    shown = io.StringIO()
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands)
    extra: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with redirect_stderr(shown), _no_garbage_collection():
            parsed: T = tyro.cli(
                kind,
                args=list(args),
                prog=prog,
                description=about,
                config=config,
                use_underscores=True,
                **extra,
            )
            return with_weights(parsed)
    except SystemExit as end:
        if not end.code:
            raise
        raise UsageError(f"{_one_line(shown.getvalue())} (see {prog} --help)") from None


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    # A parser is many small objects that stay: looking through them takes a twentieth of a start.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def refuse_classic(
    args: Sequence[str],
    command: str,
    *,
    prog: str = "",
    words: str = "",
    check: Callable[[Sequence[str]], object] | None = None,
) -> None:
    """Raise UsageError for a command line of the classic scripts, with what to type instead.

    `words` are those that called a classic script, if any: they alone are reason enough. `check`
    raises UsageError if what is to be typed has further mistakes, which are told too.
    """
    prog = prog or f"cyclegan {command}"
    found = classic_flags.rewrite(args, classic_flags.RULES[command])
    if not words and not found.refused:
        return
    given = [(shlex.join(change.typed), change.why) for change in found.changes]
    told = [f"{words} is {prog} here"] * bool(words)
    told += [f"{prog} does not take {', '.join(typed for typed, _ in given)}"] * bool(given)
    if len(given) == 1:  # one line says it all
        told[-1] += f": {given[0][1]}"
        given = []
    width = max((len(typed) for typed, _ in given), default=0)
    below = [f"  {typed:<{width}}  {why}" for typed, why in given]
    if not {"-h", "--help"} & {*args}:
        below += _mistakes(found.args, check or _CHECKS[command])
    line = shlex.join([*prog.split(), *found.args])
    raise UsageError("; ".join(told), [*below, "use instead:", line])


def _mistakes(args: Sequence[str], check: Callable[[Sequence[str]], object]) -> list[str]:
    """Return what is wrong with a rewritten command line: one line, or none."""
    try:
        check(args)
    except UsageError as error:
        return [f"and fix this in the command below: {error}"]
    return []


def _check_run(args: Sequence[str]) -> None:
    parse_run(args, defaults_of(args), prog="cyclegan train", about="").settings.check()


def _check_conversion(args: Sequence[str]) -> None:
    from cyclegan.conversion import ConvertSettings

    parse(args, ConvertSettings, prog="cyclegan convert", about="").check()


_CHECKS = {"train": _check_run, "convert": _check_conversion}


#: pydantic's report of a value out of range: field, what is wrong, the value.
_INVALID = re.compile(
    r"validation errors? for \w+ (\w+) (.*?) \[type=\w+, input_value=(.*?), input"
)


_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def _refuse_csv(args: Sequence[str], prog: str) -> None:
    """Raise UsageError for --csv of earlier versions, with the command that does its work."""
    typed = [arg for arg in args if any(_is_flag(arg, name) for name in ("csv", "no_csv"))]
    if typed:
        glance, _ = Glance(["name", "checkpoints_dir"]).parse_known_args(args)
        where = ["--checkpoints_dir", glance.checkpoints_dir] if glance.checkpoints_dir else []
        command = shlex.join(["cyclegan", "report", glance.name or "NAME", *where, "--csv"])
        raise UsageError(
            f"{prog} does not take {typed[0]}: {command} writes the table of a run's losses, "
            "during and after training"
        )


def _refuse_other_kinds(args: Sequence[str], settings: Settings) -> None:
    """Raise UsageError for a flag of a generator or discriminator that is not the chosen one."""
    for part, (key, kinds) in KINDS.items():
        chosen = getattr(settings.recipe, part, None)
        if chosen is None:
            continue  # another model's
        own = {item.name for item in fields(chosen)}
        for name, kind in kinds.items():
            for item in fields(kind.settings):
                typed = any(_is_flag(arg, item.name) for arg in args)
                if typed and item.name not in own:
                    raise UsageError(f"--{item.name} goes with --{key} {name}")


def _refuse_other_models(args: Sequence[str], settings: Settings) -> None:
    """Raise UsageError for a flag of a recipe that is not the chosen one."""
    model = settings.recipe.model
    for kind in RECIPES.values():
        for _, key in flags_of(kind.settings()):
            models = models_with(key)
            if model not in models and any(_is_flag(arg, key) for arg in args):
                raise UsageError(f"--{key} {goes_with(models, model)}")


def _is_flag(arg: str, name: str) -> bool:
    return arg.partition("=")[0] in (*_spellings(name), *_negated(name))


def _spellings(name: str) -> list[str]:
    return sorted({f"--{name}", f"--{name.replace('_', '-')}"})


def _negated(name: str) -> list[str]:
    """Return the spellings that switch a flag off."""
    return [
        spelling.replace("--", f"--no{sign}", 1) for sign in "_-" for spelling in _spellings(name)
    ]


def _one_line(box: str) -> str:
    """Extract the message and the suggested flag from the framed text that tyro prints."""
    box = _COLOURS.sub("", box)  # which it has in a terminal
    lines = [line.strip("│ ").strip() for line in box.splitlines()]
    lines = [line for line in lines if line and line[0] not in "╭╰"]
    rules = [number for number, line in enumerate(lines) if set(line) == {"─"}]
    message = " ".join(lines[: rules[0] if rules else None])
    invalid = _INVALID.search(message)
    if invalid:
        return f"--{invalid[1]} {invalid[3]}: {invalid[2].lower()}"
    missing = re.findall(r"(?<!\S)--\w+", message) if message.startswith("Missing from") else []
    if missing:
        return f"missing {' and '.join(missing)}"
    meant = [re.match(r"--\w+", line) for line in lines[rules[0] :]] if rules else []
    flag = next((match[0] for match in meant if match), None)
    if flag and "Unrecognized" in message:
        message += f"; perhaps you meant {flag}"
    return message or "wrong arguments"
