#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Names: what a container's resolver answers, of the cluster and of others.
. "$(dirname "$0")/lib.sh"
begin dns 2
load busybox 1 2

file=$(compose app <<'YAML'
name: app
services:
  web:
    image: demo/busybox:1
    command: [httpd, -f, -p, "80"]
    stop_grace_period: 0s
    ports: ["8080:80"]
    networks: {default: {aliases: [www, api.example.com]}}
    deploy: {replicas: 3}
  rr:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    deploy: {replicas: 2, endpoint_mode: dnsrr}
  shut:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    networks: [inside]
networks:
  default:
  inside: {internal: true}
YAML
)
other=$(compose other <<'YAML'
name: other
services:
  web:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    networks: [shared]
  lone:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    networks: [shared]
networks: {shared: {external: true}}
YAML
)
third=$(compose third <<'YAML'
name: third
services:
  guest:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    networks: [default, shared]
networks: {default: {}, shared: {external: true}}
YAML
)
w 1 network create shared >/dev/null

# dig TASK ARGUMENTS...: asked in the task's network
dig_in() {
    local node id pid
    read -r node id < <(tasks 1 "$1" | jq -r '.[0] | "\(.node) \(.id)"')
    pid=$(pids_in "${node#n}" "t$id" | tail -1)
    shift
    nsenter -t "$pid" -n dig +tries=1 +time=3 @169.254.1.1 "$@"
}
answer() { dig_in app.rr +short "$@" | sort; }
address_of() { tasks 1 "$1" | jq -r '.[].addresses[0]' | sort; }

deployed() {
    w 1 deploy -f "$file" >/dev/null && w 1 deploy -f "$other" >/dev/null && w 1 deploy -f "$third" >/dev/null
}
service_name() {
    local vip
    vip=$(w 1 network inspect app_default | jq -r '.[0].members[] | select(.name == "app.web") | .address')
    [ -n "$vip" ] || return 1
    for name in web web.app www api.example.com; do [ "$(answer "$name")" = "$vip" ] || { echo "$name"; return 1; }; done
    [ "$(w 1 exec app.rr.1 wget -qO- http://web/nothing 2>&1 | grep -c 404)" = 1 ]
}
task_names() {
    [ "$(answer tasks.web | wc -l)" = 3 ] && [ "$(answer rr | wc -l)" = 2 ] || return 1
    [ "$(answer web.2)" = "$(w 1 network inspect app_default | jq -r '.[0].members[] | select(.name == "app.web.2") | .address')" ]
}
members() { [ "$(answer n2)" = "$PREFIX.2" ] && [ "$(answer n1.node)" = "$PREFIX.1" ]; }
ports() {
    [ "$(answer web SRV | wc -l)" = 3 ] || return 1
    answer _9000._tcp.web SRV | grep -q '^0 0 9000 web\.[123]\.app\.$' || return 1
    answer web.2 TXT | grep -q 'task=web.2.app node=n[12]'
}
reverse() {
    [ "$(answer -x "$(answer web)")" = web.app. ] && [ "$(answer -x "$(answer web.3)")" = web.3.app. ] || return 1
    dig_in app.rr -x 10.192.250.250 | grep -q NXDOMAIN
}
by_tcp() { [ "$(answer +tcp tasks.web | wc -l)" = 3 ]; }
edns() { dig_in app.rr web +bufsize=4096 | grep -q 'EDNS: version: 0.*udp: 1232'; }
cut_short() {
    w 1 scale app.rr=60 >/dev/null || return 1
    dig_in app.web +noedns +ignore rr | grep -q 'flags:.* tc' || return 1
    [ "$(dig_in app.web +short +noedns rr | wc -l)" = 60 ] || return 1 # dig asks by TCP then
    w 1 scale app.rr=2 >/dev/null
}
shared() { # of another stack in a network of both, but not one of its name in the own stack
    [ -n "$(dig_in third.guest +short lone)" ] && [ -n "$(dig_in third.guest +short web.other)" ] || return 1
    [ -z "$(dig_in app.rr +short lone)" ] && [ -z "$(dig_in app.rr +short web.other)" ]
}
records() {
    w 2 dns add printer.lan A 192.168.1.20 && w 2 dns add printer.lan A 192.168.1.21 || return 1
    w 2 dns add "*.apps.lan" A 192.168.1.30 && w 2 dns add db.lan CNAME web.app || return 1
    w 2 dns add --ttl 5m lan TXT "v=spf1; it works" && w 2 dns add lan MX 10 mail.lan || return 1
    [ "$(answer printer.lan | tr '\n' ' ')" = "192.168.1.20 192.168.1.21 " ] || return 1
    [ "$(answer a.b.apps.lan)" = 192.168.1.30 ] || return 1
    answer db.lan | grep -qx "$(answer web)" || return 1
    [ "$(answer lan TXT)" = '"v=spf1; it works"' ] && [ "$(answer lan MX)" = "10 mail.lan." ] || return 1
    dig_in app.rr lan TXT | grep -q 'lan\..*300.*TXT' || return 1
    says "no value of a record A" w 1 dns add x.lan A nonsense || return 1
    says "CNAME stands alone" w 1 dns add printer.lan CNAME x || return 1
    w 1 dns rm printer.lan A 192.168.1.20 && [ "$(answer printer.lan)" = 192.168.1.21 ] || return 1
    w 1 dns rm lan && w 1 dns rm db.lan && [ "$(w 1 dns ls --json | jq length)" = 2 ]
}

# A server outside of the cluster, which writes down what it is asked.
upstream() {
    python3 - "$LAB_RUN/asked" "$PREFIX.254" <<'PY' &
import socket, sys, threading
asked = open(sys.argv[1], "a", buffering=1)
def reply(q):
    i = 12
    name = []
    while q[i]:
        name.append(q[i + 1:i + 1 + q[i]].decode())
        i += q[i] + 1
    asked.write(".".join(name) + "\n")
    end = i + 5
    return q[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" + q[12:end] + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07"
def tcp():
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((sys.argv[2], 53)); s.listen()
    while True:
        c, _ = s.accept()
        n = int.from_bytes(c.recv(2), "big"); r = reply(c.recv(n)); c.sendall(len(r).to_bytes(2, "big") + r); c.close()
threading.Thread(target=tcp, daemon=True).start()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind((sys.argv[2], 53))
while True:
    q, a = u.recvfrom(4096); u.sendto(reply(q), a)
PY
    upstream_pid=$!
    sleep 0.5
}
forwarded() {
    local out n
    out=$(compose out <<YAML
name: out
services:
  one:
    image: demo/busybox:1
    command: [sleep, "100000"]
    stop_grace_period: 0s
    dns: ["$PREFIX.253", "$PREFIX.254"]
YAML
    )
    w 1 deploy -f "$out" >/dev/null || return 1
    # The first server does not answer; the second does.
    [ "$(dig_in out.one +short +time=6 www.example.net)" = 192.0.2.7 ] || return 1
    [ "$(dig_in out.one +short +tcp +time=6 tcp.example.net)" = 192.0.2.7 ] || return 1
    # Remembered, with the time that has passed taken off; who answered is asked first from now on.
    sleep 1.1
    dig_in out.one www.example.net | grep -qE 'www.example.net\.\s+5[0-9]\s' || return 1
    [ "$(grep -cx www.example.net "$LAB_RUN/asked")" = 1 ] || return 1
    [ "$(dig_in out.one +short +time=1 second.example.net)" = 192.0.2.7 ] || return 1
    w 1 dns add away.lan CNAME far.example.net || return 1
    [ "$(dig_in out.one +short away.lan | tail -1)" = 192.0.2.7 ]
}
shut_in() { dig_in app.shut www.example.org | grep -q NXDOMAIN; }

test_case "three stacks" deployed
test_case "a service's name, with its stack, and its aliases are its address" service_name
test_case "tasks have names" task_names
test_case "members have" members
test_case "SRV tells ports, TXT members" ports
test_case "addresses have names" reverse
test_case "by TCP" by_tcp
test_case "with EDNS" edns
test_case "what does not fit is cut, and whole by TCP" cut_short
test_case "names of other stacks, in shared networks only" shared
test_case "records of one's own" records
upstream
test_case "other names are asked for outside, and remembered" forwarded
test_case "but not from a network that leads nowhere else" shut_in
kill "$upstream_pid" 2>/dev/null
finish
