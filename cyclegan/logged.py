"""Declarations of logged values: the label, the chart and the scale of each."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Logged:
    """A logged value; a direction or a domain follows its name in the log if it has one.

    A value that nobody declared is described by its name alone.
    """

    name: str
    label: str = ""
    """in a legend; by default the name"""
    title: str = ""
    """of its chart; by default the label"""
    group: str = ""
    """name of the value whose chart it shares; by default it has one of its own"""
    scale: float = 1.0
    """drawing scale factor"""
    smooth: bool = True
    """whether to also draw it smoothed"""
    by_way: bool = False
    """whether each direction has a chart of its own"""
    order: int = 9
    """of its chart on a page; ties in order of arrival"""
    drawn: bool = True
    """whether to draw a curve; not for error estimates of others"""
    brief: bool = True
    """whether to show it on the console line"""

    def of(self, side: str) -> str:
        """Return the name for a direction, such as 'a_to_b', or for a domain, 'a' or 'b'."""
        return f"{self.name}_{side}"

    @property
    def words(self) -> str:
        """The name as people write it."""
        return self.name.replace("_", " ")


Catalogue = Mapping[str, Logged]
"""Logged values by their names."""


def catalogue(*values: Logged) -> dict[str, Logged]:
    """Return a table of declared values by their names."""
    return {value.name: value for value in values}


@dataclass(frozen=True)
class Curve:
    """A logged value as loggers show it, of one direction or domain if it has several."""

    logged: Logged
    leader: Logged
    """value whose chart it shares; often itself"""
    label: str
    """as in a legend"""
    short: str
    """the same in ASCII, for limited terminals"""
    chart: str
    """the key of its chart"""
    title: str
    """of its chart"""

    @classmethod
    def of(cls, name: str, known: Catalogue) -> "Curve":
        """Return the curve of the logged value `name`, with the declarations in `known`."""
        side = next((side for side in _SIDES if name.endswith(f"_{side}")), "")
        stem = name.removesuffix(f"_{side}") if side else name
        logged = known.get(stem, Logged(stem))
        leader = known.get(logged.group or stem, Logged(logged.group or stem))
        if leader.by_way:
            apart = _JUDGED.get(side, side)
        else:  # the two directions share a chart, two domains don't
            apart = side if side in _JUDGED and leader == logged else ""
        return cls(
            logged,
            leader,
            f"{logged.label or logged.words} {_SIDES.get(side, '')}".rstrip(),
            f"{logged.words} {_SIDES.get(side, '')}".rstrip().replace("→", ">"),
            leader.of(apart) if apart else leader.name,
            f"{leader.title or leader.label or leader.words} {_SIDES.get(apart, '')}".rstrip(),
        )


_SIDES = {"a_to_b": "A→B", "b_to_a": "B→A", "a": "A", "b": "B"}
#: Whose fakes are judged where images of a domain are.
_JUDGED = {"a": "b_to_a", "b": "a_to_b"}
