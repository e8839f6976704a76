#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# IPv6 from a Compose file to a client on the LAN: names, addresses, ports, and nothing of it where
# nobody asked for it. The rules themselves are network6.sh's.
. "$(dirname "$0")/lib.sh"
begin ipv6 3
load busybox 1 2 3
load web 1 2 3
lan=2001:db8:$(printf '%x' "$(cksum <<<"$LAB" | cut -c1-4)")
ip -6 addr add $lan::fe/64 dev "$(lab_link 0)" nodad
for n in 1 2 3; do ip -n "$LAB-$n" -6 addr add $lan::$n/64 dev eth0 nodad; done

file() { # file IPV6
    cat <<YAML
name: app
services:
  web:
    image: demo/web:1
    stop_grace_period: 1s
    ports: ["8080:80"]
    configs: [{source: who, target: /www/cgi-bin/who, mode: 0755}]
    deploy: {replicas: 2, placement: {constraints: [node.hostname != n1]}, update_config: {monitor: 0s}}
  client:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    networks: [default, own]
    deploy: {placement: {constraints: [node.hostname == n1]}}
  fixed:
    image: demo/web:1
    stop_grace_period: 0s
    networks: {own: {ipv4_address: 172.28.9.16, ipv6_address: "2001:db8:3984:3989::1:10"}}
  plain:
    image: demo/web:1
    stop_grace_period: 0s
    networks: [plain]
    ports: ["8081:80"]
networks:
  default: {enable_ipv6: $1}
  own:
    enable_ipv6: true
    ipam: {config: [{subnet: 172.28.9.0/24}, {subnet: "2001:db8:3984:3989::/64"}]}
  plain: {}
configs:
  who:
    content: |
      #!/bin/sh
      printf 'Content-Type: text/plain\r\n\r\n'
      echo "\$\$REMOTE_ADDR"
YAML
}
file=$(file false | compose app)
deploy() { file "$1" | compose app >/dev/null && w 1 deploy -f "$file" >/dev/null; }
started() { tasks 1 app | jq -r '.[] | select(.desired == "run") | .id' | sort; }
client() { w 1 exec app.client "$@"; }
resolve() { client nslookup -type="$1" "$2" | sed -n 's/^Address: //p'; }
member() { w 2 network inspect app_default | jq -r --arg n "$1" '.[0].members[] | select(.name == $n) | .address6'; }

nothing() {
    [ -z "$(client ip -6 -o addr show dev eth0 | grep -v 3984)" ] && [ -z "$(resolve aaaa web)" ] || return 1
    ! curl -gs -m 3 "http://[$lan::1]:8080/" >/dev/null
}
turned_on() {
    local before
    before=$(started)
    deploy true || return 1
    [ "$(started)" = "$before" ] || { echo "tasks were replaced"; return 1; }
    wait_for 20 "an answer over IPv6" client wget -q -O- "http://[$(member app.web)]/health"
}
names() {
    local vip
    vip=$(member app.web)
    [ "$(resolve aaaa web)" = "$vip" ] && [ "$(resolve aaaa web.1)" = "$(member app.web.1)" ] || return 1
    [ "$(resolve aaaa tasks.web | wc -l)" = 2 ] && [ -n "$(resolve a web)" ] || return 1
    client nslookup "$vip" | grep -q 'name = web.app'
}
own_range() {
    [ "$(resolve aaaa fixed)" != "2001:db8:3984:3989::1:10" ] || return 1 # that is its task's
    [ "$(resolve aaaa tasks.fixed)" = "2001:db8:3984:3989::1:10" ] || return 1
    client wget -q -O- "http://[2001:db8:3984:3989::1:10]/health"
}
seen() { # every member hands the client's address on
    local n who
    for n in 1 2 3; do
        who=$(curl -gs -m 5 "http://[$lan::$n]:8080/cgi-bin/who")
        [ "$who" = "[$lan::fe]" ] || [ "$who" = "$lan::fe" ] || { echo "n$n: '$who'"; return 1; }
    done
    curl -gs -m 5 "http://$PREFIX.1:8080/cgi-bin/who" | grep -q "$PREFIX.254"
}
without() { # a service in no network of IPv6
    curl -gs -m 3 "http://$PREFIX.1:8081/health" >/dev/null || return 1
    ! curl -gs -m 3 "http://[$lan::1]:8081/health" >/dev/null
}
unnoticed() { # asked over IPv6, by name and by port, while tasks are replaced
    local bad=0 n=0
    w 1 restart app.web >/dev/null &
    local pid=$!
    while kill -0 $pid 2>/dev/null || [ $n -lt 40 ]; do
        curl -gfs -m 5 "http://[$lan::1]:8080/health" >/dev/null || bad=$((bad + 1))
        client wget -q -O- "http://[$1]/health" >/dev/null || bad=$((bad + 1))
        n=$((n + 1))
    done
    wait $pid || return 1
    echo "$n rounds, $bad unanswered"
    [ $bad = 0 ]
}
rebooted() {
    host_kill 2 && host_boot 2 || return 1
    wait_for 40 "all members" members_up 1 3 || return 1
    wait_for 40 "both tasks" running_is 1 app.web 2 || return 1
    wait_for 20 "an answer" client wget -q -O- "http://[$(member app.web)]/health"
}
turned_off() {
    deploy false || return 1
    gone() { [ -z "$(member app.web)" ] && [ -z "$(client ip -6 -o addr show dev eth0 | grep -v 3984)" ]; }
    wait_for 20 "it is gone" gone && client wget -q -O- http://web/health
}
meets() { says "meets that of network app_own" w 1 network create --ipv6 --subnet6 2001:db8:3984::/48 more; }
by_hand() {
    w 1 network create --ipv6 hand >/dev/null || return 1
    w 2 network ls | grep -qE '^hand .* fd[0-9a-f:]+/116' && w 1 network rm hand >/dev/null
}

test_case "it is deployed without" w 1 deploy -f "$file"
test_case "where nobody asked for it there is none" nothing
test_case "it is turned on without a restart" turned_on
test_case "names have addresses of both" names
test_case "a range and an address of one's own" own_range
test_case "a port, by each member, with the client's address" seen
test_case "a service without IPv6 beside it" without
test_case "nobody notices that tasks are replaced" unnoticed "$(member app.web)"
test_case "a machine reboots" rebooted
test_case "it is turned off again" turned_off
test_case "ranges do not meet" meets
test_case "a network by hand" by_hand
finish
