"""VGG-19, the field's choice for style; its ImageNet weights are torchvision's."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from torch import nn

from cyclegan.errors import UserError
from cyclegan.features.convolutions import Convolution, empty, foreign, read_convolutions
from cyclegan.features.download import downloaded
from cyclegan.features.layered import Affine, LayeredNetwork, Stage, given

#: Where torchvision has them, with the first digits of the file's SHA-256 in its name.
URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
# Simonyan and Zisserman 2014, table 1, column E: channels of the convolutions between two poolings.
_GROUPS = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4)
_NAMES = tuple(
    f"relu{group + 1}_{number + 1}"
    for group, widths in enumerate(_GROUPS)
    for number in range(len(widths))
)
_WIDTHS = tuple(width for widths in _GROUPS for width in widths)
# Of the colours in [0, 1], as torchvision trained it.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


def vgg19(weights: Path | None = None) -> LayeredNetwork:
    """The convolutions of VGG-19, relu1_1 to relu5_4; downloaded once unless a file is given.

    The file may be torchvision's, or one of the normalised kind, whose first convolution of 1x1
    prepares the colours and whose borders are reflected; either may end after any layer. Raises
    NoWeightsError where nothing can be downloaded, UserError where the file is another one's.
    """
    found = _downloaded() if weights is None else read_convolutions(weights, "vgg19")
    prepared = found[0].side == 1
    layers = found[1:] if prepared else found
    if not _fit(found[:1] if prepared else [], layers):
        raise foreign(weights or Path(URL), "vgg19")
    return given(_network(layers, found[0] if prepared else None), weights)


def blank(*, prepared: bool) -> LayeredNetwork:
    """The network before weights are loaded; `prepared` as in files of the normalised kind."""
    layers = [empty(seen, made, 3) for seen, made in pairwise((3, *_WIDTHS))]
    return _network(layers, empty(3, 3, 1) if prepared else None)


def _network(layers: Sequence[Convolution], first: Convolution | None) -> LayeredNetwork:
    stages = _stages(layers, first)
    names = _NAMES[: len(stages)]
    return LayeredNetwork(
        "vgg19",
        _normalised() if first is None else _halved(),
        stages,
        content=_known(names, "relu4_2"),
        style=_known(names, "relu1_1 relu2_1 relu3_1 relu4_1 relu5_1"),
        compared=_known(names, "relu2_2 relu3_4 relu4_4"),
    )


def _fit(first: Sequence[Convolution], layers: Sequence[Convolution]) -> bool:
    """Whether these are convolutions of VGG-19, up to some layer."""
    widths = _WIDTHS[: len(layers)]
    there = [(one.channels, one.side) for one in layers]
    expected = [((seen, made), 3) for seen, made in zip((3, *widths), widths, strict=False)]
    return bool(layers) and there == expected and all(one.channels == (3, 3) for one in first)


def _known(names: Sequence[str], wanted: str) -> tuple[str, ...]:
    """Those of `wanted` that a network with layers `names` has, or its last one."""
    return tuple(name for name in wanted.split() if name in names) or (names[-1],)


def _downloaded() -> list[Convolution]:
    path = downloaded(URL, "vgg19")
    try:
        return read_convolutions(path, "vgg19")
    except UserError as error:
        raise UserError(f"{error}: delete it, and it is downloaded again") from None


def _stages(layers: Sequence[Convolution], first: Convolution | None) -> tuple[Stage, ...]:
    """Gatys et al. 2016 and after: a layer's maps are what comes out of its ReLU."""
    stages: list[Stage] = []
    before: list[nn.Module] = [] if first is None else [first.layer()]
    for name, one in zip(_NAMES, layers, strict=False):
        pooled = int(name[4]) - 1
        if name.endswith("_1") and pooled:
            before = [nn.MaxPool2d(2)]
        convolution = one.layer("zeros" if first is None else "reflect")
        module = nn.Sequential(*before, convolution, nn.ReLU(inplace=True))
        # To be reflected, a border needs a second pixel.
        stages.append(Stage(name, module, 2**pooled * (1 if first is None else 2)))
        before = []
    return tuple(stages)


def _normalised() -> Affine:
    """[-1, 1] -> what torchvision's weights were trained on."""
    shift = [(0.5 - mean) / deviation for mean, deviation in zip(_MEAN, _DEVIATION, strict=True)]
    return Affine([0.5 / deviation for deviation in _DEVIATION], shift)


def _halved() -> Affine:
    """[-1, 1] -> [0, 1]."""
    return Affine([0.5] * 3, [0.5] * 3)
