#!/usr/bin/env bash
# Cotter's own published clients against cotter-emulator, as independent witnesses.
#
#   tests/foreign/emulator-clients.sh [path of the built cotter-emulator]
#
# Needs python3 with venv, node with npm, and both registries. Prints one line a check, at the end
# "N passed, N failed", and fails if anything did.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
here="$root/tests/foreign"
if [ $# -gt 0 ]; then
  program=$1
else
  (cd "$root" && cargo build --quiet --workspace --bins)
  program="${CARGO_TARGET_DIR:-$root/target}/debug/cotter-emulator"
fi

work=$(mktemp -d)
emulator=
finish() {
  if [ -n "$emulator" ]; then kill "$emulator" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check cotter==0.0.6
(cd "$work" && npm install --silent --no-fund --no-audit cotter-node@0.1.3 cotter-token-js@0.1.11)

# The Python client takes keys[0]; cotter-node wants this very kid.
"$program" --quiet --active-key-first true --access-ttl 60s \
  --kid SPACE_JWT_PUBLIC:8028AAA3-EC2D-4BAA-BE7A-7C8359CCB9F9 >"$work/ready" &
emulator=$!
for _ in $(seq 100); do
  if [ -s "$work/ready" ]; then break; fi
  sleep 0.1
done
READY=$(cat "$work/ready")
export READY

: >"$work/results"
run() {
  # A client that dies is a failed check of its own, whatever it had printed.
  if ! "$@" >>"$work/results" 2>"$work/errors"; then
    echo "FAIL $1 ended badly: $(tail -1 "$work/errors")" >>"$work/results"
  fi
}
run "$work/venv/bin/python" "$here/emulator-client.py"
cp "$here/emulator-client.cjs" "$work/client.cjs"
run node "$work/client.cjs"

grep -E '^(ok|FAIL) ' "$work/results" || true
passed=$(grep -c '^ok ' "$work/results" || true)
failed=$(grep -c '^FAIL ' "$work/results" || true)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
