#!/usr/bin/env bash
# Everything at once: install, make a sample data set, train, convert its test images, measure.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment dashboard
export OMP_NUM_THREADS=1 # networks this small gain nothing from more threads
export XDG_CACHE_HOME=$PWD/.cache

.venv/bin/cyclegan data sample datasets/sample
if [ -f checkpoints/demo/latest.pt ]; then
  .venv/bin/cyclegan train --name demo --continue_train
else
  .venv/bin/cyclegan train options/quick.toml --dataroot datasets/sample --name demo
fi
.venv/bin/cyclegan convert --name demo --input datasets/sample/testA --output results/demo \
  --reference datasets/sample/twinsA --overwrite
.venv/bin/cyclegan evaluate --name demo
echo "look at it: file://$PWD/results/demo/index.html"
