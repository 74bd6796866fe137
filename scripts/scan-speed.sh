#!/usr/bin/env bash
# How fast the auditor's scan goes through files, for every canary in every spelling and a key,
# beside `grep -F -f` with the canaries as they are. One core, files in the page cache, time of the
# processor (so that others on the machine do not count). Prints a table; exit code 1 if the scan
# of ciphertext is slower than 1 GB/s, or if it misses a canary that grep finds.
#
#   scripts/scan-speed.sh [MEGABYTES] [CANARIES]      (1000 and 100000 unless told)
set -euo pipefail
cd "$(dirname "$0")/.."
megabytes=${1:-1000}
canaries=${2:-100000}
cargo build --release --quiet -p keyquake-audit --example scan_speed
scan=target/release/examples/scan_speed
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$scan" make "$folder" "$megabytes" "$canaries"
TIMEFORMAT='%U %S'

status=0
rate() { awk "BEGIN { printf \"%.2f\", $megabytes / ($1 > 0 ? $1 : 1) }"; }
echo "| content, $megabytes MB | scan, GB/s | canaries met | grep -F, GB/s | lines met | ratio |"
echo "|---|---|---|---|---|---|"
for content in ciphertext base64 letters clear; do
    cat "$folder/$content" >/dev/null
    read -r _ ours hits < <("$scan" scan "$folder/$content" "$canaries")
    grepped=$( { time LC_ALL=C grep -a -o -F -f "$folder/patterns" "$folder/$content" >"$folder/met" || true; } 2>&1)
    theirs=$(awk '{ printf "%d", ($1 + $2) * 1000 }' <<<"$grepped")
    met=$(wc -l <"$folder/met")
    echo "| $content | $(rate "$ours") | $hits | $(rate "$theirs") | $met |" \
        "$(awk "BEGIN { printf \"%.1f\", $theirs / ($ours > 0 ? $ours : 1) }") |"
    [ "$hits" -ge "$met" ] || status=1
    [ $content != ciphertext ] || [ "$ours" -le "$megabytes" ] || status=1
done
exit $status
