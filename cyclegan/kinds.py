"""Kinds of networks by name, each a settings class with some of its values; strict validation."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pydantic import ConfigDict


@dataclass(frozen=True)
class Kind:
    """A name that a flag such as `--netG` takes, and the settings that it stands for."""

    settings: Any
    """the settings class, made by pydantic's dataclass"""
    values: Mapping[str, Any] = field(default_factory=dict)
    """what the name itself says, such as the number of blocks"""

    def over(self, current: Any, key: str) -> Any:
        """Return settings of this kind: the name's values, else those of `current`, else defaults.

        `key` is the field that names the kind.
        """
        known = {item.name for item in fields(self.settings)} - {key}
        shared = {name: getattr(current, name) for name in known if hasattr(current, name)}
        return self.settings(**(shared | dict(self.values)))


#: Unknown keys and wrong types are errors: a "64" is no number, a misspelt key is not ignored.
STRICT = ConfigDict(extra="forbid", strict=True)
