#!/usr/bin/env bash
# Train the weights that come with the project, from nothing, on the sample set: some hours on one core.
# datasets/painted.pt is what the demo goes on from, cyclegan/conversion/sample.pt what --weights sample names.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment dashboard
export OMP_NUM_THREADS=1
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
    settings["losses"] |= {"teacher": "datasets/painted.pt"}
weights = checkpoint.Checkpoint(settings, {"networks": halves}, Position())
with tempfile.TemporaryDirectory(dir=target.parent) as folder:
    checkpoint.save(weights, Path(folder)).replace(target)
PYTHON
}

# Once the colours have settled they are held less tightly, and the strokes grow.
sample=(options/painted.toml --dataroot datasets/sample --eval_freq 0)
train painted "${sample[@]}"
train painted_on "${sample[@]}" --init_weights checkpoints/painted/latest.pt \
  --lambda_consistency 6 --n_epochs 1 --n_epochs_decay 3
halved checkpoints/painted_on/latest.pt datasets/painted.pt painted
train sample student --teacher datasets/painted.pt --dataroot datasets/sample --eval_freq 0
halved checkpoints/sample/latest.pt cyclegan/conversion/sample.pt sample
