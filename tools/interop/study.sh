#!/usr/bin/env bash
# One study through `predict-study`, its exports read back by the tools that they are made for, and the scores of
# whole synthetic studies: everything that docs/STUDY.md quotes. Fails if a tool reads something else than we wrote.
#
#   tools/interop/study.sh DICOM_FOLDER [DIR] [PATIENTS]
#
# DIR (default: a temporary folder) keeps the files; PATIENTS (default: 16) are drawn for the scores, 0 leaves them out.
# PYTHON names an interpreter that has pydicom, highdicom, nibabel and pycocotools; without it a virtual environment is
# made in DIR. BIN names a folder of built binaries; without it cargo builds and runs them.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
dicom=$(cd "${1:?a folder with one DICOM series}" && pwd)
patients=${3:-16}
source "$root/tools/interop/python.sh"
work_folder "${@:2:1}"
python_with "$dir" pydicom==3.0.2 highdicom==0.28.2 nibabel==5.4.2 pycocotools==2.0.11

run() {
  local name=$1
  shift
  if [ -n "${BIN:-}" ]; then
    "$BIN/$name" "$@"
  else
    cargo run --quiet --release --locked --manifest-path "$root/Cargo.toml" --bin "$name" -- "$@"
  fi
}

rm -rf "$dir/out" "$dir/anonymous"
head -c 32 /dev/urandom > "$dir/key"
echo "== predict-study, named and anonymous"
time run predict-study "$dicom" --out "$dir/out" --organs
run predict-study "$dicom" --out "$dir/anonymous" --organs --anonymize "$dir/key" > /dev/null
run prepare-slices convert "$dicom" --out "$dir/out/input.nii.gz" > /dev/null
for object in sr seg; do
  cp "$dir/anonymous/findings-$object.dcm" "$dir/out/anonymous-findings-$object.dcm"
done

if command -v dciodvfy >/dev/null; then
  echo "== held to their IODs by dciodvfy (dicom3tools)"
  for object in findings-sr findings-seg anonymous-findings-sr anonymous-findings-seg; do
    said=$(dciodvfy "$dir/out/$object.dcm" 2>&1) || true
    if grep -E '^Error' <<< "$said"; then
      echo "$object.dcm is not valid" >&2
      exit 1
    fi
  done
fi

echo "== read back by pydicom, highdicom, nibabel and pycocotools"
"$PYTHON" "$root/tools/interop/dicom_findings.py" "$dir/out" "$dicom"

if [ "$patients" -gt 0 ]; then
  echo "== whole synthetic studies that nothing was trained on"
  if [ -n "${BIN:-}" ]; then
    "$BIN/examples/study_scores" "$patients"
  else
    cargo run --quiet --release --locked --manifest-path "$root/Cargo.toml" --package cascade --example study_scores -- "$patients"
  fi
fi
