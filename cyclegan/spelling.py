"""What a misspelt name was probably meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ', perhaps you meant X', or nothing where no known name is near."""
    matches = get_close_matches(name, list(known), n=1)
    return f", perhaps you meant {matches[0]}" if matches else ""
