#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The disk of a member is copied and started a second time: with another address, and with the same.
. "$(dirname "$0")/lib.sh"

begin clone 3
load busybox 1 2 3
file=$(compose app <<'YAML'
name: app
services:
  every:
    image: demo/busybox:1
    command: ["sleep", "100000"]
    stop_grace_period: 1s
    deploy: {mode: global}
YAML
)
test_case "deploy" w 1 deploy -f "$file"

# Host 4 is a machine with the data folder of host 3 as it is now.
copy_disk() {
    rm -rf "${LAB_DATA:?}/4" && cp -a "$LAB_DATA/3" "$LAB_DATA/4" && rm -rf "$LAB_DATA/4/containers"
}

start_copy() { # start_copy [OPTION...]: as n3
    mkdir -p "$LAB_RUN/4"
    setsid nsenter --net="/run/netns/$LAB-4" "$WHERRY" node --name n3 --data "$LAB_DATA/4" \
        --run "$LAB_RUN/4" "$@" >>"$LAB_RUN/4.log" 2>&1 </dev/null &
    echo $! >"$LAB_RUN/4.pid"
    disown
    wait_for 20 "the copy's daemon" test -S "$LAB_RUN/4/wherry.sock"
}

told() { w 4 status | grep -q "identity of n3 is running.*this disk is a copy.*delete $LAB_DATA/4"; }
logged() { grep -q 'this disk is a copy' "$LAB_RUN/4.log"; }
others_know() { grep -q "n3 is alive twice" "$LAB_RUN/1.log" "$LAB_RUN/2.log"; }
alone() { [ "$(w 4 status --json | jq -r '.[0] | .node + ":" + .leader')" = n3: ]; }
no_containers() { [ -z "$(pids_of 4)" ]; }
pids_of() { cat /sys/fs/cgroup/*/"$(host_cgroup "$1")"/container/*/cgroup.procs 2>/dev/null; }

# What the original feels of it: it stays, writes, and its container is the one it was.
before=$(pids_of 3)
undisturbed() {
    members_up 1 3 && [ "$(pids_of 3)" = "$before" ] && w 3 scale app.every=1 2>&1 | grep -q global
}
disconnects() { cat "$LAB_RUN/1.log" "$LAB_RUN/2.log" | grep -c 'n3 is disconnected'; }


cuts=$(disconnects)
copy_disk
host_net 4
start_copy --address "$PREFIX.4"
test_case "a copy with another address is told what it is" wait_for 30 "status" told
test_case "in its log too" logged
test_case "the others say so" others_know
test_case "it follows no leader" alone
test_case "the member that was there first goes on" undisturbed
test_case "its connections too" [ "$(disconnects)" = "$cuts" ]
daemon_kill 3
daemon_start 3
test_case "it may even be restarted beside its copy" wait_for 30 "n3" members_up 1 3
test_case "the copy started no container" no_containers
test_case "it is still told" wait_for 30 "status" told

# With the same address, which no network bears: packets for the one reach the other, and its
# connections end. Once the copy is off the network the member is what it was.
daemon_stop 4
copy_disk
ip -n "$LAB-4" addr flush dev eth0
ip -n "$LAB-4" addr add "$PREFIX.3/24" dev eth0
lines=$(wc -l <"$LAB_RUN/4.log")
start_copy --address "$PREFIX.3"
heard() { grep -qE 'n[12] (is connected|refuses us)' <(tail -n +"$lines" "$LAB_RUN/4.log"); }
test_case "a copy with the same address" wait_for 60 "an answer" heard
host_cut 4
# The others would look for it where the copy was for a while: that is ARP's, not ours.
for n in 1 2; do ip -n "$LAB-$n" neigh flush all; done
# It is up, and knows a leader: a change made through it is done.
back() { members_up 1 3 && has_leader 3 && w 3 node pause n3; }
test_case "off the network it leaves the original as it was" wait_for 60 "n3" back
test_case "which is not taken for the copy" [ ! -e "$LAB_DATA/3/identity/copy" ]
w 3 node activate n3 >/dev/null
daemon_stop 4
ip -n "$LAB-4" addr flush dev eth0
ip -n "$LAB-4" addr add "$PREFIX.4/24" dev eth0
host_heal 4

# Its name or its address is another's: said before it is one.
refused_join() { # refused_join PATTERN OPTION...: host 4, new, cannot join
    local pattern=$1
    shift
    daemon_stop 4
    rm -rf "${LAB_DATA:?}/4"
    start_copy "$@" && says "$pattern" w 4 join "$PREFIX.1" --token "$(w 1 token -q)"
}
test_case "a machine with the name of another cannot join" \
    refused_join 'named n3 exists.*--name' --address "$PREFIX.4"
ip -n "$LAB-4" addr add "$PREFIX.2/32" dev lo
test_case "nor one with the address of another" \
    refused_join 'n2 is at .*already.*--address' --name other --address "$PREFIX.2"

# The copy becomes a member of its own by what it was told.
daemon_stop 4
rm -rf "${LAB_DATA:?}/4"
own() { daemon_start 4 && w 4 join "$PREFIX.1" --token "$(w 1 token -q)" && wait_for 30 "four" members_up 1 4; }
test_case "its folder deleted it joins as a new member" own

# The original is gone for good, and its disk, copied when it was stopped, is in another machine.
host_down 4
w 1 node rm --force n4 >/dev/null
daemon_stop 3
copy_disk
host_net 4
moved() { w 1 node ls --json | jq -e ".[] | select(.name == \"n3\" and .status == \"up\" and .address == \"$PREFIX.4:7400\")"; }
start_copy --address "$PREFIX.4"
test_case "with the original gone its disk elsewhere is that member" wait_for 30 "n3" moved
daemon_start 3
refused() { w 3 status | grep -q 'this disk is a copy'; }
test_case "and the original is the copy now" wait_for 30 "status" refused
goes_on() { members_up 1 3 && moved; }
test_case "the cluster does not feel it" goes_on
finish
