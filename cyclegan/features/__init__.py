"""Names of the frozen networks whose features are compared, trained on another task."""

from typing import Literal

#: Networks whose layers can be looked at one by one, with gradients.
LayeredName = Literal["vgg19", "efficientnet-lite0", "efficientnet-lite1", "plain"]
FeatureName = Literal[
    "efficientnet-lite0", "efficientnet-lite1", "inception", "clip", "dinov2", "vgg19", "plain"
]
