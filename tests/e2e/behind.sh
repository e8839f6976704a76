#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A member behind another address: a router translates between that and its own, one to one.
. "$(dirname "$0")/lib.sh"
begin behind 2

inner=172.31.9
# Host 3 is on a network of its own; host "r", which is no member, has its address on the LAN.
router() {
    ip netns add "$LAB-r" && ip netns add "$LAB-3" || return 1
    ip link add eth0 netns "$LAB-r" type veth peer name pr netns "$LAB-lan"
    ip -n "$LAB-lan" link set pr master br0 up
    ip link add inner netns "$LAB-r" type veth peer name eth0 netns "$LAB-3"
    ip -n "$LAB-r" addr add "$PREFIX.203/24" dev eth0
    ip -n "$LAB-r" addr add $inner.1/24 dev inner
    ip -n "$LAB-3" addr add $inner.3/24 dev eth0
    ip -n "$LAB-r" link set eth0 up
    ip -n "$LAB-r" link set inner up
    ip -n "$LAB-3" link set lo up
    ip -n "$LAB-3" link set eth0 up
    ip -n "$LAB-3" route add default via $inner.1
    ip netns exec "$LAB-r" sysctl -qw net.ipv4.ip_forward=1
    ip netns exec "$LAB-r" nft "
        add table ip nat
        add chain ip nat in { type nat hook prerouting priority dstnat; }
        add chain ip nat out { type nat hook postrouting priority srcnat; }
        add rule ip nat in ip daddr $PREFIX.203 dnat to $inner.3
        add rule ip nat out ip saddr $inner.3 oifname eth0 snat to $PREFIX.203"
}
test_case "a router" router
: >"$LAB_RUN/3.readdressed" # no --address but what is said here
bad() { in_host 3 "$WHERRY" node --data "$LAB_DATA/bad" --run "$LAB_RUN/bad" --advertise nowhere; }
test_case "an address that is none" says "advertise nowhere: not" bad
daemon_start 3 --address $inner.3 --advertise "$PREFIX.203"
join() { w 3 join "$PREFIX.1" --token "$(w 1 token -q)"; }
test_case "it joins" join
test_case "three members" wait_for 30 "three members" members_up 1 3
test_case "by the address that others know" [ "$(w 1 node inspect n3 | jq -r '.[0].address // .address')" = "$PREFIX.203:7400" ]

load web 1 2 3
load busybox 1 2 3
file=$(compose app <<'YAML'
name: app
services:
  web: {image: "demo/web:1", ports: ["8080:80"], stop_grace_period: 0s, deploy: {placement: {constraints: [node.hostname == n3]}}}
  other: {image: "demo/web:1", ports: ["8081:80"], stop_grace_period: 0s, deploy: {placement: {constraints: [node.hostname == n1]}}}
  client: {image: "demo/busybox:1", command: [sleep, "100000"], stop_grace_period: 0s, deploy: {mode: global}}
YAML
)
test_case "deploy" w 1 deploy -f "$file"
tunnelled() { w 1 network status --json | jq -e '[.[] | select((.from == "n3") != (.to == "n3"))] | length == 4 and all(.up and (.plain | not))' >/dev/null; }
test_case "to it all goes by the tunnel" wait_for 30 "the tunnel" tunnelled
task_on() { w 1 ps app.client --json | jq -r --arg n "n$1" '.[] | select(.node == $n and .state == "running") | .name'; }
reaches() { w 1 exec "$(task_on "$1")" timeout 5 wget -q -O /dev/null "http://$2/"; }
test_case "containers reach those on it" reaches 1 web
test_case "and the other way" reaches 3 other
test_case "its port, from the LAN" in_host 2 curl -fs -m 5 -o /dev/null "http://$PREFIX.203:8080/"
test_case "a port of it by another member" in_host 2 curl -fs -m 5 -o /dev/null "http://$PREFIX.1:8080/"
test_case "a port of another by it" in_host 2 curl -fs -m 5 -o /dev/null "http://$PREFIX.203:8081/"
test_case "localhost on it" in_host 3 curl -fs -m 5 -o /dev/null "http://127.0.0.1:8081/"
daemon_kill 3
daemon_start 3
test_case "the same after a restart" wait_for 30 "three members" members_up 1 3
test_case "with the same address" [ "$(w 1 node inspect n3 | jq -r '.[0].address // .address')" = "$PREFIX.203:7400" ]
finish
