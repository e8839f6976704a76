#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tasks on the machines' own link (macvlan): machines of their own there, beside the cluster's
# networks, names and published ports; the same after moves, kills and reboots.
. "$(dirname "$0")/lib.sh"

begin macvlan 2
load busybox 1 2
load web 1 2
w 1 cluster set rebalance=off >/dev/null

stack() { # stack LAN-KEYS FIXED-ADDRESS
    compose home <<YAML
name: home
services:
  web:
    image: demo/web:1
    stop_grace_period: 0s
    networks: [lan]
    ports: ["8080:80"]
    deploy: {replicas: 2}
  fixed:
    image: demo/web:1
    stop_grace_period: 0s
    networks: {lan: {ipv4_address: $2}, default: }
  client:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
networks:
  lan: {driver: macvlan, ipam: {config: [{subnet: $PREFIX.0/24, gateway: $PREFIX.254$1}]}}
YAML
}
range=", ip_range: $PREFIX.192/27"
test_case "addresses that may be anybody's" says "give it an ip_range" w 1 deploy -f "$(stack "" "$PREFIX.150")"
test_case "a member's address" says "is the address of member n2" w 1 deploy -f "$(stack "$range" "$PREFIX.2")"
test_case "the gateway's" says "in use already" w 1 deploy -f "$(stack "$range" "$PREFIX.254")"
test_case "deploy" w 1 deploy -f "$(stack "$range" "$PREFIX.150")"

lan_of() { w 1 ps home --json | jq -r --arg n "home.$1" '.[] | select(.name == $n and .desired == "run") | .addresses[0]'; }
node_of() { w 1 ps home --json | jq -r --arg n "home.$1" '.[] | select(.name == $n and .desired == "run" and .state == "running") | .node'; }
get() { curl -fs -m 3 -o /dev/null "http://$1/"; } # from a machine of the link that is no member
of_range() { [[ "$(lan_of "$1")" == "$PREFIX".* ]] && [ "$(lan_of "$1" | cut -d. -f4)" -ge 192 ] && [ "$(lan_of "$1" | cut -d. -f4)" -lt 224 ]; }
test_case "addresses of the range" of_range web.1
test_case "on both machines" [ "$(node_of web.1)" != "$(node_of web.2)" ]
for t in web.1 web.2; do
    test_case "$t is on the link" wait_for 10 "an answer" get "$(lan_of $t)"
done
test_case "so is one with an address of its own" wait_for 10 "an answer" get "$PREFIX.150"
test_case "they reach each other there" w 1 exec home.web.1 wget -q -O /dev/null "http://$(lan_of web.2)/"
test_case "the cluster's network is there, too" w 1 exec home.client.1 wget -q -O /dev/null http://web/
test_case "and its names" w 1 exec home.web.1 wget -q -O /dev/null http://fixed/
for n in 1 2; do
    test_case "the published port of n$n" wait_for 10 "an answer" get "$PREFIX.$n:8080"
done
in_host 1 curl -fs -m 3 -o /dev/null "http://127.0.0.1:8080/"
test_case "the machine's own localhost" in_host 1 curl -fs -m 3 -o /dev/null "http://127.0.0.1:8080/"

# What it is to others outside.
python3 -c "
import os, socket
open('$LAB_RUN/server', 'w').write(str(os.getpid()))
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('$PREFIX.254', 8123)); s.listen(16)
while True:
    c, a = s.accept(); c.recv(4096); c.sendall(b'HTTP/1.0 200 OK\r\n\r\n' + a[0].encode() + b'\n'); c.close()
" >/dev/null 2>&1 &
listens() { bash -c "exec 3<>/dev/tcp/$PREFIX.254/8123"; }
wait_for 10 "the server" listens
seen() { [ "$(w 1 exec "home.$1" wget -q -O - "http://$PREFIX.254:8123/")" = "$2" ]; }
test_case "outside it is its address on the link" seen web.1 "$(lan_of web.1)"
test_case "others are their machine's" seen client.1 "$PREFIX.$(node_of client.1 | tr -d n)"
kill "$(cat "$LAB_RUN/server")"

# It goes elsewhere with its address.
from=$(node_of fixed.1)
to=$([ "$from" = n1 ] && echo n2 || echo n1)
moved() { [ "$(node_of fixed.1)" = "$to" ] && [ "$(w 1 ps home --json | jq '[.[] | select(.name == "home.fixed.1" and .state == "running")] | length')" = 1 ]; }
w 1 move home.fixed.1 "$to" >/dev/null
test_case "it moves" wait_for 20 "the other machine" moved
test_case "and is there at once" wait_for 5 "an answer" get "$PREFIX.150"

at=${to#n}
daemon_kill "$at"
test_case "without a daemon it is still there" get "$PREFIX.150"
daemon_start "$at"
host_kill "$at"
host_boot "$at"
test_case "after a reboot it is back" wait_for 60 "an answer" get "$PREFIX.150"
test_case "as are the others" wait_for 60 "an answer" get "$(lan_of web.1)"

kind() { w 1 network ls | grep -q "home_lan .*macvlan" && w 1 network inspect home_lan | jq -e '.[0].lan.gateway == "'"$PREFIX.254"'" and (.[0].members | length == 3)' >/dev/null; }
test_case "lists say what it is" wait_for 20 "the list" kind

# One made by hand, for others.
test_case "the stack goes" w 1 rm home
gone() { ! ping -c1 -W1 "$PREFIX.150" >/dev/null 2>&1; }
test_case "and is off the link" wait_for 10 "silence" gone
test_case "one by hand" w 1 network create --macvlan --subnet "$PREFIX.0/24" --ip-range "$PREFIX.192/27" --parent eth0 lan
other=$(compose other <<'YAML'
name: other
services:
  alone: {image: "demo/web:1", networks: [lan], stop_grace_period: 0s}
networks: {lan: {external: true}}
YAML
)
test_case "not it alone" says "is in macvlan networks alone: name one of the cluster's too" w 1 deploy -f "$other"
sed -i 's/\[lan\]/[lan, default]/' "$other"
test_case "with another" w 1 deploy -f "$other"
lan=$(w 1 ps other --json | jq -r '.[0].addresses[0]')
test_case "it is on the link" wait_for 10 "an answer" get "$lan"
finish
