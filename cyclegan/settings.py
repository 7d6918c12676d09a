"""The whole tree of settings: typed defaults <- a TOML preset <- the command line."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, field, fields, replace
from pathlib import Path
from typing import Any, cast

from pydantic import RootModel, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from cyclegan import plain
from cyclegan.data.settings import DataSettings, is_there
from cyclegan.discriminators import DISCRIMINATORS, DiscriminatorSettings
from cyclegan.discriminators.settings import BasicSettings
from cyclegan.errors import UsageError, UserError, in_one_line
from cyclegan.execution.settings import ExecutionSettings
from cyclegan.fusion.settings import FusionSettings
from cyclegan.generators import GENERATORS, GeneratorSettings
from cyclegan.generators.settings import ResnetSettings
from cyclegan.kinds import Kind
from cyclegan.layers.settings import NetworkSettings
from cyclegan.loggers.settings import LoggerSettings
from cyclegan.losses.perceptual.settings import PerceptualSettings
from cyclegan.losses.settings import LossSettings
from cyclegan.plain import DamagedTextError, from_toml
from cyclegan.quality.settings import QualitySettings
from cyclegan.run import MODELS, Model, RunSettings
from cyclegan.spelling import nearest
from cyclegan.strict import STRICT
from cyclegan.text import read_text, without_bytes
from cyclegan.training.settings import TrainingSettings


@dataclass(frozen=True, config=STRICT)
class Settings:
    """All settings of a run, grouped by the part that each belongs to."""

    run: RunSettings = field(default_factory=RunSettings)
    data: DataSettings = field(default_factory=DataSettings)
    networks: NetworkSettings = field(default_factory=NetworkSettings)
    generator: GeneratorSettings = field(default_factory=ResnetSettings)
    discriminator: DiscriminatorSettings = field(default_factory=BasicSettings)
    losses: LossSettings = field(default_factory=LossSettings)
    perceptual: PerceptualSettings = field(default_factory=PerceptualSettings)
    fusion: FusionSettings = field(default_factory=FusionSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    execution: ExecutionSettings = field(default_factory=ExecutionSettings)
    quality: QualitySettings = field(default_factory=QualitySettings)
    loggers: LoggerSettings = field(default_factory=LoggerSettings)

    @property
    def guessing(self) -> float | None:
        """A discriminator's loss when it can only guess; None where there is no such level."""
        return self.losses.guessing if self.run.traits.adversarial else None

    def check(self) -> None:
        """Raise UsageError where settings contradict each other."""
        for key, value in _flat(self).items():
            if isinstance(value, int) and value > plain.LARGEST:
                raise UsageError(f"--{key.partition('.')[2]}: a number that is too large")
        self.run.check()
        self.data.check()
        self.execution.check()
        self.loggers.check()
        self._check_channels()
        if self.run.direction == "BtoA" and not self.run.traits.both_ways:
            raise UsageError(
                f"--direction BtoA goes with --model cycle_gan: {self.run.model} has no way back"
            )
        smallest = max(8, self.discriminator.smallest_side)
        if self.data.crop_size < smallest:
            raise UsageError(
                f"--crop_size {self.data.crop_size} is too small for --netD "
                f"{self.discriminator.netD}, which needs {smallest} pixels"
            )

    def _check_channels(self) -> None:
        channels = (self.networks.input_nc, self.networks.output_nc)
        for number in channels:
            if number not in (1, 3):
                raise UsageError(f"--input_nc and --output_nc are 1 or 3, not {number}")
        if channels[0] == channels[1]:
            return
        if self.generator.residual:
            raise UsageError(
                f"--residual adds to the image: --input_nc {channels[0]} and --output_nc "
                f"{channels[1]} have to be the same"
            )
        for flag in ("lambda_identity", "lambda_consistency"):
            weight = getattr(self.losses, flag)
            if weight:
                raise UsageError(
                    f"--{flag} {weight:g}: this loss is undefined between --input_nc "
                    f"{channels[0]} and --output_nc {channels[1]}; give --{flag} 0"
                )

    def anchored(self) -> "Settings":
        """Return the same with absolute paths, which hold in any working folder."""
        return self._with_paths(_anchored)

    def found_from(self, folder: Path) -> "Settings":
        """Return the settings of the run that is in `folder`, its paths led to where things are.

        What is not where it was is looked for beside the run, as far from it as it was before: so a
        whole tree can be moved.
        """
        before = self.run.folder
        return self._with_paths(lambda path: _led(path, before, folder)).anchored()

    def _with_paths(self, change: Callable[[Path], Path]) -> "Settings":
        changed = {}
        for part in fields(self):
            values = getattr(self, part.name)
            held = {one.name: getattr(values, one.name) for one in fields(values)}
            paths = {key: change(value) for key, value in held.items() if isinstance(value, Path)}
            changed[part.name] = replace(values, **paths)
        return replace(self, **changed)

    def table(self) -> dict[str, Any]:
        """The settings as plain builtins, grouped by part; what is not set is left out."""
        plain = RootModel[Settings](self).model_dump(mode="json", exclude_none=True)
        return cast(dict[str, Any], plain)


#: Parts of several kinds: the key that names the kind, and the table of kinds.
KINDS: dict[str, tuple[str, Mapping[str, Kind]]] = {
    "generator": ("netG", GENERATORS),
    "discriminator": ("netD", DISCRIMINATORS),
}

#: Keys of earlier versions, which files may still hold, and nothing goes by any more.
RETIRED = ("loggers.csv",)

#: What can't change once a run has begun; a part, or one key of a part.
FIXED = (
    "run.model",
    "run.direction",
    "run.seed",
    "data.dataset_mode",
    "data.preprocess",
    "data.load_size",
    "data.crop_size",
    "networks",
    "generator",
    "discriminator",
    "fusion",
    "training.pool_size",
    "training.epoch_count",
)


def from_table(table: Mapping[str, Any], source: str) -> Settings:
    """Build settings from plain builtins grouped by part, defaults for what is left out.

    Raises UsageError, naming `source`, the key, what is accepted and the nearest match.
    """
    parts = {part.name: part.type for part in fields(Settings)}
    for name in table:
        if name not in parts:
            raise UsageError(
                f"{source}: no part [{name}]{nearest(name, parts)}; there are {', '.join(parts)}"
            )
    values = {name: _part(name, given, source) for name, given in table.items()}
    return Settings(**values)


def presets() -> dict[str, Path]:
    """The presets that come with the package, by their names: the checkout's options/."""
    return {path.stem: path for path in sorted(Path(__file__).with_name("options").glob("*.toml"))}


def load_preset(preset: Path | str) -> Settings:
    """Read a preset: one that comes with the package by its name, any TOML file by its path.

    Raises UsageError, naming the file and the key.
    """
    path = presets().get(str(preset), Path(preset))
    try:
        table = from_toml(without_bytes(read_text(path)))
    except FileNotFoundError:
        beside = sorted(str(other) for other in path.parent.glob("*.toml"))
        meant = nearest(str(path), beside) or nearest(path.stem, presets())
        known = ", ".join(beside or presets())
        raise UsageError(f"{path}: no such preset{meant}; there are {known}") from None
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from None
    except UserError as error:
        raise UsageError(str(error)) from None
    except DamagedTextError as error:
        raise UsageError(
            f"{path}: not TOML ({error}): correct it; cyclegan settings shows what can stand in it"
        ) from None
    return from_table(table, str(path))


def of_kind(part: str, name: str, current: Any, source: str) -> Any:
    """The settings of a part as the kind called `name`, with what `current` says of the same keys.

    Raises UsageError, naming `source` and the kinds there are.
    """
    key, kinds = KINDS[part]
    if name not in kinds:
        raise UsageError(
            f"{source}: {key} {name!r}: unknown{nearest(name, kinds)}; there are {', '.join(kinds)}"
        )
    return kinds[name].over(current, key)


def changes(old: Settings, new: Settings) -> Iterator[tuple[str, Any, Any]]:
    """Dotted key, old and new value of every setting that differs."""
    before, after = _flat(old), _flat(new)
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)


def is_fixed(key: str, model: Model) -> bool:
    """Whether a dotted key can't change once a run of `model` has begun."""
    keys = (*FIXED, *MODELS[model].fixed)
    return any(key == fixed or key.startswith(f"{fixed}.") for fixed in keys)


def _part(name: str, given: Any, source: str) -> Any:
    """Lay the values of one part over its defaults, those of its kind if it has several."""
    where = f"{source}: [{name}]"
    if not isinstance(given, Mapping):
        raise UsageError(f"{where} is a table of keys and values, not {given!r}")
    start = getattr(Settings(), name)
    values = {key: value for key, value in given.items() if f"{name}.{key}" not in RETIRED}
    if name in KINDS and KINDS[name][0] in values:
        start = of_kind(name, str(values.pop(KINDS[name][0])), start, source)
    try:
        plain.check(values)
        # By way of JSON: there a strict reader still takes a string for a path.
        merged = json.dumps(asdict(start) | values, default=str)
        return TypeAdapter(type(start)).validate_json(merged)
    except ValidationError as error:
        raise UsageError(f"{where} {_first_problem(error, asdict(start))}") from None
    except (TypeError, ValueError, RecursionError) as error:  # what JSON can't hold
        raise UsageError(f"{where}: {in_one_line(str(error))}") from None


def _first_problem(error: ValidationError, known: Mapping[str, Any]) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(place) for place in problem["loc"])
    if problem["type"] == "unexpected_keyword_argument":
        return f"{key}: no such key{nearest(key, known)}; there are {', '.join(known)}"
    return f"{key} = {problem['input']!r}: {problem['msg'].lower()}"


def _anchored(path: Path) -> Path:
    """Links stay as they are, but for `..`, which a link may lead elsewhere."""
    return path.resolve() if ".." in path.parts else path.absolute()


def _led(path: Path, before: Path, now: Path) -> Path:
    """The path of a run that was in the folder `before` and is in `now`."""
    if is_there(path) or path.is_absolute() != before.is_absolute():
        return path
    beside = _anchored(now / os.path.relpath(path, before))
    return beside if is_there(beside) else path


def _flat(settings: Settings) -> dict[str, Any]:
    return {
        f"{part}.{key}": value
        for part, values in asdict(cast(Any, settings)).items()
        for key, value in values.items()
    }
