#!/usr/bin/env bash
# Photographs to Van Gogh at the classic's settings: train_photo2vangogh.sh DATAROOT [FLAGS]
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment dashboard
dataroot=${1:?"usage: $0 DATAROOT [FLAGS], where DATAROOT holds trainA and trainB"}
exec .venv/bin/cyclegan train options/photo2vangogh.toml --dataroot "$dataroot" "${@:2}"
