#!/usr/bin/env bash
# Everything at once: install, make a sample data set, train, convert its test photographs, measure.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment dashboard
export OMP_NUM_THREADS=1 # networks this small gain nothing from more threads
export XDG_CACHE_HOME=$PWD/.cache
data=datasets/sample

.venv/bin/cyclegan data sample $data
echo "1 of 2: from nothing, some minutes, to see the training itself"
train fresh options/quick.toml --dataroot $data --eval_freq 0 --n_epochs 1 --n_epochs_decay 1
echo "2 of 2: some minutes more for weights that were trained before (docs/presets.md says how)"
train demo options/painted.toml --dataroot $data --eval_freq 0 --init_weights datasets/painted.pt \
  --lr 0.0001 --crops_per_image 12 --n_epochs 1 --n_epochs_decay 0
for name in fresh demo; do
  .venv/bin/cyclegan convert --name $name --input $data/testA --output results/$name \
    --reference $data/twinsA --overwrite
done
.venv/bin/cyclegan evaluate --name demo --size 128
echo "from nothing:           file://$PWD/results/fresh/index.html"
echo "from those weights:     file://$PWD/results/demo/index.html"
