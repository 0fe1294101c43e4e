#!/usr/bin/env bash
# Every comparison with a peer, one after the other; options go to model.sh.
#
#   benches/peers/run.sh [--json FILE]
set -euo pipefail
cd "$(dirname "$0")"
./model.sh "$@"
./slices.sh --rounds 5
