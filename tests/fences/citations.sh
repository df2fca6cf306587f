#!/usr/bin/env bash
# Holds docs/protocol.md: every number that a source cites as "protocol page N" has a heading or a row there,
# and no number stands there twice.
set -euo pipefail
cd "$(dirname "$0")/../.."

page=docs/protocol.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# "number path", one a line. A comment may go on in the next line; "2.5 to 2.7" cites what lies between, too.
number='[0-9]+(\.(A|[0-9]+))*'
grep -rliE 'protocol' --include='*.rs' crates/*/src | sort | while read -r path; do
    sed -E 's,^[[:space:]]*//[/!]?[[:space:]]*,,' "$path" | tr '\n' ' ' |
        { grep -oiE "protocol pages? +$number(( *,| and| to) +$number)*" || true; } |
        awk -v path="$path" '{
            gsub(/,/, " ")
            for (at = 3; at <= NF; at++) {
                if ($at == "and") continue
                if ($at != "to") { print $at, path; continue }
                stem = last = $(at + 1)
                sub(/[0-9]+$/, "", stem)
                from = $(at - 1)
                if (index(from, stem) != 1) { print from "-to-" last, path; continue }
                for (n = substr(from, length(stem) + 1) + 1; n < substr(last, length(stem) + 1) + 0; n++)
                    print stem n, path
            }
        }'
done | sort -u >"$work/cited"
[ -s "$work/cited" ] || { echo "citations: no source cites the protocol page; has the phrase changed?" >&2; exit 1; }

# The numbers of headings and of rows; what stands in a block of code is neither.
awk '/^```/ { code = !code }
    code { next }
    /^#+ [0-9]/ { sub(/\.$/, "", $2); print $2 }
    /^\| [0-9]+\./ { print $2 }' "$page" | sort >"$work/page"

fail=0
if [ -n "$(uniq -d "$work/page")" ]; then
    echo "citations: $page has twice: $(uniq -d "$work/page" | tr '\n' ' ')" >&2
    fail=1
fi
while read -r cited path; do
    grep -qxF "$cited" "$work/page" && continue
    echo "citations: $path cites protocol page $cited, which $page does not have" >&2
    fail=1
done <"$work/cited"
[ "$fail" -eq 0 ] || exit 1
echo "citations: $(cut -d' ' -f1 "$work/cited" | sort -u | wc -l) numbers of $page cited in $(cut -d' ' -f2 "$work/cited" | sort -u | wc -l) files, all there"
