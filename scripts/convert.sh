#!/usr/bin/env bash
# Convert a folder with a trained run: convert.sh NAME INPUT OUTPUT [FLAGS]
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment dashboard
usage="usage: $0 NAME INPUT OUTPUT [FLAGS]"
exec .venv/bin/cyclegan convert --name "${1:?$usage}" --input "${2:?$usage}" --output "${3:?$usage}" "${@:4}"
