#!/usr/bin/env bash
# Lints openapi.json, makes a client of it, and compiles a small use of that. Needs what install.sh put into .argosy/client.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
cd "$root/.argosy/client"
# The linter would tell its maker of each run, and ask for its newest version.
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
cp "$here"/{redocly.yaml,tsconfig.json,shop.ts} .
node_modules/.bin/redocly lint --config redocly.yaml "$root/openapi/openapi.json"
node_modules/.bin/openapi-typescript "$root/openapi/openapi.json" --default-non-nullable=false --output api.ts
node_modules/.bin/tsc --project .
echo "openapi.json: clean, and its client compiles"
