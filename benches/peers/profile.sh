#!/usr/bin/env bash
# Where the time of a piece of work goes: shares of processor time by kind, from the kernel's sampler.
#
#   benches/peers/profile.sh WORK FOLDER [QUESTION IMAGE]
#
# WORK is one of model_work's (train, encode, prefill, decode, answer), FOLDER a checkpoint, as
# `model_work write benches/peers/model/nano.json FOLDER` makes one. Needs Linux `perf`. RUNS
# (default 10) is how often the work is done, PROFILE and THREADS as for model.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$1 folder=$2 question=${3:-} line=${4:-run}
profile=${PROFILE:-release}
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
binary=$target/${profile/#dev/debug}/examples/model_work
[ -x "$binary" ] || cargo build --workspace --profile "$profile" --locked --example model_work
export RAYON_NUM_THREADS=${THREADS:-2}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
seq "${RUNS:-10}" | sed "s|.*|$line|" > "$scratch/lines"
# The work without its first run less the first run alone: loading and warming do not count.
sample() {
    perf record -q -F 999 -o "$scratch/$1.data" "$binary" "$work" "$folder" ${question:+"$question"} > /dev/null
    perf report -i "$scratch/$1.data" --no-children -g none --sort dso,symbol -F sample,dso,symbol -t '|' 2> /dev/null \
        | grep -v '^#' | grep '|' > "$scratch/$1.txt"
}
sample all < "$scratch/lines"
head -n 1 "$scratch/lines" > "$scratch/one"
sample one < "$scratch/one"
python3 - "$scratch/all.txt" "$scratch/one.txt" << 'PYTHON'
import re, sys
KINDS = [
    ("products", r"gemm_f32::microkernel|gemm_basic"),
    ("packing for products", r"gemm_common"),
    ("fused kernels", r"pulp|fused_ops"),
    ("burn's element-wise operations", r"burn_flex|macerator|burn_"),
    ("clearing and copying memory", r"memset|memmove|memcpy|malloc|free|calloc"),
    ("the operating system", r"\[k\]|kernel"),
    ("waiting and stealing", r"rayon|crossbeam|sched_yield"),
]
def counts(path):
    found = {}
    for line in open(path):
        n, dso, symbol = [part.strip() for part in line.split("|", 2)]
        kind = next((name for name, pattern in KINDS if re.search(pattern, symbol + " " + dso)), "the rest")
        found[kind] = found.get(kind, 0) + int(n)
    return found
all_runs, one = counts(sys.argv[1]), counts(sys.argv[2])
left = {kind: max(n - one.get(kind, 0), 0) for kind, n in all_runs.items()}
total = sum(left.values())
for kind, n in sorted(left.items(), key=lambda item: -item[1]):
    print(f"{100 * n / total:5.1f} %  {kind}")
PYTHON
