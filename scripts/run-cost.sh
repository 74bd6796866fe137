#!/usr/bin/env bash
# What a run costs over the time of its workloads, on both runtimes: from the command's start to its
# end, cluster, keys, judge and report included. Prints a table; exit code 1 if a run takes more
# than 5 s over its time on processes, or 10 s on Docker.
#
#   scripts/run-cost.sh [RUNS] [SECONDS]     (3 of each kind, of 10 s, unless told)
set -uo pipefail
cd "$(dirname "$0")/.."
runs=${1:-3}
seconds=${2:-10}
keyquake=${KEYQUAKE:-target/release/keyquake}
[ -x "$keyquake" ] || cargo build --release || exit 4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# By a clock that nobody sets.
millis() { local up rest; read -r up rest </proc/uptime; echo $((10#${up/./} * 10)); }

status=0
echo "| runtime | encryption | over the workloads' $seconds s: least | middle | most | may be | valid |"
echo "|---|---|---|---|---|---|---|"
for runtime in process docker; do
    bound=5000
    [ $runtime = process ] || bound=10000
    for level in off raft; do
        valid=0
        over=()
        for run in $(seq "$runs"); do
            begun=$(millis)
            if "$keyquake" run --runtime $runtime --encryption $level --seed "$run" --time "${seconds}s" \
                --results "$folder/runs" >"$folder/said" 2>&1; then
                valid=$((valid + 1))
            else
                tail -20 "$folder/said" >&2
            fi
            over+=($(($(millis) - begun - seconds * 1000)))
            rm -rf "$folder/runs"
        done
        mapfile -t over < <(printf '%d\n' "${over[@]}" | sort -n)
        most=${over[-1]}
        printf '| %s | %s | %d ms | %d ms | %d ms | %d ms | %d of %d |\n' $runtime $level "${over[0]}" \
            "${over[$((runs / 2))]}" "$most" $bound $valid "$runs"
        [ "$most" -le $bound ] && [ $valid = "$runs" ] || status=1
    done
done
exit $status
