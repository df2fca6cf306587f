#!/usr/bin/env bash
# The walls of docs/ARCHITECTURE.md, checked on the dependency trees: what each crate may pull in, and how
# many packages each configuration costs.
set -euo pipefail
cd "$(dirname "$0")/../.."
fail=0
passed=0

# The packages of one configuration, "name version" a line; a tree that cannot be had is an error.
tree() {
    local out
    out=$(cargo tree --locked -e normal --prefix none --no-dedupe "$@") || exit 1
    sed 's/ (.*//' <<<"$out" | awk '{print $1" "$2}' | sort -u
}

# holds LABEL BUDGET CARGO_TREE_ARGS...: at most BUDGET unique packages, the root not counted.
holds() {
    local label=$1 budget=$2 count
    shift 2
    count=$(tree "$@")
    count=$(($(wc -l <<<"$count") - 1))
    if [ "$count" -le "$budget" ]; then
        echo "ok: $label: $count packages of at most $budget"
        passed=$((passed + 1))
    else
        echo "FAILED: $label: $count packages, more than $budget"
        fail=$((fail + 1))
    fi
}

# lacks LABEL PATTERN CARGO_TREE_ARGS...: no package whose name matches.
lacks() {
    local label=$1 pattern=$2 found
    shift 2
    found=$(tree "$@")
    found=$(awk '{print $1}' <<<"$found" | grep -xE "$pattern" | tr '\n' ' ' || true)
    if [ -z "$found" ]; then
        echo "ok: $label: none of $pattern"
        passed=$((passed + 1))
    else
        echo "FAILED: $label: found $found"
        fail=$((fail + 1))
    fi
}

clients='reqwest|ureq|hyper|tokio|futures.*|rustls'
lacks "cotter-core" "$clients|getrandom|rand|std.*|sled|keyring.*" -p cotter-core
lacks "cotter-session, blocking only" "tokio|futures.*|async-std|hyper|reqwest|ureq" -p cotter-session --no-default-features --features blocking
lacks "cotter-session" "reqwest|ureq|hyper|rustls|sled|keyring.*|cotter-(store|transport).*" -p cotter-session --all-features
lacks "cotter-transport-reqwest" "ureq|cotter-(session|store|seal|jwt).*" -p cotter-transport-reqwest
lacks "cotter-transport-ureq" "reqwest|tokio|hyper|futures.*|cotter-(session|store|seal|jwt).*" -p cotter-transport-ureq
lacks "cotter-store-memory" "$clients|cotter-(session|transport|seal|jwt).*" -p cotter-store-memory
lacks "cotter-seal" "$clients|getrandom|sled|keyring.*|cotter-(session|transport|store|jwt).*" -p cotter-seal
lacks "cotter-jwt" "$clients|sled|cotter-(session|transport|store|seal).*" -p cotter-jwt
lacks "cotter-store-file" "$clients|sled|keyring.*|cotter-(session|transport|jwt).*|cotter-store-(memory|sled|keyring)" -p cotter-store-file
lacks "cotter-store-sled" "$clients|keyring.*|cotter-(session|transport|jwt).*|cotter-store-(memory|file|keyring)" -p cotter-store-sled
lacks "cotter-store-keyring" "$clients|sled|cotter-(session|transport|jwt).*|cotter-store-(memory|file|sled)" -p cotter-store-keyring
lacks "cotter-jwks" "reqwest|ureq|hyper|rustls|sled|cotter-(session|transport|store|seal).*" -p cotter-jwks
lacks "cotter-axum" "reqwest|ureq|hyper|rustls|sled|axum|cotter-(session|transport|store|seal).*" -p cotter-axum
lacks "cotter-loopback, blocking" "tokio|reqwest|ureq|hyper|sled|cotter-(session|transport|store|seal|jwt).*" -p cotter-loopback --no-default-features
lacks "cotter-device" "$clients|getrandom|sled|cotter-(session|transport|store|seal|jwt).*" -p cotter-device
lacks "cotter with ureq, blocking" "reqwest|tokio|hyper|futures.*" -p cotter --no-default-features --features blocking,ureq,memory
lacks "cotter with reqwest" "ureq" -p cotter
lacks "cotter-emulator" "cotter|cotter-(core|session|store|transport|seal|jwt|testkit|axum|cli).*" -p cotter-emulator
lacks "cotter-testkit" "cotter" -p cotter-testkit

# The program knows the facade only.
direct=$(cargo tree --locked -e normal,build --prefix none --depth 1 -p cotter-cli --all-features) || exit 1
direct=$(awk '$1 ~ /^cotter/ && $1 != "cotter-cli" { print $1 }' <<<"$direct" | sort -u | tr '\n' ' ')
if [ "$direct" = "cotter " ]; then
    echo "ok: cotter-cli: the facade only"
    passed=$((passed + 1))
else
    echo "FAILED: cotter-cli depends on $direct"
    fail=$((fail + 1))
fi

holds "core" 30 -p cotter-core
holds "blocking, ureq, TLS, memory" 65 -p cotter --no-default-features --features blocking,ureq,memory
holds "blocking, ureq, TLS, sealed file" 65 -p cotter --no-default-features --features blocking,ureq,file
holds "async, reqwest, TLS, memory" 125 -p cotter
holds "async, reqwest, TLS, sealed file" 125 -p cotter --no-default-features --features async,reqwest,file

# The fence of the compiler: core cannot name std.
for crate in cotter-core cotter-seal cotter-jwt; do
    [ -d "crates/$crate" ] || continue
    if grep -q '^#!\[no_std\]' "crates/$crate/src/lib.rs" && ! grep -rqE '^\s*(pub )?extern crate std' "crates/$crate/src" --include='*.rs'; then
        echo "ok: $crate is no_std without extern crate std"
        passed=$((passed + 1))
    else
        echo "FAILED: $crate is not no_std, or names std"
        fail=$((fail + 1))
    fi
done

echo "fences: $passed passed, $fail failed"
[ "$fail" -eq 0 ]
