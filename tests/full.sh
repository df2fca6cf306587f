#!/usr/bin/env bash
# What takes too long for every change, and the dated summary of it, docs/full-run.md.
#
#   tests/full.sh            everything
#   tests/full.sh PART...    only these: builds kills benches startup peers fuzz powerset windows deny advisories semver
#
# KILLS (1000), FUZZ_SECONDS (3600) and POWERSET (options for cargo hack, such as "--depth 2"; none is the whole
# powerset) say how much. Installs the tools that are missing, on Debian as root.
#
# A part fails if its command does, and if it prints nothing of what is kept of it. A command that ends with 77
# could not be run for want of something outside of this repository: its part is "not checked", never "passed".
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
known="builds kills benches startup peers fuzz powerset windows deny advisories semver"
parts=${*:-$known}
for part in $parts; do
    [[ " $known " == *" $part "* ]] || { echo "there is no part $part; known: $known" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=
# As it is now: the run itself writes the summary.
commit=$(git rev-parse --short HEAD)
[ -z "$(git status --porcelain -- . ':!docs/full-run.md')" ] || commit+=", dirty: with changes that are not committed"

tool() { # tool SUBCOMMAND PACKAGE
    cargo "$1" --version >/dev/null 2>&1 || cargo install --locked -q "$2"
}

part() { # part NAME WHAT-TO-KEEP COMMAND: runs it, keeps the lines that say what came of it
    local name=$1 keep=$2 command=$3 began=$SECONDS result=passed code=0
    if [[ " $parts " != *" $name "* ]]; then
        echo "| $name | not run | |" >>"$work/table"
        return
    fi
    echo "== full: $name: $command"
    case $name in
        powerset) tool hack cargo-hack ;;
        deny | advisories) tool deny cargo-deny ;;
    esac
    bash -o pipefail -ec "$command" 2>&1 | tee "$work/out" || code=$?
    grep -aE "$keep" "$work/out" >"$work/kept" || true
    if [ "$code" -eq 77 ]; then
        result="not checked"
    elif [ "$code" -ne 0 ]; then
        result=FAILED failed=1
    elif [ ! -s "$work/kept" ]; then
        result="FAILED: it said nothing" failed=1
    fi
    echo "| $name | $result | $((SECONDS - began)) s |" >>"$work/table"
    {
        echo
        echo "## $name"
        echo
        echo '```'
        echo "\$ $command"
        cat "$work/kept"
        echo '```'
    } >>"$work/details"
}

part builds '^(ok|FAIL) |passed' "bash tests/cli/builds.sh"
kills="export COTTER_KILLS=${KILLS:-1000}
cargo test --locked -p cotter-tests --test kills -- --nocapture
cargo test --locked -p cotter-store-file --test all kills -- --nocapture
cargo test --locked -p cotter-store-sled --test crash -- --nocapture"
part kills ' kills, |^test result' "$kills"
# Those that have a limit to keep end with 1 above it.
benches="cargo bench --locked -p cotter-session
cargo bench --locked -p cotter-jwt --bench verify
cargo bench --locked -p cotter-axum
cargo bench --locked -p cotter-store-memory -p cotter-store-file -p cotter-store-sled -p cotter-store-keyring"
kept='^(save|load|list|ratio|among|floor|cached_access|access_token|allocations|a session|waiters|cotter,|for each|raw|the layer)'
part benches "$kept|^([0-9]+ bytes| *[0-9]+ sessions)|over the limit|panicked" "$benches"
part startup 'times the floor|too slow|^size of|not measured' "bash tests/cli/startup.sh"
# Their packages are nobody else's, and may be out of reach.
peers="cargo fetch --locked --manifest-path benches/peers/Cargo.toml || { echo 'not checked: no packages'; exit 77; }
cargo run --locked --release --manifest-path benches/peers/Cargo.toml"
part peers 'thread\(s\)|times|not checked' "$peers"
part fuzz ': executed|FAILED' "bash fuzz/run.sh ${FUZZ_SECONDS:-3600}"
powerset="echo 'features together: ${POWERSET:-all, no limit of depth}'
cargo hack check --feature-powerset ${POWERSET:+$POWERSET }--no-dev-deps -p cotter -p cotter-session 2>&1 | tail -2"
part powerset '^features together|^info: running|^error' "$powerset"
# The whole program; its cipher is C and assembly.
windows="command -v x86_64-w64-mingw32-gcc || { apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc-mingw-w64-x86-64; }
rustup -q target add x86_64-pc-windows-gnu
AWS_LC_SYS_PREBUILT_NASM=1 cargo check --locked --target x86_64-pc-windows-gnu -p cotter -p cotter-cli --all-features"
part windows '^ *Finished|^error' "$windows"
part deny ' ok$| ok, |FAILED|^error' "cargo deny --offline check licenses bans sources"
advisories="cargo deny fetch db || { echo 'not checked: the advisory database is out of reach'; exit 77; }
cargo deny --offline check advisories"
part advisories ' ok$|FAILED|^error|not checked' "$advisories"
# Compared with the newest release.
if tag=$(git describe --tags --abbrev=0 2>/dev/null); then
    [[ " $parts " != *" semver "* ]] || tool semver-checks cargo-semver-checks
    part semver 'Summary|FAIL' "cargo semver-checks --workspace --baseline-rev $tag"
else
    part semver 'not checked' "echo 'not checked: no release yet to compare with'; exit 77"
fi

{
    echo "# The full run"
    echo
    echo "What takes too long for every change, as \`tests/full.sh${*:+ $*}\` ran it last; it wrote this page."
    echo
    echo "- $(date -u +%Y-%m-%d), commit $commit"
    echo "- $(rustc --version), $(uname -sm), $(nproc) cores"
    echo "- ${KILLS:-1000} kills a store and rotation, ${FUZZ_SECONDS:-3600} s of fuzzing, features together:" \
        "${POWERSET:-all, no limit of depth}"
    echo
    echo "| part | result | time |"
    echo "|---|---|---|"
    cat "$work/table" "$work/details"
} >docs/full-run.md
echo "docs/full-run.md is written"
[ -z "$failed" ]
