#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The work of bench.sh on a Docker Swarm of three: each a dockerd with a containerd of its own in a
# network namespace. Leaves build/bench/swarm.samples for "bench.sh --peer".
#
#   swarm.sh [down]      down: only take away what a run that was cut off left
#
# In Swarm's favour: the image is there already and named by its digest, so that no registry is
# asked; its tasks are in no overlay network; there is no check after an update.
here=$(dirname "$0")
. "$here/lib.sh"
. "$top/deploy/demo/hosts.sh"

. "$here/swarm_lib.sh"

# hosts.sh starts this instead of our daemon.
host_cgroup() { dockerd_cgroup "$1"; }
daemon_start() { dockerd_start "$1"; }

# --- the cluster --------------------------------------------------------------------------------

form() {
    local token n
    engine 1 swarm init --advertise-addr "$PREFIX.1" --default-addr-pool 10.201.0.0/16 >/dev/null || return 1
    token=$(engine 1 swarm join-token -q manager)
    for n in 2 3; do
        engine "$n" swarm join --token "$token" --advertise-addr "$PREFIX.$n" "$PREFIX.1:2377" >/dev/null || return 1
    done
    wait_for 60 "three managers" all_ready 1
}

all_ready() { [ "$(api "$1" GET /nodes | jq '[.[] | select(.Status.State == "ready" and .ManagerStatus.Reachability == "reachable")] | length')" = 3 ]; }

# The layer of our own image, imported once: its identity must be the same everywhere.
load_image() {
    local images=$top/build/images hex n
    "$top/deploy/demo/images.sh" "$images" busybox >/dev/null || return 1
    mkdir -p "$LAB_RUN/image"
    tar -C "$LAB_RUN/image" -xf "$images/busybox.tar"
    hex=$(jq -r '.manifests[0].digest' "$LAB_RUN/image/index.json" | cut -d: -f2)
    hex=$(jq -r '.layers[0].digest' "$LAB_RUN/image/blobs/sha256/$hex" | cut -d: -f2)
    image=$(engine 1 import - bench/busybox:1 <"$LAB_RUN/image/blobs/sha256/$hex")
    engine 1 save "$image" >"$LAB_RUN/image.tar"
    for n in 2 3; do engine "$n" load -q -i "$LAB_RUN/image.tar" >/dev/null || return 1; done
}

leader() { # leader N: its number, as host N sees it
    api "$1" GET /nodes | jq -r '.[] | select(.ManagerStatus.Leader) | .ManagerStatus.Addr' |
        sed 's/:.*//; s/.*\.//'
}

follower() {
    local l n
    l=$(leader 1)
    for n in 1 2 3; do [ "$n" = "$l" ] || { echo $n; return; }; done
}

spec() { # spec NAME REPLICAS VERSION
    jq -nc --arg name "$1" --argjson replicas "$2" --arg version "$3" --arg image "$image" '{
        Name: $name, Mode: {Replicated: {Replicas: $replicas}},
        TaskTemplate: {
            ContainerSpec: {Image: $image, Env: ["VERSION=\($version)"], StopGracePeriod: 1000000000,
                Command: ["sh", "-c", "trap \u0027exit 0\u0027 TERM; sleep 100000 & wait"]},
            RestartPolicy: {Delay: 0}},
        UpdateConfig: {Parallelism: 10, Delay: 0, Monitor: 1000000, Order: "stop-first"}}'
}

# running N VERSION [NODE-ID]: tasks that run it, those on that node not counted
running() {
    api "$1" GET '/tasks?filters=%7B%22service%22%3A%7B%22web%22%3Atrue%7D%7D' |
        jq --arg v "VERSION=$2" --arg not "${3:-}" '[.[] | select(.Status.State == "running"
            and .DesiredState == "running" and .NodeID != $not
            and (.Spec.ContainerSpec.Env | index($v)))] | length'
}

running_is() { [ "$(running "$1" "$2" "${3:-}")" -ge $replicas ]; }

no_containers() { [ -z "$(find /sys/fs/cgroup/*/"$LAB"-h* /sys/fs/cgroup/"$LAB"-h* -mindepth 1 -maxdepth 1 -type d ! -name daemon 2>/dev/null)" ]; }

# --- what is measured ---------------------------------------------------------------------------

deploy() { # deploy VERSION [KEY]
    local f start
    f=$(follower)
    start=$(now)
    api "$f" POST /services/create "$(spec web $replicas "$1")" >/dev/null
    wait_for 200 "replicas" running_is "$f" "$1" && [ -n "${2:-}" ] && sample "$2" "$(since_ms "$start")"
}

update() { # update VERSION
    local f start version
    f=$(follower)
    version=$(api "$f" GET /services/web | jq .Version.Index)
    start=$(now)
    api "$f" POST "/services/web/update?version=$version" "$(spec web $replicas "$1")" >/dev/null
    wait_for 200 "update" running_is "$f" "$1" && sample update "$(since_ms "$start")"
}

remove() { # remove [KEY]
    local start
    start=$(now)
    api "$(follower)" DELETE /services/web
    wait_for 100 "the end of all" no_containers && [ -n "${1:-}" ] && sample "$1" "$(since_ms "$start")"
}

write_once() { api "$1" POST /services/create "$(spec "write$2" 0 1)" >/dev/null; }

lose_leader() { # lose_leader ROUND
    local l f start i=0
    l=$(leader 1)
    f=$(follower)
    write_once "$f" "before$1" || return 1
    kill -KILL "$(daemon_pid "$l")"
    start=$(now)
    until write_once "$f" "after$1-$i"; do i=$((i + 1)); done
    sample leader "$(since_ms "$start")"
    daemon_start "$l"
    wait_for 60 "managers" all_ready "$f"
}

lose_host() { # lose_host N KEY VERSION
    local f id start
    [ "$1" = 3 ] && f=2 || f=3
    id=$(api "$1" GET /info | jq -r .Swarm.NodeID)
    start=$(now)
    host_cut "$1"
    kill -KILL "$(daemon_pid "$1")" "$(cat "$LAB_RUN/$1.containerd")"
    host_reap "$1"
    wait_for 200 "tasks elsewhere" running_is "$f" "$3" "$id" && sample "$2" "$(since_ms "$start")"
    host_unmount "$1"
    host_heal "$1"
    daemon_start "$1"
    wait_for 100 "managers" all_ready "$f"
}

daemons() { for n in 1 2 3; do daemon_pid $n; cat "$LAB_RUN/$n.containerd"; done; }

shims() { for n in 1 2 3; do pgrep -f "^/usr/bin/containerd-shim.*$LAB_RUN/$n/containerd.sock"; done; }

memory_sample() { # memory_sample KEY: a member is a dockerd and a containerd
    local n
    for n in 1 2 3; do
        sample "$1_rss" "$(memory_sum Rss "$(daemon_pid $n)" "$(cat "$LAB_RUN/$n.containerd")")"
        sample "$1_pss" "$(memory_sum Pss "$(daemon_pid $n)" "$(cat "$LAB_RUN/$n.containerd")")"
    done
}

down() {
    local n
    for n in 1 2 3; do kill -KILL "$(cat "$LAB_RUN/$n.containerd" 2>/dev/null)" 2>/dev/null; done
    lab_down
}

# --- go -----------------------------------------------------------------------------------------

# What a run that was cut off left behind.
if lab_find wherry-swarm || ip netns list | grep -q '^wherry-swarm-'; then
    LAB_DATA=${LAB_DATA:-/var/lib/wherry-swarm}
    down
fi
[ "${1:-}" != down ] || exit 0
samples_begin swarm
lab_up wherry-swarm 10.97.77
trap down EXIT
trap 'exit 1' INT TERM
say "three dockerd"
for n in 1 2 3; do host_up $n; done
load_image && form || { echo "no swarm: see $LAB_RUN/*.log" >&2; tail -5 "$LAB_RUN"/*.log >&2; exit 1; }

say "three idle members for $seconds s"
sleep 5
# shellcheck disable=SC2046
watch_idle idle $(daemons)
memory_sample idle
for i in $(seq "$rounds"); do
    say "deploy, update and remove, round $i"
    deploy "$i" deploy
    sleep 1
    update "$i-new"
    sleep 1
    remove remove
done
say "30 containers for $seconds s"
deploy busy
sleep 5
# shellcheck disable=SC2046
watch_idle busy $(daemons) $(shims)
memory_sample busy
for p in $(shims); do
    sample shim_rss "$(memory_of "$p" Rss)"
    sample shim_pss "$(memory_of "$p" Pss)"
done
for i in $(seq "$rounds"); do
    say "leader lost, round $i"
    lose_leader "$i"
done
for i in $(seq "$rounds"); do
    say "host lost, round $i"
    remove
    deploy "lost$i"
    lose_host "$(follower)" host "lost$i"
    remove
    deploy "led$i"
    lose_host "$(leader 1)" host_leader "led$i"
done
exit 0 # what is left goes with the hosts
