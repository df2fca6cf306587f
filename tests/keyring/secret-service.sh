#!/usr/bin/env bash
# cotter-store-keyring against a real Secret Service daemon (gnome-keyring) and the kernel's keyring.
#
#   tests/keyring/secret-service.sh
#
# Installs gnome-keyring, dbus, libsecret-tools and keyutils where they are missing (Debian, as root).
# Each state gets a home and a bus of its own. Prints one line a check, at the end "N passed,
# N failed", and fails if anything did.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

missing=
for tool in gnome-keyring-daemon dbus-run-session secret-tool keyctl; do
  command -v "$tool" >/dev/null || missing=1
done
if [ -n "$missing" ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -qq --no-install-recommends \
    gnome-keyring dbus libsecret-tools keyutils >"$work/apt" 2>&1 ||
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends \
      gnome-keyring dbus libsecret-tools keyutils >"$work/apt" 2>&1; } ||
    { cat "$work/apt" >&2; exit 1; }
fi

tests=$(cd "$root" && cargo test --quiet -p cotter-store-keyring --features keyutils \
  --test real_daemon --no-run --message-format json |
  sed -n 's/.*"executable":"\([^"]*real_daemon[^"]*\)".*/\1/p' | tail -1)
[ -x "$tests" ] || { echo "the tests were not built" >&2; exit 1; }

unset DISPLAY WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS
export COTTER_TEST_SECRET_SERVICE=1 tests
: >"$work/results"

home() { # a home and a runtime folder of their own
  export HOME="$work/$1" XDG_RUNTIME_DIR="$work/$1/run"
  unset XDG_DATA_HOME XDG_CONFIG_HOME XDG_CACHE_HOME
  mkdir -p "$HOME" "$XDG_RUNTIME_DIR"
  chmod 700 "$HOME" "$XDG_RUNTIME_DIR"
}

record() { # a state, what was run: its "ok" lines, and a failed check if it ended badly
  local state=$1
  shift
  local before
  before=$(grep -c '^ok ' "$work/results" || true)
  if ! COTTER_TEST_KEYRING=$state "$@" >"$work/out" 2>&1; then
    echo "FAIL $state: $(grep -m1 -A1 'panicked at' "$work/out" | tail -1 || true)" >>"$work/results"
    tail -30 "$work/out" >&2
  fi
  grep '^ok ' "$work/out" >>"$work/results" || true
  if [ "$before" = "$(grep -c '^ok ' "$work/results" || true)" ]; then
    echo "FAIL $state: no check was made" >>"$work/results"
  fi
}

check() { # a name, a command
  local name=$1
  shift
  if "$@" >/dev/null 2>&1; then echo "ok $name"; else echo "FAIL $name"; fi >>"$work/results"
}

run='"$tests" --nocapture --include-ignored --test-threads 1'
unlock='eval "$(printf "a password\n" | gnome-keyring-daemon --unlock --components=secrets 2>/dev/null)"'
start='eval "$(gnome-keyring-daemon --start --components=secrets 2>/dev/null)"'

home desktop
record unlocked dbus-run-session -- bash -c "$unlock
  $run && secret-tool search --all --unlock service cotter >'$work/entries' 2>&1"
check "Secret Service: there are entries of the service cotter" grep -q 'service = cotter' "$work/entries"
check "Secret Service: no attribute or label tells a name" \
  bash -c "! grep -v '^secret' '$work/entries' | grep -qi -e planted -e auth.example"
check "Secret Service: the file on disk holds nothing in clear" \
  bash -c "! grep -rqa -e PLANTED -e auth.example '$HOME'"
record restarted dbus-run-session -- bash -c "$unlock
  $run"
record locked dbus-run-session -- bash -c "$start
  $run"
record hanging dbus-run-session -- bash -c "$unlock
  export COTTER_TEST_DAEMON_PID=\$(pgrep -n gnome-keyring-d)
  $run"

home fresh
record never-unlocked dbus-run-session -- bash -c "$start
  $run"

home bare
record absent bash -c "$run"

home kernel
record kernel keyctl session - bash -c "$run"

sed 's/^/  /' "$work/results" | cut -c3-
passed=$(grep -c '^ok ' "$work/results" || true)
failed=$(grep -c '^FAIL ' "$work/results" || true)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
