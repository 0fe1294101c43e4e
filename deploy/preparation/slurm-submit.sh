#!/usr/bin/env bash
# Submits a preparation: an array of shards, and a merge once all of them are done.
#
#     DATASET=msd-pancreas ROOT=/data/Task07_Pancreas OUT=/scratch/prepared ./slurm-submit.sh 16 [options of sbatch]
#
# A merge waits as long as a task is not done. Tasks that failed: see their logs, then give the same command again.
set -euo pipefail
cd "$(dirname "$0")"
n_shards=${1:?number of shards}
shift
: "${DATASET:?}" "${ROOT:?}" "${OUT:?}"
mkdir -p "$OUT/shards"
export N_SHARDS=$n_shards
array=$(sbatch --parsable --array="0-$((n_shards - 1))" "$@" slurm-array.sbatch)
merge=$(sbatch --parsable --dependency="afterok:${array%%;*}" --kill-on-invalid-dep=yes "$@" slurm-merge.sbatch)
echo "shards: job ${array%%;*}; merge: job ${merge%%;*}; result: $OUT/prepared"
