#!/usr/bin/env bash
# Holds the templates against their own linters; says what is not installed here and was left out.
#
#     deploy/validate.sh            shellcheck (Debian), and of PyPI what requirements.txt has, from PATH or a virtual environment
#     deploy/validate.sh --slurm    also runs the Slurm templates on a Slurm of one node (root; slurm-wlm and munge of Debian)
#     STRICT=1                      fails where something was left out
set -euo pipefail
cd "$(dirname "$0")"
skipped=0
have() { # TOOL WHAT
    command -v "$1" > /dev/null && return
    echo "left out: $2 (no $1)"
    skipped=$((skipped + 1))
    return 1
}

if have shellcheck "shell scripts"; then
    mapfile -t scripts < <(find . ../tests/object-store -name '*.sh' -o -name '*.sbatch')
    shellcheck "${scripts[@]}"
    echo "shellcheck: ${#scripts[@]} scripts"
fi
if have kubernetes-validate "Kubernetes objects"; then
    mapfile -t objects < <(grep -l '^apiVersion:' preparation/*.yaml serving/*.yaml)
    # The oldest and the newest version whose schemas the validator carries and that have all fields.
    for version in 1.31 1.37; do
        kubernetes-validate --strict --quiet -k "$version" "${objects[@]}"
        echo "kubernetes-validate: ${#objects[@]} files, schemas of $version"
    done
fi
if have hadolint "Dockerfile"; then
    hadolint Dockerfile
    echo "hadolint: Dockerfile"
fi
# The build context alone is a whole workspace.
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mapfile -t kept < <(sed -n 's/^!//p' Dockerfile.dockerignore)
for name in "${kept[@]}"; do
    [[ -e ../$name ]] && tar -C .. --exclude=target --exclude=node_modules -cf - "$name" | tar -C "$context" -xf -
done
(cd "$context" && cargo metadata --locked --offline --no-deps --format-version 1 > /dev/null)
echo "build context: $(du -sh "$context" | cut -f1), a whole workspace"
if docker info > /dev/null 2>&1; then
    docker build --file Dockerfile ..
else
    echo "left out: docker build (no engine)"
fi
if [[ ${1:-} = --slurm ]]; then
    if have slurmctld "Slurm"; then
        preparation/slurm-test.sh
    fi
fi
[[ -z ${STRICT:-} || $skipped = 0 ]]
