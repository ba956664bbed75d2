#!/usr/bin/env bash
# The login example under load, with a million revocations in the list: see docs/proofs.md.
#
#   bash tests/load.sh           for 60 seconds
#   bash tests/load.sh 10
set -euo pipefail
cd "$(dirname "$0")/.."
command -v wrk >/dev/null || { echo "wrk is missing: apt-get install wrk" >&2; exit 1; }
bash tests/redis_support/servers.sh >/dev/null
export SEALJAR_LOAD_SECONDS=${1:-60}
exec cargo test --locked --release --test redis_load -- --ignored --nocapture
