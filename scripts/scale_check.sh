#!/usr/bin/env bash
# Predictions of `cyclegan benchmark scale` beside two processes with a slow wire between them.
#   sudo bash scripts/scale_check.sh [MBIT ...]      a minute for each; Linux, as root, iproute2
# Two network namespaces stand for two machines; what each sends is held to so many megabits a second, of
# which the frames leave 95 %.
set -euo pipefail
cd "$(dirname "$0")/.."
rates=("${@:-100 400}")
one=cyclegan-a other=cyclegan-b
away() { for space in "$one" "$other"; do ip netns del "$space" 2>/dev/null || true; done; }
trap away EXIT

for rate in ${rates[*]}; do
  away
  ip netns add "$one"
  ip netns add "$other"
  ip link add wire netns "$one" type veth peer name wire netns "$other"
  for place in "$one 1" "$other 2"; do
    read -r space host <<<"$place"
    ip -n "$space" addr add "10.77.0.$host/24" dev wire
    ip -n "$space" link set lo up
    ip -n "$space" link set wire up
    tc -n "$space" qdisc add dev wire root tbf rate "${rate}mbit" burst 64kb latency 400ms
  done
  process() { # SPACE RANK
    GLOO_SOCKET_IFNAME=wire OMP_NUM_THREADS=1 ip netns exec "$1" .venv/bin/torchrun \
      --nnodes 2 --node_rank "$2" --master_addr 10.77.0.1 --master_port 29577 --nproc_per_node 1 \
      -m cyclegan benchmark scale --batch_size 4 --crop_size 64 --load_size 64 --ngf 16 --ndf 16 \
      --n_blocks 2 --precision fp32 --compile off --batching on --device cpu --devices 1,2 \
      --seconds 8 --bandwidth "$(awk "BEGIN { print $rate / 8000 * 0.95 }")" --latency 50
  }
  process "$other" 1 >/dev/null 2>&1 &
  echo "$rate Mbit/s: $(process "$one" 0 2>/dev/null | grep '^measured here')"
  wait
done
