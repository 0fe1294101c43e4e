#!/usr/bin/env bash
# The full-size model on one CUDA device beside PyTorch, or a rehearsal of it on the CPU.
#
#   benches/cuda/run.sh [--rehearse] [--out FILE.json] [--work FOLDER] [--seconds N]
#
# CUDA_WORK and CUDA_WORK_FUSION are programs built elsewhere (docs/benchmarks/cuda.md), built here
# where not given; CUDA_WORK_FUSION=none leaves fusion out. PEER_PYTHON is an interpreter that has
# benches/peers/model/requirements.txt. PROFILE (default release) is the rehearsal's build profile,
# THREADS (default 2) what both sides may use in it. Ends with 0: all ran and met their targets,
# 1: a piece failed, 2: bad use, 3: all ran, a target was missed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

rehearse=
for argument in "$@"; do
    [ "$argument" != --rehearse ] || rehearse=1
done

python=${PEER_PYTHON:-}
venv=$root/benches/peers/.venv-model
if [ -z "$python" ]; then
    python=python3
    # The comparison's own environment, made for a rehearsal and taken where it is.
    if [ -n "$rehearse" ] && [ ! -x "$venv/bin/python" ]; then
        python3 -m venv "$venv"
        "$venv/bin/pip" install -q -r "$root/benches/peers/model/requirements.txt"
    fi
    [ ! -x "$venv/bin/python" ] || python=$venv/bin/python
fi

# A build for CUDA, stripped: build NAME FEATURE
build() {
    export CUDARC_CUDA_VERSION="${CUDARC_CUDA_VERSION:-12080}"
    local target=${CUDA_TARGET_DIR:-$root/target/cuda-build}
    (cd "$root" && CARGO_TARGET_DIR="$target" cargo build --release --locked \
        --package benches --example cuda_work --features "$2") >&2
    mkdir -p "$root/target/cuda"
    strip -o "$root/target/cuda/$1" "$target/release/examples/cuda_work"
    echo "$root/target/cuda/$1"
}

binary=${CUDA_WORK:-}
fusion=${CUDA_WORK_FUSION:-}
if [ -n "$rehearse" ]; then
    if [ -z "$binary" ]; then
        profile=${PROFILE:-release}
        (cd "$root" && cargo build --workspace --profile "$profile" --locked --example cuda_work) >&2
        target=$(cd "$root" && cargo metadata --format-version 1 --no-deps |
            python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
        binary=$target/${profile/#dev/debug}/examples/cuda_work
    fi
    fusion=none
    threads=${THREADS:-2}
    export OMP_NUM_THREADS=$threads MKL_NUM_THREADS=$threads RAYON_NUM_THREADS=$threads
    # PyTorch's threads spin while they wait, which on a busy machine keeps each other from working.
    export OMP_WAIT_POLICY=PASSIVE
else
    [ -n "$binary" ] || binary=$(build cuda_work cuda)
    [ -n "$fusion" ] || fusion=$(build cuda_work_fusion cuda-fusion)
fi
options=(--binary "$binary" --peer-python "$python")
[ "$fusion" = none ] || options+=(--fusion "$fusion")
exec python3 "$here/driver.py" "${options[@]}" "$@"
