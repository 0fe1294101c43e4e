#!/usr/bin/env bash
# Training by several processes over MPI: the real binary as ranks of this machine, then of two network namespaces.
# Needs Open MPI and libclang (Debian: libopenmpi-dev openmpi-bin libclang-dev), and root for the namespaces.
#
#   tests/mpi/run.sh          two ranks against one process, as CI runs it
#   tests/mpi/run.sh 2,4      two and four
set -euo pipefail
cd "$(dirname "$0")/../.."
export MPI_TEST_RANKS=${1:-2}
# One test at a time: a job has a process a rank already. Built with the workspace, so that burn is not built again.
cargo test --workspace --locked --features detect-pancreas/mpi --test mpi -- --nocapture --test-threads 1
tests/mpi/hosts.sh "${CARGO_TARGET_DIR:-target}/debug/detect-pancreas"
