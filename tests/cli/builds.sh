#!/usr/bin/env bash
# cotter installed as its README says, and built with one store only: that store works, the others
# are refused by name, and what another build has stored is never taken for nobody.
#
#   tests/cli/builds.sh
#
# Prints one line a check, at the end "N passed, N failed", and fails if anything did.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
work=$(mktemp -d)
emulator=
trap '[ -z "$emulator" ] || kill "$emulator" 2>/dev/null; rm -rf "$work"' EXIT
cargo build --locked --quiet -p cotter-emulator
mkfifo "$work/ready"
"$target/debug/cotter-emulator" --quiet >"$work/ready" &
emulator=$!
read -r ready <"$work/ready"
member() { printf '%s' "$ready" | sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"; }
curl --silent --fail -d '{"identifier":"ada@example.test"}' "$(member control_url)/token-set" >"$work/set.json"

passed=0 failed=0
# A name, the exit code that is wanted, what standard output or error must hold, a command.
check() {
    local name=$1 wanted=$2 text=$3 said code=0
    shift 3
    said=$("$@" 2>&1) || code=$?
    if [ "$code" = "$wanted" ] && [[ $said == *"$text"* ]]; then
        echo "ok   $name"
        passed=$((passed + 1))
    else
        echo "FAIL $name: exit $code: ${said:0:300}"
        failed=$((failed + 1))
    fi
}
run() { # run PROGRAM ARGUMENT...
    env -i PATH="$PATH" HOME="$work/home" COTTER_API_KEY_ID="$(member api_key_id)" \
        COTTER_BASE_URL="$(member base_url)" COTTER_FORMAT=json \
        COTTER_STORE_KEY=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc= "$@"
}

# The gate has built the release program already; this installs that build.
cargo install --locked --quiet --force --root "$work/installed" --path crates/cotter-cli
check "cargo install --path crates/cotter-cli" 0 "cotter " run "$work/installed/bin/cotter" --version
for store in file sled; do
    check "the installed program stores in $store" 0 '"signed_in":true' \
        run "$work/installed/bin/cotter" --store "$store" --store-path "$work/$store" import "$work/set.json"
done

for only in file sled keyring; do
    cargo build --locked --quiet -p cotter-cli --no-default-features --features "$only"
    cp "$target/debug/cotter" "$work/cotter-$only"
    if [ "$only" != keyring ]; then
        check "$only alone makes a store unless another kind is named" 0 "\"kind\":\"$only\"" \
            run sh -c '"$1" --store-path "$2" import "$3" && "$1" --store-path "$2" status' - \
            "$work/cotter-$only" "$work/made-$only" "$work/set.json"
    else
        # Nobody answers on this bus; but it is the keyring that is asked.
        check "keyring alone asks the keyring unless another kind is named" 5 "keyring" \
            run env DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere "$work/cotter-keyring" import "$work/set.json"
    fi
    for store in file sled keyring; do
        folder=$work/$store
        if [ "$store" = keyring ]; then folder=$work/none; fi
        if [ "$store" != "$only" ]; then
            check "$only alone refuses --store $store" 5 "built without the store $store" \
                run "$work/cotter-$only" --store "$store" --store-path "$folder" token
        elif [ "$store" != keyring ]; then
            check "$only alone opens its own" 0 ey run "$work/cotter-$only" --store-path "$folder" token
        fi
        if [ "$store" != "$only" ] && [ "$store" != keyring ]; then
            check "$only alone does not take a $store store for nobody" 5 "built without the store $store" \
                run "$work/cotter-$only" --store-path "$folder" token
        fi
    done
done
# The tests that follow want the whole program where they left it.
cargo build --locked --quiet -p cotter-cli
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
