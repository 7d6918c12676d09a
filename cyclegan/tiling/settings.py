"""Settings of how large pictures are computed."""

from typing import Literal

Tile = Literal["auto", "off", "exact", "fast", "dense"]
