#!/usr/bin/env bash
# Runs drawn nights with an operator on the reference store, some side by side, and prints a table: what
# each began with, its verdict, how many steps and faults, how long it took. Beginnings take turns: in the
# clear on every release, with keys, with either phase, mixed. Folders of nights that are not valid
# are kept. Exit code 1 if one was not valid.
#
#   scripts/nights.sh [NIGHTS] [SIDE-BY-SIDE] [FIRST-SEED]      (20, 3 and 1 unless told)
#
#   FAULTS=kill,operator    what is drawn from        (kill,pause,restart,partition,operator)
#   SECONDS_EACH=20         how long each lasts       (22)
#   EXTRA="--bug NAME"      more words for every run  (none)
#   KEEP=FOLDER             where folders are kept    (results/runs/nights)
set -uo pipefail
cd "$(dirname "$0")/.."
nights=${1:-20}
side_by_side=${2:-3}
first=${3:-1}
faults=${FAULTS:-kill,pause,restart,partition,operator}
seconds=${SECONDS_EACH:-22}
keep=${KEEP:-results/runs/nights}
keyquake=$(realpath "${KEYQUAKE:-target/release/keyquake}")
[ -x "$keyquake" ] || cargo build --release || exit 4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# What a night begins with: release and level.
beginnings=(
    "6f off" "6f keys" "6f storage" "6f raft" "5d off" "6a off" "6b off" "6b keys" "6c keys"
    "6d storage" "6d off" "6e raft" "n1=6a,n2=6b,n3=6b off" "n1=6d,n2=6e,n3=6f storage"
)
# By a clock that nobody sets.
millis() { local up rest; read -r up rest </proc/uptime; echo $((10#${up/./} * 10)); }

night() { # seed
    local seed=$1 begin=${beginnings[$(($1 % ${#beginnings[@]}))]} code=0 begun verdict planned
    local root=$folder/$seed
    mkdir -p "$root"
    begun=$(millis)
    # shellcheck disable=SC2086
    "$keyquake" run --seed "$seed" --time "${seconds}s" --faults "$faults" --release "${begin% *}" \
        --encryption "${begin#* }" --results "$root" ${EXTRA:-} >"$root/said" 2>&1 || code=$?
    case $code in 0) verdict=valid ;; 1) verdict=violated ;; 3) verdict=inconclusive ;; *) verdict="code $code" ;; esac
    planned=$(sed -n 's/.* \([0-9]*\) faults planned.*/\1/p' "$root/said" | head -1)
    printf '| %d | %s | %s | %s | %d s |\n' "$seed" "$begin" "$verdict" "${planned:-0}" \
        $((($(millis) - begun) / 1000)) >"$root/row"
    cat "$root/row"
    if [ $code != 0 ]; then
        # Why, in the run's own words.
        grep -E '^ *(violated|inconclusive)' "$root/said" | sed 's/^ */    /' | head -6
        mkdir -p "$keep"
        rm -rf "${keep:?}/$seed"
        cp -r "$root" "$keep/$seed"
    fi
    touch "$folder/$verdict.$seed"
    rm -rf "$root"
}

echo "| seed | begins as | verdict | entries | took |"
echo "|---|---|---|---|---|"
for seed in $(seq "$first" $((first + nights - 1))); do
    while [ "$(jobs -rp | wc -l)" -ge "$side_by_side" ]; do wait -n; done
    night "$seed" &
done
wait
count() { find "$folder" -maxdepth 1 -name "$1.*" | wc -l; }
echo
echo "$(count valid) valid, $(count violated) violated, $(count inconclusive) inconclusive of $nights"
[ "$(count valid)" = "$nights" ]
