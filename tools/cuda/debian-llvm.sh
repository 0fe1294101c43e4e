#!/usr/bin/env bash
# Puts Debian's LLVM 22 where cubecl's build script looks for its own LLVM bundle, so that the `cuda`
# feature links where that bundle cannot be downloaded. With the feature `cubecl/cuda-cpp`, which this
# workspace turns on, NVRTC compiles the kernels: LLVM is linked and never called.
set -euo pipefail

apt-get update -qq
apt-get install -y -qq --no-install-recommends \
    llvm-22-dev libpolly-22-dev zlib1g-dev libzstd-dev libxml2-dev libtinfo-dev

# The version is that of tracel-llvm-bundler in Cargo.lock.
version=$(sed -n '/^name = "tracel-llvm-bundler"$/{n;s/version = "\(.*\)"/\1/p}' "$(dirname "$0")/../../Cargo.lock")
bundle="${XDG_DATA_HOME:-$HOME/.local/share}/tracel/tracel-llvm-$version"
rm -rf "$bundle"
mkdir -p "$bundle/bin"
ln -s /usr/lib/llvm-22/include /usr/lib/llvm-22/lib "$bundle/"
# Two libraries that only tools use are left out of what is linked.
printf '#!/bin/sh\n/usr/lib/llvm-22/bin/llvm-config "$@" | sed -e "s# *[^ ]*libz3[.]so##g; s# *-lxml2##g"\n' \
    > "$bundle/bin/llvm-config"
chmod +x "$bundle/bin/llvm-config"
touch "$bundle/.tracel-llvm-installed"
echo "LLVM is in $bundle"
