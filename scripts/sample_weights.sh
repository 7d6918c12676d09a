#!/usr/bin/env bash
# Train the weights that come with the project, from nothing, on the sample set.
# datasets/painted.pt is what the demo goes on from: an hour and a half on one core.
# cyclegan/conversion/sample.pt is what --weights sample names: minutes on a GPU, a night on two cores.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment dashboard
.venv/bin/cyclegan data sample datasets/sample

# The generators' averages and the discriminators, in half precision, nothing else, and no path of this machine.
halved() {
  .venv/bin/python - "$@" <<'PYTHON'
import sys
import tempfile
from pathlib import Path

from cyclegan import checkpoint
from cyclegan.run import Position

trained, target, name = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
run = checkpoint.load(trained)
networks = run.state["networks"] | run.state["averages"]
halves = {
    name: {key: value.half() if value.is_floating_point() else value for key, value in one.items()}
    for name, one in networks.items()
    if name.startswith(("generator", "discriminator"))
}
settings = dict(run.settings)
settings["run"] |= {"name": name, "checkpoints_dir": "checkpoints"}
settings["data"] |= {"dataroot": "datasets/sample"}
if "teacher" in settings["losses"]:
    settings["losses"] |= {"teacher": "checkpoints/sample_teacher"}
weights = checkpoint.Checkpoint(settings, {"networks": halves}, Position())
with tempfile.TemporaryDirectory(dir=target.parent) as folder:
    checkpoint.save(weights, Path(folder)).replace(target)
PYTHON
}

# Once the colours have settled they are held less tightly, and the strokes grow.
sample=(options/painted.toml --dataroot datasets/sample --eval_freq 0)
export OMP_NUM_THREADS=1
train painted "${sample[@]}"
train painted_on "${sample[@]}" --init_weights checkpoints/painted/latest.pt \
  --lambda_consistency 6 --n_epochs 1 --n_epochs_decay 3
halved checkpoints/painted_on/latest.pt datasets/painted.pt painted
unset OMP_NUM_THREADS

# The photographs again in other colours, some of them far from life; the paintings as they are.
recoloured() {
  .venv/bin/python - "$@" <<'PYTHON'
import sys
from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms import ColorJitter

source, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
(target / "trainA").mkdir(parents=True, exist_ok=True)
for name in ("trainB", "testA", "testB"):
    if not (target / name).exists():
        (target / name).symlink_to(source / name)
torch.manual_seed(0)
some, any_hue = ColorJitter(0.3, 0.3, 0.5, 0.05), ColorJitter(0.4, 0.4, 0.6, 0.5)
for path in sorted((source / "trainA").iterdir()):
    photograph = Image.open(path).convert("RGB")
    photograph.save(target / "trainA" / f"{path.stem}.jpg", quality=95)
    for number, jitter in enumerate((some, any_hue, some, any_hue)):
        jitter(photograph).save(target / "trainA" / f"{path.stem}_{number}.jpg", quality=95)
PYTHON
}

# Normalised by batches, not image by image: what is painted in one place does not depend on the others.
everywhere=(--norm batch --batch_size 8 --eval_freq 0)
recoloured datasets/sample datasets/sample_colours
train sample_teacher options/painted.toml --dataroot datasets/sample_colours "${everywhere[@]}" --ngf 32 --n_blocks 6 \
  --crop_size 256 --crops_per_image 8 --lambda_consistency "12 -> 4"
train sample student --teacher checkpoints/sample_teacher --dataroot datasets/sample "${everywhere[@]}" --crop_size 128
halved checkpoints/sample/latest.pt cyclegan/conversion/sample.pt sample
