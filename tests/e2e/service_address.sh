#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One address for a service: while its tasks come, go and move nobody notices. Ports of a task's own
# machine, addresses that are asked for, networks that lead nowhere.
. "$(dirname "$0")/lib.sh"
begin vip 3
load busybox 1 2 3
load web 1 2 3
w 1 cluster set rebalance=off

file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/web:1
    stop_grace_period: 2s
    deploy: {replicas: 4, update_config: {parallelism: 1, monitor: 0s}}
  client:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    networks: [default, back]
    deploy: {placement: {constraints: [node.hostname == n1]}}
  node:
    image: demo/web:1
    stop_grace_period: 0s
    ports: [{target: 80, published: 8090, mode: host}]
    deploy: {replicas: 2}
  fixed:
    image: demo/web:1
    stop_grace_period: 0s
    networks: {own: {ipv4_address: 172.28.3.9}}
  beside:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    networks: [own]
  back:
    image: demo/web:1
    stop_grace_period: 0s
    networks: [back]
  bare:
    image: demo/web:1
    command: [httpd, -f, -p, "8095", -h, /www]
    stop_grace_period: 0s
    network_mode: host
    deploy: {placement: {constraints: [node.hostname == n2]}}
networks:
  default:
  own: {ipam: {config: [{subnet: 172.28.3.0/24}]}}
  back: {internal: true}
YAML
)
get() { w 1 exec "$1" wget -q -O- "$2"; } # get TASK URL
deployed() { w 1 deploy -f "$file" >/dev/null && get app.client http://web/ >/dev/null; }

# Ask without a pause while COMMAND runs; none of the answers may be missing.
unnoticed() {
    local out
    w 1 exec app.client sh -c 'rm -f /stop; n=0; bad=0; until [ -e /stop ]; do n=$((n+1)); wget -q -O /dev/null http://web/ 2>/dev/null || bad=$((bad+1)); done; echo $n $bad' >"$LAB_RUN/asked" &
    local asking=$!
    sleep 1
    "$@" || { w 1 exec app.client touch /stop; return 1; }
    sleep 1
    w 1 exec app.client touch /stop
    wait $asking
    read -r n bad <"$LAB_RUN/asked"
    echo "$n asked, $bad without an answer"
    [ "$n" -gt 20 ] && [ "$bad" = 0 ]
}
replaced() { w 1 restart app.web >/dev/null; }
moved() { w 1 node drain -y n2 >/dev/null && w 1 node activate n2; }
resized() { w 1 scale app.web=8 >/dev/null && w 1 scale app.web=2 >/dev/null && w 1 scale app.web=4 >/dev/null; }
asked_alone() { # without the daemon, which answers for names
    local vip pid
    vip=$(w 1 network inspect app_default | jq -r '.[0].members[] | select(.name == "app.web") | .address')
    pid=$(pids_in 1 "t$(tasks 1 app.client | jq -r '.[0].id')" | tail -1)
    daemon_kill 1
    nsenter -t "$pid" -n curl -fsS -m 3 "http://$vip/" >/dev/null
    local rc=$?
    daemon_start 1 && wait_for 20 "a leader" has_leader 1
    return $rc
}
refused_when_gone() {
    w 1 stop app.web >/dev/null || return 1
    w 1 exec app.client wget -q -O- http://web/ 2>&1 | grep -q "refused" || return 1
    w 1 start app.web >/dev/null
    wait_for 20 "it" get app.client http://web/
}
on_its_node() { # on those that have a task, and on no other
    local n up=0 down=0
    [ "$(tasks 1 app.node | jq -r '.[].node' | sort -u | wc -l)" = 2 ] || return 1
    for n in 1 2 3; do
        if tasks 1 app.node | jq -e --arg n "n$n" '.[] | select(.node == $n)' >/dev/null; then
            curl -fsS -m 3 "http://$PREFIX.$n:8090/" >/dev/null && up=$((up + 1))
        else
            curl -fsS -m 3 "http://$PREFIX.$n:8090/" 2>&1 | grep -qi "connect" && down=$((down + 1))
        fi
    done
    echo "$up $down"
    [ $up = 2 ] && [ $down = 1 ]
}
at_its_address() {
    get app.beside http://172.28.3.9/ >/dev/null || return 1
    w 1 restart app.fixed >/dev/null || return 1
    wait_for 20 "the next one" get app.beside http://172.28.3.9/ || return 1
    get app.beside http://fixed/ >/dev/null
}
shut_in() {
    local on
    on=$PREFIX.$(tasks 1 app.node | jq -r '.[0].node' | tr -d n):8090
    get app.client http://back/ >/dev/null || return 1
    # It has a second way out; the other service has none, not even to a machine.
    get app.client "http://$on/" >/dev/null || return 1
    ! get app.back "http://$on/" >/dev/null 2>&1
}

test_case "it is asked by name" deployed
test_case "nobody notices that its tasks are replaced" unnoticed replaced
test_case "that they move" unnoticed moved
test_case "that there are more and fewer" unnoticed resized
test_case "its address works while the daemon is away" asked_alone
test_case "without a healthy task it refuses at once" refused_when_gone
test_case "a port of the task's own machine" on_its_node
test_case "an address that was asked for stays with the one task" at_its_address
in_hosts_network() { # of n2: from everywhere it is what listens on that machine
    curl -fsS -m 3 "http://$PREFIX.2:8095/health" >/dev/null || { echo "a client on the LAN"; return 1; }
    in_host 1 curl -fsS -m 3 "http://$PREFIX.2:8095/health" >/dev/null || { echo "another member"; return 1; }
    in_host 2 curl -fsS -m 3 http://127.0.0.1:8095/health >/dev/null || { echo "its own machine"; return 1; }
    get app.client http://n2:8095/health >/dev/null || { echo "a container elsewhere"; return 1; }
    local task
    for task in $(tasks 1 app.web | jq -r '.[] | select(.desired == "run") | "app.web.\(.slot)"'); do
        get "$task" http://n2:8095/health >/dev/null || { echo "$task"; return 1; }
    done
}

test_case "a network that leads nowhere else" shut_in
test_case "a task in its machine's network, from everywhere" in_hosts_network
finish
