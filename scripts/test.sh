#!/usr/bin/env bash
# The whole test suite, in an environment of the checkout; arguments go to pytest.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment test
.venv/bin/python -m pytest -n logical --maxprocesses 4 --dist loadfile "$@"
