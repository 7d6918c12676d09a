#!/usr/bin/env bash
# Style and types.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment check
.venv/bin/ruff format --check .
.venv/bin/ruff check .
.venv/bin/mypy
