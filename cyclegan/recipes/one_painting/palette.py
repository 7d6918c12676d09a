"""Several paintings in one generator: each has its own scales and shifts after every norm."""

import json
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from cyclegan.errors import UsageError
from cyclegan.layers.normalization import Scale
from cyclegan.spelling import nearest

NAME = "palette"
_NAMES = "names"
_AT = "/"  # stands for the dots of a layer's name, which names of parameters can't have


class Palette(nn.Module):
    """Scales and shifts (S, C) of each norm of a generator, a row for each of S paintings.

    Dumoulin et al. 2017, "A Learned Representation For Artistic Style", section 2.2.
    """

    def __init__(self, generator: nn.Module, names: Sequence[str]) -> None:
        """`generator` has the norm "instance_affine"; `names` are the paintings'."""
        super().__init__()
        text = json.dumps(list(names)).encode()
        self.register_buffer(_NAMES, torch.tensor(list(text), dtype=torch.uint8))
        self.rows = nn.ParameterDict(
            {
                f"{layer}.{part}".replace(".", _AT): values.detach().repeat(len(names), 1)
                for layer, module in generator.named_modules()
                if isinstance(module, Scale)
                for part, values in module.named_parameters()
            }
        )

    def weights(self, painting: int) -> dict[str, Tensor]:
        """What one painting puts in the place of the generator's own scales and shifts."""
        return {name.replace(_AT, "."): rows[painting] for name, rows in self.rows.items()}


class PaletteGenerator(nn.Module):
    """A generator that paints like one painting of a palette."""

    def __init__(self, generator: nn.Module, palette: Palette, painting: int) -> None:
        super().__init__()
        self.generator, self.palette, self.painting = generator, palette, painting

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> the same."""
        made: Tensor = functional_call(
            self.generator, self.palette.weights(self.painting), (images,)
        )
        return made


def mixed(
    weights: Mapping[str, Tensor], palette: Mapping[str, Tensor], mix: str | None
) -> dict[str, Tensor]:
    """A generator's weights that paint as `mix` says: names with shares, starry=0.7,irises=0.3.

    `weights` and `palette` are state dicts. Section 4.2 of the paper: rows are averaged. Raises
    UsageError, naming the paintings there are.
    """
    names = json.loads(bytes(palette[_NAMES].tolist()))
    shares = _shares(mix, names)
    rows = {
        key.removeprefix("rows.").replace(_AT, "."): values
        for key, values in palette.items()
        if key.startswith("rows.")
    }
    return dict(weights) | {
        name: sum((row * share for row, share in zip(table, shares, strict=True)), table[0] * 0)
        for name, table in rows.items()
    }


def _shares(mix: str | None, names: Sequence[str]) -> list[float]:
    """Of each painting, in all 1."""
    if not mix:
        raise UsageError(
            f"this model paints like {', '.join(names)}: say which with --style_mix {names[0]}, or "
            f"some with their shares, --style_mix {names[0]}=0.7,{names[-1]}=0.3"
        )
    asked: dict[str, float] = {}
    for part in mix.split(","):
        name, _, share = part.strip().partition("=")
        if name not in names:
            raise UsageError(
                f"--style_mix {name}: no such painting{nearest(name, names)}; "
                f"there are {', '.join(names)}"
            )
        try:
            asked[name] = float(share or 1)
        except ValueError:
            raise UsageError(f"--style_mix {part}: {share} is no number") from None
    total = sum(asked.values())
    if min(asked.values()) < 0 or total <= 0:
        raise UsageError(f"--style_mix {mix}: shares are 0 or more, and not all 0")
    return [asked.get(name, 0.0) / total for name in names]
