#!/usr/bin/env bash
# What takes too long for every change, and the dated summary of it, docs/full-run.md.
#
#   tests/full.sh            everything
#   tests/full.sh PART...    only these: builds kills benches fuzz powerset windows deny semver
#
# KILLS (1000), FUZZ_SECONDS (3600) and POWERSET (options for cargo hack) say how much. Installs the
# tools that are missing.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
known="builds kills benches fuzz powerset windows deny semver"
parts=${*:-$known}
for part in $parts; do
    [[ " $known " == *" $part "* ]] || { echo "there is no part $part; known: $known" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=

tool() { # tool SUBCOMMAND PACKAGE
    cargo "$1" --version >/dev/null 2>&1 || cargo install --locked -q "$2"
}

part() { # part NAME WHAT-TO-KEEP COMMAND: runs it, keeps the lines that say what came of it
    local name=$1 keep=$2 command=$3 began=$SECONDS result=passed
    if [[ " $parts " != *" $name "* ]]; then
        echo "| $name | not run | |" >>"$work/table"
        return
    fi
    echo "== full: $name: $command"
    case $name in
        powerset) tool hack cargo-hack ;;
        deny) tool deny cargo-deny ;;
        semver) tool semver-checks cargo-semver-checks ;;
    esac
    bash -o pipefail -ec "$command" 2>&1 | tee "$work/out" || { result=FAILED failed=1; }
    echo "| $name | $result | $((SECONDS - began)) s |" >>"$work/table"
    {
        echo
        echo "## $name"
        echo
        echo '```'
        echo "\$ $command"
        grep -E "$keep" "$work/out" || true
        echo '```'
    } >>"$work/details"
}

kills="export COTTER_KILLS=${KILLS:-1000}
cargo test --locked -p cotter-tests --test kills -- --nocapture
cargo test --locked -p cotter-store-file --test all kills -- --nocapture
cargo test --locked -p cotter-store-sled --test crash -- --nocapture"
part builds '^(ok|FAIL) |passed' "bash tests/cli/builds.sh"
part kills ' kills, |^test result' "$kills"
part benches '^(save|load|list|ratio|among|[0-9]+ bytes| *[0-9]+ sessions)' \
    "cargo bench --locked -p cotter-store-memory -p cotter-store-file -p cotter-store-sled -p cotter-store-keyring"
part fuzz ': executed|FAILED' "bash fuzz/run.sh ${FUZZ_SECONDS:-3600}"
part powerset '^info: running|^error' \
    "cargo hack check --feature-powerset ${POWERSET:+$POWERSET }--no-dev-deps -p cotter -p cotter-session 2>&1 | tail -2"
# The whole program; its cipher is C and assembly.
windows="command -v x86_64-w64-mingw32-gcc || apt-get install -y -qq --no-install-recommends gcc-mingw-w64-x86-64
rustup -q target add x86_64-pc-windows-gnu
AWS_LC_SYS_PREBUILT_NASM=1 cargo check --locked --target x86_64-pc-windows-gnu -p cotter -p cotter-cli --all-features"
part windows '^ *Finished|^error' "$windows"
part deny ' ok$|FAILED|^error' "cargo deny --offline check licenses bans sources"
# Compared with the newest release; before the first one there is nothing to compare with.
if tag=$(git describe --tags --abbrev=0 2>/dev/null); then
    part semver 'Summary|FAIL' "cargo semver-checks --workspace --baseline-rev $tag"
else
    part semver 'release' "echo 'no release yet to compare with'"
fi

{
    echo "# The full run"
    echo
    echo "What takes too long for every change, as \`tests/full.sh${*:+ $*}\` ran it last; it wrote this page."
    echo
    echo "- $(date -u +%Y-%m-%d), commit $(git rev-parse --short HEAD)"
    echo "- $(rustc --version), $(uname -sm), $(nproc) cores"
    echo
    echo "| part | result | time |"
    echo "|---|---|---|"
    cat "$work/table" "$work/details"
} >docs/full-run.md
echo "docs/full-run.md is written"
[ -z "$failed" ]
