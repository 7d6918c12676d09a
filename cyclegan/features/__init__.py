"""Feature networks by the names that `--features` takes."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from cyclegan.features.efficientnet import efficientnet_lite0
from cyclegan.features.fidelity import fidelity
from cyclegan.features.network import FeatureNetwork, NoWeightsError
from cyclegan.features.settings import FeatureName

log = logging.getLogger(__name__)

#: The one table of feature networks; each entry takes a file of weights, or None for its own.
FEATURES: Mapping[FeatureName, Callable[[Path | None], FeatureNetwork]] = {
    "efficientnet-lite0": efficientnet_lite0,
    "inception": partial(fidelity, "inception"),
    "clip": partial(fidelity, "clip"),
    "dinov2": partial(fidelity, "dinov2"),
}


def feature_network(name: FeatureName, weights: Path | None = None) -> FeatureNetwork:
    """The network called so, or the one that needs no download where its weights can't be had.

    Raises UserError where `weights` are not its own.
    """
    try:
        return FEATURES[name](weights)
    except NoWeightsError as error:
        log.warning("%s; efficientnet-lite0 is used instead", error)
        return efficientnet_lite0()
