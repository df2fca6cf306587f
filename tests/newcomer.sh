#!/usr/bin/env bash
# A newcomer with the README alone: each of its Cargo.toml blocks, and those of the guide to testing, makes a
# program of its own with the Rust block that follows it, and that program has to build. Where it is a test
# or begins with nothing to start from, it is run as well.
#
#   tests/newcomer.sh
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/blocks"

# Block n of a page is n.toml and the next Rust after it n.rs.
for page in README.md docs/guides/testing.md; do
    awk -v to="$work/blocks/$(basename "$page" .md)-" '
        /^```toml/ { n++; out = to n ".toml"; wanted = 1; next }
        /^```rust/ && wanted { out = to n ".rs"; wanted = 0; next }
        /^```/ { out = ""; next }
        out != "" { print > out }' "$page"
done

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
passed=0
for block in "$work"/blocks/*.toml; do
    name=$(basename "$block" .toml)
    project=$work/$name
    mkdir -p "$project/src"
    {
        printf '[package]\nname = "newcomer-%s"\nversion = "0.0.0"\nedition = "2024"\n\n[workspace]\n\n' "${name,,}"
        sed "s|\.\./cotter/crates|$root/crates|" "$block"
    } >"$project/Cargo.toml"
    # The versions that everything else is tested with.
    cp Cargo.lock "$project/Cargo.lock"
    source=lib.rs
    if grep -q '^\(async \)\?fn main' "${block%.toml}.rs"; then source=main.rs; fi
    # With dev-dependencies it is a test, which runs its main.
    if grep -q '^\[dev-dependencies\]' "$block"; then
        mkdir "$project/tests"
        { cat "${block%.toml}.rs"; printf '\n#[test]\nfn as_written() {\n    main().unwrap();\n}\n'; } \
            >"$project/tests/newcomer.rs"
        : >"$project/src/lib.rs"
        (cd "$project" && cargo test --quiet --offline --test newcomer)
    else
        cp "${block%.toml}.rs" "$project/src/$source"
        (cd "$project" && cargo check --quiet --offline)
    fi
    echo "ok   $name"
    passed=$((passed + 1))
done
echo "$passed passed"
[ "$passed" -ge 4 ]
