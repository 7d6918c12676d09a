"""Ways of computing a picture, by the names that `--tile` takes."""

from collections.abc import Callable, Iterator

from cyclegan.tiling.dense import dense
from cyclegan.tiling.exact import exact
from cyclegan.tiling.fast import fast
from cyclegan.tiling.means import Block, Means
from cyclegan.tiling.rows import Picture


def whole(picture: Picture, means: Means) -> Iterator[Block]:
    """All of it at once."""
    shape = picture.shape
    window = picture.window(0, shape.height, 0, shape.width)
    yield Block(0, 0, means.call(window.to(means.device))[0].float().cpu())


#: The one table of them; "auto" chooses among them.
TILES: dict[str, Callable[[Picture, Means], Iterator[Block]]] = {
    "off": whole,
    "exact": exact,
    "fast": fast,
    "dense": dense,
}
