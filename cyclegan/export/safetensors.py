"""safetensors: the weights, which hold no code whoever made them, and what they belong to."""

from dataclasses import replace
from pathlib import Path

from cyclegan import checkpoint
from cyclegan.errors import UserError
from cyclegan.export.network import Exportable
from cyclegan.generators import GENERATORS
from cyclegan.packages import need


def write(given: Exportable, path: Path) -> None:
    """Write `path`. Raises UserError."""
    generator = given.metadata.architecture.generator.netG
    if generator not in GENERATORS:
        raise UserError(
            f"--format safetensors: holds weights alone, and a {generator} model needs its styles: "
            "give another --format"
        )
    need("--format safetensors", "safetensors", "safetensors")
    from safetensors.torch import save

    weights = {name: tensor.contiguous() for name, tensor in given.network.state_dict().items()}
    metadata = replace(given.metadata, digest=checkpoint.digest(weights))
    path.write_bytes(save(weights, metadata=metadata.texts()))  # its own files are private
