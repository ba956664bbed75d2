#!/usr/bin/env bash
# Faults on real servers and real processes: see docs/proofs.md.
#
#   bash tests/faults.sh 1000              a thousand faults, in ten worlds at a time
#   bash tests/faults.sh 1000 20           in twenty
#   bash tests/faults.sh seed 4711         the world of one seed again
#   SEALJAR_TEST_LOUD=1 bash tests/faults.sh ..     with what the nodes log
set -euo pipefail
cd "$(dirname "$0")/.."
bash tests/redis_support/servers.sh >/dev/null
if [ "${1:-}" = seed ]; then
    export SEALJAR_SEED=$2 SEALJAR_WORLDS=1 SEALJAR_FAULTS=24
else
    export SEALJAR_FAULTS=${1:-1000} SEALJAR_WORLDS=${2:-10}
fi
exec cargo test --locked --all-features --test faults -- --exact no_fault_breaks_a_promise --nocapture
