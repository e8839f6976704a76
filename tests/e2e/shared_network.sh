#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# network_mode: service: a task in the network of another: beside it wherever that goes, also when
# it is killed, replaced, moved, or its machine is lost or boots again.
. "$(dirname "$0")/lib.sh"

begin shared 3
load busybox 1 2 3
load web 1 2 3
w 1 cluster set rebalance=off >/dev/null

compose_shared() { # more of the companion, more of the other
    compose shared <<YAML
name: shared
services:
  gate:
    image: demo/busybox:1
    container_name: the-gate
    command: [sleep, "100000"]
    stop_grace_period: 0s
    ports: ["8080:80"]
    $2
  site:
    image: demo/web:1
    network_mode: service:gate
    stop_grace_period: 0s
    volumes: ["data:/data"]
    $1
  watch:
    image: demo/busybox:1
    network_mode: container:the-gate
    command: [sleep, "100000"]
    stop_grace_period: 0s
  client:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
volumes: {data: }
YAML
}
file=$(compose_shared "" "")
test_case "deploy" w 1 deploy -f "$file"

node_of() { w "${2:-1}" ps shared --json | jq -r --arg n "shared.$1.1" '.[] | select(.name == $n and .desired == "run" and .state == "running") | .node'; }
netns() { w "${2:-1}" exec "shared.$1.1" readlink /proc/self/ns/net; }
together() { # as member $1 sees it
    local gate site watch
    gate=$(netns gate "$1") && site=$(netns site "$1") && watch=$(netns watch "$1") &&
        [ -n "$gate" ] && [ "$gate" = "$site" ] && [ "$gate" = "$watch" ] &&
        [ "$(node_of gate "$1")" = "$(node_of site "$1")" ]
}
answers() { in_host "$1" curl -fs -m 3 -o /dev/null "http://$PREFIX.$1:8080/"; }
by_name() { w "$1" exec shared.client.1 wget -q -O /dev/null http://gate/; }
works() { together "$1" && answers "$1" && by_name "$1"; }

test_case "one network for all three" wait_for 20 "one network" together 1
test_case "its port leads to whoever listens in it" wait_for 10 "an answer" answers 2
test_case "and so does its name" wait_for 10 "an answer" by_name 2
test_case "they see each other on loopback" w 1 exec shared.watch.1 wget -q -O /dev/null http://127.0.0.1/
test_case "and the names of the cluster" w 1 exec shared.site.1 wget -q -O /dev/null http://gate/
says_whose() { w 1 ps shared | grep -q 'shared\.site\.1 .*of shared\.gate\.1'; }
test_case "ps says whose" says_whose

# The other's process ends: the network stays, and nobody else is restarted.
restarts() { w 1 ps shared --json | jq -r --arg n "shared.$1.1" '.[] | select(.name == $n and .desired == "run") | .restarts'; }
restarted() { [ "$(restarts gate)" -ge 1 ] && [ -n "$(node_of gate)" ]; }
gate_host() { node_of gate | tr -dc 0-9; }
gate_id() { w 1 ps shared --json | jq -r '.[] | select(.name == "shared.gate.1" and .desired == "run") | .id'; }
kill -9 $(pids_in "$(gate_host)" "t$(gate_id)")
test_case "the other is killed and starts again" wait_for 20 "a restart" restarted
test_case "all works on" wait_for 10 "an answer" works 1
test_case "and nobody else was restarted" [ "$(restarts site)" = 0 ]

refuses_move() { w 1 move shared.site.1 2>&1 | grep -q "whose network it shares: move that"; }
test_case "it cannot be moved alone" refuses_move

# New revisions, of each.
file=$(compose_shared "labels: {a: b}" "")
test_case "a new revision of the one that shares" w 1 deploy -f "$file"
test_case "all works" wait_for 20 "an answer" works 2
file=$(compose_shared "labels: {a: b}" "labels: {a: b}")
test_case "a new revision of the other" w 1 deploy -f "$file"
test_case "they follow" wait_for 30 "an answer" works 2

# The daemon of their machine is killed while the containers run.
at=$(gate_host)
before=$(netns site)
daemon_kill "$at"
daemon_start "$at"
test_case "the daemon starts again" wait_for 20 "an answer" works "$at"
test_case "with the same network" [ "$before" = "$(netns site)" ]

# Their machine boots again.
host_kill "$at"
host_boot "$at"
other=$((at % 3 + 1))
# The volume has its home there: they come back there, the gate too.
test_case "after a reboot they are together" wait_for 60 "an answer" works "$other"

move_volume() { w "$other" volume move --force shared_data "n$other" >/dev/null; }
test_case "the volume moves, and all three with it" move_volume
test_case "they are where it is" wait_for 40 "an answer" works 1
test_case "… on the other machine" [ "$(node_of site)" = "n$other" ]

test_case "the stack goes" w 1 rm shared
nothing_left() { ! in_host "$other" ip -o link | grep -q ' wv'; }
test_case "and its network" wait_for 20 "no links" nothing_left
finish
