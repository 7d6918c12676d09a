# Sourced by the other scripts: makes .venv in the checkout if it is not there and installs into it.
# Nothing outside the checkout is written.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

new_enough() {
  command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
  for python in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    if new_enough "$python"; then
      echo "$python"
      return
    fi
  done
  fail "needs Python 3.11 or newer; install it, or name it: PYTHON=/path/to/python3.12 bash $0"
}

pip_install() {
  .venv/bin/python -m pip install --no-cache-dir "$@" >>.venv/install.log 2>&1 && return
  if grep -qiE 'NewConnectionError|Temporary failure|Connection(Error| refused| broken)|Network is unreachable|timed out|No matching distribution' .venv/install.log; then
    fail "can't reach the package index: check the network and run this again (details: .venv/install.log)"
  fi
  fail "installing failed: $(grep -i error .venv/install.log | tail -n 1) (details: .venv/install.log)"
}

# environment EXTRAS: an environment with the package and these extras, current with setup.cfg.
environment() {
  local python stamp state
  stamp=".venv/installed-$1"
  state=$(cksum setup.cfg)
  if [ -x .venv/bin/cyclegan ] && [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then return; fi
  if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python) || exit 1
    "$python" -m venv --clear .venv || fail "$python can't make environments: install python3-venv"
  fi
  echo "installing into .venv (PyTorch is large: some minutes)"
  mkdir -p .venv/tmp
  export TMPDIR="$PWD/.venv/tmp" PIP_DISABLE_PIP_VERSION_CHECK=1
  export PIP_BUILD_CONSTRAINT="$PWD/scripts/build-constraints.txt"
  : >.venv/install.log
  pip_install --upgrade 'pip>=26'
  pip_install --editable ".[$1]"
  unset TMPDIR
  echo "$state" >"$stamp"
}

# train NAME [PRESET] FLAGS...: a run of that name, from where it stands if it was begun.
train() {
  if [ -f "checkpoints/$1/latest.pt" ]; then
    .venv/bin/cyclegan train --name "$1" --continue_train
  else
    .venv/bin/cyclegan train "${@:2}" --name "$1"
  fi
}
