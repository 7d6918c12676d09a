"""What sample_weights.sh needs beside trainings.

sample_weights.py halve CHECKPOINT FILE NAME; sample_weights.py recolour DATAROOT FOLDER
"""

import sys
import tempfile
from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms import ColorJitter

from cyclegan import checkpoint
from cyclegan.run import Position


def halve(trained: str, target: str, name: str) -> None:
    """Save the generators' averages and the discriminators in half precision, without paths."""
    run = checkpoint.load(Path(trained))
    halves = {
        network: {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
        for network, weights in (run.state["networks"] | run.state["averages"]).items()
        if network.startswith(("generator", "discriminator"))
    }
    settings = dict(run.settings)
    settings["run"] |= {"name": name, "checkpoints_dir": "checkpoints"}
    settings["data"] |= {"dataroot": "datasets/sample"}
    if "teacher" in settings["losses"]:
        settings["losses"] |= {"teacher": "checkpoints/sample_teacher"}
    weights = checkpoint.Checkpoint(settings, {"networks": halves}, Position())
    with tempfile.TemporaryDirectory(dir=Path(target).parent) as folder:
        checkpoint.save(weights, Path(folder)).replace(target)


def recolour(dataroot: str, folder: str) -> None:
    """Copy a data set with its photographs in other colours too, some of them far from life."""
    source, target = Path(dataroot).resolve(), Path(folder)
    (target / "trainA").mkdir(parents=True, exist_ok=True)
    for name in ("trainB", "testA", "testB"):
        if not (target / name).exists():
            (target / name).symlink_to(source / name)
    torch.manual_seed(0)
    near, any_hue = ColorJitter(0.3, 0.3, 0.5, 0.05), ColorJitter(0.4, 0.4, 0.6, 0.5)
    for path in sorted((source / "trainA").iterdir()):
        photograph = Image.open(path).convert("RGB")
        photograph.save(target / "trainA" / f"{path.stem}.jpg", quality=95)
        for number, jitter in enumerate((near, any_hue, near, any_hue)):
            jitter(photograph).save(target / "trainA" / f"{path.stem}_{number}.jpg", quality=95)


if __name__ == "__main__":
    {"halve": halve, "recolour": recolour}[sys.argv[1]](*sys.argv[2:])
