#!/usr/bin/env bash
# Fuzzes every target, for the seconds given together (60): fuzz/run.sh [SECONDS]
# Needs a nightly compiler and cargo-fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
targets=$(sed -n 's/^name = "\([a-z]*\)"$/\1/p' fuzz/Cargo.toml)
each=$((${1:-60} / $(wc -w <<<"$targets")))
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo +nightly fuzz build
for target in $targets; do
  mkdir "$work/$target"
  # New inputs go to the first folder; the committed corpus is only read.
  cargo +nightly fuzz run "$target" "$work/$target" "fuzz/corpus/$target" -- \
    -max_total_time="$each" -max_len=4096 -print_final_stats=1 2>&1 | grep -E 'stat::number_of_executed_units|ERROR|panicked' || true
  test -z "$(ls -A "fuzz/artifacts/$target" 2>/dev/null)"
done
