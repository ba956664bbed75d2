#!/usr/bin/env bash
# The one test command. Installs what is missing where it can, then checks everything that this project promises.
#
#   bash tests/all.sh            everything, as CI does (about 15 minutes on two cores, from nothing)
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

step "clippy, pedantic, all targets"
cargo clippy --locked --all-targets --all-features -- -D warnings

step "each feature alone"
for features in "" warp redis sqlite cli; do
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

step "tests, doc tests among them"
cargo test --locked --all-features

# The first of them has just been tested against.
while read -r name server; do
    step "the list in Redis, on $name"
    SEALJAR_TEST_SERVER=$server cargo test --locked --all-features \
        --test contract --test redis_start --test redis_loss --test redis_broken --test redis_nodes
done < <(tail -n +2 <<<"$servers")

if [ "$mode" = quick ]; then
    step "done, quickly"
    exit 0
fi

step "tests that want a release build: all mutations, 10^6 accumulated vectors"
cargo test --locked --release --test mutations -- --nocapture
cargo test --locked --release --lib vectors

step "fuzz targets, briefly"
bash fuzz/run.sh 10

step "the package builds from what it contains"
cargo package --locked --quiet --allow-dirty

if command -v cargo-deny >/dev/null; then
    step "licences, bans, sources"
    cargo deny --all-features check licenses bans sources
fi

step "done"
