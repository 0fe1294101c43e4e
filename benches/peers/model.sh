#!/usr/bin/env bash
# One command: environment, build, comparison of the model's work with PyTorch and transformers.
#
#   benches/peers/model.sh [--rounds N] [--only NAME]... [--json FILE]
#
# PROFILE (default release) is the build profile, PEER_PYTHON an interpreter that has
# model/requirements.txt already, THREADS (default 2) what both sides may use.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PEER_PYTHON:-}
if [ -z "$python" ]; then
    venv=benches/peers/.venv-model
    python=$venv/bin/python
    if [ ! -x "$python" ]; then
        python3 -m venv "$venv"
        "$venv/bin/pip" install -q -r benches/peers/model/requirements.txt
    fi
fi
profile=${PROFILE:-release}
cargo build --workspace --profile "$profile" --locked --example model_work --bin detect-pancreas
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
bins=$target/${profile/#dev/debug}
threads=${THREADS:-2}
export OMP_NUM_THREADS=$threads MKL_NUM_THREADS=$threads RAYON_NUM_THREADS=$threads
export HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error HF_HUB_DISABLE_PROGRESS_BARS=1
"$python" benches/peers/model/driver.py --binary "$bins/examples/model_work" --bins "$bins" "$@"
