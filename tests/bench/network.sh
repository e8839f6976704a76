#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What the network between containers costs: throughput and requests a second, on one host and across
# two, by plain routes, by the tunnel, by a service's address and by a published port, beside the bare
# link and a bare VXLAN device in the same run, and where dockerd is installed beside an overlay
# network of Docker Swarm on two more hosts; and how soon members know that a task is gone.
# Prints a table; nothing is judged.
#
#   BENCH_ROUNDS=5 NETWORK_SECONDS=3 tests/bench/network.sh
. "$(dirname "$0")/lib.sh"
. "$top/tests/e2e/lib.sh"
. "$(dirname "$0")/swarm_lib.sh"
length=${NETWORK_SECONDS:-3}
begin bench-network 2
pids=()
swarm=
away() {
    kill "${pids[@]}" 2>/dev/null
    [ -z "$swarm" ] || swarm_down
    lab_down
}
trap away EXIT
load busybox 1 2 >/dev/null
load nginx 1 2 >/dev/null
samples_begin network

app=$(compose app <<'YAML'
name: app
services:
  client: {image: "demo/busybox:1", command: [sleep, "100000"], stop_grace_period: 0s, deploy: {placement: {constraints: [node.hostname == n1]}}}
  near: {image: "demo/nginx:1", stop_grace_period: 0s, deploy: {placement: {constraints: [node.hostname == n1]}}}
  far: {image: "demo/nginx:1", stop_grace_period: 0s, ports: ["8080:80"], deploy: {placement: {constraints: [node.hostname == n2]}}}
  many: {image: "demo/busybox:1", command: [sleep, "100000"], stop_grace_period: 0s, deploy: {replicas: 4, restart_policy: {delay: 2s}}}
YAML
)
w 1 deploy -f "$app" >/dev/null || exit 1
host1=$PREFIX.1 host2=$PREFIX.2
id_of() { w 1 ps "app.$1" --json | jq -r '.[0].id'; }
address_of() { w 1 network inspect app_default | jq -r --arg n "app.$1" '.[0].members[] | select(.name == $n) | .address'; }
netns_of() { readlink -f "$(ls -d "$LAB_RUN/$2/netns/"* | grep -w "t$(id_of "$1" | tr -d t)[-0-9]*" | head -1)"; }
client=$(netns_of client 1) near=$(netns_of near 1) far=$(netns_of far 2)
near_ip=$(address_of near.1) far_ip=$(address_of far.1) service_ip=$(address_of far)
in_ns() { nsenter --net="$1" "${@:2}"; }
for ns in "$near" "$far" "/run/netns/$LAB-2"; do
    nsenter --net="$ns" iperf3 -s -p 5201 >/dev/null 2>&1 & pids+=($!)
done
# The baselines: nginx of the host's own beside the container's, and a VXLAN device of nobody.
for n in 1 2; do
    ip -n "$LAB-$n" link add bare0 type vxlan id 99 dstport 4790 local "$PREFIX.$n" remote "$PREFIX.$((3 - n))" dev eth0
    ip -n "$LAB-$n" addr add "172.30.99.$n/24" dev bare0
    ip -n "$LAB-$n" link set bare0 up
done
nginx=$(pgrep -f 'nginx: master' | head -1)
nsenter --net="/run/netns/$LAB-2" nsenter --mount="/proc/$nginx/ns/mnt" /bin/sh -c \
    'sed -e s,/run/nginx.pid,/tmp/bare.pid, -e s,/dev/stderr,/dev/null, /etc/nginx/nginx.conf >/etc/nginx/bare.conf; exec /usr/sbin/nginx -c /etc/nginx/bare.conf' \
    >/dev/null 2>&1 & pids+=($!)
sleep 2

mbits() { # mbits KEY NETNS ADDRESS
    local out
    out=$(in_ns "$2" iperf3 -c "$3" -p 5201 -t "$length" -J 2>/dev/null | jq '.end.sum_received.bits_per_second / 1e6 | floor')
    [ -z "$out" ] || sample "$1" "$out"
}
requests() { # requests KEY NETNS URL
    local out
    out=$(in_ns "$2" wrk -t1 -c16 -d"${length}s" "$3" 2>/dev/null | awk '/^Requests\/sec/ {print int($2)}')
    [ -z "$out" ] || sample "$1" "$out"
}
# Swarm's overlay, whose services' addresses take ip_vs, which not every kernel has: its containers'
# own addresses are asked.
swarm_up() {
    local n image
    for n in 3 4; do host_net $n && dockerd_start $n || return 1; done
    engine 3 swarm init --advertise-addr "$PREFIX.3" --data-path-port 4795 --default-addr-pool 10.201.0.0/16 &&
        engine 4 swarm join --token "$(engine 3 swarm join-token -q worker)" --advertise-addr "$PREFIX.4" "$PREFIX.3:2377" &&
        engine 3 network create -d overlay --attachable bench || return 1
    for image in busybox nginx; do
        skopeo copy -q "oci-archive:$images/$image.tar" "docker-archive:$LAB_RUN/$image.tar:bench/$image:1" || return 1
        for n in 3 4; do engine $n load -q -i "$LAB_RUN/$image.tar" || return 1; done
    done
    engine 3 run -d --name client --network bench bench/busybox:1 sleep 100000 &&
        engine 3 run -d --name near --network bench bench/nginx:1 &&
        engine 4 run -d --name far --network bench bench/nginx:1
}
swarm_down() {
    local n
    for n in 3 4; do
        engine $n rm -f client near far >/dev/null 2>&1
        kill "$(cat "$LAB_RUN/$n.pid")" 2>/dev/null
        sleep 1
        kill "$(cat "$LAB_RUN/$n.containerd")" 2>/dev/null
    done
}
swarm_ns() { echo "/proc/$(engine "$1" inspect -f '{{.State.Pid}}' "$2")/ns/net"; }
swarm_ip() { engine "$1" inspect -f '{{.NetworkSettings.Networks.bench.IPAddress}}' "$2"; }
if [ -x /usr/sbin/dockerd ]; then
    swarm=yes
    say "two dockerd"
    if swarm_up >"$LAB_RUN/swarm.log" 2>&1; then
        for ns in "$(swarm_ns 3 near)" "$(swarm_ns 4 far)"; do
            nsenter --net="$ns" iperf3 -s -p 5201 >/dev/null 2>&1 & pids+=($!)
        done
        sleep 1
    else
        tail -5 "$LAB_RUN/swarm.log"
        swarm_down
        swarm=
    fi
fi

plain_is() { [ "$(w 1 network status --node n1 --json | jq -r '.[0].plain')" = "$1" ]; }
filter() { ip netns exec "$LAB-lan" nft 'add table bridge cloud; add chain bridge cloud forward { type filter hook forward priority 0; }; add rule bridge cloud forward ip saddr { 169.254.0.0/16, 10.192.0.0/10 } drop'; }
unfilter() { ip netns exec "$LAB-lan" nft delete table bridge cloud; }

# Until members' rules have let go of a task whose process was killed: in milliseconds, of the last.
convergence() {
    local n task pid address start
    task=$(w 1 ps app.many --json | jq -r '[.[] | select(.state == "running")][0] | "\(.id) \(.node)"')
    n=${task#* n}
    address=$(address_of "many.$(w 1 ps app.many --json | jq -r --argjson i "${task% *}" '.[] | select(.id == $i) | .slot')")
    pid=$(pids_in "$n" "$(basename "$(ls -d "$LAB_RUN/$n/netns/"* | grep -w "t${task% *}[-0-9]*" | head -1)")" | head -1)
    [ -n "$pid" ] && [ -n "$address" ] || { say "no task to kill: $task $address $pid"; return; }
    start=$(now)
    kill -9 "$pid"
    for n in 1 2; do
        while in_host $n nft list table inet wherry | grep -q ": $address[ ,]"; do :; done
        sample gone_$n "$(since_ms "$start")"
    done
    sleep 4
}

for round in $(seq "$rounds"); do
    say "round $round of $rounds"
    wait_for 30 "plain routes" plain_is true || exit 1
    mbits link_tcp "/run/netns/$LAB-1" "$host2"
    mbits plain_tcp "$client" "$far_ip"
    mbits service_tcp "$client" "$service_ip"
    mbits near_tcp "$client" "$near_ip"
    requests link_http "/run/netns/$LAB-1" "http://$host2:80/"
    requests plain_http "$client" "http://$far_ip/"
    requests service_http "$client" "http://$service_ip/"
    requests near_http "$client" "http://$near_ip/"
    requests port_http /proc/self/ns/net "http://$host1:8080/"
    filter
    wait_for 30 "the tunnel" plain_is false || exit 1
    mbits vxlan_tcp "/run/netns/$LAB-1" 172.30.99.2
    mbits tunnel_tcp "$client" "$far_ip"
    requests vxlan_http "/run/netns/$LAB-1" "http://172.30.99.2:80/"
    requests tunnel_http "$client" "http://$far_ip/"
    unfilter
    convergence
    [ -n "$swarm" ] || continue
    mbits swarm_tcp "$(swarm_ns 3 client)" "$(swarm_ip 4 far)"
    mbits swarm_near_tcp "$(swarm_ns 3 client)" "$(swarm_ip 3 near)"
    requests swarm_http "$(swarm_ns 3 client)" "http://$(swarm_ip 4 far)/"
    requests swarm_near_http "$(swarm_ns 3 client)" "http://$(swarm_ip 3 near)/"
done

rows() {
    cat <<'ROWS'
link_tcp|bare link between two hosts|Mbit/s|||
plain_tcp|containers across hosts, plain routes|Mbit/s|> 0.95|link_tcp|the bare link
service_tcp|the same by the service's address|Mbit/s||plain_tcp|without
vxlan_tcp|bare VXLAN device between two hosts|Mbit/s|||
tunnel_tcp|containers across hosts, tunnel|Mbit/s|> 0.9|vxlan_tcp|the bare device
swarm_tcp|Swarm: containers across hosts, overlay|Mbit/s||tunnel_tcp|our tunnel
near_tcp|containers on one host|Mbit/s|||
swarm_near_tcp|Swarm: containers on one host|Mbit/s||near_tcp|ours
link_http|requests over the bare link|1/s|||
plain_http|requests across hosts, plain routes|1/s||link_http|the bare link
service_http|the same by the service's address|1/s|> 0.95|plain_http|without
vxlan_http|requests over a bare VXLAN device|1/s|||
tunnel_http|requests across hosts, tunnel|1/s||vxlan_http|the bare device
swarm_http|Swarm: requests across hosts|1/s||tunnel_http|our tunnel
port_http|requests from a third machine by the port|1/s|||
near_http|requests on one host|1/s|||
swarm_near_http|Swarm: requests on one host|1/s||near_http|ours
gone_1|a task's process dies until rules know, one member|ms|< 200||
gone_2|the same, the last of both|ms|< 200||
ROWS
}
table
