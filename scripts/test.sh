#!/usr/bin/env bash
# The whole test suite, in an environment of the checkout; arguments go to pytest.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment test
workers=$(($(getconf _NPROCESSORS_ONLN) + 1)) # one more: many tests wait for processes
.venv/bin/python -m pytest -n "$((workers < 4 ? workers : 4))" --dist loadfile --no-loadscope-reorder "$@"
