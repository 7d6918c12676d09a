"""Feature networks by the names that `--features` and `--loss_features` take."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Protocol, TypeVar

from cyclegan.data.cache import user_folder
from cyclegan.features import FeatureName, LayeredName, efficientnet, vgg
from cyclegan.features.efficientnet import efficientnet_lite0, efficientnet_lite1
from cyclegan.features.fidelity import fidelity
from cyclegan.features.layered import LayeredNetwork, as_measure, blank_plain, plain
from cyclegan.features.network import FeatureNetwork, NoWeightsError
from cyclegan.features.vgg import vgg19

log = logging.getLogger(__name__)
Network = TypeVar("Network")

#: The one table of networks with layers, which losses look at; each entry takes a file of weights,
#: or None for its own.
LAYERED: Mapping[LayeredName, Callable[[Path | None], LayeredNetwork]] = {
    "vgg19": vgg19,
    "efficientnet-lite0": efficientnet_lite0,
    "efficientnet-lite1": efficientnet_lite1,
    "plain": plain,
}

#: The same before weights are loaded into them: for networks that keep their own copy of a
#: network's layers. Each takes whether a layer prepares the colours, as some files of VGG have it.
BLANK: Mapping[LayeredName, Callable[[bool], LayeredNetwork]] = {
    "vgg19": lambda prepared: vgg.blank(prepared=prepared),
    "efficientnet-lite0": lambda prepared: efficientnet.blank_lite0(),
    "efficientnet-lite1": lambda prepared: efficientnet.blank_lite1(),
    "plain": lambda prepared: blank_plain(),
}


class _Make(Protocol):
    """Loader of a network with its own weights, or a file's; programs need `trust_code`."""

    def __call__(self, weights: Path | None, *, trust_code: bool = False) -> FeatureNetwork: ...


def _measure(
    name: LayeredName, weights: Path | None, *, trust_code: bool = False
) -> FeatureNetwork:
    return as_measure(LAYERED[name](weights))


#: The one table of networks that quality is measured with: those with layers, and some more.
FEATURES: Mapping[FeatureName, _Make] = {
    **{name: partial(_measure, name) for name in LAYERED},
    "inception": partial(fidelity, "inception"),
    "clip": partial(fidelity, "clip"),
    "dinov2": partial(fidelity, "dinov2"),
}


def feature_network(
    name: FeatureName, weights: Path | None = None, *, trust_code: bool = False
) -> FeatureNetwork:
    """Load the network `name`, or EfficientNet-Lite0 where its weights can't be had.

    EfficientNet-Lite0 needs no download. Raises UserError where `weights` are another network's, or
    where the network runs code and `trust_code` is not given.
    """
    make = partial(FEATURES[name], trust_code=trust_code)
    return _or_default(make, FEATURES["efficientnet-lite0"], weights)


def layered_network(name: LayeredName, weights: Path | None = None) -> LayeredNetwork:
    """Load the network `name` with its layers, or EfficientNet-Lite0 like `feature_network`."""
    return _or_default(LAYERED[name], LAYERED["efficientnet-lite0"], weights)


def _or_default(
    make: Callable[[Path | None], Network],
    default: Callable[[Path | None], Network],
    weights: Path | None,
) -> Network:
    try:
        return make(weights)
    except NoWeightsError as error:
        _tell_daily(f"{error}; using efficientnet-lite0 instead")
        return default(None)


def _tell_daily(line: str) -> None:
    """Warn once a day, not before each command, of what a person may leave as it is."""
    told = user_folder("told") / sha256(line.encode()).hexdigest()[:16]
    with contextlib.suppress(OSError):
        if time.time() - told.stat().st_mtime < _DAY:
            return
    log.warning("%s", line)
    with contextlib.suppress(OSError):  # where nothing can be kept it is said each time
        told.parent.mkdir(parents=True, exist_ok=True)
        told.touch()


_DAY = 86400.0  # seconds
