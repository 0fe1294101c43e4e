#!/usr/bin/env bash
# Adapters and LLaMA folders that we write open in Python's peft and transformers and give the same
# logits to 1e-4, and the reverse. Prints the worst differences; fails if one is larger.
#
#   tools/interop/peft_roundtrip.sh [DIR]
#
# DIR (default: a temporary folder) keeps the files. PYTHON names an interpreter that has torch,
# transformers, peft and safetensors; without it a virtual environment is made in DIR from PyPI (pip's own variables
# choose torch's CPU build).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
source "$root/tools/interop/python.sh"
work_folder "$@"
python_with "$dir" torch transformers peft safetensors

logits() {
  cargo run --quiet --manifest-path "$root/Cargo.toml" -p vlm-model --example interop_logits -- "$@"
}

rm -rf "$dir/checkpoint" "$dir/merged" "$dir/python_adapter" "$dir/python_merged"
logits write "$dir"
status=0
"$PYTHON" "$root/tools/interop/peft_roundtrip.py" "$dir" || status=1
logits read "$dir" || status=1
exit $status
