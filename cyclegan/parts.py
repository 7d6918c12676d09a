"""Tables of parts by name, which installed packages add to."""

from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import ClassVar, TypeVar

from cyclegan.errors import UserError, in_one_line, suggest

T = TypeVar("T")


class Parts(dict[str, T]):
    """A table of parts by name: our own, and those of installed packages.

    Packages add parts by entry points of the group `cyclegan.NAME`. Such a part is imported when it
    is asked for by its name, and only then an item of the table. Our own names come first.
    """

    used: ClassVar[dict[str, str]] = {}
    """versions of the packages whose parts were asked for, by their names"""

    def __init__(self, name: str, kind: type[T], own: Mapping[str, T]) -> None:
        super().__init__(own)
        self._group, self._kind, self._first = f"cyclegan.{name}", kind, frozenset(own)

    @cached_property
    def _installed(self) -> dict[str, EntryPoint]:
        found = {point.name: point for point in entry_points(group=self._group)}
        return {name: point for name, point in found.items() if name not in self._first}

    def own(self) -> dict[str, T]:
        """Return the parts that no other package added."""
        return {name: part for name, part in self.items() if name not in self._installed}

    def names(self) -> list[str]:
        """Return all names that can be asked for."""
        return list(dict.fromkeys([*self, *self._installed]))

    def instead_of(self, name: str) -> str:
        """Return the words, for behind a name that is not there, that say which could be meant."""
        return f"{suggest(name, self.names())}; choose from {', '.join(self.names())}"

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._installed

    def __missing__(self, name: str) -> T:
        """Import the part of an installed package. Raises UserError, naming both."""
        point = self._installed[name]
        package = point.dist.name if point.dist else point.module
        try:
            part = point.load()
        except Exception as error:  # whatever another package raises
            raise UserError(
                f"{name}: comes from the package {package}, which can't be used "
                f"({in_one_line(str(error))}): fix or uninstall it"
            ) from error
        if not isinstance(part, self._kind):
            raise UserError(
                f"{name}: comes from the package {package}, whose {point.value} is not a "
                f"{self._kind.__name__}: fix or uninstall it"
            )
        self[name] = part
        self.used[package] = point.dist.version if point.dist else "unknown"
        return part
