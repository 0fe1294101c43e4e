#!/usr/bin/env bash
# One command: environment, phantom, build, comparison. Arguments go to slices.py (--rounds, --json).
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=benches/peers/.venv
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q -r benches/peers/requirements.txt
fi
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 RAYON_NUM_THREADS=1
cargo build --release --locked --workspace --example slice_path --bin prepare-slices
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
studies=$(mktemp -d)
trap 'rm -rf "$studies"' EXIT
"$target/release/prepare-slices" phantom --patients 1 --layout msd --size 512 --out "$studies"
volume=$(find "$studies/imagesTr" -name '*.nii.gz' | head -n 1)
"$venv/bin/python" benches/peers/slices.py --binary "$target/release/examples/slice_path" --volume "$volume" "$@"
