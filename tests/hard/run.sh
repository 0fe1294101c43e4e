#!/usr/bin/env bash
# The long suite: builds everything in the one profile and target folder, then tries every input and every fault.
# Arguments go to `hard all`, as `--json`.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --workspace --locked
"${CARGO_TARGET_DIR:-target}/debug/hard" all "$@"
