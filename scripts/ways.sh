#!/usr/bin/env bash
# Four ways side by side: a photograph, a painting, and what each way makes of them.
#   bash scripts/ways.sh [photo [painting]]     after scripts/demo.sh, whose CycleGAN comes last
# What is trained already is not trained again. Half an hour to an hour on two cores.
set -euo pipefail
photo=$(realpath "${1:-$(dirname "$0")/../datasets/sample/testA/cat.png}")
source "$(dirname "$0")/environment.sh"
environment dashboard
export OMP_NUM_THREADS=1
export XDG_CACHE_HOME=$PWD/.cache

sample=datasets/sample cyclegan=.venv/bin/cyclegan
painting=${2:-$sample/painting.png} features="--loss_features efficientnet-lite0"
[ -f checkpoints/demo/latest.pt ] || fail "checkpoints/demo: no such run: run scripts/demo.sh first"
mkdir -p results
out=$(mktemp -d results/ways.XXXX)
mkdir "$out/photo"
cp "$photo" "$out/photo/photo.${photo##*.}"

convert() { # NAME FLAGS...
  $cyclegan convert --input "$out/photo" --output "$out/$1" --name "$@"
}

train ways_painted one_painting --style "$painting" --content $sample/trainA $features \
  --n_epochs 30 --n_epochs_decay 30
train ways_fusion fusion --style $sample/paintings --content $sample/trainA \
  --n_epochs 60 --n_epochs_decay 60
convert ways_painted
convert ways_fusion --style "$painting"
convert demo
$cyclegan stylize --content "$photo" --style "$painting" --output "$out/optimised.png" $features

.venv/bin/python - results/ways.png "$photo" "$painting" "$out"/ways_painted/photo.* \
  "$out"/ways_fusion/photo.* "$out/optimised.png" "$out"/demo/photo.* <<'PYTHON'
import sys
from PIL import Image

target, *paths = sys.argv[1:]
side, gap = 216, 6
pictures = [Image.open(path).convert("RGB") for path in paths]
pictures = [one.resize((round(one.width * side / one.height), side)) for one in pictures]
row = Image.new("RGB", (sum(one.width + gap for one in pictures) - gap, side), "white")
left = 0
for one in pictures:
    row.paste(one, (left, 0))
    left += one.width + gap
row.save(target, optimize=True)
PYTHON
echo "open in a browser: file://$PWD/results/ways.png"
