#!/usr/bin/env bash
# The size of the release binary of `cotter`, stripped; fails above the limit (8 MiB, or the first
# argument in bytes).
set -euo pipefail
cd "$(dirname "$0")/../.."
limit=${1:-$((8 * 1024 * 1024))}
cargo build --locked --quiet --release -p cotter-cli
target=$(cargo metadata --locked --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
copy=$(mktemp)
trap 'rm -f "$copy"' EXIT
cp "$target/release/cotter" "$copy"
strip "$copy"
size=$(wc -c <"$copy")
echo "cotter: $size bytes stripped, of at most $limit"
[ "$size" -le "$limit" ]
