#!/usr/bin/env bash
# Installs what hits are compared with, and prints the tables. Words go to the bench (benches/hits/main.rs).
set -euo pipefail
cd "$(dirname "$0")/../.."

sudo=''
[ "$(id -u)" = 0 ] || sudo=sudo
for command in nginx haproxy varnishd traffic_server h2load taskset; do
  command -v "$command" >/dev/null || [ -x "/usr/sbin/$command" ] && continue
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    nginx haproxy varnish trafficserver nghttp2-client util-linux >/dev/null
  break
done
cargo bench --profile release --bench hits -- "$@"
