#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Addresses change: of one member, of the leader, of all at once. Who a member is is told by its key.
. "$(dirname "$0")/lib.sh"

begin move 3
load nginx 1 2 3
for n in 1 2 3; do
    cat <<YAML
  on$n:
    image: demo/nginx:1
    ports: ["$((8080 + n)):80"]
    stop_grace_period: 1s
    deploy: {placement: {constraints: ["node.hostname == n$n"]}}
YAML
done >"$LAB_RUN/services"
file=$( (echo "name: app"; echo "services:"; cat "$LAB_RUN/services") | compose app)

# Every host reaches the container on every other through the tunnel.
reach() { # reach FROM TO
    in_host "$1" curl -sf -m 2 -o /dev/null "http://127.0.0.1:$((8080 + $2))/"
}
all_reach() {
    local a b
    for a in 1 2 3; do for b in 1 2 3; do reach $a $b || return 1; done; done
}
net_works() { wait_for 30 "every host reaches every container" all_reach; }

address_is() { # address_is MEMBER NODE ADDRESS
    [ "$(w "$1" node ls --json | jq -r ".[] | select(.name == \"n$2\") | .address")" = "$3" ]
}

# The host comes back with another address, and nobody says so to its daemon.
move() { # move N IP
    daemon_stop "$1" && host_readdress "$1" "$2" && daemon_start "$1"
}

moved() { # moved MEMBER NODE IP
    wait_for 30 "n$2 at $3" address_is "$1" "$2" "$3:7400" && wait_for 30 "all up" members_up "$1" 3
}

told() { w 1 connect "$new.2" "$new.3" | grep -c 'is connected' | grep -qx 2; }

started_once() { w 2 ps --json | jq -e '[.[] | .run] | max == 1'; }

test_case "deploy" w 1 deploy -f "$file"
test_case "the network works" net_works

f=$(follower 1 2 3)
l=$(leader 1)
move "$f" "$PREFIX.$((100 + f))"
test_case "a member moves, the others see it" moved "$l" "$f" "$PREFIX.$((100 + f))"
test_case "and reach its containers" net_works

l=$(leader 1)
f=$(follower 1 2 3)
move "$l" "$PREFIX.$((100 + l))"
test_case "the leader moves" moved "$f" "$l" "$PREFIX.$((100 + l))"
test_case "and the network follows" net_works

# A new subnet: nobody knows an address that works.
new=${PREFIX%.*}.$((${PREFIX##*.} + 1))
for n in 1 2 3; do daemon_stop $n; done
for n in 1 2 3; do host_readdress $n "$new.$n"; done
for n in 1 2 3; do daemon_start $n; done
test_case "all move at once: nobody leads" not has_leader 1
test_case "an address where nobody is" says 'no member answers' w 1 connect "$new.77"
test_case "connect needs an address of a member" says 'not an address' w 1 connect 'a b'
test_case "one is told where two are" told
test_case "all find each other" wait_for 30 "all up" members_up 3 3
for n in 1 2 3; do test_case "n$n is at its new address" moved 3 $n "$new.$n"; done
test_case "the network is whole" net_works

# Two move to where nobody expects them, one stays: through it they find each other.
daemon_stop 2
daemon_stop 3
host_readdress 2 "$new.102"
host_readdress 3 "$new.103"
daemon_start 2
daemon_start 3
test_case "two of three move at once" moved 1 2 "$new.102"
test_case "both are found" moved 2 3 "$new.103"
daemon_kill 1
goes_on() { w 2 scale app.on2=2 && has_leader 2; }
test_case "they go on without the one that knew both" wait_for 30 "a change" goes_on
test_case "no container was started again meanwhile" started_once
finish
