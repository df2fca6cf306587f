#!/usr/bin/env bash
# The RFC 6749 dialect against two OAuth servers that nobody here wrote: npm oidc-provider (reuse of a
# refresh token revokes the grant) and PyPI django-oauth-toolkit (the old token is good for a grace).
# 64 callers at once on an ended token, twice: one exchange each time, and the grant alive afterwards.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
target=${CARGO_TARGET_DIR:-$root/target}
work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT

passed=0
failed=0
check() { # check LABEL COMMAND...
    local label=$1
    shift
    if "$@" >>"$work/log" 2>&1; then
        echo "ok: $label"
        passed=$((passed + 1))
    else
        echo "FAILED: $label"
        tail -n 20 "$work/log" | sed 's/^/    /'
        failed=$((failed + 1))
    fi
}
wait_for() { # wait_for URL
    for _ in $(seq 100); do
        curl -s -o /dev/null "$1" && return 0
        sleep 0.1
    done
    echo "no answer from $1" >&2
    return 1
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
field() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"; }
equals() { [ "$1" = "$2" ] || { echo "expected $2, got $1"; return 1; }; }

cargo build --locked -q --workspace --bins
client=$target/debug/any_provider

# -- oidc-provider
mkdir "$work/npm"
cp "$here/oauth/oidc-provider.mjs" "$work/npm/server.mjs"
(cd "$work/npm" && npm install --silent --no-audit --no-fund oidc-provider@9 jose@6 >"$work/npm.log" 2>&1) || {
    cat "$work/npm.log"
    exit 1
}
port=$(free_port)
PORT=$port AT_TTL=3 node "$work/npm/server.mjs" >"$work/oidc.log" 2>"$work/oidc.err" &
pids+=($!)
base=http://127.0.0.1:$port
wait_for "$base/.well-known/openid-configuration"

redirect=http://127.0.0.1:7777/cb
jar=$work/jar
verifier=$(openssl rand -base64 48 | tr '+/' '-_' | tr -d '=\n')
challenge=$(printf %s "$verifier" | openssl dgst -sha256 -binary | base64 | tr '+/' '-_' | tr -d '=\n')
step() { curl -s -o /dev/null -w '%{redirect_url}' -b "$jar" -c "$jar" "$@"; }
url=$(step -G "$base/auth" -d client_id=cotter-test -d response_type=code --data-urlencode "redirect_uri=$redirect" \
    -d "code_challenge=$challenge" -d code_challenge_method=S256 -d state=x -d nonce=n -d prompt=consent \
    --data-urlencode 'scope=openid offline_access')
url=$(step "$url" -d prompt=login -d login=alice -d password=x)
url=$(step "$url")
url=$(step "$url" -d prompt=consent)
url=$(step "$url")
code=$(sed 's/.*[?&]code=\([^&]*\).*/\1/' <<<"$url")
curl -s "$base/token" -d grant_type=authorization_code -d client_id=cotter-test -d "code=$code" \
    --data-urlencode "redirect_uri=$redirect" -d "code_verifier=$verifier" >"$work/oidc.json"
first=$(field "$work/oidc.json" refresh_token)

check "oidc-provider: 64 callers get one new token, twice" "$client" "$base/token" cotter-test strict <"$work/oidc.json"
check "oidc-provider: two exchanges in all, both granted" \
    equals "$(grep -c 'token refresh_token 200' "$work/oidc.log")" 2
check "oidc-provider: nothing was refused" equals "$(grep -c 'token refresh_token 400' "$work/oidc.log" || true)" 0
reuse=$(curl -s "$base/token" -d grant_type=refresh_token -d client_id=cotter-test --data-urlencode "refresh_token=$first")
check "oidc-provider: it does punish the reuse of a spent token" \
    equals "$(python3 -c 'import json,sys; print(json.loads(sys.argv[1])["error"])' "$reuse")" invalid_grant

# -- django-oauth-toolkit
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q django-oauth-toolkit==3.4.1 'Django>=5.2,<5.3' >"$work/pip.log" 2>&1 || {
    cat "$work/pip.log"
    exit 1
}
export DB=$work/db.sqlite3 AT_TTL=3 GRACE=30
"$work/venv/bin/python" "$here/oauth/django_server.py" setup
port=$(free_port)
"$work/venv/bin/python" "$here/oauth/django_server.py" serve "$port" >"$work/django.log" 2>&1 &
pids+=($!)
base=http://127.0.0.1:$port/o/token/
wait_for "$base"
curl -s "$base" -d grant_type=password -d username=alice -d password=pw -d client_id=cotter-test >"$work/django.json"
before=$(grep -c 'POST /o/token/' "$work/django.log")
check "django-oauth-toolkit: 64 callers get one new token, twice" "$client" "$base" cotter-test grace=30 <"$work/django.json"
after=$(grep -c 'POST /o/token/' "$work/django.log")
check "django-oauth-toolkit: two exchanges in all" equals "$((after - before))" 2
# The grace that the provider was declared with is real: a spent token brings its one successor again.
curl -s "$base" -d grant_type=password -d username=alice -d password=pw -d client_id=cotter-test >"$work/again.json"
second=$(field "$work/again.json" refresh_token)
for reply in one two; do
    curl -s "$base" -d grant_type=refresh_token -d client_id=cotter-test \
        --data-urlencode "refresh_token=$second" >"$work/$reply.json"
done
check "django-oauth-toolkit: within its grace the old token brings the same successor" \
    equals "$(field "$work/one.json" refresh_token)" "$(field "$work/two.json" refresh_token)"

echo "oauth servers: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
