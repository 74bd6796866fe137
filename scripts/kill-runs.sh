#!/usr/bin/env bash
# Kills runs (SIGKILL) at random moments, half of them on Docker, heals, and looks for anything
# that is left of them: processes, containers, networks, links, mounts, namespaces, cgroups, rules,
# sockets, journals. Every third run's first heal is killed too. What a run had is noted right before it is killed, so that others may use the
# machine meanwhile. Prints a table; exit code 1 if something was left.
#
#   scripts/kill-runs.sh [RUNS] [SEED]      (50 and 1 unless told; as root, with a Docker daemon)
set -uo pipefail
cd "$(dirname "$0")/.."
runs=${1:-50}
RANDOM=${2:-1}
keyquake=$(realpath "${KEYQUAKE:-target/release/keyquake}")
[ -x "$keyquake" ] || cargo build --release || exit 4
folder=$(mktemp -d)
results=$folder/results
trap 'rm -rf "$folder"' EXIT
run_ms=9000    # workloads
begin_ms=2500  # what comes before them, about
heal_ms=3000   # a heal of containers

# Process ids of the run: those that its results folder is told to.
processes() {
    local file pid
    grep -lsF -e "$results" /proc/[0-9]*/environ /proc/[0-9]*/cmdline | while read -r file; do
        pid=${file#/proc/}
        pid=${pid%%/*}
        # What looks for it is not it, and may be gone by now.
        case $(cat "/proc/$pid/comm" 2>/dev/null) in "" | grep) ;; *) echo "$pid" ;; esac
    done | sort -u
}

containers() { docker ps -aq --no-trunc --filter "label=keyquake.run=$1"; }
networks() { docker network ls -q --no-trunc --filter "label=keyquake.run=$1"; }

# Everything of the run that has a name of its own: lines of `kind name`.
note() { # run id
    local pid kind
    for pid in $(processes) $(containers "$1" | xargs -r docker inspect -f '{{.State.Pid}}'); do
        for kind in net mnt pid ipc uts user; do
            readlink "/proc/$pid/ns/$kind" 2>/dev/null | sed 's/^/namespace /'
        done
        echo "process $pid"
        sed -n 's/^[0-9]*:\([^:]*\):\(.*\)/cgroup \1 \2/p' "/proc/$pid/cgroup" 2>/dev/null
    done
    containers "$1" | sed 's/^/container /'
    networks "$1" | sed 's/^/network /'
    networks "$1" | cut -c1-12 | sed 's/^/link br-/'
}

# Those of the noted things, and those that tell of the run by themselves, which are there now.
left() { # run id, file of notes
    local kind name path
    processes | while read -r pid; do
        echo "process $pid: $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | cut -c1-80)"
    done
    containers "$1" | sed 's/^/container /'
    networks "$1" | sed 's/^/network /'
    grep -shF -e "$results" /proc/[0-9]*/mountinfo | sort -u | sed 's/^/mount /'
    find "$results/.journal" "$results"/*/agents -type f -o -type s 2>/dev/null | sed 's/^/file /'
    find /sys/fs/cgroup -type d -name "*$1*" 2>/dev/null | sed 's/^/cgroup /'
    # Those that this script lives in itself were there before.
    sort -u "$2" | grep -vxF -f <(own) | while read -r kind name; do
        case $kind in
            namespace)
                if grep -qsF -- "$name" /proc/[0-9]*/mountinfo || readlink /proc/[0-9]*/ns/* | grep -qxF -- "$name"; then
                    echo "$kind $name"
                fi ;;
            cgroup)
                path=${name#* }
                [ "$path" != "$name" ] || path=/${name# }
                for root in "/sys/fs/cgroup/${name%% *}" /sys/fs/cgroup; do
                    [ "$path" = / ] || [ ! -d "$root$path" ] || echo "cgroup $root$path"
                done ;;
            container)
                grep -shF -e "$name" /proc/[0-9]*/mountinfo | sort -u | sed 's/^/mount /' ;;
            link)
                ! ip link show dev "$name" >/dev/null 2>&1 || echo "link $name"
                (iptables-save; ip6tables-save; nft list ruleset) 2>/dev/null | grep -F -- "$name" | sed 's/^/rule /' ;;
        esac
    done
}
own() {
    local kind
    for kind in net mnt pid ipc uts user; do echo "namespace $(readlink "/proc/self/ns/$kind")"; done
    sed -n 's/^[0-9]*:\([^:]*\):\(.*\)/cgroup \1 \2/p' /proc/self/cgroup
}

# By a clock that nobody sets.
millis() { local up rest; read -r up rest </proc/uptime; echo $((10#${up/./} * 10)); }
declare -A killed=() cut=() early=() over=() there=() healed=() dirty=() noted=()
count() { eval "$1[\$2]=\$((\${$1[\$2]:-0} + ${3:-1}))"; }

run=0
ids=()
# One that had ended by itself is made up for.
while [ $((${killed[process]:-0} + ${killed[docker]:-0})) -lt "$runs" ] && [ $run -lt $((runs * 2)) ]; do
    run=$((run + 1))
    runtime=process
    [ "${killed[process]:-0}" -lt $(((runs + 1) / 2)) ] && [ $((run % 2)) = 1 ] || runtime=docker
    [ "${killed[docker]:-0}" -lt $((runs / 2)) ] || runtime=process
    level=off
    [ $((run % 4)) -lt 2 ] || level=raft
    rm -rf "$results"
    after=$((RANDOM * (run_ms + 2 * begin_ms) / 32768))
    KEYQUAKE_RESULTS=$results "$keyquake" run --runtime "$runtime" --encryption "$level" --seed $((run + RANDOM)) \
        --time "${run_ms}ms" >"$folder/said" 2>&1 &
    suite=$!
    sleep "$(printf '%d.%03d' $((after / 1000)) $((after % 1000)))"
    id=$(cd "$results" 2>/dev/null && find . -maxdepth 2 -name run.json -printf '%h\n' | sed 's|^\./||')
    id=${id:-none}
    ids+=("$id")
    note "$id" >"$folder/notes"
    # The shell's word that a child was killed is not for the reader of the table.
    { kill -KILL "$suite"; sent=$?; wait "$suite"; } 2>/dev/null
    if [ $sent != 0 ]; then
        count over "$runtime"
    else
        count killed "$runtime"
        [ -e "$results/$id/history.kqh" ] || count early "$runtime"
    fi
    # That it finds what is there: containers outlive the suite, processes end with it.
    count there "$runtime" "$(left "$id" "$folder/notes" | wc -l)"
    # A heal may be killed as well: the next one has to finish what it began.
    if [ $((run % 3)) = 0 ]; then
        KEYQUAKE_RESULTS=$results "$keyquake" heal >/dev/null 2>&1 &
        healer=$!
        after_heal=$((RANDOM * heal_ms / 32768))
        sleep "$(printf '%d.%03d' $((after_heal / 1000)) $((after_heal % 1000)))"
        { kill -KILL "$healer" && count cut "$runtime"; wait "$healer"; } 2>/dev/null
    fi
    begun=$(millis)
    if ! KEYQUAKE_RESULTS=$results "$keyquake" heal >"$folder/healed" 2>&1; then
        echo "run $run ($runtime, killed after $after ms): heal failed: $(cat "$folder/healed")"
    fi
    count healed "$runtime" $(($(millis) - begun))
    count noted "$runtime" "$(sort -u "$folder/notes" | grep -vxFc -f <(own))"
    # The kernel takes down what belonged to the dead a moment after they are gone.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        left "$id" "$folder/notes" >"$folder/left"
        [ -s "$folder/left" ] || break
        sleep 0.2
    done
    if [ -s "$folder/left" ]; then
        count dirty "$runtime"
        echo "run $run ($runtime, $id, killed after $after ms) left:"
        sed 's/^/  /' "$folder/left"
    fi
done

# What an engine was slow to make came after its run was healed.
late=0
for id in "${ids[@]}"; do
    if [ -n "$(containers "$id")$(networks "$id")" ]; then
        echo "run $id: a container or network came after it was healed"
        late=$((late + 1))
    fi
done
echo "| runtime | killed | before its history began | ended before | names noted at the kill | of the run before heal | heals killed first | heal took | left something |"
echo "|---|---|---|---|---|---|---|---|---|"
for runtime in process docker; do
    all=$((${killed[$runtime]:-0} + ${over[$runtime]:-0}))
    [ "$all" -gt 0 ] || continue
    printf '| %s | %d | %d | %d | %d | %d | %d | %d ms | %d |\n' "$runtime" "${killed[$runtime]:-0}" "${early[$runtime]:-0}" \
        "${over[$runtime]:-0}" "${noted[$runtime]:-0}" "${there[$runtime]:-0}" "${cut[$runtime]:-0}" $((${healed[$runtime]:-0} / all)) "${dirty[$runtime]:-0}"
done
[ $((${dirty[process]:-0} + ${dirty[docker]:-0} + late)) = 0 ]
