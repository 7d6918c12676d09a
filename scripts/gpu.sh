#!/usr/bin/env bash
# Check and measure a GPU: gpu.sh [--seconds 500] [--only NAME,...] [--device cpu --tiny] [--into gpu.json] [--python PYTHON]
# NAMES are the tests of tests/gpu (golden, gradients, ...) and the parts of `cyclegan benchmark device`.
# PYTHON has all packages already; else an environment is made in the checkout.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

seconds=500 only="" device=cuda into=gpu.json python="" tiny=()
while [ $# -gt 0 ]; do
  case "$1" in
    --tiny) tiny=(--tiny) && shift && continue ;;
    --seconds | --only | --device | --into | --python) [ $# -gt 1 ] || fail "$1: needs a value" ;;
    *) fail "$1: no such flag; there are --seconds, --only, --device, --tiny, --into and --python" ;;
  esac
  printf -v "${1#--}" %s "$2"
  shift 2
done
if [ -z "$python" ]; then
  environment test
  python=.venv/bin/python
fi

tests=() parts=""
for name in ${only//,/ }; do
  if [ -f "tests/gpu/test_$name.py" ]; then tests+=("tests/gpu/test_$name.py"); else parts+="$name,"; fi
done
rm -f "$into"
code=0
left() { echo $((seconds - SECONDS)); }
if [ -z "$only" ] || [ ${#tests[@]} -gt 0 ]; then
  share=$(left) # where both are done, the measurements have most of the time
  if [ -z "$only" ] || [ -n "$parts" ]; then share=$((share * 2 / 5)); fi
  [ ${#tests[@]} -gt 0 ] || tests=(tests/gpu/test_*.py)
  # Small networks leave most of a GPU idle: each file in its own process, as many as half the cores.
  printf '%s\n' "${tests[@]}" | xargs -P $((($(nproc) + 1) / 2)) -I{} \
    timeout --kill-after=10 $((share + 60)) "$python" -m pytest -q -p no:cacheprovider \
    --device "$device" --seconds $share --into "$into" {} || code=1
fi
if [ -z "$only" ] || [ -n "$parts" ]; then
  [ "$(left)" -gt 0 ] || fail "no time left to measure: the tests took all $seconds s (see $into)"
  timeout --kill-after=10 $(($(left) + 20)) "$python" -m cyclegan benchmark device --device "$device" \
    --seconds "$(left)" --only "$parts" --into "$into" "${tiny[@]}" || code=1
fi
echo "figures: $into"
exit $code
