#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ways between members: plain where they share a link, else by the tunnel; found, not told, and found
# again when the network changes.
. "$(dirname "$0")/lib.sh"
begin ways 3
load busybox 1 2 3
load web 1 2 3
w 1 cluster set rebalance=off

file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/web:1
    stop_grace_period: 0s
    ports: ["8080:80"]
    deploy: {placement: {constraints: [node.hostname == n2]}}
  client:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    deploy: {placement: {constraints: [node.hostname == n1]}}
YAML
)
ways() { w "${2:-1}" network status --json | jq -r "[.[] | select(.from == \"n1\" and .to == \"n2\")][0] | $1"; }
way_is() { [ "$(ways "$1")" = "$2" ]; }
all_plain() { [ "$(w 1 network status --json | jq '[.[] | select(.plain and .up)] | length')" = 6 ]; }
get() { w 1 exec app.client wget -q -O- http://web/ >/dev/null; }
tunnelled() { in_host 1 ip -s link show wherry0 | tail -1 | awk '{print $2}'; }
# The web page by the tunnel ($1: some) or beside it (none). Pings of members go by the tunnel too:
# a few a second.
moved() {
    local before
    before=$(tunnelled)
    w 1 exec app.client sh -c 'i=0; while [ $i -lt 100 ]; do wget -q -O /dev/null http://web/ || exit 1; i=$((i+1)); done' || return 1
    case $1 in
    none) [ $(($(tunnelled) - before)) -lt 100 ] ;;
    some) [ $(($(tunnelled) - before)) -gt 300 ] ;;
    esac
}
# What the switch between the machines does: $1 is an nft rule of family bridge.
switch() {
    ip netns exec "$LAB-lan" nft "add table bridge switch; add chain bridge switch forward { type filter hook forward priority 0; }; add rule bridge switch forward $1"
}
switch_heal() { ip netns exec "$LAB-lan" nft delete table bridge switch; }
broken_is_shown() { w 1 network status | grep -q "n1 .*n2 .*broken"; }

test_case "deploy" w 1 deploy -f "$file"
test_case "machines on one link find that plain routes work" wait_for 20 "plain ways" all_plain
test_case "what is sent takes them" moved none
test_case "a client of a published port is not" in_host 3 curl -fs -m 5 -o /dev/null "http://$(w 1 node inspect n1 | jq -r '.[0].address // .address' | cut -d: -f1):8080/"
plain_is_shown() { w 1 network status --node n1 | grep -q '^n1 *n2 *plain'; }
test_case "the table names them" plain_is_shown
test_case "and so does the log" grep -q 'containers to n2 take plain routes' "$LAB_RUN/1.log"

# A cloud that drops what does not come from a machine's own address.
switch 'ip saddr { 169.254.0.0/16, 10.192.0.0/10 } drop'
test_case "where they are filtered the tunnel is taken" wait_for 20 "the tunnel" way_is .plain false
test_case "and carries all" moved some
test_case "it is up" way_is .up true
switch_heal
test_case "plain again when they are not" wait_for 20 "plain ways" all_plain
test_case "all by them" moved none

# A firewall that knows no VXLAN.
switch 'udp dport 4789 drop'
test_case "a tunnel that is cut is shown" wait_for 20 "down" way_is .up false
test_case "while containers reach each other" get
switch_heal
test_case "and when it is back" wait_for 20 "up" way_is .up true

# A way for smaller packets than the link's.
switch 'meta length > 1420 drop'
test_case "the size that gets through is found" wait_for 60 "a smaller size" way_is .mtu 1370
test_case "and known to routes" bash -c "ip netns exec $LAB-1 ip route show table all proto 87 | grep 'dev wherry0' | grep -q 'mtu 1370'"
test_case "what is large arrives" w 1 exec app.client sh -c 'head -c 3000000 /dev/zero | timeout 20 nc web 80 >/dev/null; true'
switch_heal
test_case "and the full size when it fits again" wait_for 120 "the full size" way_is .mtu 1450

# A machine that is gone.
host_cut 2
test_case "a machine that is gone is shown" wait_for 20 "broken" broken_is_shown
host_heal 2
test_case "and when it is back" wait_for 60 "all plain again" all_plain

test_case "a member that does not exist" says "no member 'n9'" w 1 network status --node n9
finish
