#!/usr/bin/env bash
# Convert a folder with a SLURM array, one shard a task: sbatch --array=1-8 slurm_convert.sh NAME INPUT OUTPUT [FLAGS]
# The same line again goes on; `cyclegan` is the one of the environment that sbatch is called in.
#SBATCH --job-name=convert --gres=gpu:1 --cpus-per-task=8 --time=12:00:00
#SBATCH --array=1-8
#SBATCH --signal=TERM@120 --requeue --open-mode=append
set -uo pipefail
usage="usage: sbatch --array=1-N $0 NAME INPUT OUTPUT [FLAGS]"
srun cyclegan convert --shard auto \
  --name "${1:?$usage}" --input "${2:?$usage}" --output "${3:?$usage}" "${@:4}"
code=$?
# 143: the time limit came; what was made is kept, and the task takes another turn.
if [ "$code" = 143 ]; then scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"; fi
exit "$code"
