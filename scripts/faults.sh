#!/usr/bin/env bash
# Kill, fill, damage and interrupt trainings, conversions and servers; count what survives.
#   bash scripts/faults.sh --trials 500 --seed 1 [--results FILE] [--only NAME]
# Without --trials one of each kind. With --results a run that was stopped goes on.
set -euo pipefail
called_from=$PWD
source "$(dirname "$0")/environment.sh"
environment test
python=$PWD/.venv/bin/python tests=$PWD/tests
cd "$called_from"
PYTHONPATH="$tests${PYTHONPATH:+:$PYTHONPATH}" exec "$python" -m faults "$@"
