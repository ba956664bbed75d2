#!/usr/bin/env bash
# The one test command. Installs what is missing where it can, then checks everything that this project promises.
#
#   bash tests/all.sh            everything, as CI does (about 25 minutes on two cores, from nothing)
#   bash tests/all.sh quick      without release builds, fuzzing and packaging
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-all}

step() { printf '\n\033[1m── %s\033[0m  (%s s)\n' "$1" "$SECONDS"; }

# ── What the machine needs ───────────────────────────────────────────────────────────────────────────────────
missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need cc gcc
need chromium chromium
need chromedriver chromium-driver
need python3 python3
need openssl openssl
need ip iproute2
need wrk wrk
need curl curl
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then missing+=(python3-venv); fi
if ((${#missing[@]})); then
    install="apt-get install -y --no-install-recommends ${missing[*]}"
    step "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    if [ "$(id -u)" = 0 ]; then
        apt-get update -q >/dev/null && $install >/dev/null
    elif sudo -n true 2>/dev/null; then
        sudo apt-get update -q >/dev/null && sudo $install >/dev/null
    else
        echo "Missing: ${missing[*]}. Run this once, then try again:  sudo apt-get update && sudo $install" >&2
        exit 1
    fi
fi

# ── The code as it stands ────────────────────────────────────────────────────────────────────────────────────
step "format"
cargo fmt --check
cargo fmt --check --manifest-path benches/peers/Cargo.toml

step "clippy, pedantic, all targets"
cargo clippy --locked --all-targets --all-features -- -D warnings

step "each feature alone"
for features in "" warp redis sqlite backchannel admin cli; do
    cargo clippy --locked --quiet --no-default-features --features "$features" --lib --bins -- -D warnings
done

step "documentation, without warnings"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --no-deps --all-features

# ── What it does ─────────────────────────────────────────────────────────────────────────────────────────────
step "examples"
cargo build --locked --quiet --examples

step "servers for the list in Redis"
servers=$(bash tests/redis_support/servers.sh)
printf '%s\n' "$servers"

# What they log and what is secret in it goes there; the last step of the tests looks for the one in the other.
export SEALJAR_TEST_LOGS=$PWD/target/test-logs
rm -rf "$SEALJAR_TEST_LOGS"
mkdir -p "$SEALJAR_TEST_LOGS"

step "tests"
python3 tests/side_by_side.py
cargo test --locked --all-features --doc

step "the login example under load, for 10 seconds"
SEALJAR_LOAD_SECONDS=10 cargo test --locked --all-features --test redis_load -- --ignored --nocapture

# The first of them has just been tested against. The others side by side: such tests wait more than they compute.
step "the list in Redis, on the other servers"
logs=$(mktemp -d)
running=()
while read -r name server; do
    SEALJAR_TEST_SERVER=$server python3 tests/side_by_side.py contract redis_start redis_fit redis_acl redis_tls \
        redis_cli redis_loss redis_broken redis_nodes redis_rules redis_fleet redis_sentinel own_file own_file_processes \
        >"$logs/$name" 2>&1 &
    running+=("$! $name")
done < <(tail -n +2 <<<"$servers")
failed=0
for one in "${running[@]}"; do
    read -r pid name <<<"$one"
    if wait "$pid"; then
        printf '%s:\n' "$name"
        grep -v 'Compiling\|Finished\|Executable' "$logs/$name"
    else
        cat "$logs/$name"
        failed=1
    fi
done
rm -rf "$logs"
((failed == 0)) || exit 1

step "no secret is in any log line or metric of all these tests"
cargo test --locked --all-features --test canary_scan -- --ignored --nocapture
unset SEALJAR_TEST_LOGS

step "each rule that keeps a revocation is missed when it is taken out"
bash tests/rules.sh

if [ "$mode" = quick ]; then
    step "done, quickly"
    exit 0
fi

step "tests that want a release build: all mutations, 10^6 accumulated vectors, 10^5 sequences of the pure model, every state of a rotation"
cargo test --locked --release --test mutations --test model --test rotation_model -- --nocapture
cargo test --locked --release --lib -- vectors revocation::list

step "ten thousand races for a one-time value"
cargo test --locked --release --test redis_fleet -- --nocapture

step "fuzz targets, briefly"
bash fuzz/run.sh 10

step "the package builds from what it contains"
cargo package --locked --quiet --allow-dirty

if command -v cargo-deny >/dev/null; then
    step "licences, bans, sources"
    cargo deny --all-features check licenses bans sources
fi

step "done"
