#!/usr/bin/env bash
# What a nonce registry costs: pairs per second while audits of 100,000 pairs each are added and
# synced, and bytes on the disk. Prints a table; exit code 1 if pairs as a store makes them come in
# at less than 200,000 per second, or take more than 1 GB for 10 million.
#
#   scripts/nonce-registry.sh [PAIRS] [BATCH]      (10000000 and 100000 unless told)
set -euo pipefail
cd "$(dirname "$0")/.."
pairs=${1:-10000000}
batch=${2:-100000}
cargo build --release --quiet -p keyquake-audit --example nonce_speed
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

status=0
echo "| nonces | pairs | added in | of it processor | new pairs per second | on the disk | bytes per pair |"
echo "|---|---|---|---|---|---|---|"
for shape in dense again gaps random; do
    read -r spent processor bytes held < <(target/release/examples/nonce_speed "$folder/$shape" "$pairs" "$batch" $shape)
    rm -f "$folder/$shape"
    rate=$((held * 1000 / (spent > 0 ? spent : 1)))
    printf '| %s | %d | %d.%d s | %d.%d s | %d | %d MB | %d |\n' $shape "$held" $((spent / 1000)) \
        $((spent % 1000 / 100)) $((processor / 1000)) $((processor % 1000 / 100)) $rate $((bytes / 1000000)) $((bytes / held))
    [ $shape = random ] || { [ $rate -ge 200000 ] && [ $((bytes / held)) -le 100 ]; } || status=1
done
exit $status
