#!/usr/bin/env bash
# Everything that needs more than Rust and loopback: foreign clients against the emulator, foreign servers
# for the OAuth dialect, a real keyring daemon, a real browser. Installs what it needs (Debian packages, npm,
# PyPI). Fails if anything fails; skips nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 && return 0
    echo "installing $2"
    [ -n "${updated:-}" ] || { apt-get update -qq && updated=1; }
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}
need curl curl
need openssl openssl
need python3 python3
python3 -c 'import venv, ensurepip' 2>/dev/null || need python3-venv-missing python3-venv
need node nodejs
need npm npm
# Debian 12 has Node 18, and the foreign clients and servers want 20; the registry has it as a package.
if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
    newer=$(mktemp -d)
    trap 'rm -rf "$newer"' EXIT
    npm install --silent --no-audit --no-fund --prefix "$newer" node@20
    export PATH="$newer/node_modules/node/bin:$PATH"
    node --version
fi

scripts=(
    tests/foreign/emulator-clients.sh
    tests/foreign/oauth-servers.sh
    tests/foreign/jose-differential.sh
    tests/keyring/secret-service.sh
    tests/cli/keyring.sh
    tests/browser/sign-in.sh
)
for script in "${scripts[@]}"; do
    echo "== $script"
    bash "$script"
done
echo "external: ${#scripts[@]} scripts passed"
