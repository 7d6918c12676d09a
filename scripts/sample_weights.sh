#!/usr/bin/env bash
# Train weights such as the demo goes on from, from nothing, on the sample set: two hours on 2 cores.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment dashboard
.venv/bin/cyclegan data sample datasets/sample
train() { # NAME FLAGS...: from where it stands, if it was begun
  if [ -f "checkpoints/$1/latest.pt" ]; then
    .venv/bin/cyclegan train --name "$1" --continue_train
  else
    .venv/bin/cyclegan train options/painted.toml --dataroot datasets/sample --name "$@"
  fi
}

# The colours have settled then: held less tightly, the strokes grow.
train painted
train painted_on --init_weights checkpoints/painted/latest.pt \
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
