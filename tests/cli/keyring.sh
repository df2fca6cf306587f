#!/usr/bin/env bash
# cotter with a real Secret Service daemon (gnome-keyring): whole records in it, the sealing key in
# it, what happens when it is locked or gone, and the scenarios that the other stores go through in
# `cargo test`.
#
#   tests/cli/keyring.sh
#
# Needs gnome-keyring and dbus (tests/keyring/secret-service.sh installs them). Prints one line a
# check, at the end "N passed, N failed", and fails if anything did.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The whole workspace, as the tests before this built it: nothing is compiled twice.
cargo build --quiet --workspace --bins
scenarios=$(cargo test --quiet --workspace --no-run --message-format json \
    | grep -F '/cotter-cli#' | sed -n 's/.*"name":"\(refresh\|golden\)".*"executable":"\([^"]*\)".*/\2/p' | sort -u)
[ "$(wc -l <<<"$scenarios")" = 2 ] || { echo "the scenarios were not built: $scenarios" >&2; exit 1; }
# The golden files are found by this variable, which cargo sets where it runs a test itself.
export scenarios CARGO_MANIFEST_DIR=$PWD/crates/cotter-cli
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
export PATH=$target/debug:$PATH
for tool in gnome-keyring-daemon dbus-run-session; do
    command -v "$tool" >/dev/null || { echo "$tool is missing" >&2; exit 1; }
done

work=$(mktemp -d)
emulator=
trap '[ -z "$emulator" ] || kill "$emulator" 2>/dev/null; rm -rf "$work"' EXIT
mkfifo "$work/ready"
cotter-emulator --quiet >"$work/ready" &
emulator=$!
read -r ready <"$work/ready"
member() { printf '%s' "$ready" | sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"; }
export control; control=$(member control_url)
export COTTER_API_KEY_ID; COTTER_API_KEY_ID=$(member api_key_id)
export COTTER_BASE_URL; COTTER_BASE_URL=$(member base_url)
export HOME=$work/home XDG_RUNTIME_DIR=$work/home/run COTTER_FORMAT=json results=$work/results
unset COTTER_STORE COTTER_STORE_KEY COTTER_STORE_PATH XDG_CONFIG_HOME XDG_DATA_HOME \
    DISPLAY WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS
mkdir -p "$XDG_RUNTIME_DIR"
chmod 700 "$HOME" "$XDG_RUNTIME_DIR"
: >"$results"

cat >"$work/checks" <<'CHECKS'
set -u
login() { curl --silent --fail -d "{\"identifier\":\"$1\"}" "$control/token-set"; }
# A name, the exit code that is wanted, what standard output and error must hold, a command.
check() {
    local name=$1 wanted=$2 text=$3 said code=0
    shift 3
    said=$("$@" 2>&1) || code=$?
    if [ "$code" = "$wanted" ] && [[ $said == *"$text"* ]]; then
        echo "ok   $name" >>"$results"
    else
        echo "FAIL $name: exit $code: ${said:0:300}" >>"$results"
    fi
}
imported() { login "$1" | cotter "${@:2}" import; }
parallel() {
    local answers
    cotter --store "$1" token --force-refresh >/dev/null || return 1
    answers=$(for _ in $(seq 20); do cotter --store "$1" token & done; wait)
    [ "$(sort -u <<<"$answers" | wc -l)" = 1 ] && [ "$(wc -l <<<"$answers")" = 20 ]
}
daemons() { grep -lx gnome-keyring-d /proc/[0-9]*/comm 2>/dev/null | sort; }
unlock() {
    local before; before=$(daemons)
    eval "$(printf 'a password\n' | gnome-keyring-daemon --unlock --components=secrets 2>/dev/null)"
    daemon=$(comm -13 <(printf '%s\n' "$before") <(daemons) | head -n 1)
}
# gnome-keyring 42 has been seen to die under many clients at once. That is not the program's doing: it
# is said, and gone through once more, up to twice. Anything else that fails, fails.
scenario() { # scenario BINARY TIMES-LEFT
    local said code=0
    said=$("$1" --ignored keyring:: --test-threads 1 2>&1) || code=$?
    if [ "$code" = 0 ] && [[ $said == *"test result: ok"* ]]; then
        echo "ok   the scenarios of the other stores: $(basename "${1%-*}")" >>"$results"
    elif [ "$2" -gt 0 ] && [ -n "$daemon" ] && [ ! -e "$daemon" ]; then
        echo "gnome-keyring died; once more: $1" >&2
        return 75
    else
        echo "FAIL the scenarios: $1: exit $code: ${said: -3000}" >>"$results"
    fi
}
CHECKS

in_session() { dbus-run-session -- bash -c ". '$work/checks'; $1"; }

in_session 'unlock
check "auto puts the sealing key into the keyring" 0 "\"kind\":\"file\"" imported ada@example.test
check "... and says so" 0 "\"key_source\":\"keyring\"" cotter status
check "... and hands out a token" 0 ey cotter token
check "whole records in the keyring" 0 "\"kind\":\"keyring\"" imported ada@example.test --store keyring
check "... are refreshed" 0 ey cotter --store keyring token --force-refresh
check "... by many at once" 0 "" parallel keyring
check "... and listed" 0 "\"session\":\"default\"" cotter --store keyring sessions
check "... and forgotten" 0 "default" cotter --store keyring logout
check "... and then nobody is signed in" 3 sign_in_required cotter --store keyring token
check "doctor names the keyring" 0 "Secret Service" cotter --store keyring doctor
check "somebody signs in again" 0 "\"kind\":\"keyring\"" imported ada@example.test --store keyring'
in_session 'unlock
check "the key is there after a restart" 0 ey cotter token
check "records are there after a restart" 0 ey cotter --store keyring token'
in_session 'eval "$(gnome-keyring-daemon --start --components=secrets 2>/dev/null)"
check "a locked keyring is not nobody: the key" 4 locked cotter token
check "a locked keyring is not nobody: records" 4 locked cotter --store keyring token'
for binary in $scenarios; do
    for left in 2 1 0; do
        code=0
        in_session "unlock; scenario '$binary' $left" || code=$?
        [ "$code" = 75 ] || break
    done
done
. "$work/checks"
export DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent
check "a keyring that is not there is not nobody: the key" 5 store cotter token
check "a keyring that is not there is not nobody: records" 5 store cotter --store keyring token
check "... and no other key is made" 5 store imported ada@example.test
check "... in the folder either" 2 "" ls "$HOME/.config/cotter/store.key"

cat "$results"
passed=$(grep -c '^ok ' "$results" || true)
failed=$(grep -c '^FAIL ' "$results" || true)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
