#!/usr/bin/env bash
# cotter-jwt and PyPI joserfc on the same mutated tokens: the same verdict on each, or a row in
# tests/foreign/jose-differences.md that says why not.
#
#   tests/foreign/jose-differential.sh [number of distinct tokens, 2400] [seed, 1]
#
# Needs python3 with venv, and PyPI. Prints a summary; fails on a difference that no row explains, and
# on a row that explains nothing any more.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
vectors="$root/crates/cotter-jwt/tests/vectors/cotter-vectors.json"
target=${CARGO_TARGET_DIR:-$root/target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd "$root" && cargo build --quiet --workspace --example verdicts)
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check joserfc==1.8.0
"$work/venv/bin/python" "$root/tests/foreign/jose-differential.py" \
  "$target/debug/examples/verdicts" "$vectors" "$root/tests/foreign/jose-differences.md" \
  "${1:-2400}" "${2:-1}"
