#!/usr/bin/env bash
# What sessions add to the CPU time of a request, beside other session crates. Needs wrk and a Redis (apt).
#
#   bash benches/peers/run.sh [rounds [seconds]]
set -euo pipefail
cd "$(dirname "$0")"
command -v wrk >/dev/null || { echo "wrk is missing: apt-get install wrk" >&2; exit 1; }
servers=$(bash ../../tests/redis_support/servers.sh)
read -r name server <<<"$servers"
target=../../target/peers
cargo build --locked --release --target-dir "$target"
echo "The list and the peers' sessions are in $name."
exec "$target"/release/sealjar-peers compare "$server" "${1:-31}" "${2:-1}"
