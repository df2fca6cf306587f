#!/usr/bin/env bash
# Fuzzes every target, for the seconds given together (60): fuzz/run.sh [SECONDS]
# Needs a C++ compiler beside Rust, and neither a nightly nor cargo-fuzz (which also works here).
set -euo pipefail
cd "$(dirname "$0")"
targets=$(sed -n 's/^name = "\([a-z]*\)"$/\1/p' Cargo.toml)
each=$((${1:-60} / $(wc -w <<<"$targets")))
host=$(rustc -vV | sed -n 's/^host: //p')
out=${CARGO_TARGET_DIR:-target}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What libFuzzer wants to see of a program: which edges it takes, and what it compares.
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
flags+=" -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
RUSTFLAGS="$flags" cargo build --locked -q --release --target "$host" --target-dir "$out"

for target in $targets; do
    mkdir "$work/$target"
    # New inputs go to the first folder; the committed corpus is only read.
    if ! "$out/$host/release/$target" "$work/$target" "corpus/$target" -max_total_time="$each" \
        -max_len=4096 -print_final_stats=1 -artifact_prefix="$work/" >"$work/log" 2>&1; then
        cat "$work/log"
        mkdir -p "artifacts/$target"
        find "$work" -maxdepth 1 -name '*-*' -exec cp {} "artifacts/$target/" \;
        echo "FAILED: $target; what it failed on is in fuzz/artifacts/$target" >&2
        exit 1
    fi
    sed -n "s/^stat::number_of_executed_units: */$target: executed /p" "$work/log"
done
