#!/usr/bin/env bash
# Train the weights that come with the project, from nothing, on the sample set.
# datasets/painted.pt is what the demo goes on from: an hour and a half on one core.
# cyclegan/conversion/sample.pt is what --weights sample names: minutes on a GPU, a night on two cores.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment dashboard
.venv/bin/cyclegan data sample datasets/sample
weights() { .venv/bin/python scripts/sample_weights.py "$@"; }

# Once the colours have settled they are held less tightly, and the strokes grow.
sample=(options/painted.toml --dataroot datasets/sample --eval_freq 0)
export OMP_NUM_THREADS=1
train painted "${sample[@]}"
train painted_on "${sample[@]}" --init_weights checkpoints/painted/latest.pt \
  --lambda_consistency 6 --n_epochs 1 --n_epochs_decay 3
weights halve checkpoints/painted_on/latest.pt datasets/painted.pt painted
unset OMP_NUM_THREADS

# Normalised by batches, not image by image: what is painted in one place does not depend on the others.
everywhere=(--norm batch --batch_size 8 --eval_freq 0)
weights recolour datasets/sample datasets/sample_colours
train sample_teacher options/painted.toml --dataroot datasets/sample_colours "${everywhere[@]}" --ngf 32 --n_blocks 6 \
  --crop_size 256 --crops_per_image 8 --lambda_consistency "12 -> 4"
student=(student --teacher checkpoints/sample_teacher "${everywhere[@]}" --crop_size 128)
train sample "${student[@]}" --dataroot datasets/sample
# What the teacher's discriminator sees counts more from here on: by pixels alone strokes are blurred.
train sample_on "${student[@]}" --dataroot datasets/sample --init_weights checkpoints/sample/latest.pt \
  --lambda_discriminator 8 --lambda_pixels 5 --n_epochs 6 --n_epochs_decay 10
train sample_last "${student[@]}" --dataroot datasets/sample_colours --init_weights checkpoints/sample_on/latest.pt \
  --lambda_discriminator 16 --crops_per_image 5 --n_epochs 3 --n_epochs_decay 6
weights halve checkpoints/sample_last/latest.pt cyclegan/conversion/sample.pt sample
