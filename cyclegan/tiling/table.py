"""Ways of computing a picture, by the names that `--tile` takes."""

from collections.abc import Callable, Iterator

from cyclegan.tiling.dense import dense
from cyclegan.tiling.engine import Block, Tell, TileEngine, silent
from cyclegan.tiling.exact import exact
from cyclegan.tiling.fast import fast
from cyclegan.tiling.rows import TiledPicture


def whole(picture: TiledPicture, engine: TileEngine, tell: Tell = silent) -> Iterator[Block]:
    """All of it at once; nothing is told meanwhile."""
    shape = picture.shape
    window = picture.window(0, shape.height, 0, shape.width)
    yield Block(0, 0, engine.call(window.to(engine.device))[0].float().cpu())


#: The one table of them; "auto" chooses among them.
TILES: dict[str, Callable[..., Iterator[Block]]] = {
    "off": whole,
    "exact": exact,
    "fast": fast,
    "dense": dense,
}
