#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# How fast and how big: a cluster of three hosts does what users wait for, beside what the same work
# costs without a cluster. Prints a table; nothing is judged.
#
#   bench.sh [--peer SAMPLES]      SAMPLES: what swarm.sh measured of its cluster
here=$(dirname "$0")
. "$here/lib.sh"
. "$top/tests/e2e/lib.sh"
probe=$top/build/release/tests/bench/probe
peer=
[ "${1:-}" != --peer ] || peer=$2

begin bench 3
trap lab_down EXIT
samples_begin wherry
load busybox 1 2 3

socket() { echo "$LAB_RUN/$1/wherry.sock"; }

app() { # app VERSION
    compose app <<YAML
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"]
    environment: {VERSION: "$1"}
    stop_grace_period: 1s
    deploy:
      replicas: $replicas
      update_config: {parallelism: 10, delay: 0s}
YAML
}

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

thousand() {
    {
        echo 'name: many'
        echo 'services:'
        for i in $(seq 1000); do
            echo "  s$i: {image: \"demo/busybox:1\", ports: [\"$((20000 + i)):80\"], deploy: {placement: {constraints: [\"node.labels.nowhere == true\"]}}}"
        done
    } | compose many
}

stalls_forget() { for n in 1 2 3; do w $n debug stalls >/dev/null; done; }

stalls_sample() { # stalls_sample KEY: of the worst member
    for n in 1 2 3; do w $n debug stalls --json | jq '.[0].longest_us'; done | sort -n | tail -1 |
        awk '{printf "%.2f\n", $1 / 1000}' | sample_each "$1"
}

daemons() { for n in 1 2 3; do daemon_pid $n; done; }

memory_sample() { # memory_sample KEY
    local p
    for p in $(daemons); do
        sample "$1"_rss "$(memory_of "$p" Rss)"
        sample "$1"_pss "$(memory_of "$p" Pss)"
    done
}

shims() {
    local n
    for n in 1 2 3; do cat /sys/fs/cgroup/*/"$(host_cgroup $n)"/shim/cgroup.procs \
        /sys/fs/cgroup/"$(host_cgroup $n)"/shim/cgroup.procs 2>/dev/null; done | sort -un
}

# --- baselines ------------------------------------------------------------------------------------

bundle=$LAB_RUN/bundle

bundle_make() {
    mkdir -p "$bundle/rootfs/bin"
    cp "$(command -v busybox)" "$bundle/rootfs/bin/busybox"
    ln -sf busybox "$bundle/rootfs/bin/sh"
    ln -sf busybox "$bundle/rootfs/bin/sleep"
    crun spec --bundle "$bundle" 2>/dev/null || (cd "$bundle" && crun spec)
    jq --arg cgroup "/$LAB-crun" '.process.terminal = false | .process.args = ["sleep", "100000"]
        | .linux.cgroupsPath = $cgroup | .linux.namespaces |= map(select(.type != "network"))' \
        "$bundle/config.json" >"$bundle/config.new"
    mv "$bundle/config.new" "$bundle/config.json"
}

# The same number of containers one after the other by the bare runtime: no image, network or log. In
# a mount namespace without the empty cgroup2 of a hybrid set-up, which crun does not take.
crun_run() {
    unshare -m --propagation private bash -c '
        [ ! -d /sys/fs/cgroup/unified ] || umount /sys/fs/cgroup/unified
        cd "$1"
        start=$(date +%s%N)
        for i in $(seq "$2"); do
            jq -c --arg g "$3/$i" ".linux.cgroupsPath = \$g" config.json >config.next
        done
        for i in $(seq "$2"); do
            crun --root "$1/state" run -d --bundle "$1" "bench$i" </dev/null >/dev/null 2>"$1/log" || {
                cat "$1/log" >&2
                exit 1
            }
        done
        echo $((($(date +%s%N) - start) / 1000000))
        for i in $(seq "$2"); do crun --root "$1/state" delete -f "bench$i"; done
    ' bash "$bundle" $replicas "/$LAB-crun"
}

# --- what is measured -----------------------------------------------------------------------------

deploy() { # deploy VERSION KEY: through a member that does not lead; KEY is of the time until all run
    local f start revision
    f=$(follower 1 2 3)
    revision=$(w "$f" inspect app.web --json 2>/dev/null | jq '.[0].revision + 1')
    stalls_forget
    app "$1" >/dev/null
    start=$(now)
    w "$f" deploy -f "$LAB_RUN/projects/app/compose.yaml" >"$LAB_RUN/deploy.out" 2>&1 &
    "$probe" running "$(socket "$f")" app.web $replicas "$start" - "${revision:-0}" |
        sample_each "$2"
    wait $! || cat "$LAB_RUN/deploy.out" >&2
    [ "$2" != deploy ] || sample command "$(since_ms "$start")"
    stalls_sample "stall_$2"
}

remove() {
    local start
    start=$(now)
    w 1 rm --detach app
    "$probe" gone "$(socket 1)" app "$start" | sample_each remove
}

lose_leader() {
    local l f
    l=$(leader 1)
    f=$(follower 1 2 3)
    stalls_forget
    "$probe" failover "$(socket "$f")" none.where "$(daemon_pid "$l")" | sample_each leader
    # The socket of the one that was killed is still there, and its loss may not be noticed yet.
    rm -f "$(socket "$l")"
    daemon_start "$l"
    wait_for 20 "members" members_up "$l" 3
    stalls_sample stall_leader
}

lose_host() { # lose_host N KEY
    local f start
    [ "$1" = 3 ] && f=2 || f=3
    stalls_forget
    start=$(now)
    "$probe" running "$(socket $f)" app.web $replicas "$start" "n$1" >"$LAB_RUN/lost" &
    host_kill "$1"
    wait $! && sample_each "$2" <"$LAB_RUN/lost"
    for n in 1 2 3; do
        [ $n = "$1" ] || w $n debug stalls --json | jq '.[0].longest_us / 1000'
    done | sort -n | tail -1 | sample_each stall_host
    host_boot "$1"
    wait_for 30 "members" members_up $f 3
}

load_many() {
    local start
    thousand >/dev/null
    stalls_forget
    for n in 1 2 3; do w $n image load "$images/nginx.tar" >/dev/null & done
    start=$(now)
    w "$(follower 1 2 3)" deploy --detach -f "$LAB_RUN/projects/many/compose.yaml" >/dev/null &&
        sample services "$(since_ms "$start")"
    wait
    sleep 5
    stalls_sample stall_load
    start=$(now)
    w 1 rm --detach many
    "$probe" gone "$(socket 1)" many "$start" >/dev/null
    for n in 1 2 3; do w $n image rm demo/nginx:1 >/dev/null; done
}

# --- go -------------------------------------------------------------------------------------------

say "sizes"
for program in wherry wherry-shim wherry-image; do
    strip -o "$LAB_RUN/stripped" "$(dirname "$WHERRY")/$program"
    sample "size_${program#wherry-}" $((($(stat -c %s "$LAB_RUN/stripped") + 1023) / 1024))
done
for _ in 1 2 3; do sample floor_rss "$("$probe" resident)"; done

say "three idle members for $seconds s"
sleep 5
# shellcheck disable=SC2046
watch_idle idle $(daemons)
memory_sample idle

bundle_make
for i in $(seq "$rounds"); do
    say "deploy, update and remove, round $i"
    crun_run | sample_each crun
    deploy "$i" deploy
    sleep 1
    deploy "$i-new" update
    sleep 1
    remove
done

say "30 containers for $seconds s"
deploy again again
sleep 5
# shellcheck disable=SC2046
watch_idle busy $(daemons) $(shims)
memory_sample busy
for p in $(shims); do
    sample shim_rss "$(memory_of "$p" Rss)"
    sample shim_pss "$(memory_of "$p" Pss)"
done

say "writes"
w 1 deploy --detach -f "$(nowhere)" >/dev/null
"$probe" sync "$LAB_DATA/sync" 500 | sample_each sync
"$probe" writes "$(socket "$(follower 1 2 3)")" none.where 500 | sample_each write

for i in $(seq "$rounds"); do
    say "leader lost, round $i"
    lose_leader
    sleep 1
done
for i in $(seq "$rounds"); do
    say "host lost, round $i"
    remove >/dev/null
    deploy "lost $i" again
    lose_host "$(follower 1 2 3)" host
    remove >/dev/null
    deploy "led $i" again
    lose_host "$(leader 1)" host_leader
done
remove
for i in 1 2 3; do
    say "1,000 services, round $i"
    load_many
done
sleep 25 # what was busy is given back by then
memory_sample after

echo
echo "$(nproc) processors, $(uname -sr), load $(cut -d' ' -f1-3 /proc/loadavg), $(date +%F), commit $(git -C "$top" rev-parse --short HEAD 2>/dev/null || echo unknown)"
echo
table "$peer"
