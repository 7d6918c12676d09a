"""The whole tree of settings: typed defaults <- a TOML preset <- the command line."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, field, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

from pydantic import RootModel, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from cyclegan import plain
from cyclegan.data import DataSettings, is_there
from cyclegan.discriminators import DISCRIMINATORS
from cyclegan.errors import UsageError, UserError, in_one_line, suggest
from cyclegan.execution import ExecutionSettings
from cyclegan.generators import GENERATORS
from cyclegan.kinds import STRICT, Kind
from cyclegan.layers import ChannelSettings
from cyclegan.loggers import LoggerSettings
from cyclegan.parts import Parts
from cyclegan.plain import DamagedTextError, from_toml, read_text, without_bytes
from cyclegan.recipes import RECIPES, RecipeSettings
from cyclegan.recipes.cyclegan import CycleGANSettings
from cyclegan.run import RunSettings
from cyclegan.training import QualitySettings, TrainingSettings


@dataclass(frozen=True, config=STRICT)
class Settings:
    """All settings of a run, grouped by the part that each belongs to.

    In a preset the recipe's parts are tables beside the others, and the recipe's name is `model` of
    [run].
    """

    run: RunSettings = field(default_factory=RunSettings)
    data: DataSettings = field(default_factory=DataSettings)
    networks: ChannelSettings = field(default_factory=ChannelSettings)
    recipe: RecipeSettings = field(default_factory=CycleGANSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    execution: ExecutionSettings = field(default_factory=ExecutionSettings)
    quality: QualitySettings = field(default_factory=QualitySettings)
    loggers: LoggerSettings = field(default_factory=LoggerSettings)

    def check(self) -> None:
        """Raise UsageError if settings contradict each other."""
        for key, value in _flat(self).items():
            if isinstance(value, int) and value > plain.LARGEST:
                raise UsageError(f"--{key.partition('.')[2]}: the number is too large")
        self.run.check()
        self.data.check()
        self.execution.check()
        self.loggers.check()
        self.networks.check()
        if self.run.direction not in self.recipe.directions:
            able = (name for name, kind in RECIPES.items() if "BtoA" in kind.settings.directions)
            raise UsageError(
                f"--direction BtoA goes with --model {' or '.join(able)}: {self.recipe.model} "
                "converts one way only"
            )
        self.recipe.check(self.networks, self.data.crop_size)
        if self.data.crop_size < self.recipe.smallest_side:
            raise UsageError(
                f"--crop_size {self.data.crop_size} is too small for --model "
                f"{self.recipe.model}, which needs {self.recipe.smallest_side} pixels"
            )

    def anchored(self) -> "Settings":
        """Return the settings with absolute paths, which hold in any working folder."""
        return self._with_paths(_anchored)

    def found_from(self, folder: Path) -> "Settings":
        """Return the settings of the run in `folder`, with paths updated if the run was moved.

        A path that is missing is looked for in the same place relative to the run, so that a whole
        tree can be moved.
        """
        before = self.run.folder
        return self._with_paths(lambda path: _led(path, before, folder)).anchored()

    def _with_paths(self, change: Callable[[Path], Path]) -> "Settings":
        changed: Settings = _changed(self, change)
        return changed

    def table(self) -> dict[str, Any]:
        """Return the settings as plain builtins, grouped by part; what is not set is left out."""
        plain = RootModel[Settings](self).model_dump(mode="json", exclude_none=True)
        return _by_table(plain)

    def of_model(self, model: str, source: str) -> "Settings":
        """Return the settings of another model, with the values of keys that both models have.

        Raises UsageError, naming `source` and the models there are.
        """
        if model == self.recipe.model:
            return self
        table = self.table()
        return from_record(table | {"run": table["run"] | {"model": model}}, source)

    def of_kind(self, part: str, name: str, source: str) -> "Settings":
        """Return the settings with another kind of a part of the recipe. Raises UsageError."""
        if not hasattr(self.recipe, part):
            key, _ = KINDS[part]
            raise UsageError(f"{source} {goes_with(_models_with(part, key), self.recipe.model)}")
        kind = of_kind(part, name, getattr(self.recipe, part), source)
        return replace(self, recipe=replace(cast(Any, self.recipe), **{part: kind}))


#: Parts of several kinds: the key that names the kind, and the table of kinds.
KINDS: dict[str, tuple[str, Parts[Kind]]] = {
    "generator": ("netG", GENERATORS),
    "discriminator": ("netD", DISCRIMINATORS),
}

#: Keys of earlier versions, which files may still hold, and nothing goes by any more.
RETIRED = ("loggers.csv",)

#: What can't change once a run has begun; a part, or one key of a part. Recipes add theirs.
FIXED = (
    "run.model",
    "run.direction",
    "run.seed",
    "data.dataset_mode",
    "data.preprocess",
    "data.load_size",
    "data.crop_size",
    "networks",
    "training.epoch_count",
)


def from_table(table: Mapping[str, Any], source: str, model: str | None = None) -> Settings:
    """Build settings from plain builtins grouped by part, with defaults for what is left out.

    `model` is used if the table names none. Keys of other models are skipped if they hold the
    default. Raises UsageError, naming `source`, the key, what is accepted and the nearest match.
    """
    return _read(table, source, model, recorded=False)


def from_record(table: Mapping[str, Any], source: str) -> Settings:
    """Build settings from what a run wrote; keys of other models are skipped.

    Earlier versions wrote the keys of all models. Raises UsageError as `from_table` does.
    """
    return _read(table, source, None, recorded=True)


def presets() -> dict[str, Path]:
    """Return the presets that come with the package, by their names: the checkout's options/."""
    return {path.stem: path for path in sorted(Path(__file__).with_name("options").glob("*.toml"))}


def load_preset(preset: Path | str, model: str | None = None, **tables: Any) -> Settings:
    """Load a preset: one that comes with the package by its name, any TOML file by its path.

    `model` is used if it names none; `tables` are laid over its own: run={"name": "sea"}. Raises
    UsageError, naming the file and the key.
    """
    path = presets().get(str(preset), Path(preset))
    table = _toml(path)
    laid = {name: {**table.get(name, {}), **values} for name, values in tables.items()}
    return from_table(table | laid, str(path), model)


def load_record(path: Path) -> Settings:
    """Load the settings that a run keeps in its folder. Raises UsageError."""
    return from_record(_toml(path), str(path))


def _toml(path: Path) -> dict[str, Any]:
    try:
        return from_toml(without_bytes(read_text(path)))
    except FileNotFoundError:
        beside = sorted(str(other) for other in path.parent.glob("*.toml"))
        meant = suggest(str(path), beside) or suggest(path.stem, presets())
        known = ", ".join(beside or presets())
        raise UsageError(f"{path}: no such preset{meant}; choose from {known}") from None
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from None
    except UserError as error:
        raise UsageError(str(error)) from None
    except DamagedTextError as error:
        raise UsageError(
            f"{path}: invalid TOML ({error}): fix it; cyclegan settings shows what it can contain"
        ) from None


def of_kind(part: str, name: str, current: Any, source: str) -> Any:
    """Return a part's settings as the kind `name`, with the values of `current` for shared keys.

    Raises UsageError, naming `source` and the kinds there are.
    """
    key, kinds = KINDS[part]
    if name not in kinds:
        raise UsageError(f"{source}: {key} {name!r}: unknown{kinds.instead_of(name)}")
    return kinds[name].over(current, key)


def changes(old: Settings, new: Settings) -> Iterator[tuple[str, Any, Any]]:
    """Yield the dotted key, old and new value of every setting that differs.

    If the models differ, keys that the new one does not have are left out.
    """
    before, after = _flat(old.of_model(new.recipe.model, "")), _flat(new)
    before["run.model"] = old.recipe.model
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield key, before.get(key), after.get(key)


def is_fixed(key: str, recipe: RecipeSettings) -> bool:
    """Return whether a dotted key can't change once a run of this recipe has begun."""
    keys = (*FIXED, *recipe.fixed)
    return any(key == fixed or key.startswith(f"{fixed}.") for fixed in keys)


def flags_of(recipe: RecipeSettings) -> Iterator[tuple[str, str]]:
    """Yield the part and the key of every setting of a recipe, of all kinds of its parts."""
    for part in fields(cast(Any, recipe)):
        name, value = part.name, getattr(recipe, part.name)
        if not is_dataclass(value):
            yield "run", name
            continue
        kinds = [kind.settings for kind in KINDS[name][1].values()] if name in KINDS else [value]
        yield from {(name, key.name): None for kind in kinds for key in fields(kind)}


def models_with(key: str) -> list[str]:
    """Return the models that have a setting called `key`."""
    return [name for name, keys in _keys_of_models().items() if key in {own for _, own in keys}]


def _keys_of_models() -> dict[str, set[tuple[str, str]]]:
    return _keys_beside(len(Parts.used))


@cache
def _keys_beside(others: int) -> dict[str, set[tuple[str, str]]]:
    return {name: {*flags_of(kind.settings())} for name, kind in RECIPES.items()}


def _models_with(part: str, key: str) -> list[str]:
    return [name for name, keys in _keys_of_models().items() if (part, key) in keys]


def goes_with(models: Sequence[str], model: str) -> str:
    """Return the words that something goes with `models`, not with `model`."""
    return f"goes with --model {' or '.join(models)}, not {model}"


def _read(table: Mapping[str, Any], source: str, model: str | None, *, recorded: bool) -> Settings:
    for name, given in table.items():
        if not isinstance(given, Mapping):
            raise UsageError(
                f"{source}: [{name}] must be a table of keys and values, not {given!r}"
            )
    named = table.get("run", {}).get("model", model)
    start = Settings().recipe if named is None else _recipe(named, source)
    for part, (key, _) in KINDS.items():
        if hasattr(start, part) and key in table.get(part, {}):
            kind = of_kind(part, str(table[part][key]), getattr(start, part), source)
            start = replace(cast(Any, start), **{part: kind})
    settings = Settings(recipe=start)
    kept = {
        name: dict(_own(settings, name, given, source, recorded=recorded))
        for name, given in table.items()
    }
    laid: Settings = _laid(settings, kept, source)
    return replace(laid, recipe=_laid(start, kept, source))


def _recipe(model: Any, source: str) -> RecipeSettings:
    """Return the default settings of a recipe. Raises UsageError, naming those there are."""
    if model not in RECIPES:
        raise UsageError(f"{source}: model {model!r}: unknown{RECIPES.instead_of(str(model))}")
    recipe: RecipeSettings = RECIPES[model].settings()
    return recipe


def _own(
    settings: Settings, name: str, given: Mapping[str, Any], source: str, *, recorded: bool
) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of a table that are this model's, but for what names a kind."""
    model, where = settings.recipe.model, f"{source}: [{name}]"
    known = [key.name for part in _parts(settings, name) for key in fields(part)]
    if not known and name not in {part for keys in _keys_of_models().values() for part, _ in keys}:
        parts = settings.table()
        raise UsageError(
            f"{source}: no section [{name}]{suggest(name, parts)}; choose from {', '.join(parts)}"
        )
    for key, value in given.items():
        others = _models_with(name, key)
        if (name, key) in _NAMING and model in others:
            continue  # its recipe and the kinds of its parts are chosen already
        if f"{name}.{key}" in RETIRED:
            continue
        if key in known:
            yield key, value
        elif others and model not in others:
            if not recorded and value != _default(others[0], name, key):
                raise UsageError(f"{where} {key} {goes_with(others, model)}")
        else:
            raise UsageError(
                f"{where} {key}: no such key{suggest(key, known)}; choose from {', '.join(known)}"
            )


def _parts(settings: Settings, name: str) -> list[Any]:
    """Return the parts whose values stand in the table `name`: all models', and the recipe's."""
    held = [getattr(of, name, None) for of in (settings, settings.recipe) if name != "recipe"]
    return [part for part in held if is_dataclass(part)]


#: Parts and keys whose values are names of kinds.
_NAMING = {("run", "model")} | {(part, key) for part, (key, _) in KINDS.items()}


@cache
def _defaults(model: str) -> dict[str, Any]:
    return Settings(recipe=RECIPES[model].settings()).table()


def _default(model: str, name: str, key: str) -> Any:
    return _defaults(model)[name].get(key)


def _laid(of: Any, table: Mapping[str, Mapping[str, Any]], source: str) -> Any:
    """Return `of` with the values that a table has for each of its parts."""
    changed = {}
    for name in table.keys() & {part.name for part in fields(of)}:
        part = getattr(of, name)
        own = {key.name for key in fields(part)}
        values = {key: value for key, value in table[name].items() if key in own}
        changed[name] = _part(part, values, f"{source}: [{name}]")
    return replace(of, **changed)


def _part(start: Any, values: dict[str, Any], where: str) -> Any:
    """Lay `values` over the settings of one part. Raises UsageError."""
    try:
        plain.check(values)
        # By way of JSON: there a strict reader still takes a string for a path.
        merged = json.dumps(asdict(start) | values, default=str)
        return TypeAdapter(type(start)).validate_json(merged)
    except ValidationError as error:
        raise UsageError(f"{where} {_first_problem(error)}") from None
    except (TypeError, ValueError, RecursionError) as error:  # what JSON can't hold
        raise UsageError(f"{where}: {in_one_line(str(error))}") from None


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(place) for place in problem["loc"])
    return f"{key} = {problem['input']!r}: {problem['msg'].lower()}"


def _changed(part: Any, change: Callable[[Path], Path]) -> Any:
    """Return a tree of settings with every path in it changed."""
    if isinstance(part, Path):
        return change(part)
    if not is_dataclass(part):
        return part
    held = {one.name: getattr(part, one.name) for one in fields(part)}
    return replace(cast(Any, part), **{name: _changed(one, change) for name, one in held.items()})


def _by_table(nested: dict[str, Any]) -> dict[str, Any]:
    """Group nested values as a preset does: the recipe's parts stand beside the others."""
    nested["run"]["model"] = nested["recipe"].pop("model")
    grouped: dict[str, Any] = {}
    for name, values in nested.items():
        for table, inner in values.items() if name == "recipe" else [(name, values)]:
            grouped[table] = grouped.get(table, {}) | inner
    return grouped


def _anchored(path: Path) -> Path:
    """Return an absolute path; links stay as they are, except with `..`, which they may mislead."""
    return path.resolve() if ".." in path.parts else path.absolute()


def _led(path: Path, before: Path, now: Path) -> Path:
    """Return a path of the run that was in the folder `before` and is in `now`."""
    if is_there(path) or path.is_absolute() != before.is_absolute():
        return path
    beside = _anchored(now / os.path.relpath(path, before))
    return beside if is_there(beside) else path


def _flat(settings: Settings) -> dict[str, Any]:
    return {
        f"{part}.{key}": value
        for part, values in _by_table(asdict(cast(Any, settings))).items()
        for key, value in values.items()
    }
