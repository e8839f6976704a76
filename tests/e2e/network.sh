#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The network of three machines and a client on their LAN, all of them network namespaces.
# With PATHS=plain what containers send each other takes plain routes; else all of it the tunnel.
# usage: tests/e2e/network.sh [NETDRIVER]
. "$(dirname "$0")/network/lib.sh"
# Datagrams that arrived: datagrams in_host|in_box NAME
datagrams() { "$@" awk '/^Udp: [0-9]/ { print $2 }' /proc/thread-self/net/snmp; }

# --- the machines ---
make_hosts() {
    make_lan
    for h in A B C L; do
        # Some check sources strictly, some not at all.
        strict=1
        [ $h = C ] && strict=0
        [ "$PATHS" = plain ] && strict=2 # none so strictly as to take no plain route
        in_host $h sysctl -qw net.ipv4.conf.all.rp_filter=$strict net.ipv4.conf.u0.rp_filter=$strict \
            net.ipv4.conf.default.rp_filter=1
    done
}

# N3 is outside of the pool, N4 leads nowhere else.
N1=10.192.16.0/20 N2=10.192.32.0/20 N3=172.28.0.0/24 N4=10.192.48.0/20
declare -A address=([a1]=10.192.16.1 [a2]=10.192.32.2 [a3]=10.192.16.3 [a4]=10.192.16.4
    [b1]=10.192.16.11 [b2]=10.192.32.12 [c1]=10.192.16.21 [o1]=172.28.0.11 [o2]=172.28.0.12
    [i1]=10.192.48.11 [i2]=10.192.48.12)
declare -A home=([a1]=A [a2]=A [a3]=A [a4]=A [b1]=B [b2]=B [c1]=C [o1]=A [o2]=B
    [i1]=A [i2]=B)
boxes="a1 a2 a3 a4 b1 b2 c1 o1 o2 i1 i2"
services="service 10.192.16.200 10.192.16.1 10.192.16.11
service 10.192.16.201 10.192.16.11
service 10.192.16.202
service 10.192.16.203 10.192.16.1
service 172.28.0.200 172.28.0.11 172.28.0.12
service 10.192.48.200 10.192.48.12"
publishes="publish tcp 8080 10.192.16.1:80
publish tcp 8081 10.192.16.11:80
publish udp 9000 10.192.16.1:80
publish udp 9001 10.192.16.11:80
publish tcp 8082 10.192.16.1:80 10.192.16.11:80
publish tcp 8083
publish udp 9003"

# The state of host $1 with the boxes $2.
state() {
    local h=$1 list=$2 b net
    echo "node ${id[$h]}
underlay ${ip[$h]}
pool 10.192.0.0/12
vxlan 4789 7401
network $N1
network $N2
network $N3
network $N4
internal $N4
$services
$publishes"
    for p in A B C; do [ $p = "$h" ] || echo "peer ${id[$p]} ${ip[$p]} ${PATHS:-tunnel} 0"; done
    for b in $list; do
        net=$N1
        case ${address[$b]} in
        10.192.32.*) net=$N2 ;;
        172.28.*) net=$N3 ;;
        10.192.48.*) net=$N4 ;;
        esac
        if [ "${home[$b]}" != "$h" ]; then
            echo "remote ${address[$b]} ${id[${home[$b]}]}"
        elif [ $b = a3 ]; then # in both networks
            echo "endpoint $b $(box $b) ${address[$b]}@$N1 10.192.32.3@$N2"
        else
            echo "endpoint $b $(box $b) ${address[$b]}@$net"
        fi
    done
    [ "$h" = A ] || case " $list " in *" a3 "*) echo "remote 10.192.32.3 ${id[A]}" ;; esac
}

# All that network_clear must bring back.
snapshot() {
    in_host "$1" sh -c 'ip -d link; ip addr; ip route show table all; ip rule; ip neigh; nft list ruleset' |
        grep -vE '^10\.66\.0\.[0-9]+ dev u0 lladdr|^ff00::/8|fe80::|^ +valid_lft' |
        sed -E 's/(promiscuity|allmulti|minmtu|maxmtu) [0-9]+//g'
}

make_hosts
# Machines that never spoke to each other do not know who is on the link.
for h in A B C; do for p in A B C; do [ $h = $p ] || in_host $h busybox ping -q -c 1 ${ip[$p]} >/dev/null; done; done
for h in A B C; do snapshot $h >"$dir/before.$h"; done
for b in $boxes; do "$driver" create "$(box $b)" || exit 1; done
if apply_all; then ok "apply on three machines"; else fail "apply on three machines"; fi
for b in $boxes; do serve $b; done
sleep 0.3

is "address of a machine" "$("$driver" address "$(host A)")" 10.66.0.1
is "create is fine when it is there" "$("$driver" create "$(box a1)" && echo yes)" yes

[ -n "$WHERRY_HOLD" ] && { echo "holding $tag $dir"; sleep "$WHERRY_HOLD"; exit; }

# --- containers among themselves ---
is "same machine, same network" "$(from a1 tcp ${address[a4]} 80)" "a4 ${address[a1]}"
is "other machine, same network" "$(from a1 tcp ${address[b1]} 80)" "b1 ${address[a1]}"
is "other machine, same network, udp" "$(from b1 udp ${address[c1]} 80)" "c1 ${address[b1]}"
is "second network, its own source" "$(from a3 tcp ${address[b2]} 80)" "b2 10.192.32.3"
is "first network of two" "$(from a3 tcp ${address[b1]} 80)" "b1 ${address[a3]}"
is "second network, towards it" "$(from b2 tcp 10.192.32.3 80)" "a3 ${address[b2]}"
is "isolation on one machine" "$(from a1 tcp ${address[a2]} 80)" unreachable
is "isolation on one machine, back" "$(from a2 tcp ${address[a1]} 80)" unreachable
is "isolation across machines" "$(from a1 tcp ${address[b2]} 80)" unreachable
is "isolation across machines, back" "$(from b2 tcp ${address[a1]} 80)" unreachable
is "isolation by a container of both" "$(from a2 tcp ${address[a3]} 80)" unreachable
is "an address nobody has" "$(from a1 tcp 10.192.16.99 80)" unreachable
mtu=$(in_box a1 ip -o link show eth0 | grep -o 'mtu [0-9]*')
is "mtu is the link's less the tunnel" "$mtu" "mtu 1450"
if in_box a1 busybox ping -q -c 2 -W 2 -s 1422 ${address[b1]} >/dev/null; then
    ok "a full packet across machines"
else
    fail "a full packet across machines"
fi

# --- which way it goes ---
tunnelled() { in_host A ip -s link show wherry0 | tail -1 | awk '{print $2}'; }
moved() { # moved COMMAND...: how many packets it sent through A's tunnel: none, some
    local before
    before=$(tunnelled)
    "$@" >/dev/null
    [ "$(tunnelled)" = "$before" ] && echo none || echo some
}
plain=some
[ "$PATHS" = plain ] && plain=none
is "the way to another container" "$(moved from a1 tcp ${address[b1]} 80)" $plain
is "the way to a service's address" "$(moved from a1 tcp 10.192.16.201 80)" $plain
is "the way of an answer" "$(moved from b1 tcp ${address[a1]} 80)" $plain
is "the way of a machine" "$(moved from A tcp ${address[b1]} 80)" some
is "the way of a client by a published port" "$(moved from L tcp ${ip[A]} 8081)" some

# --- a container sends from its own addresses only (C does not check sources by itself) ---
in_box c1 ip addr add 10.192.32.77/32 dev eth0
in_box c1 ip addr add 10.66.0.50/32 dev eth0
in_box c1 ip route add ${address[b2]} via 169.254.1.1 dev eth0 onlink src 10.192.32.77
in_box c1 ip route add ${ip[L]} via 169.254.1.1 dev eth0 onlink src 10.66.0.50
"$driver" serve "$(host L)" lan 7000 & servers+=($!)
sleep 0.2
before=$(datagrams in_box b2)
from c1 udp ${address[b2]} 80 >/dev/null
is "a foreign source in a foreign network" "$(datagrams in_box b2)" "$before"
before=$(datagrams in_host L)
from c1 udp ${ip[L]} 7000 >/dev/null
is "a foreign source to the outside" "$(datagrams in_host L)" "$before"
in_box c1 ip addr del 10.192.32.77/32 dev eth0
in_box c1 ip addr del 10.66.0.50/32 dev eth0
in_box c1 ip route del ${address[b2]} 2>/dev/null
in_box c1 ip route del ${ip[L]} 2>/dev/null

# --- outside, gateway, unpublished ---
for h in A B C; do "$driver" serve "$(host $h)" host$h 7000 & servers+=($!); done
"$driver" serve "$(host A)" dns 53 169.254.1.1 & servers+=($!)
sleep 0.2
is "a container reaches the LAN as its machine" "$(from a1 tcp ${ip[L]} 7000)" "lan ${ip[A]}"
is "a container reaches another machine" "$(from a1 tcp ${ip[B]} 7000)" "hostB ${ip[A]}"
is "a container reaches its own machine" "$(from a1 tcp ${ip[A]} 7000)" "hostA ${address[a1]}"
is "a machine reaches its container" "$(from A tcp ${address[a1]} 80)" "a1 ${ip[A]}"
is "a machine reaches a remote container" "$(from A tcp ${address[b1]} 80)" "b1 ${ip[A]}"
is "names at the gateway, udp" "$(from a1 udp 169.254.1.1 53)" "dns ${address[a1]}"
is "names at the gateway, tcp" "$(from a2 tcp 169.254.1.1 53)" "dns ${address[a2]}"
is "nothing else at the gateway" "$(from a1 tcp 169.254.1.1 7000)" unreachable
in_host L ip route add 10.192.0.0/12 via ${ip[A]}
in_host L ip route add 169.254.1.1 via ${ip[A]}
is "the LAN does not reach a container" "$(from L tcp ${address[a1]} 80)" timeout
is "the LAN does not reach a remote container" "$(from L tcp ${address[b1]} 80)" timeout
is "the LAN does not reach the gateway" "$(from L udp 169.254.1.1 53)" timeout

# --- published ports: {client} x {local task, remote task}, by machine A ---
is "LAN client, local task" "$(from L tcp ${ip[A]} 8080)" "a1 ${ip[L]}"
is "LAN client, remote task" "$(from L tcp ${ip[A]} 8081)" "b1 ${ip[L]}"
is "LAN client, local task, udp" "$(from L udp ${ip[A]} 9000)" "a1 ${ip[L]}"
is "LAN client, remote task, udp" "$(from L udp ${ip[A]} 9001)" "b1 ${ip[L]}"
is "LAN client, task two machines away" "$(from L tcp ${ip[C]} 8080)" "a1 ${ip[L]}"
is "udp client changes the member" \
    "$(from L udp ${ip[A]} 9001 5555) $(from L udp ${ip[C]} 9001 5555)" "b1 ${ip[L]} b1 ${ip[L]}"
is "other member, local task" "$(from C tcp ${ip[A]} 8080)" "a1 ${ip[C]}"
is "other member, remote task" "$(from C tcp ${ip[A]} 8081)" "b1 ${ip[A]}"
is "other member has the task itself" "$(from B tcp ${ip[A]} 8081)" "b1 ${ip[A]}"
is "own machine, local task" "$(from A tcp ${ip[A]} 8080)" "a1 ${ip[A]}"
is "own machine, remote task" "$(from A tcp ${ip[A]} 8081)" "b1 ${ip[A]}"
is "localhost, local task" "$(from A tcp 127.0.0.1 8080)" "a1 ${ip[A]}"
is "localhost, remote task" "$(from A tcp 127.0.0.1 8081)" "b1 ${ip[A]}"
is "localhost, local task, udp" "$(from A udp 127.0.0.1 9000)" "a1 ${ip[A]}"
is "localhost, remote task, udp" "$(from A udp 127.0.0.1 9001)" "b1 ${ip[A]}"
is "container, local task" "$(from a4 tcp ${ip[A]} 8080)" "a1 ${address[a4]}"
is "container, remote task" "$(from a4 tcp ${ip[A]} 8081)" "b1 ${address[a4]}"
is "container of another network, local task" "$(from a2 tcp ${ip[A]} 8080)" "a1 ${ip[A]}"
is "container of another network, remote task" "$(from a2 tcp ${ip[A]} 8081)" "b1 ${ip[A]}"
is "container, itself" "$(from a1 tcp ${ip[A]} 8080)" "a1 ${ip[A]}"
is "container, itself by another member" "$(from b1 tcp ${ip[A]} 8081)" "b1 ${ip[A]}"
is "container, by another member" "$(from b1 tcp ${ip[A]} 8080)" "a1 ${ip[B]}"
both=$(for _ in $(seq 30); do from L tcp ${ip[C]} 8082; done | sort -u | tr '\n' ' ')
is "two backends share" "$both" "a1 ${ip[L]} b1 ${ip[L]} "
is "a port without backends, tcp" "$(from L tcp ${ip[A]} 8083)" refused
is "a port without backends, udp" "$(from L udp ${ip[A]} 9003)" refused
is "a port without backends, localhost" "$(from A tcp 127.0.0.1 8083)" refused

# --- service addresses ---
both=$(for _ in $(seq 30); do from c1 tcp 10.192.16.200 80; done | sort -u | tr '\n' ' ')
is "a service address: its backends share" "$both" "a1 ${address[c1]} b1 ${address[c1]} "
is "a service address, udp" "$(from c1 udp 10.192.16.201 80)" "b1 ${address[c1]}"
is "a service address, from the backend itself" "$(from b1 tcp 10.192.16.201 80)" "b1 ${ip[B]}"
is "a service address, from the backend's machine" "$(from B tcp 10.192.16.201 80)" "b1 ${ip[B]}"
is "a service address, from a machine, remote backend" "$(from A tcp 10.192.16.201 80)" "b1 ${ip[A]}"
is "a service address, from a container of another network" "$(from a2 tcp 10.192.16.201 80)" unreachable
is "a service address, another network, remote" "$(from b2 tcp 10.192.16.203 80)" unreachable
is "a service address, with its own source" "$(from a3 tcp 10.192.16.201 80)" "b1 ${address[a3]}"
is "a service address without backends, tcp" "$(from a1 tcp 10.192.16.202 80)" refused
is "a service address without backends, udp" "$(from c1 udp 10.192.16.202 80)" refused
is "a service address without backends, no port of others" "$(from a1 tcp 10.192.16.202 8080)" refused
is "a service address without backends, from a machine" "$(from A tcp 10.192.16.202 7000)" refused
is "the LAN does not reach a service address" "$(from L tcp 10.192.16.201 80)" timeout
if in_box c1 busybox ping -q -c 1 -W 2 10.192.16.200 >/dev/null; then
    ok "a service address answers a ping"
else
    fail "a service address answers a ping"
fi

# --- a network outside of the pool, and one that leads nowhere else ---
is "own range, across machines" "$(from o1 tcp ${address[o2]} 80)" "o2 ${address[o1]}"
is "own range, to the pool" "$(from o1 tcp ${address[a1]} 80)" unreachable
is "own range, from the pool" "$(from a1 tcp ${address[o1]} 80)" unreachable
is "own range, to the outside" "$(from o1 tcp ${ip[L]} 7000)" "lan ${ip[A]}"
both=$(for _ in $(seq 30); do from o1 tcp 172.28.0.200 80; done | sort -u | tr '\n' ' ')
is "own range, service address" "$both" "o1 ${ip[A]} o2 ${address[o1]} "
in_host L ip route add $N3 via ${ip[A]}
is "own range, from the LAN" "$(from L tcp ${address[o1]} 80)" timeout
is "internal, across machines" "$(from i1 tcp ${address[i2]} 80)" "i2 ${address[i1]}"
is "internal, service address" "$(from i1 tcp 10.192.48.200 80)" "i2 ${address[i1]}"
is "internal, to the outside" "$(from i1 tcp ${ip[L]} 7000)" unreachable
is "internal, to its machine" "$(from i1 tcp ${ip[A]} 7000)" unreachable
is "internal, to another machine" "$(from i1 tcp ${ip[B]} 7000)" unreachable
is "internal, to a port of its machine, local task" "$(from i1 tcp ${ip[A]} 8080)" unreachable
is "internal, to a port of its machine, remote task" "$(from i1 tcp ${ip[A]} 8081)" unreachable
is "internal, to a port of another machine" "$(from i1 tcp ${ip[B]} 8080)" unreachable
is "internal, to names" "$(from i1 udp 169.254.1.1 53)" "dns ${address[i1]}"

# --- strangers do not come as containers ---
in_host L ip addr add ${address[a1]}/32 dev lo
in_host L ip route replace ${address[c1]} via ${ip[C]} src ${address[a1]}
before=$(datagrams in_box c1)
from L udp ${address[c1]} 80 >/dev/null
is "the LAN with a container's address" "$(datagrams in_box c1)" "$before"
in_host L ip addr del ${address[a1]}/32 dev lo
ip -n ${tag}L link add vx type vxlan id 7401 dstport 4789 local ${ip[L]} nolearning
ip -n ${tag}L link set vx address 02:57:48:00:ff:ff up
bridge -n ${tag}L fdb append 02:57:48:00:00:01 dev vx dst ${ip[A]}
ip -n ${tag}L route replace 10.192.0.0/12 via 169.254.0.9 dev vx onlink
ip -n ${tag}L neigh add 169.254.0.9 lladdr 02:57:48:00:00:01 dev vx nud permanent
received() { in_host A sed -n 's/^ *wherry0: *[0-9]* *\([0-9]*\) .*/\1/p' /proc/thread-self/net/dev; }
before=$(received)
from L tcp ${address[a1]} 80 >/dev/null
is "tunnel packets of a stranger" "$(received)" "$before"
ip -n ${tag}L link del vx

# --- level-triggered ---
handles() { in_host "$1" nft -a list table inet wherry; }
handles A >"$dir/first"
snapshot A >"$dir/first.all"
timeout 20 ip -n ${tag}A monitor link addr route neigh rule >"$dir/monitor" 2>&1 & monitor=$!
sleep 0.3
apply A "$boxes" 3 >/dev/null
sleep 0.3
kill $monitor 2>/dev/null
wait $monitor 2>/dev/null
handles A >"$dir/second"
is "a second apply keeps the table" "$(cmp "$dir/first" "$dir/second" && echo same)" same
is "a second apply asks for nothing" "$(grep -cE 'wherry0|wv|169.254|10.192' "$dir/monitor")" 0
in_host A nft flush ruleset
apply A >/dev/null
is "after nft flush ruleset" "$(from L tcp ${ip[A]} 8081) $(from a1 tcp ${address[a2]} 80)" \
    "b1 ${ip[L]} unreachable"
in_host A nft flush chain inet wherry forward
apply A >/dev/null
is "after a chain was flushed" "$(from a1 tcp ${address[a2]} 80)" unreachable
in_host A nft delete element inet wherry ports '{ tcp . 8080 }'
apply A >/dev/null
is "after an element was deleted" "$(from L tcp ${ip[A]} 8080)" "a1 ${ip[L]}"
in_host A ip link del wherry0
in_host A ip route flush proto 87
in_host A ip rule flush 2>/dev/null
in_host A sh -c 'ip rule add pref 32766 lookup main; ip rule add pref 32767 lookup default'
in_host A ip addr del 169.254.1.1/32 dev lo
in_host A ip link set "$(in_host A ip -o link | grep -o 'wv[0-9a-f]*' | head -1)" down
apply A >/dev/null
sleep 0.2
is "after all else was broken" \
    "$(from L tcp ${ip[A]} 8081) $(from a1 tcp ${address[b1]} 80) $(from L tcp ${ip[B]} 8080) $(from a1 udp 169.254.1.1 53)" \
    "b1 ${ip[L]} b1 ${address[a1]} a1 ${ip[L]} dns ${address[a1]}"
# But for the numbers of new links.
numberless() { sed -E 's/^[0-9]+: wherry0/wherry0/' | sort; }
snapshot A | numberless >"$dir/second.all"
is "and as it was" "$(numberless <"$dir/first.all" | diff - "$dir/second.all" >&2 && echo same)" same

# --- a backend goes ---
is "udp before" "$(from L udp ${ip[A]} 9000 6666)" "a1 ${ip[L]}"
saved=$publishes saved_services=$services
is "udp to a service address before" "$(from c1 udp 10.192.16.203 80 6667)" "a1 ${address[c1]}"
services=${services/10.192.16.203 10.192.16.1/10.192.16.203 10.192.16.11}
apply C >/dev/null
is "udp to a service address goes on at once" "$(from c1 udp 10.192.16.203 80 6667)" "b1 ${address[c1]}"
services=$saved_services
apply C >/dev/null
publishes=${publishes/publish udp 9000 10.192.16.1:80/publish udp 9000 10.192.16.11:80}
apply A >/dev/null
is "udp goes on with the new backend at once" "$(from L udp ${ip[A]} 9000 6666)" "b1 ${ip[L]}"
publishes=$saved
apply A >/dev/null

# TCP: what is begun may be finished while the container is there; then the client must not hang.
talk=$dir/talk
mkfifo $talk
"$driver" hold "$(host L)" ${ip[A]} 8084 <$talk >>"$dir/talked" & servers+=($!)
exec 7>$talk
publishes="$saved
publish tcp 8084 10.192.16.1:81"
"$driver" echo "$(box a1)" 81 & servers+=($!)
"$driver" echo "$(box b1)" 81 & servers+=($!)
apply A >/dev/null
sleep 0.2
said() { # what came back for a line sent
    : >"$dir/talked"
    echo "$1" >&7
    for _ in $(seq 20); do sleep 0.1; [ -s "$dir/talked" ] && break; done
    tail -1 "$dir/talked"
}
is "tcp before" "$(said one)" one
publishes="$saved
publish tcp 8084 10.192.16.11:81"
apply A >/dev/null
is "tcp goes on with a backend that is about to stop" "$(said two)" two
apply A "a2 a3 a4 b1 b2 c1 o1 o2 i1 i2" >/dev/null
is "tcp is reset when it is gone" "$(said three)" "closed"
exec 7>&-
publishes=$saved
apply A >/dev/null

# --- containers come and go ---
apply_all "a1 a2 a3 b1 b2 c1 o1 o2 i1 i2"
is "a removed container has no veth" "$(in_box a4 ip -o link show eth0 2>/dev/null | wc -l)" 0
is "a removed container is unreachable" "$(from a1 tcp ${address[a4]} 80)" unreachable
is "a removed container, from afar" "$(from b1 tcp ${address[a4]} 80)" unreachable
apply_all
is "and comes back" "$(from b1 tcp ${address[a4]} 80)" "a4 ${address[b1]}"
"$driver" remove "$(box b2)"
"$driver" create "$(box b2)"
apply_all
serve b2
sleep 0.2
is "a new namespace under the old name" "$(from a2 tcp ${address[b2]} 80)" "b2 ${address[a2]}"
home[c1]=A
apply C >/dev/null # the namespace is the same: the one host first lets go
apply_all
is "a container moves" "$(from b1 tcp ${address[c1]} 80) $(from a1 tcp ${address[c1]} 80)" \
    "c1 ${address[b1]} c1 ${address[a1]}"
home[c1]=C
apply A >/dev/null
apply_all

# --- bad rows do not take the network down ---
{ state A "$boxes"; echo "remote 10.66.0.9 257"; echo "network 10.192.16.0/24"
  echo "endpoint zz $dir/none 10.192.16.200@$N1"; } >"$dir/bad"
in_host A nft flush ruleset
if "$driver" apply "$(host A)" <"$dir/bad" >"$dir/out" 2>"$dir/err"; then
    fail "bad rows are told"
else
    is "bad rows are told" "$(grep -c ERR_INVALID "$dir/err")" 1
fi
is "only the bad container is not connected" "$(grep connected "$dir/out")" "not connected: zz"
is "the rest is done" "$(from L tcp ${ip[A]} 8081)" "b1 ${ip[L]}"

# --- a hundred containers ---
many="node 1
underlay ${ip[A]}
pool 10.192.0.0/12
vxlan 4789 7401
network $N1"
"$driver" clear "$(host A)"
for i in $(seq 100); do
    "$driver" create "$(box m$i)"
    many+=$'\n'"endpoint m$i $(box m$i) 10.192.17.$i@$N1"
done
echo "100 containers, first and two more times:" \
    $("$driver" apply "$(host A)" 3 <<<"$many")
is "a hundred are connected" "$(in_host A ip -o link show type veth | grep -c ': wv')" 100
if in_box m1 busybox ping -q -c 1 -W 2 10.192.17.100 >/dev/null; then
    ok "the first reaches the last"
else
    fail "the first reaches the last"
fi

# --- many published ports: replaced once, then left alone ---
"$driver" create "$(box lone)"
"$driver" create "$(box lonely)"
in_lone() { nsenter --net="$(box lone)" "$@"; }
{
    echo "node 1
underlay 127.0.0.1
pool 10.192.0.0/12
vxlan 4789 7401
network $N1
endpoint lonely $(box lonely) 10.192.16.1@$N1
publish tcp 8080 10.192.16.1:80"
    for i in $(seq 300); do echo "publish tcp $((20000 + i)) 10.192.17.1:80 10.192.17.2:80"; done
} >"$dir/lone"
"$driver" apply "$(box lone)" <"$dir/lone" >/dev/null
first=$(in_lone nft -a list table inet wherry | md5sum)
"$driver" apply "$(box lone)" 2 <"$dir/lone" >/dev/null
is "hundreds of ports are left alone" "$(in_lone nft -a list table inet wherry | md5sum)" "$first"

# --- a machine without a network of its own ---
serve lonely
sleep 0.2
is "a lone machine, localhost" "$(ask "$(box lone)" tcp 127.0.0.1 8080)" "lonely 169.254.1.1"
is "a lone machine, directly" "$(ask "$(box lone)" tcp 10.192.16.1 80)" "lonely 169.254.1.1"

# --- clear ---
for h in A B C; do
    "$driver" clear "$(host $h)"
    snapshot $h >"$dir/after.$h"
    is "clear leaves $h as before" "$(diff "$dir/before.$h" "$dir/after.$h" >&2 && echo same)" same
done
is "clear twice is fine" "$("$driver" clear "$(host A)" && echo yes)" yes

count
