#!/usr/bin/env bash
# Train weights such as the demo goes on from, from nothing, on the sample set: an hour and a half on one core.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment dashboard
export OMP_NUM_THREADS=1
.venv/bin/cyclegan data sample datasets/sample
# Once the colours have settled they are held less tightly, and the strokes grow.
sample=(options/painted.toml --dataroot datasets/sample --eval_freq 0)
train painted "${sample[@]}"
train painted_on "${sample[@]}" --init_weights checkpoints/painted/latest.pt \
  --lambda_consistency 6 --n_epochs 1 --n_epochs_decay 3
# The generators' averages and the discriminators, in half precision, nothing else: 3 MB.
.venv/bin/python - checkpoints/painted_on/latest.pt datasets/painted.pt <<'PYTHON'
import sys
import tempfile
from pathlib import Path

from cyclegan import checkpoint
from cyclegan.run import Position

trained, target = map(Path, sys.argv[1:])
run = checkpoint.load(trained)
networks = run.state["networks"] | run.state["averages"]
halves = {
    name: {key: value.half() if value.is_floating_point() else value for key, value in one.items()}
    for name, one in networks.items()
}
settings = dict(run.settings)
settings["run"] |= {"name": "painted", "checkpoints_dir": "checkpoints"}  # no path of this machine
settings["data"] |= {"dataroot": "datasets/sample"}
weights = checkpoint.Checkpoint(settings, {"networks": halves}, Position())
with tempfile.TemporaryDirectory(dir=target.parent) as folder:
    checkpoint.save(weights, Path(folder)).replace(target)
PYTHON
