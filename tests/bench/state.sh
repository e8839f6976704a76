#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What the replicated state takes: changes a second and their latency through one and three members,
# beside etcd on the same hosts and disk, and how long a killed leader is missed. Prints a table;
# nothing is judged.
#
#   state.sh        BENCH_KILLS=30 leaders are killed
here=$(dirname "$0")
. "$here/lib.sh"
. "$top/tests/e2e/lib.sh"
probe=$top/build/release/tests/bench/probe
load=$top/build/release/tests/bench/load
kills=${BENCH_KILLS:-30}
load_seconds=5

socket() { echo "$LAB_RUN/$1/wherry.sock"; }

# What can be written to without anything starting.
nowhere() {
    compose none <<'YAML'
name: none
services:
  where:
    image: demo/busybox:1
    deploy:
      placement: {constraints: ["node.labels.nowhere == true"]}
YAML
}

rate_sample() { # rate_sample KEY RATE P50 P99
    sample "$1" "$2"
    sample "$1_p50" "$3"
    sample "$1_p99" "$4"
}

load_members() { # load_members N
    local round callers sockets=()
    for n in $(seq "$1"); do sockets+=("$(socket "$n")"); done
    for round in $(seq "$rounds"); do
        for callers in 1 8 64; do
            # shellcheck disable=SC2046
            rate_sample "w$1_$callers" $("$load" wherry none.where $callers $load_seconds "${sockets[@]}")
        done
    done
}

# Through the leader and through another member; then as many writes as before while 32 read there.
load_reads() {
    local round callers l f reader
    l=$(leader 1)
    f=$(follower 1 2 3)
    for round in $(seq "$rounds"); do
        for callers in 1 32; do
            # shellcheck disable=SC2046
            rate_sample "rl_$callers" $("$load" read none.where $callers $load_seconds "$(socket "$l")")
            # shellcheck disable=SC2046
            rate_sample "rf_$callers" $("$load" read none.where $callers $load_seconds "$(socket "$f")")
            # shellcheck disable=SC2046
            rate_sample "rs_$callers" $("$load" stale none.where $callers $load_seconds "$(socket "$f")")
        done
        "$load" read none.where 32 $((load_seconds + 2)) "$(socket "$f")" >/dev/null &
        reader=$!
        # shellcheck disable=SC2046
        rate_sample wr_8 $("$load" wherry none.where 8 $load_seconds "$(socket 1)" "$(socket 2)" "$(socket 3)")
        wait $reader
    done
}

etcd_pids=()

etcd_start() { # etcd_start N: on the hosts 1 to N
    local n cluster=
    for n in $(seq "$1"); do cluster+="${cluster:+,}e$n=http://$PREFIX.$n:2380"; done
    for n in $(seq "$1"); do
        rm -rf "$LAB_DATA/etcd$n"
        setsid nsenter --net="/run/netns/$LAB-$n" etcd --name "e$n" --data-dir "$LAB_DATA/etcd$n" --log-level error \
            --listen-client-urls "http://$PREFIX.$n:2379" --advertise-client-urls "http://$PREFIX.$n:2379" \
            --listen-peer-urls "http://$PREFIX.$n:2380" --initial-advertise-peer-urls "http://$PREFIX.$n:2380" \
            --initial-cluster "$cluster" >"$LAB_RUN/etcd$n.log" 2>&1 </dev/null &
        etcd_pids+=($!)
        disown
    done
    etcd_answers() { curl -sf -m 2 -d '{"key":"eA==","value":"eA=="}' "http://$PREFIX.1:2379/v3/kv/put" >/dev/null; }
    wait_for 30 "etcd" etcd_answers
}

etcd_stop() {
    [ ${#etcd_pids[@]} -eq 0 ] || kill -KILL "${etcd_pids[@]}" 2>/dev/null
    etcd_pids=()
}

load_etcd() { # load_etcd N
    local round callers
    etcd_start "$1"
    for round in $(seq "$rounds"); do
        for callers in 1 8 64; do
            # shellcheck disable=SC2046
            rate_sample "e$1_$callers" $("$load" etcd $callers $load_seconds 2379 $(seq -f "$PREFIX.%g" "$1"))
        done
    done
    etcd_stop
}

lose_leader() {
    local l f
    wait_for 20 "leader" has_leader 1
    l=$(leader 1)
    f=$(follower 1 2 3)
    "$probe" failover "$(socket "$f")" none.where "$(daemon_pid "$l")" | sample_each leader
    rm -f "$(socket "$l")"
    daemon_start "$l"
    wait_for 20 "members" members_up "$l" 3
}

rows() {
    local n c
    for n in 1 3; do
        for c in 1 8 64; do
            local m="members" k="callers"
            [ $n -gt 1 ] || m="member"
            [ $c -gt 1 ] || k="caller"
            echo "w${n}_$c|$n $m, $c $k|changes/s||e${n}_$c|etcd"
            echo "w${n}_${c}_p50|the same, median latency|ms||e${n}_${c}_p50|etcd"
            echo "w${n}_${c}_p99|the same, 99th percentile|ms||e${n}_${c}_p99|etcd"
        done
    done
    for c in 1 32; do
        echo "rl_$c|read through the leader, callers: $c|reads/s|||"
        echo "rl_${c}_p50|the same, median latency|ms|||"
        echo "rf_$c|read through another member, callers: $c|reads/s||rs_$c|--stale"
        echo "rf_${c}_p50|the same, median latency|ms||rs_${c}_p50|--stale"
    done
    echo "wr_8|3 members, 8 callers, while 32 read|changes/s||w3_8|nobody reads"
    echo "wr_8_p50|the same, median latency|ms||w3_8_p50|nobody reads"
    echo "sync|4 KiB synced to the disk|ms|||"
    echo "leader|leader killed until the next write|ms|0.6 s||"
}

begin bench-state 3
trap 'etcd_stop; lab_down' EXIT
samples_begin state
w 1 deploy --detach -f "$(nowhere)" >/dev/null
say "three members"
load_members 3
say "reads"
w 1 scale --detach none.where=1 >/dev/null
load_reads
say "$kills leaders killed"
for _ in $(seq "$kills"); do lose_leader; done
"$probe" sync "$LAB_DATA/sync" 500 | sample_each sync
for n in 1 2 3; do daemon_stop $n; done
say "three of etcd"
load_etcd 3
lab_down

begin bench-state 1
trap 'etcd_stop; lab_down' EXIT
w 1 deploy --detach -f "$(nowhere)" >/dev/null
say "one member"
load_members 1
daemon_stop 1
say "one of etcd"
load_etcd 1

echo
echo "$(nproc) processors, $(uname -sr), load $(cut -d' ' -f1-3 /proc/loadavg), $(date +%F), commit $(git -C "$top" rev-parse --short HEAD 2>/dev/null || echo unknown)"
echo
table
awk '$1 == "leader" {print $2}' "$samples" | sort -n |
    awk '{v[NR] = $1} END {if (NR) printf "\nleader killed: p50 %.0f ms, p90 %.0f ms, p99 %.0f ms (N %d)\n", v[int((NR + 1) / 2)], v[int(NR * 0.9 + 0.5)], v[int(NR * 0.99 + 0.5)], NR}'
