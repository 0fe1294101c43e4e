#!/usr/bin/env bash
# Puts the stage checkpoints of a run that started from the embedded base beside that base, so that programs
# carry them: tools/pretrain/embed.sh out/quickstart
set -euo pipefail
run=$(realpath "$1")
cd "$(dirname "$0")/../.."
nano=crates/cascade/assets/nano
tool() { "${CARGO_TARGET_DIR:-target}/debug/model-tool" "$@"; }
for stage in pancreas_box tumor_yes_no tumor_box organs; do
    rm -rf "${nano:?}/$stage"
    tool convert --from "$run/$stage/checkpoint" --base "$nano/base" --out "$nano/$stage"
    # checkpoints lie side by side there
    sed 's#"\.\./\.\./pancreas_box/checkpoint"#"../pancreas_box"#' "$run/$stage/checkpoint/stage.json" > "$nano/$stage/stage.json"
done
