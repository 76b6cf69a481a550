#!/usr/bin/env bash
# Tries real clients, installed by package name: direct to a simulated Graph and through the
# proxy. Prints `ok …` and `not ok …` lines, and at the end `N passed, N failed`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
target=${CARGO_TARGET_DIR:-target}
cargo build --quiet --offline --example world --bin graph-photo-proxy 2>/dev/null || cargo build --quiet --example world --bin graph-photo-proxy
command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium >/dev/null; }
venv="$target/clients-python"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check -r "$here/requirements.txt"
cd "$here"
npm install --silent --no-audit --no-fund --no-package-lock
case "$target" in /*) ;; *) target="$root/$target" ;; esac
PROXY_PROGRAM="$target/debug/graph-photo-proxy" WORLD_PROGRAM="$target/debug/examples/world" PYTHON="$target/clients-python/bin/python" exec node run.mjs "$@"
