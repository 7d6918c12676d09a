#!/usr/bin/env bash
# Training on all GPUs of some machines by SLURM; at its time limit it saves and asks for another turn.
#   sbatch --nodes 2 scripts/slurm_train.sh NAME [FLAGS OF cyclegan train]
# The machines share the folder it is started from, and torchrun is on the path.
#SBATCH --job-name=cyclegan --ntasks-per-node=1 --gpus-per-node=4 --cpus-per-task=16
#SBATCH --time=12:00:00 --signal=TERM@120 --requeue --open-mode=append
set -euo pipefail
name=$1 started=$(mktemp)
shift
latest=checkpoints/$name/latest.pt
if [ -f "$latest" ]; then set -- --continue_train; fi
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

code=0
srun torchrun --nnodes "$SLURM_JOB_NUM_NODES" --nproc_per_node "${SLURM_GPUS_ON_NODE:-1}" \
  --max-restarts 3 --rdzv_id "$SLURM_JOB_ID" --rdzv_backend c10d --rdzv_endpoint "$first:29500" \
  -m cyclegan train --name "$name" "$@" || code=$?
# Only after a save of this turn: what fails at once would fail for ever.
if [ "$code" != 0 ] && [ "$latest" -nt "$started" ]; then scontrol requeue "$SLURM_JOB_ID"; fi
rm "$started"
exit "$code"
