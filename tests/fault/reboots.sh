#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Machines that boot again and again, one after the other, and then all at once: names, service
# addresses, published ports, volumes and secrets are back each time, with no hand laid on.
#
#   REBOOTS=100 SEED=7 tests/fault/reboots.sh
. "$(dirname "$0")/../e2e/lib.sh"
reboots=${REBOOTS:-6}
RANDOM=${SEED:-$RANDOM}
begin reboots 3
load busybox 1 2 3
load web 1 2 3
w 1 cluster set rebalance=off >/dev/null

file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/web:1
    stop_grace_period: 0s
    ports: ["8080:80"]
    deploy: {mode: global}
  client:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    secrets: [token]
    deploy: {mode: global}
  keeper:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    volumes: ["data:/data"]
    deploy: {placement: {constraints: [node.hostname == n2]}}
volumes: {data: }
secrets: {token: {environment: TOKEN}}
YAML
)
declare -A address
read_addresses() { for n in 1 2 3; do address[$n]=$(w "$1" node inspect n$n | jq -r '.[0].address // .address' | cut -d: -f1); done; }
# From member $1: through each member's port, by the service's address, the names and the secret.
works_from() {
    local n
    for n in 1 2 3; do in_host "$1" curl -fs -m 3 -o /dev/null "http://${address[$n]}:8080/" || return 1; done
    in_host "$1" curl -fs -m 3 -o /dev/null http://127.0.0.1:8080/ || return 1
    local task
    task=$(w "$1" ps app.client --json | jq -r --arg n "n$1" '.[] | select(.node == $n and .state == "running") | .name' | head -1)
    w "$1" exec "$task" sh -c 'wget -q -O /dev/null http://web/ && [ "$(nslookup tasks.web | grep -c "^Address.*10\.")" -ge 3 ] && grep -q s3cret /run/secrets/token'
}
works() { for n in 1 2 3; do works_from $n || return 1; done; }
kept() { w 1 exec app.keeper grep -q precious /data/file; }
alone() { # no second copy of our routes or rules, nothing of a container that is gone
    local n
    for n in 1 2 3; do
        [ "$(in_host $n ip -o link | grep -c ' wv')" = "$(w $n container ls --node n$n --json 2>/dev/null | jq '[.[] | select(.state == "running")] | length')" ] ||
            [ "$(in_host $n ip -o link | grep -c ' wv')" -le 4 ] || return 1
        [ "$(in_host $n nft list tables | grep -c 'inet wherry')" = 1 ] || return 1
    done
}

TOKEN=s3cret test_case "deploy" w 1 deploy -f "$file"
read_addresses 1
test_case "all of it works" wait_for 30 "everything" works
test_case "a file in a volume" w 1 exec app.keeper sh -c 'echo precious >/data/file; sync'

failed_at=
for i in $(seq "$reboots"); do
    n=$((RANDOM % 3 + 1))
    host_kill $n
    host_boot $n
    wait_for 60 "everything after reboot $i, of n$n" works && wait_for 20 "the volume" kept || { failed_at="$i (n$n)"; break; }
done
test_case "$reboots reboots of one machine" [ -z "$failed_at" ]
test_case "nothing is left of the lives before" alone

for n in 1 2 3; do host_kill $n; done
for n in 1 2 3; do host_boot $n; done
test_case "all at once" wait_for 90 "everything" works
test_case "the volume is as it was" wait_for 30 "the volume" kept

# A machine comes back with another address.
host_kill 3
host_readdress 3 "$PREFIX.33"
host_unmount 3
host_remove_cgroups 3
rm -rf "${LAB_RUN:?}/3"
daemon_start 3
host_heal 3
readdressed() { read_addresses 1; [ "${address[3]}" = "$PREFIX.33" ]; }
test_case "a machine with another address is known by it" wait_for 60 "the address" readdressed
read_addresses 1
test_case "and all works" wait_for 60 "everything" works
finish
