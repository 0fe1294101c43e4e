#!/usr/bin/env bash
# Writes a software bill of materials (CycloneDX 1.5, JSON) for each program, and checks it.
#
#   tools/sbom.sh [OUT]        OUT: a folder, by default target/sbom
#
# Needs cargo-cyclonedx (`cargo install cargo-cyclonedx --locked`) and jq. What a program is built from is what
# Cargo.lock says for its default features on this machine; pass other features in SBOM_ARGS, such as
# SBOM_ARGS="--features cuda". PYTHON may name an interpreter with cyclonedx-python-lib[json-validation]: then the
# documents are held to CycloneDX's own schema too. Equal sources give equal bytes but for serial numbers.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${1:-target/sbom}
mkdir -p "$out"
trap 'find bins tests -name "*_bin.cdx.json" -delete' EXIT
read -ra args <<< "${SBOM_ARGS:-}"
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
cargo cyclonedx --quiet --manifest-path bins/prepare-slices/Cargo.toml \
    --describe binaries --format json --spec-version 1.5 "${args[@]}"
locked=$(grep -c '^name = ' Cargo.lock)
for made in bins/*/*_bin.cdx.json; do
    name=$(basename "$made" _bin.cdx.json)
    # Paths of this machine are nobody's business.
    jq --arg root "$PWD" 'walk(if type == "string" then gsub($root; ".") else . end)' "$made" > "$out/$name.cdx.json"
    # Every crate of a registry has a version, a package URL and a hash; no two components are one; all of what is
    # depended on is a component.
    jq --exit-status --arg name "$name" --argjson locked "$locked" '
        .bomFormat == "CycloneDX" and .specVersion == "1.5"
        and (.components | length) > 10 and (.components | length) <= $locked
        and all(.components[]; .version != "" and (.purl | startswith("pkg:cargo/")))
        and all(.components[] | select(.purl | contains("download_url=file") | not); .hashes[0].alg == "SHA-256")
        and (.components | map(."bom-ref") | length == (unique | length))
        and ((.dependencies | map(.dependsOn // []) | add | unique)
            - ([.components[]."bom-ref"] + [.metadata.component."bom-ref"])) == []
    ' "$out/$name.cdx.json" > /dev/null || { echo "$out/$name.cdx.json is not what it should be" >&2; exit 1; }
    if [ -n "${PYTHON:-}" ]; then
        "$PYTHON" - "$out/$name.cdx.json" <<'PY'
import pathlib, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(pathlib.Path(sys.argv[1]).read_text())
sys.exit(f"{sys.argv[1]}: {error}" if error else 0)
PY
    fi
    printf '%s\t%s components\n' "$out/$name.cdx.json" "$(jq '.components | length' "$out/$name.cdx.json")"
done
