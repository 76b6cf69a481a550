#!/usr/bin/env bash
# One release: the static binary with its dependencies written into it, and a bill of materials.
#
#   deploy/release.sh [--pgo] [FOLDER]        target/release-files when not said
#
# --pgo builds twice: first a binary that counts what it does often, which examples/training.rs
# drives; then, by what was counted, the one that is given (docs/figures.md says what that is
# worth). It wants the toolchain's llvm-tools.
#
# Gives graph-photo-proxy, graph-photo-proxy.cdx.json (CycloneDX), SHA256SUMS. What is in a binary
# is read back from it with `cargo audit bin graph-photo-proxy`, or from its section .dep-v0.
# Neither file names a folder of the machine it was made on.
set -euo pipefail
cd "$(dirname "$0")/.."
trained=
if [ "${1:-}" = --pgo ]; then trained=yes && shift; fi
out=${1:-target/release-files}
name=graph-photo-proxy
host=$(rustc -vV | sed -n 's/^host: //p')
profdata=$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata
if [ -n "$trained" ] && [ ! -x "$profdata" ]; then
  echo "--pgo needs llvm-profdata: rustup component add llvm-tools" >&2
  exit 1
fi

command -v cargo-auditable >/dev/null || cargo install --quiet --locked cargo-auditable --version 0.7.7
command -v cargo-cyclonedx >/dev/null || cargo install --quiet --locked cargo-cyclonedx --version 0.5.9

# Where a panic was written is part of the binary: rustc and the C compiler say /src and /crates.
cargo fetch --quiet --locked
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$PWD=/src"
export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$PWD=/src"
for crates in "$registry"/*; do
  RUSTFLAGS+=" --remap-path-prefix=$crates=/crates"
  CFLAGS+=" -ffile-prefix-map=$crates=/crates"
done
# The bill's date is the commit's, where there is one.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
export SOURCE_DATE_EPOCH

# With a target named, what is built for the build itself has none of these flags.
build() { # build FLAGS...: the binary, what it is made of compiled with these flags besides
  RUSTFLAGS="$RUSTFLAGS $*" cargo auditable rustc --quiet --locked --release --target "$host" \
    --no-default-features --features jemalloc --bin $name -- -C target-feature=+crt-static
}
profile=()
if [ -n "$trained" ]; then
  counted=$PWD/target/pgo
  rm -rf "$counted"
  mkdir -p "$counted"
  build "-Cprofile-generate=$counted"
  cargo run --quiet --locked --example training -- "target/$host/release/$name"
  "$profdata" merge -o "$counted/merged" "$counted"/*.profraw
  # Named by what is in it: cargo does not look into it when it asks whether anything has changed.
  sum=$(sha256sum <"$counted/merged")
  mv "$counted/merged" "$counted/${sum%% *}.profdata"
  profile=("-Cprofile-use=$counted/${sum%% *}.profdata")
fi

mkdir -p "$out"
build "${profile[@]}"
install -m 0755 "target/$host/release/$name" "$out/$name"

# The tool writes beside Cargo.toml.
cargo cyclonedx --quiet --format json --spec-version 1.5 --no-default-features --features jemalloc --override-filename $name.cdx
sed "s|path+file://$PWD|path+file:///src|g" $name.cdx.json >"$out/$name.cdx.json"
rm $name.cdx.json

python3 - "$out/$name" "$out/$name.cdx.json" "$registry" <<'E2'
"""The two lists must agree: what is linked is what the bill names. Neither names this machine."""
import json, os, subprocess, sys, tempfile, zlib
binary, bill, registry = sys.argv[1:]
with tempfile.NamedTemporaryFile() as section:
    subprocess.run(["objcopy", "--dump-section", f".dep-v0={section.name}", binary, "/dev/null"], check=True)
    linked = json.loads(zlib.decompress(section.read()))["packages"]
linked = {(package["name"], package["version"]) for package in linked if package.get("kind") != "build"}
named = json.load(open(bill))
named = {(part["name"], part["version"]) for part in [*named["components"], named["metadata"]["component"]]}
missing = linked - named
assert linked and not missing, f"not in the bill of materials: {missing}"
print(f"{len(linked)} packages in the binary, each among the {len(named)} of the bill")
for file in (binary, bill):
    text = open(file, "rb").read()
    for folder in {registry, os.getcwd()} - {"/src"}:
        assert folder.encode() not in text, f"{file} names {folder}"
E2
(cd "$out" && sha256sum $name $name.cdx.json >SHA256SUMS)
ls -l "$out"
