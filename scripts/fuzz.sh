#!/usr/bin/env bash
# Hostile inputs: --inputs 100000 --seed 1; --replay FILE judges one again. docs/reliability.md says more.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment test
export PYTHONPATH="$PWD/tests" OMP_NUM_THREADS=1
exec .venv/bin/python -m fuzz "$@"
