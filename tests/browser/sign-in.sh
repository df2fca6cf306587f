#!/usr/bin/env bash
# A person at a real browser signs in: headless Chromium, `cotter login`, the emulator's hosted page.
#
#   tests/browser/sign-in.sh [folder for screenshots]
#
# Installs Chromium and its driver (Debian) and selenium (PyPI, the WebDriver client of record). Prints one
# line a check, at the end "N passed, N failed", and fails if anything did.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
need() { # need COMMAND PACKAGE
  command -v "$1" >/dev/null 2>&1 && return 0
  [ -n "${updated:-}" ] || { apt-get update -qq && updated=1; }
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}
need chromium chromium
need chromedriver chromium-driver

(cd "$root" && cargo build --locked --quiet --workspace --bins)
target="${CARGO_TARGET_DIR:-$root/target}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
shots=${1:-$target/tmp/browser}
mkdir -p "$shots"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "selenium<4.50" cotter==0.0.6

PROGRAM="$target/debug/cotter" EMULATOR="$target/debug/cotter-emulator" SHOTS="$shots" WORK="$work" \
  timeout 600 "$work/venv/bin/python" "$root/tests/browser/sign-in.py"
