#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Daemons are killed at any moment while a stack is deployed, scaled and updated. In the end all is
# as it was last acknowledged, nothing runs twice, and after rm nothing is left on any host.
# usage: [ROUNDS=25] [SEED=N] tests/fault/daemon_kills.sh
. "$(dirname "$0")/../e2e/lib.sh"

rounds=${ROUNDS:-25}
seed=${SEED:-$RANDOM}
RANDOM=$seed
begin kills 3
load busybox 1 2 3
echo "seed $seed, $rounds rounds"

app() { # app VERSION REPLICAS
    compose app <<YAML
name: app
services:
  web:
    image: demo/busybox:1
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"]
    stop_grace_period: 2s
    environment: {VERSION: "$1"}
    ports: ["8088:80"]
    volumes: ["/data"]
    deploy: {replicas: $2, update_config: {parallelism: 3}}
YAML
}
small() { # a stack of its own that stays: what was acknowledged must be there in the end
    compose "k$1" <<YAML
name: k$1
services:
  none: {image: "demo/busybox:1", deploy: {replicas: 0}}
YAML
}

# What "VERSION REPLICAS" may be in the end: the last that was acknowledged, or one that was tried
# after it with an unknown end.
current="0 4"
possible=("$current")
kept=()
acknowledged=0 unknown=0
trying() { # trying VERSION REPLICAS COMMAND...
    local what="$1 $2"
    shift 2
    if "$@" >>"$LAB_RUN/commands.log" 2>&1; then
        current=$what possible=("$what")
        acknowledged=$((acknowledged + 1))
    else
        # A later change starts from whichever of them it was.
        possible+=("$what")
        unknown=$((unknown + 1))
    fi
}

kill_and_start() { # kill_and_start N DELAY
    sleep "$2"
    daemon_kill "$1"
    sleep "0.$((RANDOM % 5))"
    daemon_start "$1"
}

version=0 replicas=4
trying 0 4 w 1 deploy -f "$(app 0 4)"
test_case "deploy" [ "$acknowledged" = 1 ]
for round in $(seq "$rounds"); do
    victim=$((RANDOM % 3 + 1)) at=$((RANDOM % 3 + 1))
    kill_and_start $victim "0.$((RANDOM % 7))" &
    killers=($!)
    # Now and then two at once: no quorum for a moment.
    if [ $((RANDOM % 4)) = 0 ]; then
        kill_and_start $((victim % 3 + 1)) "0.$((RANDOM % 7))" &
        killers+=($!)
    fi
    case $((RANDOM % 3)) in
    0) version=$round ;&
    1)
        replicas=$((RANDOM % 6 + 1))
        trying $version $replicas timeout 40 "$WHERRY" deploy -H "unix://$LAB_RUN/$at/wherry.sock" --detach -f "$(app $version $replicas)"
        ;;
    2)
        # Scaling keeps the version, whatever it is: only where it is known can it be told apart.
        if [ ${#possible[@]} = 1 ]; then
            replicas=$((RANDOM % 6 + 1))
            trying "${current% *}" $replicas timeout 40 "$WHERRY" scale -H "unix://$LAB_RUN/$at/wherry.sock" --detach app.web=$replicas
        fi
        ;;
    esac
    if timeout 40 "$WHERRY" deploy -H "unix://$LAB_RUN/$(((at % 3) + 1))/wherry.sock" --detach -f "$(small "$round")" >>"$LAB_RUN/commands.log" 2>&1; then
        kept+=("k$round")
    fi
    wait "${killers[@]}"
    sleep "0.$((RANDOM % 4))"
done
echo "$acknowledged changes acknowledged, $unknown unknown, ${#kept[@]} small stacks acknowledged"
test_case "most commands got through" [ $((acknowledged + ${#kept[@]})) -gt "$rounds" ]

settled() { # every member says the same, and it runs
    local n
    for n in 1 2 3; do
        [ "$(w $n ls --json | jq -r '.[] | select(.name == "app.web") | .state')" = running ] || return 1
    done
}
is_possible() {
    local now p
    now=$(w 1 inspect app.web | jq -r '.[0].spec | "\(.environment[] | select(startswith("VERSION=")) | ltrimstr("VERSION=")) \(.replicas)"')
    for p in "${possible[@]}"; do [ "$p" != "$now" ] || return 0; done
    echo "it is '$now', which is none of: $(printf "'%s' " "${possible[@]}")"
    return 1
}
all_kept() {
    local names k lost=0
    names=$(w 2 ls --json | jq -r '.[].stack')
    for k in "${kept[@]}"; do grep -qx "$k" <<<"$names" || { echo "$k was acknowledged and is gone"; lost=1; }; done
    return $lost
}
# Containers that run on all hosts, by their cgroups; "HOST ID" each.
containers() {
    local n d
    for n in 1 2 3; do
        for d in $(find /sys/fs/cgroup -maxdepth 4 -type d -path "*/$(host_cgroup $n)/container/t*" -prune 2>/dev/null); do
            [ -z "$(cat "$d/cgroup.procs" 2>/dev/null)" ] || echo "$n $(basename "$d")"
        done
    done | sort -u
}
no_doubles() { # what runs is what is to run, once
    local want have
    want=$(w 1 ps --json | jq -r '.[] | select(.state == "running") | "\(.node | ltrimstr("n")) t\(.id)"' | sort)
    have=$(containers)
    [ "$want" = "$have" ] || { echo "wanted: $want"; echo "running: $have"; return 1; }
}
same_digest() {
    [ "$(for n in 1 2 3; do w $n ps --json | jq -cS 'map({id, node, addresses, state, run}) | sort_by(.id)'; done | sort -u | wc -l)" = 1 ]
}
test_case "it settles" wait_for 60 "all running" settled
test_case "as it was last acknowledged" is_possible
test_case "no acknowledged deploy is lost" all_kept
test_case "nothing runs twice" wait_for 20 "exactly what is to run" no_doubles
test_case "all members agree" wait_for 20 "agreement" same_digest

# --- everything goes ----------------------------------------------------------------------------
remove_all() {
    local s
    for s in app "${kept[@]}"; do w 1 rm --detach "$s" >/dev/null || return 1; done
    for s in $(w 1 ls --json | jq -r '.[].stack'); do w 1 rm --detach "$s" >/dev/null 2>&1; done
    return 0
}
left_on() { # what is left of containers on host N
    local mounts
    mounts=$(awk -v a="$LAB_DATA/$1/" -v b="$LAB_RUN/$1/" 'index($5, a) == 1 || index($5, b) == 1 {print "mount " $5}' /proc/self/mountinfo)
    [ -z "$mounts" ] || echo "$mounts"
    find "$LAB_DATA/$1/containers" -mindepth 1 -maxdepth 1 2>/dev/null
    find "$LAB_RUN/$1/netns" -mindepth 1 2>/dev/null
    find /sys/fs/cgroup -type d -path "*/$(host_cgroup "$1")/container/*" 2>/dev/null
    find "$LAB_DATA/$1/volumes" -mindepth 1 -maxdepth 1 -name 't[0-9]*' 2>/dev/null
    in_host "$1" ip -o link show type veth | grep -v eth0
}
nothing_left() {
    local n left
    for n in 1 2 3; do
        left=$(left_on $n)
        [ -z "$left" ] || { echo "host $n: $left"; return 1; }
    done
}
test_case "rm" remove_all
test_case "nothing is left of it" wait_for 40 "nothing" nothing_left
nothing_left
finish
