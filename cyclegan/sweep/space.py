"""The space of a sweep: what --vary names, as Optuna's distributions over a preset's settings."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, cast, get_type_hints

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import TypeAdapter, ValidationError

from cyclegan.errors import UsageError, in_one_line, suggest
from cyclegan.settings import KINDS, Settings, from_table

Value = bool | int | float | str
WIDE = 10  # times its low end: such a range is searched by factors

#: Tables whose settings say where and how a run is kept and watched: a sweep sets these itself.
_NOT_TRAINED = {"run", "quality", "loggers", "recipe"}


@dataclass(frozen=True)
class Dimension:
    """A setting that varies: its table in a preset, and its values."""

    table: str
    values: BaseDistribution


Space = Mapping[str, Dimension]


def make_space(vary: Sequence[Sequence[str]], preset: Settings) -> Space:
    """Return what varies, by the settings' names. Raises UsageError, naming the setting."""
    hints = dict(_varying(preset))
    space: dict[str, Dimension] = {}
    for words in vary:
        name, texts = words[0].replace("-", "_") if words else "", words[1:]
        if name not in hints:
            raise UsageError(_unknown(name, hints))
        if name in space:
            raise UsageError(f"--vary {name}: given twice: leave one out")
        table, hint = hints[name]
        values = [_value(name, text, hint) for text in texts]
        space[name] = Dimension(table, _distribution(name, values))
    return space


def with_each_end(preset: Settings, space: Space) -> Iterator[tuple[str, Settings]]:
    """Yield the preset with each choice, or end of a range, and its name in messages.

    Raises UsageError, naming the setting.
    """
    for name, one in space.items():
        values = one.values
        if isinstance(values, CategoricalDistribution):
            ends = [one for one in values.choices if one is not None]
        else:
            assert isinstance(values, FloatDistribution | IntDistribution)
            ends = [values.low, values.high]
        for value in ends:
            yield f"--vary {name}", varied(preset, space, {name: value}, f"--vary {name}")


def varied(preset: Settings, space: Space, values: Mapping[str, Value], source: str) -> Settings:
    """Return the preset with other values of what varies. Raises UsageError, naming `source`."""
    table = preset.table()
    for name, value in values.items():
        own = space[name].table
        table[own] = table.get(own, {}) | {name: value}
    settings = from_table(table, source)
    try:
        settings.check()
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None
    return settings


def own_values(preset: Settings, space: Space) -> dict[str, Value] | None:
    """Return the preset's own values of what varies; None where the space leaves one out."""
    table = preset.table()
    values = {name: table[one.table].get(name) for name, one in space.items()}
    inside = all(_is_inside(values[name], one.values) for name, one in space.items())
    return values if inside else None


def _is_inside(value: Any, values: BaseDistribution) -> bool:
    if isinstance(values, CategoricalDistribution):
        return value in values.choices
    assert isinstance(values, FloatDistribution | IntDistribution)
    return isinstance(value, int | float) and values.low <= value <= values.high


def _varying(preset: Settings) -> Iterator[tuple[str, tuple[str, Any]]]:
    """Yield the settings that can vary, each with its table and type."""
    for of in (preset, cast(Any, preset.recipe)):
        for part in fields(of):
            held = getattr(of, part.name)
            if is_dataclass(held) and part.name not in _NOT_TRAINED:
                hints = get_type_hints(type(held), include_extras=True)
                own = {key.name for key in fields(held)} - _NAMING
                yield from ((key, (part.name, hints[key])) for key in own)


#: Keys that name a kind, which has settings of its own.
_NAMING = {"model", *(key for key, _ in KINDS.values())}


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    if name in _NAMING:
        return (
            f"--vary {name}: each has settings of its own: make a preset of each, and give them to "
            "cyclegan study"
        )
    return (
        f"--vary {name}: the preset has no setting of that name that can vary"
        f"{suggest(name, known)} (cyclegan settings PRESET shows them)"
    )


def _value(name: str, text: str, hint: Any) -> Value:
    """Return a value as the setting's type reads it. Raises UsageError."""
    adapter, told = TypeAdapter(hint), ""
    for reading in _readings(text):
        try:
            value = adapter.validate_python(reading, strict=True)
        except ValidationError as error:
            told = told or error.errors(include_url=False)[0]["msg"].lower()
        else:
            return _simple(name, value)
    raise UsageError(f"--vary {name} {text}: {in_one_line(told)}")


def _readings(text: str) -> Iterator[Value]:
    """Yield what a word can mean, the plainest first."""
    for read in (int, float, {"true": True, "false": False}.__getitem__, str):
        with suppress(ValueError, KeyError):
            yield read(text)


def _simple(name: str, value: Any) -> Value:
    if isinstance(value, Value) and value not in (math.inf, -math.inf) and value == value:
        return value
    raise UsageError(f"--vary {name} {value}: only finite numbers, words, true and false can vary")


def _distribution(name: str, values: Sequence[Value]) -> BaseDistribution:
    """Return the range between two numbers, or a choice. Raises UsageError."""
    if len(set(values)) < 2:
        raise UsageError(f"--vary {name}: needs two different values at least: LOW HIGH")
    numbers = [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(numbers) < len(values) or len(values) > 2:
        return CategoricalDistribution(list(dict.fromkeys(values)))
    low, high = numbers
    if low > high:
        raise UsageError(f"--vary {name} {low} {high}: give the lower one first")
    wide = low > 0 and high / low >= WIDE
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=wide)
    return FloatDistribution(low, high, log=wide)
