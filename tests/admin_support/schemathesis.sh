#!/usr/bin/env bash
# Asks a running admin endpoint whatever its own OpenAPI document allows and forbids, and compares the answers with
# the document: no 5xx, nothing undocumented. Installs schemathesis once, into the build folder.
#
#   bash tests/admin_support/schemathesis.sh install
#   bash tests/admin_support/schemathesis.sh URL TOKEN [SECONDS]
#
# Left out, because other tests do it better: the stream of events, which never ends (tests/admin_flow/requests.rs); wrong
# tokens, as ten of them make the endpoint answer 429 (tests/admin_matrix.rs, from many addresses).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
venv=${CARGO_TARGET_DIR:-target}/schemathesis
version=4.32.5

if [ "$("$venv/bin/schemathesis" --version 2>/dev/null)" != "schemathesis, version $version" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
fi
[ "$1" = install ] && exit 0

program=$(cd "$venv/bin" && pwd)/schemathesis
# It keeps notes in the folder where it runs.
cd "$(mktemp -d)"
SCHEMATHESIS_HOOKS=$here/schemathesis_hooks.py exec "$program" --config-file "$here/schemathesis.toml" \
    run "$1/openapi.json" --header "Authorization: Bearer $2" --exclude-operation-id events \
    --exclude-checks ignored_auth --max-time "${3:-30}" --seed "${SCHEMATHESIS_SEED:-20261126}" \
    --continue-on-failure --no-color
