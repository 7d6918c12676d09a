"""Metadata as one small file in torch's archives."""

import json
from collections.abc import Mapping
from typing import Any

from cyclegan.plain import DamagedTextError, from_json

#: The file's name within the archive.
NAME = "cyclegan.json"


def pack(texts: Mapping[str, str]) -> dict[str, Any]:
    """What torch is to put into the archive beside the network."""
    return {NAME: json.dumps(texts)}


def unpack(files: Mapping[str, str | bytes]) -> dict[str, str]:
    """What `pack` gave, of what torch found in the archive; nothing where it is no such text."""
    try:
        found = from_json(files[NAME] or "{}")
    except (KeyError, DamagedTextError):
        return {}
    return {str(key): str(text) for key, text in found.items()} if isinstance(found, dict) else {}
