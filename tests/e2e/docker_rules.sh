#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Beside the rules that Docker and others make, which drop what they do not know.
. "$(dirname "$0")/lib.sh"
begin foreign 2
load busybox 1 2
load web 1 2

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
address=$(w 1 node inspect n1 | jq -r '.[0].address // .address' | cut -d: -f1)
by_port() { curl -fs -m 3 "http://$address:8080/" >/dev/null; }
inside() { w 1 exec app.client timeout 3 wget -q -O /dev/null http://web/; }
works() { by_port && inside; }
broken() { ! by_port && ! inside; }
# As dockerd does when it starts (27.3): it drops what is forwarded, but for its own.
docker_rules() {
    local t="in_host $1 iptables -w 5"
    $t -P FORWARD DROP
    $t -N DOCKER-USER && $t -A DOCKER-USER -j RETURN
    $t -N DOCKER
    $t -I FORWARD -j DOCKER-USER
    $t -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    $t -A FORWARD -o docker0 -j DOCKER
    $t -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
}
opened() { [ "$(in_host "$1" iptables -S DOCKER-USER | grep -c -- '-j ACCEPT')" = 4 ]; }

test_case "deploy" w 1 deploy -f "$file"
test_case "it works" wait_for 20 "both ways" works
for n in 1 2; do docker_rules $n; done
test_case "Docker's rules are there" in_host 1 iptables -S DOCKER-USER
test_case "ours are put beside them, where it leaves room" wait_for 30 "both" opened 1
test_case "on each member" wait_for 30 "both" opened 2
test_case "all works" wait_for 10 "both ways" works
test_case "once, not again and again" opened 1
# dockerd restarts and makes its chains anew.
in_host 1 iptables -F DOCKER-USER
test_case "also when they were flushed" wait_for 30 "opened" opened 1

# The same of IPv6 (Docker from 27 on), when a network has it.
docker_rules6() {
    local t="in_host $1 ip6tables -w 5"
    $t -P FORWARD DROP
    $t -N DOCKER-USER && $t -A DOCKER-USER -j RETURN
    $t -I FORWARD -j DOCKER-USER
}
opened6() { [ "$(in_host "$1" ip6tables -S DOCKER-USER | grep -c -- '-j ACCEPT')" = 4 ]; }
closed6() { [ "$(in_host "$1" ip6tables -S DOCKER-USER | grep -c -- '-j ACCEPT')" = 0 ]; }
web6() { w 1 network inspect app_default | jq -r '.[0].members[] | select(.name == "app.web.1") | .address6'; }
inside6() { w 1 exec app.client ping -c 1 -W 2 "$(web6)"; }
for n in 1 2; do docker_rules6 $n; done
sleep 11
test_case "chains of IPv6 are left alone without it" closed6 1
echo 'networks: {default: {enable_ipv6: true}}' >>"$file"
test_case "a network with IPv6" w 1 deploy -f "$file"
test_case "they are opened, too" wait_for 30 "opened" opened6 1
test_case "on each member" wait_for 30 "opened" opened6 2
test_case "it works" wait_for 20 "an answer" inside6

# All of the rules are flushed by somebody.
in_host 2 nft flush ruleset
test_case "rules that were flushed come back" wait_for 30 "both ways" works

# A firewall that leaves no room.
in_host 1 nft 'add table inet strict; add chain inet strict pass { type filter hook forward priority 10; policy drop; }'
test_case "one that leaves no room stops it" wait_for 20 "nothing" broken
told() { w 1 network status 2>&1 | grep -q 'n1: chain pass of table inet strict drops what goes to and from containers'; }
test_case "which is told" wait_for 30 "the warning" told
in_host 1 nft delete table inet strict
test_case "and works when it is gone" wait_for 20 "both ways" works
quiet() { ! told; }
test_case "which is told no more" wait_for 30 "no warning" quiet

# firewalld: its table as it makes it (1.3), of which the last rule counts, then with our devices in a zone.
firewalld_rules() {
    in_host 1 nft "add table inet firewalld
        add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; policy accept; }
        add chain inet firewalld filter_FORWARD_POLICIES
        add rule inet firewalld filter_FORWARD ct state { established, related } accept
        add rule inet firewalld filter_FORWARD ct status dnat accept
        add rule inet firewalld filter_FORWARD jump filter_FORWARD_POLICIES
        add rule inet firewalld filter_FORWARD reject with icmpx admin-prohibited"
}
trusted() {
    local way device
    for way in iifname oifname; do
        for device in wherry0 'wv*'; do
            in_host 1 nft add rule inet firewalld filter_FORWARD_POLICIES $way "\"$device\"" accept || return 1
        done
    done
}
firewalld_told() { w 1 network status 2>&1 | grep -q 'n1: chain filter_FORWARD of table inet firewalld .*firewall-cmd'; }
firewalld_quiet() { ! firewalld_told; }
firewalld_rules
# What is translated it lets pass, also to the address of a service.
direct() { w 1 exec app.client timeout 3 wget -q -O /dev/null http://tasks.web/; }
test_case "firewalld stops it" wait_for 10 "nothing inside" not direct
test_case "which is told, with what opens it" wait_for 30 "the warning" firewalld_told
test_case "it is given our devices" trusted
test_case "then all works" wait_for 20 "both ways" eval 'works && direct'
test_case "and nothing is told" wait_for 30 "no warning" firewalld_quiet

test_case "the stack goes" w 1 rm app
daemon_stop 1
test_case "uninstall" in_host 1 "$WHERRY" uninstall --data "$LAB_DATA/1" --run "$LAB_RUN/1" --yes
test_case "takes ours out, and leaves Docker's" bash -c "nsenter --net=/run/netns/$LAB-1 iptables -S DOCKER-USER | diff - <(printf -- '-N DOCKER-USER\n')"
test_case "of both kinds" bash -c "nsenter --net=/run/netns/$LAB-1 ip6tables -S DOCKER-USER | diff - <(printf -- '-N DOCKER-USER\n-A DOCKER-USER -j RETURN\n')"
finish
