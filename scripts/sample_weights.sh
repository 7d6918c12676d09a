#!/usr/bin/env bash
# Train weights such as the demo goes on from, from nothing, on the sample set: some hours on 2 cores.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment dashboard
.venv/bin/cyclegan data sample datasets/sample
if [ -f checkpoints/painted/latest.pt ]; then
  .venv/bin/cyclegan train --name painted --continue_train
else
  .venv/bin/cyclegan train options/painted.toml --dataroot datasets/sample --name painted
fi
# The generators' averages and the discriminators, in half precision, nothing else: 3 MB.
.venv/bin/python - checkpoints/painted/latest.pt datasets/painted.pt <<'PYTHON'
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
weights = checkpoint.Checkpoint(run.settings, {"networks": halves}, Position())
with tempfile.TemporaryDirectory(dir=target.parent) as folder:
    checkpoint.save(weights, Path(folder)).replace(target)
PYTHON
