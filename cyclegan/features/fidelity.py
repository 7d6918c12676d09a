"""Networks of published figures, from torch-fidelity: Inception, CLIP, DINOv2."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from cyclegan.errors import UserError, in_words, require_extra
from cyclegan.features.network import FeatureNetwork, NoWeightsError, Seen, read_weights
from cyclegan.weights_file import PROGRAMS, check_trust, ending_of

FidelityName = Literal["inception", "clip", "dinov2"]


@dataclass(frozen=True)
class _Known:
    """An extractor of torch-fidelity."""

    name: str
    layer: str
    side: int


_KNOWN: dict[FidelityName, _Known] = {
    # The Inception of Heusel et al. 2017 and all published FID figures.
    "inception": _Known("inception-v3-compat", "2048", 299),
    "clip": _Known("clip-vit-b-32", "clip-vit-b-32", 224),
    "dinov2": _Known("dinov2-vit-s-14", "dinov2", 224),
}


def fidelity(
    name: FidelityName, weights: Path | None, *, trust_code: bool = False
) -> FeatureNetwork:
    """Load the network `name`; its weights are downloaded unless a file is given.

    Raises UserError, with the way out, where the package or the weights can't be had, or are a
    program and `trust_code` is not given.
    """
    known = _KNOWN[name]
    _check_trust(name, weights, trust_code=trust_code)
    require_extra(f"--features {name}", "quality", "torch_fidelity")
    from torch_fidelity.utils import create_feature_extractor

    if weights is not None and ending_of(weights) not in PROGRAMS:
        read_weights(weights)  # the package would unpickle whatever the file holds
    given: dict[str, Any] = (
        {} if weights is None else {"feature_extractor_weights_path": str(weights)}
    )
    try:
        extractor = create_feature_extractor(
            known.name, [known.layer], cuda=False, verbose=False, **given
        )
    except Exception as error:  # downloads and foreign files fail in many ways
        if weights is not None:
            raise UserError(f"{weights}: not the weights of {name}") from error
        raise NoWeightsError(_advice(name, error)) from error
    origin = "" if weights is None else str(weights)
    return FeatureNetwork(
        name,
        known.side,
        lambda images: Seen(extractor(_bytes(images))[0]),
        origin,
        move=extractor.to,
    )


def _check_trust(name: FidelityName, weights: Path | None, *, trust_code: bool) -> None:
    if weights is not None:
        check_trust(weights, trust_code=trust_code)
    elif name == "dinov2" and not trust_code:
        raise UserError(
            "--features dinov2: torch.hub downloads a repository and runs its code: give "
            "--trust_code if you trust github.com/facebookresearch/dinov2, or other --features"
        )


def _advice(name: FidelityName, error: Exception) -> str:
    return (
        f"--features {name}: its weights can't be downloaded ({in_words(error)}): give them with "
        "--feature_weights FILE"
    )


def _bytes(images: Tensor) -> Tensor:
    """Convert images (N, 3, H, W) in [-1, 1] to uint8, which these networks take."""
    return ((images + 1) * 127.5).round().clamp(0, 255).byte()
