#!/usr/bin/env bash
# Builds model-tool for NVIDIA GPUs and packs it: target/cuda/model-tool.xz.
#
#   tools/cuda/build.sh                  kernels one by one
#   tools/cuda/build.sh --fusion         with kernel fusion
#   tools/cuda/build.sh --debian-llvm    where the LLVM bundle cannot be downloaded (Debian, root)
#
# Needs no CUDA toolkit and no GPU; running it needs both (docs/CUDA.md). About 10 minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/../.."

features=cuda
for argument in "$@"; do
    case "$argument" in
        --fusion) features=cuda-fusion ;;
        --debian-llvm) tools/cuda/debian-llvm.sh ;;
        *) sed -n 2,9p "$0"; exit 2 ;;
    esac
done

# The toolkit's interface that is bound without nvcc; functions are looked up by name when called.
export CUDARC_CUDA_VERSION="${CUDARC_CUDA_VERSION:-12080}"
# A target folder of its own: the CUDA tree shares almost nothing with the CPU build.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target/cuda-build}"
cargo build --release --locked --package model-tool --features "$features"

out=target/cuda
mkdir -p "$out"
strip -o "$out/model-tool" "$CARGO_TARGET_DIR/release/model-tool"
xz --threads=0 -6 --keep --force "$out/model-tool"
ls -l "$out"
