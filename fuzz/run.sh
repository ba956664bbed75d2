#!/usr/bin/env bash
# Runs every fuzz target for a while, from the test kit's cookies on. Installs cargo-fuzz if it is missing.
#
#   bash fuzz/run.sh [seconds a target, 15 if left out] [target ...]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-15}
shift || true
targets=("$@")
if ((${#targets[@]} == 0)); then targets=(header envelope payload key_file); fi

if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install cargo-fuzz --locked
fi

# libFuzzer needs flags that stable compilers know and do not offer. With this the compiler of the crate itself
# takes them, so that no nightly has to be installed.
export RUSTC_BOOTSTRAP=1
# The crate forbids unsafe code, so a sanitizer would watch dependencies only. Memory is bounded by -rss_limit_mb.
sanitizer=${SANITIZER:-none}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo run --quiet --locked --manifest-path fuzz/Cargo.toml --example seeds
for target in "${targets[@]}"; do
    echo "── $target"
    if ! cargo fuzz run --sanitizer "$sanitizer" "$target" -- \
        -max_total_time="$seconds" -max_len=5000 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 >"$log" 2>&1; then
        tail -n 60 "$log"
        exit 1
    fi
    grep -E '^stat::(number_of_executed_units|peak_rss_mb)' "$log"
done
