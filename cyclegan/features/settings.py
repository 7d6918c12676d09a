"""Names of the feature networks."""

from typing import Literal

FeatureName = Literal["efficientnet-lite0", "inception", "clip", "dinov2"]
