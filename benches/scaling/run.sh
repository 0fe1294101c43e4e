#!/usr/bin/env bash
# One command: environment, build, measurements against size, plots.
#
#   benches/scaling/run.sh [--only prepare|audit|train|serve]... [--quick] [--out DIR] [--data DIR]
#
# Each part writes DIR/PART.json (default docs/benchmarks/scaling); the plots and laws.json are made of
# the parts that lie there. --data keeps the synthetic studies for the next run.
#
# PROFILE (default release) is the build profile, THREADS (default 1) what preparation and training may
# use, BINS a folder of programs that are built already and COMMIT what they were built of, PYTHON an
# interpreter that has requirements.txt already. GNU time must be there as /usr/bin/time.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-}
if [ -z "$python" ]; then
    venv=benches/scaling/.venv
    python=$venv/bin/python
    if [ ! -x "$python" ]; then
        python3 -m venv "$venv"
        "$venv/bin/pip" install -q -r benches/scaling/requirements.txt
    fi
fi
profile=${PROFILE:-release}
bins=${BINS:-}
if [ -z "$bins" ]; then
    cargo build --workspace --profile "$profile" --locked --example scaling_work --bins
    target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
    bins=$target/${profile/#dev/debug}
fi
out=docs/benchmarks/scaling
arguments=("$@")
for ((n = 0; n < $#; n++)); do
    case ${arguments[n]} in
        --out) out=${arguments[n + 1]} ;;
        --out=*) out=${arguments[n]#--out=} ;;
    esac
done
PROFILE=$profile THREADS=${THREADS:-1} "$python" benches/scaling/measure.py --bins "$bins" --out "$out" "$@"
"$python" benches/scaling/plots.py "$out"
