#!/usr/bin/env bash
# How often a bug with a window of 50 ms inside a rotation is hit: by a kill 20 ms after the
# request left, and by kills at random instants of the second after it. Prints a table.
#
#   scripts/window.sh [RUNS]        (20 of each unless told)
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-20}
keyquake=${KEYQUAKE:-target/release/keyquake}
[ -x "$keyquake" ] || cargo build --release
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
RANDOM=1

plan() { # seed, milliseconds
    cat <<TOML
format = 1
seed = $1
time = "8s"
faults = [
  { at = "2s", fault = "admin", call = "rotate-storage" },
  { when = { during = "rotate-storage" }, after = "$2ms", for = "1500ms", fault = "kill", target = "leader" },
]
[cluster]
system = "reference"
nodes = 3
release = "6f"
encryption = "storage"
bugs = ["state-before-sidecar"]
[[workloads]]
name = "register"
TOML
}

row() { # name, function that gives the milliseconds
    local hit=0 missed=0 other=0 code
    for run in $(seq "$runs"); do
        plan "$run" "$($2)" >"$folder/plan.toml"
        code=0
        "$keyquake" run --plan "$folder/plan.toml" --results "$folder/runs" >"$folder/said" 2>&1 || code=$?
        if [ "$code" = 1 ] && grep -q "violated *ROL-RESTART" "$folder/said"; then
            hit=$((hit + 1))
        elif [ "$code" = 3 ]; then
            missed=$((missed + 1))
        else
            other=$((other + 1))
        fi
        rm -rf "$folder/runs"
    done
    printf '| %-36s | %3d of %3d | %3d | %3d |\n' "$1" "$hit" "$runs" "$missed" "$other"
}
at_moment() { echo 20; }
at_random() { echo $((RANDOM * 1000 / 32768)); }

echo "| kill of the leader                   | found      | call was over | other |"
echo "|---|---|---|---|"
row "20 ms after rotate-storage was sent" at_moment
row "at random in the second after" at_random
