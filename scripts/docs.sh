#!/usr/bin/env bash
# The texts of docs as pages, into build/docs; warnings are errors.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment docs
.venv/bin/python -m sphinx --fail-on-warning --keep-going --quiet -b html docs build/docs
echo "build/docs/index.html"
