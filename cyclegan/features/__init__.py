"""Feature networks by the names that `--features` takes."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from cyclegan.features.efficientnet import efficientnet_lite0
from cyclegan.features.fidelity import fidelity
from cyclegan.features.network import FeatureNetwork
from cyclegan.features.settings import FeatureName

#: The one table of feature networks; each entry takes a file of weights, or None for its own.
FEATURES: Mapping[FeatureName, Callable[[Path | None], FeatureNetwork]] = {
    "efficientnet-lite0": efficientnet_lite0,
    "inception": partial(fidelity, "inception"),
    "clip": partial(fidelity, "clip"),
    "dinov2": partial(fidelity, "dinov2"),
}
