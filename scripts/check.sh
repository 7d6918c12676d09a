#!/usr/bin/env bash
# Style and types; what is known to be dangerous, in the code and in the packages that it needs.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
environment check
.venv/bin/ruff format --check .
.venv/bin/ruff check .
.venv/bin/mypy
.venv/bin/bandit --quiet --recursive cyclegan --configfile pyproject.toml
.venv/bin/python scripts/audit.py
