#!/usr/bin/env bash
# Holds docs/refresh-rules.md: each of the 25 rules has a test named after it, the page lists every
# such test at its place, and names none that is gone.
set -euo pipefail
cd "$(dirname "$0")/../.."

page=docs/refresh-rules.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# "NN path name", as the sources have it and as the page has it.
grep -rnoE 'rule_[0-9]{2}_[a-z0-9_]+' --include='*.rs' crates tests |
    sed -E 's/^([^:]+):[0-9]+:(rule_([0-9]{2})_.*)$/\3 \1 \2/' | sort -u >"$work/sources"
awk '/^## / { rule = sprintf("%02d", $2) }
    /^- `/ { path = $2; gsub(/`/, "", path) }
    /^  - `/ { name = $2; gsub(/`/, "", name); print rule, path, name }' "$page" | sort -u >"$work/page"

if ! diff "$work/sources" "$work/page"; then
    echo "rules: $page and the tests differ (< in the tests, > on the page)" >&2
    exit 1
fi
for rule in $(seq -w 1 25); do
    grep -q "^$rule " "$work/sources" || { echo "rules: rule $rule has no test" >&2; exit 1; }
done
echo "rules: 25, $(wc -l <"$work/sources") tests named after them"
